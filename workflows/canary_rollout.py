"""CanaryRollout: one canary deployment, from its first look to its promotion or its end.

    take over ─→ OBSERVING ──look──→ ADVANCE ──→ OBSERVING at the next stage … last stage: PROMOTED
                    │  ▲               WAIT ───→ OBSERVING; too long: gate (approve: advance, else roll back)
                    │  │               ROLLBACK ─→ ROLLING_BACK ─→ ROLLED_BACK
              pause │  │ resume
                    ▼  │
                  PAUSED ── too long: gate (approve: resume, else roll back)

- Traffic rises only after a recorded ADVANCE or a recorded human decision.
- Silence at a gate rolls back. A canary nobody can read freezes, pages, asks, and then rolls back.
- Cancel, bug and outage roll back; while a rollback fails, humans are paged, and it is tried again for ever.
- What others do to the deployment by hand is seen at the next look and respected.
"""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.ports import PerceptionPort
    from contracts.canary import (
        ArmCounts,
        CanaryInput,
        CanaryPhase,
        CanaryReading,
        CanaryResult,
        Judgement,
        Look,
        Verdict,
    )
    from contracts.gate import GateKind, GateState
    from contracts.timeline import EventKind
    from policies import briefing, gates
    from policies.judge import judge
    from workflows import options
    from workflows.canary_moves import CanaryMoves


@workflow.defn(name="CanaryRollout")
class CanaryRollout(CanaryMoves):
    """Owns one canary until it is promoted or rolled back."""

    @workflow.init
    def __init__(self, start: CanaryInput) -> None:
        super().__init__(start)

    @workflow.run
    async def run(self, start: CanaryInput) -> CanaryResult:
        try:
            result = await self._observe()
        except (Exception, asyncio.CancelledError) as failure:
            await self._compensate(failure)
            await self._leave()
            if is_cancelled_exception(failure):
                raise
            raise ApplicationError(
                f"canary {start.deployment_id} was rolled back after a failure: {briefing.describe(failure)}",
                type="CanaryFailed",
                non_retryable=True,
            ) from failure
        await self._leave()
        return result

    async def _observe(self) -> CanaryResult:
        """Whatever is due is done, most urgent first; then sleep until the next thing is."""
        if self._stage_start is None:
            await self._take_over()
        while self._result is None:
            self._heed_cancellation()
            now = workflow.now()
            if self._inbox:
                await self._obey(self._inbox.popleft())
            elif self._gate is not None and gates.state(self._gate, now) is not GateState.OPEN:
                await self._conclude(self._gate)
            elif self._gate is not None and self._page_if_due(self._gate):
                self._refresh()
            elif now >= self._next_look_at:
                await self._look()
            elif self._is_paused_too_long(now):
                self._ask_about_pause()
            elif self._is_time_to_continue_as_new():
                await self._continue_as_new()
            else:
                await self._report()
                await self._sleep()
        return self._result

    async def _take_over(self) -> None:
        reading = await workflow.execute_activity_method(
            PerceptionPort.read_canary,
            self._ref(),
            **options.reading(
                self._tenant,
                self._policy.outage_patience,
                options.TO_CANARY_START,
                summary=f"take over {self._start.deployment_id}",
            ),
        )
        self._enter_stage(reading)
        self._tell(
            EventKind.TRAFFIC,
            f"canary {reading.deployment_id}: {reading.version} takes {reading.traffic_percentage:g} % "
            f"beside {reading.baseline_version}",
            traffic_percentage=reading.traffic_percentage,
        )
        self._see(reading)

    # Looking.

    async def _look(self) -> None:
        self._next_look_at = workflow.now() + self._policy.canary.evaluation_window
        try:
            reading = await workflow.execute_activity_method(
                PerceptionPort.read_canary,
                self._ref(),
                **options.reading(
                    self._tenant,
                    self._policy.outage_patience,
                    options.EVALUATION,
                    summary=f"look {self._view.looks + 1} at {self._view.traffic_percentage:g} %",
                ),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._could_not_read(error)
            return
        self._unread_since, self._unread_paged = None, False
        self._see(reading)
        if self._result is not None:
            return
        judgement = self._judge(reading)
        # While paused a person investigates: looks go on record, and nothing moves.
        if self._view.phase is CanaryPhase.OBSERVING:
            await self._act_on(judgement)

    def _judge(self, reading: CanaryReading) -> Judgement:
        start = self._stage_start
        nothing = ArmCounts()
        judgement = judge(
            reading.baseline.since(start.baseline if start else nothing),
            reading.canary.since(start.canary if start else nothing),
            self._policy.canary,
        )
        look = Look(at=reading.at, traffic_percentage=reading.traffic_percentage, judgement=judgement)
        self._looks_this_run += 1
        self._update(looks=self._view.looks + 1, last_look=look)
        text = f"look {self._view.looks} at {reading.traffic_percentage:g} %: {briefing.judgement(judgement)}"
        if judgement.verdict is Verdict.WAIT:
            self._note_waiting(text, look)
        else:
            self._tell(EventKind.LOOK, text, look=look.model_dump(mode="json"))
        self._refresh()
        return judgement

    async def _act_on(self, judgement: Judgement) -> None:
        reason = "; ".join(judgement.reasons)
        if judgement.verdict is Verdict.ROLLBACK:
            await self._roll_back(f"rejected at {self._view.traffic_percentage:g} %: {reason}", by_judge=True)
        elif judgement.verdict is Verdict.ADVANCE:
            await self._advance(f"passed at {self._view.traffic_percentage:g} %: {reason}", by="driftloop")
        elif self._gate is None and self._stage_age() >= self._policy.canary.stalled_after:
            self._ask(
                GateKind.CANARY_STALLED,
                f"canary {self._view.deployment_id} of {self._model} is stalled at {self._view.traffic_percentage:g} %",
                why=[f"no verdict after {self._stage_age()}: {reason}"],
                will_happen=["approve: advance one stage without a verdict", "reject: roll back"],
            )

    def _could_not_read(self, error: ActivityError) -> None:
        now = workflow.now()
        self._unread_since = self._unread_since or now
        why = briefing.describe(error)
        self._note(EventKind.FAILURE, f"canary could not be read: {why}")
        if not self._unread_paged:
            self._unread_paged = True
            title = f"canary {self._view.deployment_id} of {self._model} can't be read"
            body = f"Traffic stays at {self._view.traffic_percentage:g} %: no data is neither good nor bad.\n{why}"
            self._page(self._first_tier(), title, body)
        if self._gate is None and now - self._unread_since >= self._policy.canary.stalled_after:
            self._ask(
                GateKind.CANARY_UNREADABLE,
                f"canary {self._view.deployment_id} of {self._model} can't be read",
                why=[f"no reading for {now - self._unread_since}: {why}"],
                will_happen=["approve: keep it where it is and keep looking", "reject: roll back"],
            )
        self._refresh()

    # Ending.

    async def _compensate(self, failure: BaseException) -> None:
        if self._result is not None:
            return
        if is_cancelled_exception(failure):
            reason = f"the remediation was cancelled: {workflow.cancellation_reason() or 'no reason given'}"
        else:
            reason = f"driftloop failed: {briefing.describe(failure)}"
            title = f"canary {self._view.deployment_id} of {self._model}: driftloop failed, rolling back"
            self._page(self._first_tier(), title, reason)
        self._note(EventKind.FAILURE, reason)
        await self._roll_back(reason)

    async def _leave(self) -> None:
        for command in self._inbox:
            self._answer(command, False, f"canary {self._view.deployment_id} has ended: {self._view.ended_because}")
        self._inbox.clear()
        self._refresh()
        await self._report()
        await self._part_with_pages()
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _part_with_pages(self) -> None:
        for lost in await self._see_pages_out(options.PAGE_GRACE):
            self._tell(EventKind.FAILURE, lost)
        await self._report()

    def _is_time_to_continue_as_new(self) -> bool:
        long = self._looks_this_run >= self._policy.canary.looks_per_run
        return long or workflow.info().is_continue_as_new_suggested()

    async def _continue_as_new(self) -> None:
        """Between two looks. An order that comes meanwhile is obeyed first: its sender is waiting in this run."""
        await self._part_with_pages()
        await workflow.wait_condition(lambda: bool(self._inbox) or workflow.all_handlers_finished())
        if self._inbox:
            return
        workflow.continue_as_new(self._start.model_copy(update={"state": self._state()}))

    # Small things.

    async def _sleep(self) -> None:
        wake_at = self._next_look_at
        if self._gate is not None:
            wake_at = min(wake_at, gates.next_event_at(self._gate, self._policy.escalation))
        elif self._paused_at is not None:
            wake_at = min(wake_at, self._paused_at + self._policy.canary.pause_limit)
        try:
            await workflow.wait_condition(
                self._is_called,
                timeout=max(wake_at - workflow.now(), options.SHORTEST_WAIT),
                timeout_summary=f"until {wake_at:%H:%M:%S} UTC at {self._view.traffic_percentage:g} %",
            )
        except TimeoutError:
            pass
