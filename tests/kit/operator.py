"""A worker, remediations on it, and what their histories must satisfy at the end of every test."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle, WorkflowHistory
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from contracts.alerts import Alert, AttachAck
from contracts.canary import CanaryView
from contracts.gate import Choice, Command, CommandAck, Decision, DecisionAck, Gate, Verb
from contracts.ids import remediation_id
from contracts.policy import RemediationPolicy
from contracts.remediation import Phase, RemediationResult, RemediationStatus
from gateway.ingest import Ingest
from tests.kit.eventually import assert_eventually
from tests.kit.world import QUICK, World
from worker.plugin import driftloop_plugin
from worker.settings import Settings
from worker.wiring import build_worker, wired_activities
from workflows.canary_rollout import CanaryRollout
from workflows.drift_remediation import DriftRemediation

Handle = WorkflowHandle[DriftRemediation, RemediationResult]


class Remediation:
    """One remediation from the outside: what operators do, what queries tell."""

    def __init__(self, env: WorkflowEnvironment, handle: Handle) -> None:
        self.env = env
        self.handle = handle

    async def status(self) -> RemediationStatus:
        return await self.handle.query(DriftRemediation.status)

    async def texts(self) -> list[str]:
        """The timeline as lines."""
        return [f"{event.kind} {event.text}" for event in await self.handle.query(DriftRemediation.timeline)]

    async def result(self) -> RemediationResult:
        return await asyncio.wait_for(self.handle.result(), 60)

    async def until(self, phase: Phase) -> RemediationStatus:
        async def reached() -> RemediationStatus:
            status = await self.status()
            assert status.phase is phase, f"{status.phase}: {status.reason}"
            return status

        return await assert_eventually(reached, within=30)

    async def gate(self) -> Gate:
        """The open gate, once there is one."""

        async def opened() -> Gate:
            gate = (await self.status()).gate
            assert gate is not None
            return gate

        return await assert_eventually(opened, within=30)

    async def canary(self) -> tuple[WorkflowHandle[CanaryRollout, Any], CanaryView]:
        """The canary's owner, once it has reported."""

        async def reported() -> RemediationStatus:
            status = await self.status()
            assert status.canary is not None
            return status

        status = await assert_eventually(reported, within=30)
        assert status.canary is not None
        handle = self.env.client.get_workflow_handle_for(CanaryRollout.run, status.canary_workflow_id)
        return handle, status.canary

    async def decide(
        self, gate: Gate, choice: Choice = Choice.APPROVE, by: str = "alice", **changes: Any
    ) -> DecisionAck:
        decision = Decision(gate_id=gate.id, plan_hash=gate.plan_hash, choice=choice, by=by)
        changed = decision.model_copy(update=changes)
        ack: DecisionAck = await self.handle.execute_update("decide", changed, result_type=DecisionAck)
        return ack

    async def order(self, verb: Verb, by: str = "alice", **changes: Any) -> CommandAck:
        command = Command(verb=verb, by=by, **changes)
        ack: CommandAck = await self.handle.execute_update("operate", command, result_type=CommandAck)
        return ack

    async def skip(self, delta: timedelta) -> None:
        """Move this workflow's clock, and no other."""
        await self.env.fast_forward(self.handle, delta)


class Operator:
    """Starts remediations on a worker of its own and replays everything that ran when the test is over."""

    def __init__(self, env: WorkflowEnvironment, settings: Settings) -> None:
        self.env = env
        self.client: Client = env.client
        self.settings = settings
        self.task_queue = f"tests_{uuid.uuid4().hex[:10]}"
        self._started: list[Handle] = []

    async def attach(
        self, world: World, policy: RemediationPolicy = QUICK, **alert: Any
    ) -> tuple[Remediation, AttachAck]:
        """Send an alert through the front door."""
        return await self.send(world.alert(**alert), policy)

    async def send(self, alert: Alert, policy: RemediationPolicy = QUICK) -> tuple[Remediation, AttachAck]:
        ack = await Ingest(self.client, policy, self.task_queue).submit(alert)
        return self.follow(ack.workflow_id), ack

    def follow(self, workflow_id: str) -> Remediation:
        handle = self.client.get_workflow_handle_for(DriftRemediation.run, workflow_id)
        self._started.append(handle)
        return Remediation(self.env, handle)

    def of(self, world: World) -> Remediation:
        return self.follow(remediation_id(world.tenant, world.model))

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        async with (
            wired_activities(self.settings) as activities,
            build_worker(self.client, activities, self.settings, task_queue=self.task_queue) as worker,
        ):
            yield worker

    async def check_histories(self) -> list[WorkflowHistory]:
        """Every run of this test replays on this code, and no workflow task of it ever failed. Answers them."""
        histories = await self._histories()
        for history in histories:
            failed = [
                event.workflow_task_failed_event_attributes.failure.message
                for event in history.events
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
                and not event.workflow_task_failed_event_attributes.new_run_id  # a reset writes one too
            ]
            assert not failed, f"{history.workflow_id}: {failed}"
        replayer = Replayer(workflows=[], plugins=[driftloop_plugin()])
        for history in histories:
            await replayer.replay_workflow(history)
        return histories

    async def _histories(self) -> list[WorkflowHistory]:
        found = []
        query = f"TaskQueue = '{self.task_queue}'"
        async for execution in self.client.list_workflows(query):
            handle = self.client.get_workflow_handle(execution.id, run_id=execution.run_id)
            if execution.status is WorkflowExecutionStatus.RUNNING:
                await handle.terminate("the test is over")
            found.append(await handle.fetch_history())
        return found


def settings_for(world_urls: dict[str, str], reports: Path, page_urls: str = "") -> Settings:
    """Settings of a worker that talks to the embedded services."""
    return Settings(
        perception_url=world_urls["perception"],
        plato_url=world_urls["plato"],
        synapse_url=world_urls["synapse"],
        report_dir=reports,
        page_urls=page_urls,
        http_timeout=3.0,
        drain_seconds=1.0,
    )
