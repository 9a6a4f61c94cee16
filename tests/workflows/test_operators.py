"""Operators' orders, by update and by signal: obeyed, or refused with the reason; never ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import RawValue

from contracts.gate import Choice, Verb
from contracts.perception import DeploymentStatus
from contracts.remediation import Outcome, Phase
from tests.kit.eventually import assert_eventually
from tests.kit.operator import Operator, Remediation
from tests.kit.world import ASKING, World
from tests.workflows.test_canary import IDLE


@pytest.fixture
async def canary(world: World, operator: Operator) -> Remediation:
    """A canary at 50 % that nothing happens to unless an operator says so."""
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, IDLE)
    await remediation.until(Phase.CANARY)
    await remediation.canary()
    return remediation


async def test_pause_resume_advance_and_rollback_by_update_do_what_they_say(world: World, canary: Remediation) -> None:
    assert "PAUSED at 50 %" in (await canary.order(Verb.PAUSE, reason="odd latencies")).message
    assert "IN_PROGRESS at 50 %" in (await canary.order(Verb.RESUME)).message
    assert "IN_PROGRESS at 100 %" in (await canary.order(Verb.ADVANCE, from_percentage=50)).message
    assert "ROLLED_BACK" in (await canary.order(Verb.ROLLBACK, reason="enough")).message
    result = await canary.result()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "ordered by alice: enough" in result.reason
    assert await world.canary_life() == ["started 50", "paused", "resumed", "advanced 100", "rolled_back"]


async def test_advancing_the_last_stage_promotes_on_an_operators_word(world: World, canary: Remediation) -> None:
    await canary.order(Verb.ADVANCE, from_percentage=50)
    assert "PROMOTED" in (await canary.order(Verb.ADVANCE, from_percentage=100)).message
    await world.serve(400)
    assert (await canary.result()).outcome is Outcome.RESOLVED


async def test_an_operators_rollback_ends_the_remediation_without_another_attempt(
    world: World, canary: Remediation
) -> None:
    await canary.order(Verb.ROLLBACK, reason="enough")
    assert (await canary.result()).attempts == 1
    assert len(await world.plans()) == 1


@pytest.mark.parametrize(
    ("verb", "fields", "why"),
    [
        (Verb.RESUME, {}, "nothing to resume"),
        (Verb.ADVANCE, {}, "from_percentage is 50 now"),
        (Verb.ADVANCE, {"from_percentage": 25}, "is at 50 %, your order says 25 %"),
        (Verb.ACKNOWLEDGE, {}, "no open gate"),
        (Verb.PAUSE, {"by": " "}, "needs a name"),
    ],
)
async def test_an_order_that_makes_no_sense_is_refused_by_update_with_the_way_out(
    world: World, canary: Remediation, verb: Verb, fields: dict[str, Any], why: str
) -> None:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await canary.order(verb, **fields)
    assert why in str(refused.value.cause)
    assert await world.canary_life() == ["started 50"]


async def test_a_paused_canary_can_not_be_advanced(world: World, canary: Remediation) -> None:
    await canary.order(Verb.PAUSE)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await canary.order(Verb.ADVANCE, from_percentage=50)
    assert "resume it before advancing" in str(refused.value.cause)


async def test_orders_by_signal_are_obeyed_and_a_repeated_advance_raises_traffic_once(
    world: World, canary: Remediation
) -> None:
    advance = {"by": "alice", "from_percentage": 50}
    await canary.handle.signal("advance", advance)
    await canary.handle.signal("advance", advance)

    async def refused() -> bool:
        return any("your order says 50 %" in text for text in await canary.texts())

    await assert_eventually(refused)
    assert await world.canary_life() == ["started 50", "advanced 100"]
    await canary.handle.signal("rollback", {"by": "alice", "reason": "enough"})
    assert (await canary.result()).outcome is Outcome.ROLLED_BACK


@pytest.mark.parametrize(
    ("signal", "payload", "why"),
    [
        ("pause", b"{not json", "not JSON"),
        ("pause", b'"alice"', "wants a JSON object"),
        ("pause", b"", "wants a JSON object"),
        ("pause", b"{}", "needs a name"),
        ("advance", b'{"by": "alice", "from_percentage": "much"}', "from_percentage"),
        ("resume", b'{"by": "alice"}', "nothing to resume"),
        ("approve", b'{"by": "alice"}', "nothing is waiting"),
    ],
)
async def test_a_signal_that_can_not_be_honoured_shows_as_refused_and_why(
    world: World, canary: Remediation, signal: str, payload: bytes, why: str
) -> None:
    raw = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=payload))
    await canary.handle.signal(signal, raw)

    async def shown() -> bool:
        return any(why in event.text for event in (await canary.status()).refused)

    await assert_eventually(shown)
    assert await world.canary_life() == ["started 50"]


async def test_a_signal_approves_a_plan_when_it_names_gate_and_hash(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, ASKING)
    gate = await remediation.gate()
    await remediation.handle.signal("approve", {"by": "alice", "gate_id": gate.id, "plan_hash": "stale"})
    await remediation.handle.signal("reject", {"by": "alice", "gate_id": gate.id, "plan_hash": gate.plan_hash})
    assert (await remediation.result()).outcome is Outcome.REJECTED
    assert any("stale" in text and "refused" in text for text in await remediation.texts())


async def test_details_in_the_ui_show_what_is_asked_and_the_line_that_answers(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, ASKING)
    gate = await remediation.gate()
    metadata = await remediation.handle.query("__temporal_workflow_metadata")
    details = json.dumps(metadata) if isinstance(metadata, dict) else str(metadata)
    assert gate.id in details
    assert gate.plan_hash in details
    assert "temporal workflow update execute" in details
    await remediation.decide(gate, Choice.REJECT)
    await remediation.result()


async def test_search_attributes_answer_what_waits_for_whom(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, ASKING)
    gate = await remediation.gate()

    async def waiting() -> list[str]:
        query = f"DriftModel = '{world.model}' AND DriftAwaiting = '{gate.id}' AND DriftPhase = 'AWAITING_APPROVAL'"
        return [found.id async for found in operator.client.list_workflows(query)]

    assert await assert_eventually(waiting) == [remediation.handle.id]
    await remediation.decide(gate, Choice.REJECT)
    await remediation.result()

    async def rejected() -> int:
        query = f"DriftModel = '{world.model}' AND DriftOutcome = 'REJECTED' AND DriftSeverity > 0.8"
        return (await operator.client.count_workflows(query)).count

    assert await assert_eventually(rejected) == 1


async def test_an_order_to_the_canarys_own_workflow_works_too(world: World, canary: Remediation) -> None:
    handle, _ = await canary.canary()
    ack = await handle.execute_update("operate", {"verb": "pause", "by": "bob"})
    assert "PAUSED" in ack["message"]

    async def told() -> bool:
        status = await canary.status()
        return status.canary is not None and status.canary.status is DeploymentStatus.PAUSED

    await assert_eventually(told)
