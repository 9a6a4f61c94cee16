"""kill -9 at every phase boundary, real processes: the loop ends right, and nothing is written twice."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import httpx
import pytest

from contracts.remediation import Outcome, Phase, RemediationStatus
from tests.kit.eventually import assert_eventually
from tests.kit.processes import PARTS, Owned, RunningStack
from tests.kit.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

Boundary = tuple[Phase, float]

BOUNDARIES: list[Boundary] = [
    (Phase.ANALYZING, 0),
    (Phase.PLANNING, 0),
    (Phase.AWAITING_APPROVAL, 0),
    (Phase.EXECUTING, 0),
    (Phase.CANARY, 50),
    (Phase.CANARY, 100),
    (Phase.VERIFYING, 0),
    (Phase.CLOSING, 0),
]


@pytest.mark.parametrize("victim", PARTS)
async def test_killed_at_every_phase_boundary_it_loses_nothing_and_does_nothing_twice(
    victim: str, stack: RunningStack, model: World
) -> None:
    await model.drift()
    remediation = stack.of(model)
    killed: list[Boundary] = []
    with ExitStack() as reports:
        async with model.traffic():
            while len(killed) < len(BOUNDARIES):
                await _answer_slowly(model)
                boundary = await _next_boundary(remediation, killed)
                former = stack.kill(victim)
                killed.append(boundary)
                if boundary[0] is Phase.VERIFYING:
                    reports.enter_context(stack.unwritable_reports())
                await stack.is_back(victim, former)
                if boundary[0] is Phase.AWAITING_APPROVAL:
                    await remediation.approve()
            reports.close()
            result = await remediation.result()
    assert killed == BOUNDARIES
    assert (result.outcome, result.promoted_version, result.attempts) == (Outcome.RESOLVED, "v2", 1)
    await _nothing_was_done_twice(stack, model)
    await remediation.replay()


async def test_everything_killed_at_once_in_mid_canary_it_goes_on_where_it_was(
    stack: RunningStack, model: World
) -> None:
    await model.drift()
    remediation = stack.of(model)
    await remediation.approve()
    await remediation.at(Phase.CANARY)
    former = {part: stack.kill(part) for part in PARTS}
    for part, pid in former.items():
        await stack.is_back(part, pid)
    async with model.traffic():
        result = await remediation.result()
    assert result.outcome is Outcome.RESOLVED
    await _nothing_was_done_twice(stack, model)
    await remediation.replay()


async def test_a_gateway_that_is_down_when_drift_is_measured_delays_the_start_and_loses_nothing(
    stack: RunningStack, model: World
) -> None:
    former = stack.kill("gateway")
    await model.drift()
    await stack.is_back("gateway", former)
    status = await stack.of(model).at(Phase.AWAITING_APPROVAL)
    assert status.alert.source == "perception"
    assert len(await model.plans()) == 1


async def _next_boundary(remediation: Owned, killed: list[Boundary]) -> Boundary:
    status = await remediation.until(lambda status: _boundary(status) not in (*killed, None))
    return _boundary(status) or killed[-1]


def _boundary(status: RemediationStatus) -> Boundary | None:
    """Where it stands; None between the canary's start and its owner's first word."""
    if status.phase is not Phase.CANARY:
        return status.phase, 0
    return (status.phase, status.canary.traffic_percentage) if status.canary else None


async def _answer_slowly(world: World) -> None:
    """Effects happen, their answers take a while: whoever is killed meanwhile leaves a write nobody heard back from."""
    slow = {"kind": "latency", "seconds": 0.4, "after": True}
    rules = {
        "perception": [{**slow, "path": rf"{world.model}/(analyze|status|deployments)"}],
        "plato": [{**slow, "path": "/api/v1/plans"}],
        "synapse": [{**slow, "path": "/api/v1/actions"}],
    }
    for service, client in (("perception", world.perception), ("plato", world.plato), ("synapse", world.synapse)):

        async def told(client: httpx.AsyncClient = client, service: str = service) -> bool:
            with suppress(httpx.TransportError):  # it is being restarted
                return (await client.put("/_butterfly/faults", json=rules[service])).is_success
            return False

        await assert_eventually(told, within=30)


async def _nothing_was_done_twice(stack: RunningStack, world: World) -> None:
    assert await world.canary_life() == ["started 50", "advanced 100", "promoted"]
    plans = [write["detail"].get("status", write["kind"]) for write in await world.writes(service="plato")]
    actions = [write["kind"] for write in await world.writes(service="synapse")]
    assert plans == ["plan.created", "EXECUTING", "COMPLETED"]
    assert actions == ["action.submitted", "action.finished"]
    assert len(stack.reports_about(world.model)) == 1
