"""How a remediation ends: settled when something went wrong, reported, and handed over to what queued meanwhile."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.ports import EcosystemPort, PlatoPort, ReportPort
    from contracts.plato import PlanStatus
    from contracts.remediation import Outcome, Phase, RemediationResult
    from contracts.steps import PlanMove, ReportRequest, SettleRequest
    from contracts.timeline import EventKind
    from policies import briefing, plans
    from workflows import options, search_attributes
    from workflows.remediation_desk import RemediationDesk


class ClosingDesk(RemediationDesk):
    """The last phases, shared by all paths that own a model."""

    async def close(self, outcome: Outcome, reason: str) -> RemediationResult:
        """Runbook §7.1: say how it ended, and write it up."""
        self._enter(Phase.CLOSING)
        self._outcome, self._reason = outcome, reason
        self._note(EventKind.OUTCOME, f"{outcome}: {reason}")
        workflow.upsert_search_attributes([search_attributes.OUTCOME.value_set(outcome)])
        result = self._result()
        try:
            written = await workflow.execute_activity_method(
                ReportPort.write,
                ReportRequest(
                    status=self.status(),
                    result=result,
                    timeline=self._timeline,
                    key=f"{workflow.info().first_execution_run_id}-{len(self._seen)}",
                ),
                **options.writing(self._tenant, self._policy.outage_patience, summary=f"incident report: {outcome}"),
            )
            self._report_location = written.location
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._note(EventKind.FAILURE, f"the incident report could not be written: {briefing.describe(error)}")
            self._call_human(f"no incident report for {self._model}", briefing.describe(error))
        self._refresh()
        return result.model_copy(update={"report": self._report_location})

    async def _compensate(self, failure: BaseException) -> RemediationResult:
        """Whatever went wrong: first no canary of ours stays open, then it is said, written up and paged."""
        cancelled = is_cancelled_exception(failure)
        if cancelled:
            reason = f"cancelled: {workflow.cancellation_reason() or 'no reason given'}"
        else:
            reason = briefing.describe(failure)
        self._gate = None
        self._note(EventKind.FAILURE, reason)
        await self._settle(reason)
        await self._tell_plato(PlanStatus.FAILED, reason)
        outcome = Outcome.ROLLED_BACK if self._rolled_back and cancelled else Outcome.FAILED
        self._call_human(f"remediation of {self._model} ended {outcome}", reason)
        return await self.close(outcome, reason)

    async def _settle(self, reason: str) -> None:
        """No canary of this plan stays open; tried for ever, and each failed round pages further up."""
        if self._plan is None:
            return
        request = SettleRequest(
            tenant=self._tenant,
            model=self._model,
            plan_id=self._plan.id,
            started_by=f"{self._plan_hash}:",
            deployment_id=self._deployment_id,
            reason=reason,
        )
        pause = options.ROLLBACK_ATTEMPT_PAUSE
        tier = self._first_tier()
        while True:
            try:
                settled = await workflow.execute_activity_method(
                    EcosystemPort.settle,
                    request,
                    **options.settling(
                        self._tenant, self._policy.outage_patience, summary=f"settle plan {self._plan.id}"
                    ),
                )
                break
            except ActivityError as error:
                why = briefing.describe(error)
                self._note(EventKind.FAILURE, f"{self._model} could not be settled, trying again in {pause}: {why}")
                title = f"{self._model} may still have an open canary"
                self._page(tier, title, f"{why}\nLook at its deployments and roll back by hand (runbook 3.2, 4.2).")
            self._refresh()
            await workflow.sleep(pause, summary="before the next try to settle")
            pause = min(pause * 2, self._policy.escalation.repeat)
            tier += 1
        for deployment_id in settled.rolled_back:
            self._note(EventKind.TRAFFIC, f"canary {deployment_id} rolled back: {reason}", traffic_percentage=0.0)

    async def _tell_plato(self, status: PlanStatus, reason: str = "") -> None:
        """PLATO's books matter less than production: if they can't be kept, say so and go on."""
        if self._plan is None or plans.is_adopted(self._plan):
            return
        try:
            await workflow.execute_activity_method(
                PlatoPort.move_plan,
                PlanMove(tenant=self._tenant, plan_id=self._plan.id, status=status, reason=reason),
                **options.writing(
                    self._tenant, self._policy.outage_patience, summary=f"plan {self._plan.id} is {status}"
                ),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._note(EventKind.FAILURE, f"PLATO could not be told {status}: {briefing.describe(error)}")

    async def _leave(self) -> None:
        for lost in await self._see_pages_out(options.PAGE_PATIENCE):
            self._note(EventKind.FAILURE, lost)
        self._refresh()
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _hand_over_if_queued(self) -> None:
        """An alert that came while closing starts the next run under the same id: the lock is never dropped."""
        if not self._queued:
            return
        following, *rest = self._queued
        workflow.continue_as_new(
            self._start.model_copy(
                update={"alert": following, "queued": rest, "seen_episodes": self._seen[-50:], "urgent": False}
            )
        )

    def _result(self) -> RemediationResult:
        return RemediationResult(
            outcome=self._outcome or Outcome.FAILED,
            reason=self._reason,
            attempts=self._attempt,
            severity_before=self._severity_before,
            severity_after=self._severity_after,
            promoted_version=self._promoted,
            rolled_back_versions=self._rolled_back,
            report=self._report_location,
        )
