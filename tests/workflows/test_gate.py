"""The gate before a plan: who may open it, what opens nothing, and what silence means."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowUpdateFailedError

from contracts.gate import Choice, GateState, Verb
from contracts.remediation import Outcome, Phase
from tests.kit.eventually import assert_eventually
from tests.kit.operator import Operator, Remediation
from tests.kit.pager import Pager
from tests.kit.world import ASKING, QUICK, World, with_changes
from workflows.drift_remediation import DriftRemediation


async def _asked(world: World, operator: Operator, **gate: object) -> Remediation:
    """A remediation that waits at its plan's gate."""
    await world.register(v2="good")
    await world.drift()
    remediation, _ = await operator.attach(world, with_changes(ASKING, gate={"always_ask": True, **gate}))
    await remediation.gate()
    return remediation


async def test_an_approved_plan_runs_and_nothing_ran_before(world: World, operator: Operator) -> None:
    remediation = await _asked(world, operator)
    assert await world.canary_life() == []
    gate = await remediation.gate()
    async with world.traffic():
        ack = await remediation.decide(gate, comment="go")
        assert ack.state is GateState.APPROVED
        assert (await remediation.result()).outcome is Outcome.RESOLVED
    assert await world.production() == "v2"


async def test_a_rejected_plan_changes_nothing(world: World, operator: Operator) -> None:
    remediation = await _asked(world, operator)
    await remediation.decide(await remediation.gate(), Choice.REJECT, comment="not on a Friday")
    assert (await remediation.result()).outcome is Outcome.REJECTED
    assert await world.canary_life() == []
    assert [plan["status"] for plan in await world.plans()] == ["REJECTED"]
    assert any("not on a Friday" in text for text in await remediation.texts())


async def test_silence_before_a_canary_expires_and_pages_up_the_ladder(
    world: World, operator: Operator, pager: Pager
) -> None:
    remediation = await _asked(world, operator)
    await remediation.skip(timedelta(hours=4, minutes=1))
    assert (await remediation.result()).outcome is Outcome.EXPIRED
    assert await world.canary_life() == []
    pages = pager.about(world.model)
    assert any("on-call engineer" in page for page in pages)
    assert any("ML platform team" in page for page in pages)
    assert any("expired" in page for page in pages)


async def test_an_acknowledged_gate_pages_nobody_further_up(world: World, operator: Operator, pager: Pager) -> None:
    remediation = await _asked(world, operator)
    await remediation.order(Verb.ACKNOWLEDGE)
    await remediation.skip(timedelta(hours=3))
    await remediation.decide(await remediation.gate(), Choice.REJECT)
    await remediation.result()
    assert not any("ML platform team" in page for page in pager.about(world.model))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gate_id": "plan-9-elsewhere"}, "is not open; the open one is"),
        ({"plan_hash": "0123456789abcdef"}, "is not what is proposed now"),
        ({"by": ""}, "a decision needs a name"),
        ({"by": "mallory"}, "mallory may not decide here"),
        ({"by": "perception"}, "four eyes"),
    ],
)
async def test_a_decision_that_does_not_fit_is_refused_with_the_reason(
    world: World, operator: Operator, changes: dict[str, Any], why: str
) -> None:
    remediation = await _asked(world, operator, approvers=["alice", "perception"])
    gate = await remediation.gate()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await remediation.decide(gate, **changes)
    assert why in str(refused.value.cause)
    assert (await remediation.status()).phase is Phase.AWAITING_APPROVAL
    assert await world.canary_life() == []


async def test_a_quorum_of_two_needs_two_different_people(world: World, operator: Operator) -> None:
    remediation = await _asked(world, operator, quorum=2)
    gate = await remediation.gate()
    assert (await remediation.decide(gate, by="alice")).state is GateState.OPEN
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await remediation.decide(gate, by="alice")
    assert "already decided" in str(refused.value.cause)
    assert (await remediation.decide(gate, Choice.REJECT, by="bob")).state is GateState.REJECTED
    assert (await remediation.result()).outcome is Outcome.REJECTED


async def test_a_claimed_identity_is_refused_where_policy_wants_an_authenticated_one(
    world: World, operator: Operator
) -> None:
    remediation = await _asked(world, operator, require_authenticated=True)
    gate = await remediation.gate()
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await remediation.decide(gate)
    assert "authenticated" in str(refused.value.cause)
    assert (await remediation.decide(gate, identity="authenticated")).state is GateState.APPROVED


async def test_severity_below_the_floor_asks_although_policy_does_not_always(world: World, operator: Operator) -> None:
    await world.register(v2="good")
    await world.drift()
    policy = with_changes(QUICK, drift={"min_severity_for_auto_remediation": 1.0})
    remediation, _ = await operator.attach(world, policy)
    gate = await remediation.gate()
    assert any("below 1.00" in reason for reason in gate.why)
    await remediation.decide(gate, Choice.REJECT)
    await remediation.result()


async def test_a_tenant_with_auto_remediation_off_is_asked(embedded_globex: World, operator: Operator) -> None:
    world = embedded_globex
    await world.register(v2="good")
    await world.drift()
    (await world.perception.put("/api/v1/config/drift", json={"autoRemediationEnabled": False})).raise_for_status()
    remediation, _ = await operator.attach(world)
    assert any("switched off" in reason for reason in (await remediation.gate()).why)
    await remediation.decide(await remediation.gate(), Choice.REJECT)
    await remediation.result()


async def test_a_reset_re_applies_an_approval_and_it_opens_nothing(world: World, operator: Operator) -> None:
    remediation = await _asked(world, operator)
    gate = await remediation.gate()
    await remediation.decide(gate, Choice.REJECT)
    await remediation.result()
    history = await remediation.handle.fetch_history()
    # The last workflow task before the decision: the gate is open there, and the decision comes after.
    decided = next(e.event_id for e in history.events if _accepts(e, "decide"))
    tasks = [e.event_id for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED]
    before = max(task for task in tasks if task < decided - 1)
    await operator.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=operator.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=remediation.handle.id),
            reason="test",
            workflow_task_finish_event_id=before,
            request_id="reset-1",
            reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE,
        )
    )
    again = operator.of(world)

    async def reopened() -> bool:
        status = await again.status()
        return status.phase is Phase.AWAITING_APPROVAL and status.gate is not None and status.gate.id != gate.id

    await assert_eventually(reopened)
    assert (await again.status()).outcome is None
    assert await world.canary_life() == []
    await again.decide(await again.gate(), Choice.REJECT, by="bob")
    assert (await again.handle.query(DriftRemediation.status)).gate is None


def _accepts(event: HistoryEvent, update: str) -> bool:
    accepted = event.workflow_execution_update_accepted_event_attributes
    return accepted.accepted_request.input.name == update
