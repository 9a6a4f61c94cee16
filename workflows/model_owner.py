"""What every path that owns a model leans on: insist on a reading, ask a person, execute a step, roll a canary out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.ports import SynapsePort
    from contracts.canary import CanaryInput, CanaryResult
    from contracts.gate import GateState
    from contracts.ids import canary_id
    from contracts.plato import Plan, PlanStep
    from contracts.steps import StepRequest
    from contracts.timeline import EventKind
    from policies import briefing, gates, plans
    from workflows import options, search_attributes
    from workflows.canary_rollout import CanaryRollout
    from workflows.closing import ClosingDesk

T = TypeVar("T")


class ModelOwner(ClosingDesk):
    """Base of the paths that run as `remediation/{tenant}/{model}`."""

    async def _execute_step(self, plan: Plan, step: PlanStep) -> str:
        """Answers the deployment that a canary step started; "" for other steps."""
        if plans.is_adopted(plan):
            return str(step.params["deploymentId"])
        self._heed_cancellation()
        request = StepRequest(
            tenant=self._tenant,
            model=self._model,
            plan_id=plan.id,
            step=step,
            key=self._step_key(step.id),
            reason=f"plan {plan.id}, attempt {self._attempt}",
        )
        done = await workflow.execute_activity_method(
            SynapsePort.execute_step,
            request,
            **options.executing(self._tenant, self._policy.outage_patience, summary=f"{step.id} {step.type}"),
        )
        self._note(EventKind.PLAN, f"{step.id} {step.type} done by action {done.action_id}", actor="SYNAPSE")
        return str(done.result.get("deploymentId", ""))

    async def _run_child(self, deployment_id: str) -> CanaryResult:
        start = CanaryInput(
            tenant=self._tenant,
            model=self._model,
            deployment_id=deployment_id,
            plan_hash=self._plan_hash,
            policy=self._policy,
            requested_by=self._requested_by,
            urgent=self._urgent,
        )
        self._canary_workflow_id = canary_id(self._tenant, self._model, deployment_id)
        child = await workflow.start_child_workflow(
            CanaryRollout.run,
            start,
            id=self._canary_workflow_id,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            static_summary=f"canary {deployment_id} of {self._model}",
            priority=Priority(priority_key=options.NORMAL, fairness_key=self._tenant),
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(search_attributes.TENANT, self._tenant),
                    SearchAttributePair(search_attributes.MODEL, self._model),
                    SearchAttributePair(search_attributes.PATH, "CanaryRollout"),
                ]
            ),
        )
        return await child

    async def _insist(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """Through an outage: each round of `outage_patience` that fails pages one tier further up, then gives up."""
        tiers = len(self._policy.escalation.tiers)
        for tier in range(self._first_tier(), tiers):
            try:
                return await call()
            except ActivityError as error:
                cause = error.cause
                if is_cancelled_exception(error) or (isinstance(cause, ApplicationError) and cause.non_retryable):
                    raise
                if tier == tiers - 1:
                    raise
                why = briefing.describe(error)
                self._note(EventKind.FAILURE, f"{what} keeps failing: {why}")
                self._page(tier, f"{what} of {self._model} keeps failing", why)
        raise AssertionError("an escalation ladder has at least one tier")

    async def _wait_for_answer(self) -> GateState:
        while self._gate is not None:
            now = workflow.now()
            answer = gates.state(self._gate, now)
            if answer is not GateState.OPEN:
                return answer
            if self._page_if_due(self._gate):
                self._refresh()
                continue
            wake_at = gates.next_event_at(self._gate, self._policy.escalation)
            try:
                await workflow.wait_condition(
                    self._is_answered,
                    timeout=max(wake_at - now, options.SHORTEST_WAIT),
                    timeout_summary=f"waiting for a decision until {self._gate.deadline:%H:%M:%S} UTC",
                )
            except TimeoutError:
                pass
        raise AssertionError("an open gate is closed by its answer only")

    def _as_executed(self, step: PlanStep) -> PlanStep:
        return plans.with_policy_stages(step, self._policy.canary.stages)

    def _step_key(self, step_id: str) -> str:
        return f"{self._plan_hash}:{step_id}"
