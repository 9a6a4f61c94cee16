"""A canary's owner: waiting, stalling, pausing, going blind, being overtaken by hand, living long."""

from __future__ import annotations

from datetime import timedelta

from contracts.gate import Choice, GateKind, Verb
from contracts.perception import DeploymentStatus
from contracts.remediation import Outcome, Phase
from tests.kit.eventually import assert_eventually
from tests.kit.operator import Operator, Remediation
from tests.kit.pager import Pager
from tests.kit.world import QUICK, World, with_changes

IDLE = with_changes(QUICK, canary={"evaluation_window": timedelta(minutes=30)})
"""Looks are half an hour apart and there is no traffic: nothing happens unless a test makes it."""


async def _in_canary(world: World, operator: Operator, policy: object = IDLE) -> Remediation:
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, policy)  # type: ignore[arg-type]
    await remediation.until(Phase.CANARY)
    await remediation.canary()
    return remediation


async def test_without_predictions_traffic_stays_and_a_stalled_canary_asks(world: World, operator: Operator) -> None:
    remediation = await _in_canary(world, operator)
    canary, _ = await remediation.canary()
    await operator.env.fast_forward(canary, timedelta(hours=2, minutes=5))
    gate = await remediation.gate()
    assert gate.kind is GateKind.CANARY_STALLED
    assert any("0 of 40 predictions" in reason for reason in gate.why)
    assert await world.canary_life() == ["started 50"]
    await remediation.decide(gate, Choice.REJECT)
    assert (await remediation.result()).outcome is Outcome.ROLLED_BACK


async def test_silence_during_a_canary_rolls_it_back_and_pages(world: World, operator: Operator, pager: Pager) -> None:
    remediation = await _in_canary(world, operator)
    canary, _ = await remediation.canary()
    await operator.env.fast_forward(canary, timedelta(hours=3, minutes=10))
    result = await remediation.result()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "no answer by" in result.reason
    assert await world.canary_life() == ["started 50", "rolled_back"]
    assert any("stalled" in page for page in pager.about(world.model))


async def test_approving_a_stalled_canary_lets_traffic_rise_one_stage(world: World, operator: Operator) -> None:
    remediation = await _in_canary(world, operator)
    canary, _ = await remediation.canary()
    await operator.env.fast_forward(canary, timedelta(hours=2, minutes=5))
    await remediation.decide(await remediation.gate())

    async def advanced() -> bool:
        return await world.canary_life() == ["started 50", "advanced 100"]

    await assert_eventually(advanced)
    await remediation.order(Verb.ROLLBACK)
    assert (await remediation.result()).outcome is Outcome.ROLLED_BACK


async def test_a_verdict_withdraws_the_question_about_a_stalled_canary(world: World, operator: Operator) -> None:
    remediation = await _in_canary(world, operator)
    canary, _ = await remediation.canary()
    await operator.env.fast_forward(canary, timedelta(hours=2, minutes=5))
    await remediation.gate()
    await world.serve(400)
    await operator.env.fast_forward(canary, timedelta(minutes=30))

    async def withdrawn() -> bool:
        return (await remediation.status()).gate is None

    await assert_eventually(withdrawn)
    assert await world.canary_life() == ["started 50", "advanced 100"]
    await remediation.order(Verb.ROLLBACK)
    await remediation.result()


async def test_a_canary_paused_too_long_asks_and_silence_rolls_it_back(world: World, operator: Operator) -> None:
    remediation = await _in_canary(
        world, operator, with_changes(IDLE, canary={"evaluation_window": timedelta(hours=12)})
    )
    canary, _ = await remediation.canary()
    await remediation.order(Verb.PAUSE, reason="looking into it")
    await operator.env.fast_forward(canary, timedelta(hours=24, minutes=1))
    gate = await remediation.gate()
    assert gate.kind is GateKind.PAUSED_TOO_LONG
    await operator.env.fast_forward(canary, timedelta(hours=1, minutes=1))
    assert (await remediation.result()).outcome is Outcome.ROLLED_BACK
    assert await world.canary_life() == ["started 50", "paused", "rolled_back"]


async def test_a_canary_nobody_can_read_freezes_pages_asks_and_is_kept_on_request(
    world: World, operator: Operator, pager: Pager
) -> None:
    impatient = with_changes(IDLE, canary={"evaluation_window": timedelta(hours=1)})
    remediation = await _in_canary(
        world, operator, impatient.model_copy(update={"outage_patience": timedelta(seconds=1)})
    )
    canary, _ = await remediation.canary()
    await world.fault("perception", kind="error", status=500)
    await operator.env.fast_forward(canary, timedelta(hours=3))
    gate = await remediation.gate()
    assert gate.kind is GateKind.CANARY_UNREADABLE
    assert any("can't be read" in page for page in pager.about(world.model))
    await remediation.decide(gate)
    await world.heal()
    assert await world.canary_life() == ["started 50"]
    await remediation.order(Verb.ROLLBACK)
    await remediation.result()


async def test_a_canary_rolled_back_by_hand_supersedes_the_remediation(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, with_changes(QUICK, canary={"minimum_predictions": 10_000}))
    _, view = await remediation.canary()
    await world.post(f"/api/v1/models/{world.model}/deployments/{view.deployment_id}/rollback", {"reason": "by hand"})
    result = await remediation.result()
    assert result.outcome is Outcome.SUPERSEDED
    assert any("ended from outside" in text for text in await remediation.texts())


async def test_traffic_moved_by_hand_is_seen_recorded_and_judged_anew(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    policy = with_changes(QUICK, canary={"minimum_predictions": 10_000, "stages": [5.0, 50.0, 100.0]})
    remediation, _ = await operator.attach(world, policy)
    _, view = await remediation.canary()
    await world.post(f"/api/v1/models/{world.model}/deployments/{view.deployment_id}/advance")

    async def noticed() -> bool:
        return any("somebody moved it" in text for text in await remediation.texts())

    await assert_eventually(noticed)
    status = await remediation.status()
    assert status.canary is not None
    assert status.canary.traffic_percentage == 50
    await remediation.order(Verb.ROLLBACK)
    await remediation.result()


async def test_a_canary_paused_by_hand_is_left_alone_until_resumed_by_hand(world: World, operator: Operator) -> None:
    remediation = await _in_canary(world, operator, QUICK)
    _, view = await remediation.canary()
    path = f"/api/v1/models/{world.model}/deployments/{view.deployment_id}"
    await world.post(f"{path}/pause")

    async def seen(status: DeploymentStatus) -> bool:
        found = (await remediation.status()).canary
        return found is not None and found.status is status

    await assert_eventually(lambda: seen(DeploymentStatus.PAUSED))
    await world.serve(400)
    assert "advanced 100" not in await world.canary_life()
    await world.post(f"{path}/resume")
    async with world.traffic():
        assert (await remediation.result()).outcome is Outcome.RESOLVED


async def test_an_open_canary_that_somebody_else_started_is_adopted_and_seen_through(
    world: World, operator: Operator
) -> None:
    await world.register(v2="good")
    await world.drift()
    body = {"version": "v2", "initialPercentage": 50, "stages": [50, 100]}
    await world.post(f"/api/v1/models/{world.model}/deployments/canary", body)
    async with world.traffic():
        remediation, _ = await operator.attach(world)
        result = await remediation.result()
    assert result.outcome is Outcome.RESOLVED
    assert await world.canary_life() == ["started 50", "advanced 100", "promoted"]
    assert await world.plans() == []


async def test_a_canary_continues_as_new_without_forgetting_anything(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    policy = with_changes(QUICK, canary={"looks_per_run": 1, "minimum_predictions": 200})
    remediation, _ = await operator.attach(world, policy)
    canary, _ = await remediation.canary()
    async with world.traffic():
        assert (await remediation.result()).outcome is Outcome.RESOLVED
    runs = [run async for run in operator.client.list_workflows(f"WorkflowId = '{canary.id}'")]
    assert len(runs) > 1
    assert await world.canary_life() == ["started 50", "advanced 100", "promoted"]
