"""The main loop, on a real Temporal server against the real embedded services."""

from __future__ import annotations

from pathlib import Path

from contracts.alerts import Attached
from contracts.remediation import Outcome
from tests.kit.operator import Operator
from tests.kit.world import World


async def test_a_good_candidate_is_rolled_out_promoted_and_verified(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    async with world.traffic():
        remediation, ack = await operator.attach(world)
        result = await remediation.result()
    assert ack.outcome is Attached.STARTED
    assert result.outcome is Outcome.RESOLVED
    assert await world.canary_life() == ["started 50", "advanced 100", "promoted"]
    assert await world.production() == "v2"
    assert await world.severity() < 0.5
    assert "RESOLVED" in Path(result.report).read_text()
    assert [plan["status"] for plan in await world.plans()] == ["COMPLETED"]


async def test_a_candidate_that_is_wrong_all_day_is_rolled_back_and_the_next_one_tried(
    world: World, operator: Operator
) -> None:
    await world.register(v2_wrong="wrong", v3="good")
    await world.drift()
    async with world.traffic():
        remediation, _ = await operator.attach(world)
        result = await remediation.result()
    assert result.outcome is Outcome.RESOLVED
    assert result.rolled_back_versions == ["v2_wrong"]
    assert result.attempts == 2
    assert await world.canary_life() == ["started 50", "rolled_back", "started 50", "advanced 100", "promoted"]
    assert [plan["status"] for plan in await world.plans()] == ["COMPLETED", "FAILED"]


async def test_a_candidate_that_fails_requests_is_rolled_back_by_the_absolute_ceiling(
    world: World, operator: Operator
) -> None:
    await world.register(v2="failing")
    await world.drift()
    async with world.traffic():
        remediation, _ = await operator.attach(world)
        await remediation.result()
    assert (await world.canary_life())[:2] == ["started 50", "rolled_back"]
    assert any("predictions failed" in text for text in await remediation.texts())
    assert await world.production() == "v1"


async def test_a_model_that_does_not_drift_is_left_alone(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.serve(600, centre=0.0)
    remediation, _ = await operator.attach(world)
    result = await remediation.result()
    assert result.outcome is Outcome.NO_DRIFT
    assert await world.canary_life() == []
    assert await world.plans() == []
