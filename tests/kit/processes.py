"""The embedded stack as real processes: killed, watched, asked what it did."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import yaml
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory
from temporalio.service import RPCError
from temporalio.worker import Replayer

from cli.stack import ports
from cli.stack.stack import Stack
from contracts.gate import Choice, Decision, DecisionAck
from contracts.ids import remediation_id
from contracts.remediation import Phase, RemediationResult, RemediationStatus
from tests.kit.eventually import assert_eventually
from tests.kit.world import TENANT, World
from worker.plugin import driftloop_plugin
from workflows.drift_remediation import DriftRemediation

ASKING_POLICY: dict[str, Any] = {
    "perception": {"models": {"canary": {"evaluation-window": "500ms", "minimum-predictions": 40}}},
    "driftloop": {
        "canary": {"stages": [50, 100], "minimum-labelled": 30},
        "gate": {"always-ask": True},
        "verification": {"window": "60s", "interval": "500ms", "consecutive": 2},
        "outage-patience": "60s",
    },
}
"""Every plan asks; windows that a test can wait for; patience for a service that is being restarted."""

PARTS = ("worker", "temporal", "perception", "plato", "synapse")
"""What a remediation runs on. The gateway is only needed for it to begin."""


class RunningStack:
    """The stack that `driftloop up` starts, held by this test process."""

    def __init__(self, stack: Stack, client: Client) -> None:
        self.stack = stack
        self.client = client

    @property
    def urls(self) -> dict[str, str]:
        at = self.stack.addresses
        return {"perception": at.perception, "plato": at.plato, "synapse": at.synapse}

    def environment(self) -> dict[str, str]:
        return {**self.stack.addresses.environment(), "TENANT_ID": TENANT}

    def kill(self, part: str) -> int:
        """SIGKILL, as an out-of-memory killer would; the supervisor starts it again."""
        pid = self.stack.supervisor.pid(part)
        os.kill(pid, signal.SIGKILL)
        return pid

    async def is_back(self, part: str, former: int) -> None:
        async def restarted() -> bool:
            return self.stack.supervisor.pid(part) != former

        await assert_eventually(restarted, within=30)

    @contextmanager
    def unwritable_reports(self) -> Iterator[None]:
        """Nothing can be written up meanwhile: a remediation stays in its last phase."""
        reports, aside = self.stack.directory / "reports", self.stack.directory / "reports.aside"
        reports.mkdir(exist_ok=True)
        reports.rename(aside)
        reports.write_text("a file where a directory should be")
        try:
            yield
        finally:
            reports.unlink()
            aside.rename(reports)

    def reports_about(self, model: str) -> list[str]:
        return [path.read_text() for path in (self.stack.directory / "reports").glob(f"*{model}*")]

    def of(self, world: World) -> Owned:
        return Owned(self.client, remediation_id(world.tenant, world.model))


class Owned:
    """A remediation on a stack whose parts come and go: every question is asked until it is answered."""

    def __init__(self, client: Client, workflow_id: str) -> None:
        self.client = client
        self.handle = client.get_workflow_handle_for(DriftRemediation.run, workflow_id)

    async def status(self) -> RemediationStatus:
        async def answered() -> RemediationStatus:
            try:
                return await self.handle.query(DriftRemediation.status)
            except RPCError as error:
                raise AssertionError(f"{self.handle.id}: {error}") from error

        return await assert_eventually(answered, within=60)

    async def until(self, reached: Callable[[RemediationStatus], bool], within: float = 60) -> RemediationStatus:
        async def there() -> RemediationStatus:
            status = await self.status()
            assert reached(status), f"{status.phase} {status.reason}"
            return status

        return await assert_eventually(there, within=within)

    async def at(self, phase: Phase) -> RemediationStatus:
        return await self.until(lambda status: status.phase is phase)

    async def approve(self, by: str = "alice") -> None:
        gate = (await self.until(lambda status: status.gate is not None)).gate
        assert gate is not None
        decision = Decision(gate_id=gate.id, plan_hash=gate.plan_hash, choice=Choice.APPROVE, by=by)
        await self.handle.execute_update("decide", decision, id=f"approve-{gate.id}", result_type=DecisionAck)

    async def result(self) -> RemediationResult:
        return await asyncio.wait_for(self.handle.result(), 90)

    async def histories(self) -> list[WorkflowHistory]:
        """Its own and its canaries'."""
        tenant_and_model = self.handle.id.removeprefix("remediation/")
        ids = f"WorkflowId = '{self.handle.id}' OR WorkflowId STARTS_WITH 'canary/{tenant_and_model}/'"
        handles = [
            self.client.get_workflow_handle(execution.id, run_id=execution.run_id)
            async for execution in self.client.list_workflows(ids)
        ]
        return [await handle.fetch_history() for handle in handles]

    async def replay(self) -> None:
        """What was recorded replays, and no workflow task failed of anything but a lost worker."""
        replayer = Replayer(workflows=[], plugins=[driftloop_plugin()])
        histories = await self.histories()
        assert histories
        for history in histories:
            failed = [
                event.workflow_task_failed_event_attributes.failure.message
                for event in history.events
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
            ]
            assert not failed, f"{history.workflow_id}: {failed}"
            await replayer.replay_workflow(history)


@asynccontextmanager
async def running_stack(directory: Path, policy: dict[str, Any] = ASKING_POLICY) -> AsyncIterator[RunningStack]:
    directory.mkdir(parents=True, exist_ok=True)
    # Not the usual ports: tests run side by side.
    (directory / "ports.json").write_text(json.dumps(ports.any_free(ports.USUAL)))
    policy_file = directory / "policy.yaml"
    policy_file.write_text(yaml.safe_dump(policy))
    stack = Stack(directory, policy_file, tenants=f"{TENANT},your-tenant-id")
    try:
        await stack.start()
        yield RunningStack(stack, await stack.client())
    finally:
        await stack.stop()
