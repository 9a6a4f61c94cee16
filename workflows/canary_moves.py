"""How a canary moves: up, back, to a halt and on again, by verdict, by order, or by somebody else's hand."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.ports import PerceptionPort
    from contracts.canary import CanaryOutcome, CanaryPhase, CanaryReading, CanaryResult
    from contracts.gate import Command, Gate, GateKind, GateState, Verb
    from contracts.perception import DeploymentStatus
    from contracts.timeline import EventKind
    from policies import briefing, gates, operations
    from workflows import options
    from workflows.canary_desk import CanaryDesk


class CanaryMoves(CanaryDesk):
    """Everything that changes a deployment, or takes in that it was changed."""

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
