"""One model, one owner: alerts start it, join it, repeat, or queue behind it."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError

from contracts.alerts import Attached
from contracts.gate import Choice
from contracts.remediation import Outcome, Phase
from tests.kit.eventually import assert_eventually
from tests.kit.operator import Operator
from tests.kit.world import ASKING, World


async def test_a_storm_of_one_alert_starts_one_remediation(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    alert = world.alert()
    sent = await asyncio.gather(*(operator.send(alert, ASKING) for _ in range(8)))
    assert len({ack.run_id for _, ack in sent}) == 1
    remediation = sent[0][0]
    await remediation.decide(await remediation.gate(), Choice.REJECT)
    await remediation.result()
    assert len(await world.plans()) == 1


async def test_a_new_episode_joins_the_owner_and_a_late_repeat_is_a_duplicate(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    first = world.alert()
    remediation, started = await operator.send(first, ASKING)
    _, joined = await operator.attach(world, ASKING)
    repeated = await remediation.handle.execute_update("attach", first, id="another-way-in")
    assert started.outcome is Attached.STARTED
    assert joined.outcome is Attached.ATTACHED
    assert joined.run_id == started.run_id
    assert repeated["outcome"] == Attached.DUPLICATE
    await remediation.decide(await remediation.gate(), Choice.REJECT)
    await remediation.result()


async def test_a_new_episode_after_the_end_starts_anew_with_a_new_plan(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    for _ in range(2):
        remediation, ack = await operator.attach(world, ASKING)
        assert ack.outcome is Attached.STARTED
        await remediation.decide(await remediation.gate(), Choice.REJECT)
        await remediation.result()
    assert len(await world.plans()) == 2


async def test_a_repeat_of_an_alert_that_was_dealt_with_starts_nothing(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    alert = world.alert()
    remediation, first = await operator.send(alert, ASKING)
    await remediation.decide(await remediation.gate(), Choice.REJECT)
    await remediation.result()
    _, repeated = await operator.send(alert, ASKING)
    assert repeated == first
    assert len(await world.plans()) == 1


async def test_an_alert_while_closing_queues_and_the_lock_passes_on_without_a_gap(
    world: World, operator: Operator
) -> None:
    await world.register(v2="good")
    await world.serve(600, centre=0.0)
    # Reports can't be written for a while: the remediation stays in its last phase.
    reports = operator.settings.report_dir
    reports.parent.mkdir(parents=True, exist_ok=True)
    reports.write_text("a file where a directory should be")
    remediation, _ = await operator.attach(world)
    await remediation.until(Phase.CLOSING)
    _, ack = await operator.attach(world)
    assert ack.outcome is Attached.QUEUED
    reports.unlink()
    runs = f"WorkflowId = '{remediation.handle.id}'"

    async def both_ended() -> bool:
        found = {run.status async for run in operator.client.list_workflows(runs)}
        return found == {WorkflowExecutionStatus.COMPLETED, WorkflowExecutionStatus.CONTINUED_AS_NEW}

    await assert_eventually(both_ended)
    assert (await operator.of(world).result()).outcome is Outcome.NO_DRIFT


async def test_an_alert_for_another_model_is_refused_by_the_owner(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, ASKING)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await remediation.handle.execute_update("attach", world.alert(model="another"))
    assert f"this run owns acme/{world.model}" in str(refused.value.cause)


async def test_an_alert_that_no_path_handles_is_refused(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, ASKING)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await remediation.handle.execute_update("attach", world.alert(name="Watchdog"))
    assert "no path handles alert Watchdog" in str(refused.value.cause)
