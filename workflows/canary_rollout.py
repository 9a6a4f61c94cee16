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
        CanaryOutcome,
        CanaryPhase,
        CanaryReading,
        CanaryResult,
        Judgement,
        Look,
        Verdict,
    )
    from contracts.gate import Command, Gate, GateKind, GateState, Verb
    from contracts.perception import DeploymentStatus
    from contracts.timeline import EventKind
    from policies import briefing, gates, operations
    from policies.judge import judge
    from workflows import options
    from workflows.canary_desk import CanaryDesk


@workflow.defn(name="CanaryRollout")
class CanaryRollout(CanaryDesk):
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

    def _see(self, reading: CanaryReading) -> None:
        """Take in how the deployment really stands; what others did to it is respected and recorded."""
        known = self._view
        self._update(
            version=reading.version,
            baseline_version=reading.baseline_version,
            status=reading.status,
            traffic_percentage=reading.traffic_percentage,
            stages=reading.stages or self._policy.canary.stages,
        )
        if not reading.status.is_open:
            self._end_by_others(reading)
            return
        if known.version and reading.traffic_percentage != known.traffic_percentage:
            self._tell(
                EventKind.EXTERNAL,
                f"traffic is {reading.traffic_percentage:g} %, we left it at {known.traffic_percentage:g} %: "
                "somebody moved it; this stage starts anew",
                actor="unknown",
                traffic_percentage=reading.traffic_percentage,
            )
            self._enter_stage(reading)
        if reading.status is DeploymentStatus.PAUSED and known.phase is CanaryPhase.OBSERVING:
            self._tell(EventKind.EXTERNAL, "the canary was paused from outside", actor="unknown")
            self._pause_clock()
        elif reading.status is DeploymentStatus.IN_PROGRESS and known.phase is CanaryPhase.PAUSED:
            self._tell(EventKind.EXTERNAL, "the canary was resumed from outside", actor="unknown")
            self._resume_clock()

    def _end_by_others(self, reading: CanaryReading) -> None:
        text = f"canary {reading.deployment_id} is {reading.status}: it was ended from outside"
        self._tell(EventKind.EXTERNAL, text, actor="unknown")
        self._end(CanaryOutcome.SUPERSEDED, text, by="unknown")

    # Moving.

    async def _advance(self, reason: str, by: str) -> bool:
        """One stage up, or promoted from the last one. False when the service would not."""
        at = self._view.traffic_percentage
        target = operations.next_stage(self._view.stages, at)
        self._withdraw_gate("the canary advances")
        try:
            reading = await workflow.execute_activity_method(
                PerceptionPort.move_canary,
                self._move(Verb.ADVANCE, f"{reason} ({by})", from_percentage=at, to_percentage=target),
                **options.writing(
                    self._tenant,
                    self._policy.outage_patience,
                    summary=f"advance {at:g} % → {'promoted' if target is None else f'{target:g} %'}",
                ),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            why = briefing.describe(error)
            self._tell(EventKind.FAILURE, f"could not advance from {at:g} %: {why}")
            self._page(self._first_tier(), f"canary {self._view.deployment_id} of {self._model} did not advance", why)
            return False
        self._update(status=reading.status, traffic_percentage=reading.traffic_percentage)
        if reading.status is DeploymentStatus.PROMOTED:
            self._tell(EventKind.TRAFFIC, f"{reading.version} promoted: {reason}", actor=by, traffic_percentage=100.0)
            self._end(CanaryOutcome.PROMOTED, reason, by_judge=by == "driftloop", by=by)
        elif not reading.status.is_open:
            self._end_by_others(reading)
        else:
            self._tell(
                EventKind.TRAFFIC,
                f"traffic {at:g} % → {reading.traffic_percentage:g} %: {reason}",
                actor=by,
                traffic_percentage=reading.traffic_percentage,
            )
            self._enter_stage(reading)
        return True

    async def _roll_back(self, reason: str, *, by_judge: bool = False, by: str = "driftloop") -> None:
        """Back to the baseline, however long it takes; every failed round pages further up the ladder."""
        self._withdraw_gate("the canary is rolled back")
        self._update(phase=CanaryPhase.ROLLING_BACK)
        self._note(EventKind.COMMAND, f"rolling back: {reason}", actor=by)
        reading = await self._roll_back_until_done(reason)
        self._update(status=reading.status, traffic_percentage=reading.traffic_percentage)
        if reading.status is DeploymentStatus.PROMOTED:
            self._end_by_others(reading)
            return
        self._tell(EventKind.TRAFFIC, f"rolled back: {reason}", actor=by, traffic_percentage=0.0)
        self._end(CanaryOutcome.ROLLED_BACK, reason, by_judge=by_judge, by=by)

    async def _roll_back_until_done(self, reason: str) -> CanaryReading:
        pause = options.ROLLBACK_ATTEMPT_PAUSE
        tier = self._first_tier()
        while True:
            try:
                return await workflow.execute_activity_method(
                    PerceptionPort.move_canary,
                    self._move(Verb.ROLLBACK, reason),
                    **options.writing(
                        self._tenant,
                        self._policy.outage_patience,
                        options.ROLLBACK_FIRST,
                        summary=f"roll back {self._view.deployment_id}",
                    ),
                )
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                why = briefing.describe(error)
                self._tell(EventKind.FAILURE, f"rollback failed, trying again in {pause}: {why}")
                title = f"canary {self._view.deployment_id} of {self._model} CAN'T BE ROLLED BACK"
                traffic = f"It still takes {self._view.traffic_percentage:g} % of traffic."
                body = f"{traffic} {why}\nRoll it back by hand (runbook 4.2)."
                self._page(tier, title, body)
            self._refresh()
            await self._report()
            await workflow.sleep(pause, summary="before the next try to roll back")
            pause = min(pause * 2, self._policy.escalation.repeat)
            tier += 1

    # Orders and decisions.

    async def _obey(self, command: Command) -> None:
        why = operations.refusal(command, self._view, self._gate)
        if why:
            self._answer(command, False, why)
            return
        reason = command.reason or "no reason given"
        if command.verb is Verb.ACKNOWLEDGE and self._gate is not None:
            self._answer(command, True, self._acknowledge(self._gate, command.by))
        elif command.verb is Verb.ROLLBACK:
            self._tell(EventKind.COMMAND, f"rollback ordered ({command.identity}): {reason}", actor=command.by)
            await self._roll_back(f"ordered by {command.by}: {reason}", by=command.by)
            self._answer(command, True, f"canary {self._view.deployment_id} is {self._view.status}")
        elif command.verb is Verb.ADVANCE:
            self._tell(EventKind.COMMAND, f"advance ordered ({command.identity}): {reason}", actor=command.by)
            moved = await self._advance(f"ordered by {command.by}: {reason}", by=command.by)
            text = f"canary {self._view.deployment_id} is {self._view.status} at {self._view.traffic_percentage:g} %"
            self._answer(command, moved, text if moved else f"PERCEPTION would not advance: {self._timeline[-1].text}")
        else:
            await self._pause_or_resume(command, reason)

    async def _pause_or_resume(self, command: Command, reason: str) -> None:
        try:
            reading = await workflow.execute_activity_method(
                PerceptionPort.move_canary,
                self._move(command.verb, f"{reason} ({command.by})"),
                **options.writing(
                    self._tenant, self._policy.outage_patience, summary=f"{command.verb} {self._view.deployment_id}"
                ),
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._answer(command, False, f"PERCEPTION would not {command.verb}: {briefing.describe(error)}")
            return
        self._tell(EventKind.COMMAND, f"{command.verb} ordered ({command.identity}): {reason}", actor=command.by)
        if command.verb is Verb.PAUSE:
            self._pause_clock()
        else:
            self._withdraw_gate("the canary is resumed")
            self._resume_clock()
        self._see(reading)
        text = f"canary {self._view.deployment_id} is {self._view.status} at {self._view.traffic_percentage:g} %"
        self._answer(command, True, text)

    # Gates.

    def _ask_about_pause(self) -> None:
        self._ask(
            GateKind.PAUSED_TOO_LONG,
            f"canary {self._view.deployment_id} of {self._model} has been paused for {self._policy.canary.pause_limit}",
            why=["a canary that stays paused keeps the model locked and its users split"],
            will_happen=["approve: resume", "reject: roll back"],
        )

    async def _conclude(self, gate: Gate) -> None:
        """Do what the answer, or silence, means. A person's yes at a stalled canary is what lets traffic rise."""
        answer = gates.state(gate, workflow.now())
        last = gate.votes[-1] if gate.votes else None
        by = last.by if last else "nobody"
        self._gate = None
        if answer is not GateState.APPROVED:
            said = f"no answer by {gate.deadline:%H:%M:%S} UTC" if last is None else f"rejected by {by}"
            await self._roll_back(f"{gate.title}: {said}", by=by if last else "driftloop")
        elif gate.kind is GateKind.CANARY_STALLED:
            await self._advance(f"approved by {by}", by=by)
        elif gate.kind is GateKind.PAUSED_TOO_LONG:
            await self._pause_or_resume(Command(verb=Verb.RESUME, by=by, reason="approved", via="gate"), "approved")
        else:
            self._unread_since = workflow.now()
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

    def _end(self, outcome: CanaryOutcome, reason: str, *, by_judge: bool = False, by: str = "driftloop") -> None:
        self._update(phase=CanaryPhase.ENDED, ended_because=reason, ended_by=by)
        self._result = CanaryResult(
            outcome=outcome,
            version=self._view.version,
            reason=reason,
            by_judge=by_judge,
            by=by,
            last_look=self._view.last_look,
        )

    async def _leave(self) -> None:
        for command in self._inbox:
            self._answer(command, False, f"canary {self._view.deployment_id} has ended: {self._view.ended_because}")
        self._inbox.clear()
        self._refresh()
        await self._report()
        await self._see_pages_out()
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _is_time_to_continue_as_new(self) -> bool:
        long = self._looks_this_run >= self._policy.canary.looks_per_run
        return long or workflow.info().is_continue_as_new_suggested()

    async def _continue_as_new(self) -> None:
        await self._report()
        await self._see_pages_out()
        await workflow.wait_condition(workflow.all_handlers_finished)
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
