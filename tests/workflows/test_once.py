"""Lost answers, repeated requests, slow and lying services: the outside world changes once."""

from __future__ import annotations

import pytest

from contracts.remediation import Outcome
from tests.kit.operator import Operator
from tests.kit.world import World

ROAD = ["started 50", "advanced 100", "promoted"]


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("plato", "/api/v1/plans$"),
        ("synapse", "/api/v1/actions$"),
        ("perception", "/deployments/canary$"),
        ("perception", "/advance$"),
    ],
)
async def test_a_write_whose_answer_is_lost_happens_once(
    world: World, operator: Operator, service: str, path: str
) -> None:
    await world.register(v2="good")
    await world.drift()
    await world.fault(service, kind="drop", method="POST", path=path, after=True, times=2)
    async with world.traffic():
        remediation, _ = await operator.attach(world)
        assert (await remediation.result()).outcome is Outcome.RESOLVED
    assert await world.canary_life() == ROAD
    assert len(await world.plans()) == 1
    assert len(await world.writes("action.submitted", service="synapse")) == 1


async def test_a_rollback_whose_answer_is_lost_happens_once(world: World, operator: Operator) -> None:
    await world.register(v2="wrong")
    await world.drift()
    await world.fault("perception", kind="drop", method="POST", path="/rollback$", after=True, times=2)
    async with world.traffic():
        remediation, _ = await operator.attach(world)
        await remediation.result()
    assert (await world.canary_life())[:3] == ["started 50", "rolled_back"]


@pytest.mark.parametrize("kind", ["wrong_json", "truncated", "error", "drop"])
async def test_a_service_that_talks_nonsense_for_a_while_is_outlasted(
    world: World, operator: Operator, kind: str
) -> None:
    await world.register(v2="good")
    await world.drift()
    await world.fault("perception", kind=kind, method="GET", path="/analyze|/stats|/deployments", times=3)
    async with world.traffic():
        remediation, _ = await operator.attach(world)
        assert (await remediation.result()).outcome is Outcome.RESOLVED
    assert await world.canary_life() == ROAD
