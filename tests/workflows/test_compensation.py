"""Whatever ends a remediation before its time: no canary of ours stays open, and a human knows."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from contracts.canary import ArmCounts, Judgement
from contracts.policy import CanaryPolicy
from contracts.remediation import Phase
from policies.judge import JUDGES
from tests.kit.eventually import assert_eventually
from tests.kit.operator import Operator, Remediation
from tests.kit.pager import Pager
from tests.kit.world import ASKING, QUICK, World, with_changes
from tests.workflows.test_canary import IDLE


async def _started(world: World, operator: Operator, policy: object, phase: Phase) -> Remediation:
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, policy)  # type: ignore[arg-type]
    await remediation.until(phase)
    return remediation


async def _failure(remediation: Remediation) -> BaseException | None:
    with pytest.raises(WorkflowFailureError) as failed:
        await remediation.result()
    return failed.value.cause


async def test_cancelled_at_the_gate_it_leaves_nothing_behind_and_writes_it_up(
    world: World, operator: Operator, pager: Pager
) -> None:
    remediation = await _started(world, operator, ASKING, Phase.AWAITING_APPROVAL)
    await remediation.handle.cancel()
    assert isinstance(await _failure(remediation), CancelledError)
    assert await world.canary_life() == []
    assert [plan["status"] for plan in await world.plans()] == ["FAILED"]
    assert (await remediation.status()).report
    assert any("ended" in page for page in pager.about(world.model))


async def test_cancelled_during_a_canary_it_rolls_back_first(world: World, operator: Operator) -> None:
    remediation = await _started(world, operator, IDLE, Phase.CANARY)
    await remediation.canary()
    await remediation.handle.cancel()
    assert isinstance(await _failure(remediation), CancelledError)
    assert await world.canary_life() == ["started 50", "rolled_back"]


async def test_cancelled_while_synapse_is_starting_the_canary_it_waits_and_rolls_back(
    world: World, operator: Operator
) -> None:
    await world.register(v2="good")
    await world.drift()
    await world.fault(
        "perception", kind="latency", seconds=2.0, method="POST", path=f"{world.model}/deployments/canary"
    )
    remediation, _ = await operator.attach(world)

    async def submitted() -> bool:
        return bool(await world.writes("action.submitted", service="synapse"))

    await assert_eventually(submitted)
    await remediation.handle.cancel()
    assert isinstance(await _failure(remediation), CancelledError)
    assert await world.canary_life() == ["started 50", "rolled_back"]


async def test_cancelled_while_verifying_it_does_not_touch_the_promoted_version(
    world: World, operator: Operator
) -> None:
    slow = with_changes(QUICK, verification={"interval": timedelta(hours=1), "window": timedelta(hours=5)})
    await world.register(v2="good")
    await world.drift()
    async with world.traffic():
        remediation, _ = await operator.attach(world, slow)
        await remediation.until(Phase.VERIFYING)
    await remediation.handle.cancel()
    assert isinstance(await _failure(remediation), CancelledError)
    assert await world.production() == "v2"
    assert await world.canary_life() == ["started 50", "advanced 100", "promoted"]


async def test_terminated_without_a_chance_to_compensate_its_canary_still_rolls_back(
    world: World, operator: Operator
) -> None:
    remediation = await _started(world, operator, IDLE, Phase.CANARY)
    await remediation.canary()
    await remediation.handle.terminate("somebody pressed the wrong button")

    async def rolled_back() -> bool:
        return await world.canary_life() == ["started 50", "rolled_back"]

    await assert_eventually(rolled_back)


async def test_when_the_canarys_owner_is_terminated_the_remediation_rolls_back_and_calls_a_human(
    world: World, operator: Operator, pager: Pager
) -> None:
    remediation = await _started(world, operator, IDLE, Phase.CANARY)
    canary, _ = await remediation.canary()
    await canary.terminate("somebody pressed the wrong button")
    failure = await _failure(remediation)
    assert isinstance(failure, ApplicationError)
    assert await world.canary_life() == ["started 50", "rolled_back"]
    assert any("FAILED" in page for page in pager.about(world.model))


async def test_a_bug_in_a_judge_rolls_back_pages_and_fails_in_words(
    world: World, operator: Operator, pager: Pager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(baseline: ArmCounts, canary: ArmCounts, policy: CanaryPolicy) -> Judgement:
        raise ZeroDivisionError("a judge divided by zero")

    monkeypatch.setitem(JUDGES, "broken", broken)
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, with_changes(QUICK, canary={"judge": "broken"}))
    failure = await _failure(remediation)
    assert "a judge divided by zero" in str(failure)
    assert await world.canary_life() == ["started 50", "rolled_back"]
    assert pager.about(world.model)


async def test_a_rollback_that_fails_is_tried_until_it_succeeds_while_humans_are_paged(
    world: World, operator: Operator, pager: Pager
) -> None:
    remediation = await _started(world, operator, IDLE, Phase.CANARY)
    canary, _ = await remediation.canary()
    await world.fault("perception", kind="error", status=500, method="POST", path=f"{world.model}/.*/rollback")
    await canary.signal("rollback", {"by": "alice", "reason": "enough"})

    async def paged() -> bool:
        return any("CAN'T BE ROLLED BACK" in page for page in pager.about(world.model))

    await assert_eventually(paged)
    assert await world.canary_life() == ["started 50"]
    await world.heal()
    await operator.env.fast_forward(canary, timedelta(minutes=2))
    await remediation.result()
    assert await world.canary_life() == ["started 50", "rolled_back"]


async def test_an_outage_longer_than_patience_pages_and_is_survived(
    world: World, operator: Operator, pager: Pager
) -> None:
    await world.register(v2="good")
    await world.drift()
    await world.fault("perception", kind="error", status=503, path=f"{world.model}/analyze")
    remediation, _ = await operator.attach(world)

    async def paged() -> bool:
        return any("keeps failing" in page for page in pager.about(world.model))

    await assert_eventually(paged)
    await world.heal()
    async with world.traffic():
        assert (await remediation.result()).reason == "recovery verified"


async def test_a_dead_pager_does_not_stop_a_rollback(world: World, operator: Operator, pager: Pager) -> None:
    hasty = with_changes(
        IDLE,
        canary={"evaluation_window": timedelta(milliseconds=300), "stalled_after": timedelta(seconds=1)},
        gate={"canary_timeout": timedelta(seconds=1)},
    )
    pager.broken = True
    try:
        await _started(world, operator, hasty, Phase.CANARY)

        async def rolled_back() -> bool:
            return await world.canary_life() == ["started 50", "rolled_back"]

        await assert_eventually(rolled_back)
    finally:
        pager.broken = False
    await operator.of(world).result()
    assert any("is stalled" in page for page in pager.about(world.model))


async def test_a_recovery_that_can_not_be_verified_ends_with_humans(
    world: World, operator: Operator, pager: Pager
) -> None:
    await world.register(v2="good")
    await world.drift()
    async with world.traffic():
        remediation, _ = await operator.attach(world)
        await remediation.until(Phase.CANARY)
        # What is served moves on: the promoted version's own training data is no longer what comes in.
        drifting = asyncio.create_task(_serve_elsewhere(world))
        result = await remediation.result()
        drifting.cancel()
    assert result.outcome == "FAILED"
    assert any("out of attempts" in page for page in pager.about(world.model))


async def _serve_elsewhere(world: World) -> None:
    while True:
        await world.serve(300, centre=9.0)
        await asyncio.sleep(0.05)
