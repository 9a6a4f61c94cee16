"""SYNAPSE: plan steps carried out as actions (runbook §3.4)."""

from __future__ import annotations

import asyncio

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.http import Service, segment
from activities.ports import SynapsePort
from contracts.plato import StepType
from contracts.steps import StepRequest, StepResult
from contracts.synapse import Action, ActionStatus, ActionType, SubmitAction

_ACTION_FOR_STEP = {
    StepType.CANARY: ActionType.START_CANARY,
    StepType.PROMOTE_VERSION: ActionType.PROMOTE_VERSION,
    StepType.REFRESH_BASELINE: ActionType.REFRESH_BASELINE,
}
FIRST_POLL, LONGEST_POLL = 0.1, 5.0  # seconds


class SynapseActivities(SynapsePort):
    """Submits an action under its business key and waits for its end: a retry finds the same action."""

    def __init__(self, synapse: Service) -> None:
        self._synapse = synapse

    @activity.defn(name="synapse.execute_step")
    async def execute_step(self, request: StepRequest) -> StepResult:
        body = SubmitAction(
            plan_id=request.plan_id,
            step_id=request.step.id,
            type=_ACTION_FOR_STEP[StepType(request.step.type)],
            model=request.model,
            params={**request.step.params, "reason": request.reason},
        )
        # Shielded: a cancel in mid-request would leave nobody knowing whether the action exists.
        submitted = asyncio.ensure_future(
            self._synapse.post(Action, "/api/v1/actions", request.tenant, body, request.key)
        )
        try:
            action = await asyncio.shield(submitted)
        except asyncio.CancelledError:
            await submitted
            raise
        wait = FIRST_POLL
        while not action.status.is_final:
            activity.heartbeat(action.id)
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, LONGEST_POLL)
            action = await self._synapse.get(Action, f"/api/v1/actions/{segment(action.id)}", request.tenant)
        if action.status is ActionStatus.FAILED:
            raise ApplicationError(
                f"SYNAPSE action {action.id} ({action.type}) failed: {action.error}",
                type="ActionFailed",
                non_retryable=True,
            )
        return StepResult(action_id=action.id, result=action.result)
