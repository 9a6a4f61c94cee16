"""Bad input gets a clear error where it was sent, and nothing retries for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from contracts.remediation import Phase
from tests.kit.operator import Operator, Remediation
from tests.kit.world import ASKING, QUICK, World, with_changes


async def _failure(remediation: Remediation) -> str:
    with pytest.raises(WorkflowFailureError) as failed:
        await remediation.result()
    assert isinstance(failed.value.cause, ApplicationError)
    return failed.value.cause.message


async def test_a_model_perception_does_not_know_fails_by_name(world: World, operator: Operator) -> None:
    remediation, _ = await operator.attach(world)
    assert f"model {world.model} is not registered" in await _failure(remediation)
    assert (await remediation.status()).outcome == "FAILED"


async def test_a_tenant_without_rights_fails_by_name(world: World, operator: Operator) -> None:
    remediation, _ = await operator.attach(world, tenant="initech")
    assert "tenant initech has no rights here" in await _failure(remediation)


async def test_a_policy_out_of_range_fails_with_every_value_and_its_range(world: World, operator: Operator) -> None:
    policy = with_changes(QUICK, canary={"stages": [50.0, 25.0], "error_rate_threshold": 1.5})
    remediation, _ = await operator.attach(world, policy)
    message = await _failure(remediation)
    assert "canary.stages: [50.0, 25.0] is out of range" in message
    assert "canary.error_rate_threshold: 1.5 is out of range" in message


async def test_a_start_input_that_does_not_parse_fails_instead_of_retrying_for_ever(
    world: World, operator: Operator, env: WorkflowEnvironment
) -> None:
    handle = await env.client.start_workflow(
        "DriftRemediation", {"tenant": 7}, id=f"bad/{world.model}", task_queue=operator.task_queue
    )
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(handle.result(), 15)
    assert "model" in str(failed.value.cause)


async def test_an_update_that_does_not_parse_is_refused_with_the_field_and_the_loop_goes_on(
    world: World, operator: Operator
) -> None:
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, ASKING)
    await remediation.gate()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await remediation.handle.execute_update("decide", {"choice": "PERHAPS"})
    assert "choice" in str(refused.value.cause)
    assert (await remediation.status()).phase is Phase.AWAITING_APPROVAL


async def test_a_plan_with_an_unknown_step_is_refused_by_its_name(
    world: World, operator: Operator, env: WorkflowEnvironment, strange_plato: str
) -> None:
    await world.register(v2="good")
    await world.drift()
    strange = Operator(env, operator.settings.model_copy(update={"plato_url": strange_plato}))
    async with strange.worker():
        remediation, _ = await strange.attach(world)
        message = await _failure(remediation)
    assert "s1 (REBOOT_EVERYTHING)" in message
    assert "CANARY, PROMOTE_VERSION, REFRESH_BASELINE, OBSERVE" in message
    assert await world.canary_life() == []


async def test_an_action_that_synapse_can_not_do_fails_with_its_reason(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    await world.fault("perception", kind="error", status=422, method="POST", path=f"{world.model}/deployments/canary")
    remediation, _ = await operator.attach(world)
    assert "SYNAPSE action" in await _failure(remediation)
    assert await world.canary_life() == []


@pytest.fixture
def strange_plato() -> Iterator[str]:
    """A PLATO of somebody else, with ideas of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({"content": [], "totalElements": 0})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(
                {
                    "id": "plan-77",
                    "planType": "DRIFT_REMEDIATION",
                    "tenantId": self.headers["X-Tenant-ID"],
                    "model": asked.get("model", ""),
                    "status": "PROPOSED",
                    "severity": 1,
                    "steps": [{"id": "s1", "type": "REBOOT_EVERYTHING"}],
                    "createdAt": "2026-01-01T00:00:00Z",
                }
            )

        def _answer(self, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
