"""What is known about one canary, and everything that is said about it; what is done is in `canary_rollout`."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts.canary import (
        CanaryInput,
        CanaryOrder,
        CanaryPhase,
        CanaryReading,
        CanaryReport,
        CanaryResult,
        CanaryState,
        CanaryView,
        Look,
    )
    from contracts.gate import Command, CommandAck, Decision, DecisionAck, GateKind, GateState, OnSilence, Verb
    from contracts.perception import DeploymentStatus
    from contracts.steps import CanaryMove, CanaryRef
    from contracts.timeline import EventKind, TimelineEvent
    from policies import briefing, gates, operations
    from workflows.desk import OperatorDesk


class CanaryDesk(OperatorDesk):
    """State, orders, gates, reports of one canary."""

    def __init__(self, start: CanaryInput) -> None:
        state = start.state or CanaryState(view=CanaryView(deployment_id=start.deployment_id))
        super().__init__(start.tenant, start.model, start.policy, state.timeline)
        self._start = start
        self._view = state.view
        self._gate = state.view.gate
        self._stage_start = state.stage_start
        self._next_look_at = state.next_look_at or workflow.now()
        self._paused_at = state.paused_at
        self._unread_since = state.unread_since
        self._unread_paged = state.unread_paged
        self._gates_opened = state.gates_opened
        self._inbox = deque(state.inbox)
        self._looks_this_run = 0
        self._result: CanaryResult | None = None
        self._news: list[TimelineEvent] = []
        self._answers: list[CommandAck] = []
        self._awaited: dict[str, CommandAck | None] = {}

    # How operators and the parent reach it.

    @workflow.signal(description="From the owning remediation: an operator's order or decision.")
    def order(self, order: CanaryOrder) -> None:
        if order.command is not None:
            why = operations.refusal(order.command, self._view, self._gate)
            self._answer(order.command, False, why) if why else self._inbox.append(order.command)
        if order.decision is not None:
            why = gates.refusal(self._gate, order.decision, workflow.now())
            if why or self._gate is None:
                self._tell(EventKind.REFUSED, f"decision refused: {why}", actor=order.decision.by)
            else:
                self._vote(self._gate, order.decision)

    @workflow.query(description="How the canary stands: traffic, counts, verdict, open gate.")
    def status(self) -> CanaryView:
        return self._view.model_copy(update={"gate": self._gate})

    def _canary_view(self) -> CanaryView:
        return self._view

    async def _decide(self, decision: Decision) -> DecisionAck:
        gate = self._gate
        if gate is None:
            raise ApplicationError("the gate has just been closed", type="Refused", non_retryable=True)
        return self._vote(gate, decision)

    async def _operate(self, command: Command) -> CommandAck:
        self._inbox.append(command)
        self._awaited[command.request_id] = None
        await workflow.wait_condition(lambda: self._awaited[command.request_id] is not None)
        ack = self._awaited.pop(command.request_id)
        if ack is None:
            raise AssertionError("waited for an answer that is not there")
        return ack

    def _answer(self, command: Command, done: bool, message: str) -> None:
        ack = CommandAck(request_id=command.request_id, verb=command.verb, done=done, message=message)
        self._answers.append(ack)
        if command.request_id in self._awaited:
            self._awaited[command.request_id] = ack
        if not done:
            self._tell(EventKind.REFUSED, f"{command.verb} refused: {message}", actor=command.by)
        self._refresh()

    # Gates.

    def _ask(self, kind: GateKind, title: str, why: list[str], will_happen: list[str]) -> None:
        self._gates_opened += 1
        # The run id makes a gate of a reset run another gate: re-applied decisions open nothing.
        gate_id = f"{kind.lower()}-{self._gates_opened}-{workflow.info().run_id[:8]}"
        self._gate = gates.open_gate(
            policy=self._policy.gate,
            id=gate_id,
            kind=kind,
            plan_hash=self._start.plan_hash,
            title=title,
            will_happen=will_happen,
            why=why,
            requested_by=self._start.requested_by,
            now=workflow.now(),
            timeout=self._policy.gate.canary_timeout,
            on_silence=OnSilence.ROLL_BACK,
            first_tier=self._first_tier(),
        )
        self._tell(EventKind.GATE, f"asking: {title}", gate_id=gate_id, deadline=self._gate.deadline.isoformat())
        self._refresh()

    def _withdraw_gate(self, because: str) -> None:
        if self._gate is not None:
            self._tell(EventKind.GATE, f"no longer asking ({because}): {self._gate.title}", gate_id=self._gate.id)
            self._gate = None

    # Where it stands.

    def _update(self, **changes: object) -> None:
        self._view = self._view.model_copy(update=changes)

    def _enter_stage(self, reading: CanaryReading) -> None:
        self._stage_start = reading
        self._next_look_at = workflow.now() + self._policy.canary.evaluation_window
        self._update(stage_entered_at=workflow.now(), last_look=None)

    def _stage_age(self) -> timedelta:
        entered = self._view.stage_entered_at or workflow.now()
        return workflow.now() - entered

    def _pause_clock(self) -> None:
        self._paused_at = workflow.now()
        self._update(phase=CanaryPhase.PAUSED, status=DeploymentStatus.PAUSED)

    def _resume_clock(self) -> None:
        """A pause does not count towards a stage's age."""
        if self._paused_at is not None and self._view.stage_entered_at is not None:
            self._update(stage_entered_at=self._view.stage_entered_at + (workflow.now() - self._paused_at))
        self._paused_at = None
        self._update(phase=CanaryPhase.OBSERVING, status=DeploymentStatus.IN_PROGRESS)

    def _is_paused_too_long(self, now: datetime) -> bool:
        if self._paused_at is None or self._gate is not None:
            return False
        return now - self._paused_at >= self._policy.canary.pause_limit

    def _first_tier(self) -> int:
        return self._policy.escalation.urgent_starts_at_tier if self._start.urgent else 0

    def _is_called(self) -> bool:
        answered = self._gate is not None and gates.state(self._gate, workflow.now()) is not GateState.OPEN
        return bool(self._inbox) or bool(self._answers) or answered

    def _state(self) -> CanaryState:
        """Everything a continued run needs."""
        return CanaryState(
            view=self._view.model_copy(update={"gate": self._gate}),
            stage_start=self._stage_start,
            next_look_at=self._next_look_at,
            paused_at=self._paused_at,
            unread_since=self._unread_since,
            unread_paged=self._unread_paged,
            gates_opened=self._gates_opened,
            inbox=list(self._inbox),
            timeline=self._timeline,
        )

    # Telling.

    def _tell(self, kind: EventKind, text: str, actor: str = "driftloop", **data: object) -> None:
        """Note something that the parent wants to know too."""
        self._news.append(self._note(kind, text, actor, **data))

    def _note_waiting(self, text: str, look: Look) -> None:
        """Looks that only wait replace one another: a canary of a month stays a page long."""
        last = self._timeline[-1] if self._timeline else None
        if last is not None and last.kind is EventKind.LOOK and last.data.get("waiting"):
            self._timeline.pop()
        self._note(EventKind.LOOK, text, waiting=True, look=look.model_dump(mode="json"))

    async def _report(self) -> None:
        """Tell the parent what changed. It may be gone (terminated): then there is nobody to tell."""
        parent = workflow.info().parent
        if parent is None or not (self._news or self._answers):
            return
        report = CanaryReport(view=self.status(), news=self._news, answers=self._answers)
        self._news, self._answers = [], []
        handle = workflow.get_external_workflow_handle(parent.workflow_id)
        try:
            await handle.signal("canary_report", report)
        except Exception as error:
            self._note(EventKind.FAILURE, f"the parent could not be told: {briefing.describe(error)}")

    def _refresh(self) -> None:
        parts = [briefing.canary_details(self._view, workflow.info().workflow_id)]
        if self._gate is not None:
            parts.append(briefing.gate_details(self._gate, workflow.info().workflow_id))
        workflow.set_current_details("\n\n".join(parts))

    # Requests.

    def _ref(self) -> CanaryRef:
        return CanaryRef(tenant=self._tenant, model=self._model, deployment_id=self._start.deployment_id)

    def _move(
        self, verb: Verb, reason: str, from_percentage: float | None = None, to_percentage: float | None = None
    ) -> CanaryMove:
        return CanaryMove(
            tenant=self._tenant,
            model=self._model,
            deployment_id=self._start.deployment_id,
            verb=verb,
            reason=reason,
            from_percentage=from_percentage,
            to_percentage=to_percentage,
        )
