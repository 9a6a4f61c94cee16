"""What every model-scoped path shares: the model's state, alerts that join, and the road to its canary."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from contracts.alerts import Alert, AttachAck, Attached
    from contracts.canary import CanaryOrder, CanaryReport, CanaryView
    from contracts.gate import Command, CommandAck, Decision, DecisionAck, Gate, GateState, Verb
    from contracts.plato import Plan
    from contracts.remediation import Evidence, Outcome, Phase, RemediationInput, RemediationStatus, VerificationLook
    from contracts.timeline import EventKind
    from policies import briefing, gates
    from policies.alerts import route
    from workflows import options, search_attributes
    from workflows.desk import OperatorDesk

_HANDED_OVER = "handed to the canary, which has not answered yet: see the status"
_LATEST = 8  # timeline entries in the current details
_REFUSED = 5  # refused orders and decisions in the status


class RemediationDesk(OperatorDesk):
    """Holds the state of one remediation and answers for it. Subclasses are the paths."""

    path = ""

    def __init__(self, start: RemediationInput) -> None:
        super().__init__(start.tenant, start.model, start.policy, [])
        self._start = start
        self._alert = start.alert
        self._requested_by = start.requested_by
        self._urgent = start.urgent
        self._queued = list(start.queued)
        self._seen = [*start.seen_episodes, start.alert.episode]
        self._start_acknowledged = bool(start.seen_episodes)
        self._phase = Phase.ANALYZING
        self._outcome: Outcome | None = None
        self._reason = ""
        self._attempt = 1
        self._evidence: Evidence | None = None
        self._plan: Plan | None = None
        self._plan_hash = ""
        self._canary: CanaryView | None = None
        self._canary_workflow_id = ""
        self._deployment_id = ""
        self._verification: VerificationLook | None = None
        self._severity_before: float | None = None
        self._severity_after: float | None = None
        self._rolled_back: list[str] = []
        self._promoted: str | None = None
        self._canary_started_at: datetime | None = None
        self._report_location = ""
        self._answers: dict[str, CommandAck] = {}
        self._awaiting = ""

    @workflow.query(description="What goes on, what is asked, and how to answer.")
    def status(self) -> RemediationStatus:
        info = workflow.info()
        return RemediationStatus(
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            tenant=self._tenant,
            model=self._model,
            path=self.path,
            phase=self._phase,
            outcome=self._outcome,
            reason=self._reason,
            attempt=self._attempt,
            max_attempts=self._policy.max_attempts,
            alert=self._alert,
            evidence=self._evidence,
            plan=self._plan,
            plan_hash=self._plan_hash,
            gate=self._open_gate(),
            canary=self._canary,
            canary_workflow_id=self._canary_workflow_id,
            verification=self._verification,
            refused=[event for event in self._timeline if event.kind is EventKind.REFUSED][-_REFUSED:],
            policy_hash=self._start.policy_hash,
            report=self._report_location,
            started_at=info.start_time,
            canary_started_at=self._canary_started_at,
        )

    # Alerts join the owner of their model.

    @workflow.update(description="Hand an alert to the model's owner.")
    def attach(self, alert: Alert) -> AttachAck:
        if alert.episode in self._seen:
            started = alert.episode == self._alert.episode and not self._start_acknowledged
            self._start_acknowledged = True
            return self._ack(Attached.STARTED if started else Attached.DUPLICATE)
        self._seen.append(alert.episode)
        closing = self._phase is Phase.CLOSING
        if closing:
            self._queued.append(alert)
        verb = "queued behind this run" if closing else "joins this run"
        self._note(EventKind.ALERT, f"{alert.name} from {alert.source or 'unknown'} {verb}", actor=alert.source)
        self._refresh()
        return self._ack(Attached.QUEUED if closing else Attached.ATTACHED)

    @attach.validator
    def _check_alert(self, alert: Alert) -> None:
        if (alert.tenant, alert.model) != (self._tenant, self._model):
            raise ApplicationError(
                f"alert is for {alert.tenant}/{alert.model}, this run owns {self._tenant}/{self._model}",
                type="Refused",
                non_retryable=True,
            )
        if route(alert) is None:
            raise ApplicationError(f"no path handles alert {alert.name}", type="Refused", non_retryable=True)

    def _ack(self, outcome: Attached) -> AttachAck:
        info = workflow.info()
        return AttachAck(
            outcome=outcome, workflow_id=info.workflow_id, run_id=info.run_id, path=self.path, phase=self._phase
        )

    # The canary's owner reports here, and operators reach it through here.

    @workflow.signal(description="From the canary's owner: how it stands, news, answers to orders.")
    def canary_report(self, report: CanaryReport) -> None:
        self._canary = report.view
        self._timeline += report.news
        self._answers.update({answer.request_id: answer for answer in report.answers})
        self._refresh()

    def _open_gate(self) -> Gate | None:
        if self._gate is not None:
            return self._gate
        return self._canary.gate if self._canary is not None else None

    def _canary_view(self) -> CanaryView | None:
        return self._canary if self._phase is Phase.CANARY else None

    async def _decide(self, decision: Decision) -> DecisionAck:
        gate = self._open_gate()
        if gate is None:
            raise ApplicationError("the gate has just been closed", type="Refused", non_retryable=True)
        if self._gate is not None:
            return self._vote(self._gate, decision)
        await self._to_canary(CanaryOrder(decision=decision))
        await self._wait_for_canary(lambda: self._open_gate() != gate)
        after = self._open_gate()
        if after is None or after.id != gate.id:
            state = gates.state(gates.record(gate, decision, workflow.now()), workflow.now())
            return DecisionAck(gate_id=gate.id, state=state, message=f"{gate.title}: {state}")
        return DecisionAck(gate_id=gate.id, state=GateState.OPEN, message=_HANDED_OVER)

    async def _operate(self, command: Command) -> CommandAck:
        if command.verb is Verb.ACKNOWLEDGE and self._gate is not None:
            text = self._acknowledge(self._gate, command.by)
            return CommandAck(request_id=command.request_id, verb=command.verb, done=True, message=text)
        await self._to_canary(CanaryOrder(command=command))
        await self._wait_for_canary(lambda: command.request_id in self._answers)
        return self._answers.pop(
            command.request_id,
            CommandAck(request_id=command.request_id, verb=command.verb, done=True, message=_HANDED_OVER),
        )

    async def _to_canary(self, order: CanaryOrder) -> None:
        handle = workflow.get_external_workflow_handle(self._canary_workflow_id)
        try:
            await handle.signal("order", order)
        except Exception as error:
            raise ApplicationError(
                f"the canary can't be reached: {briefing.describe(error)}", type="Refused", non_retryable=True
            ) from error

    async def _wait_for_canary(self, answered: Callable[[], bool]) -> None:
        try:
            await workflow.wait_condition(
                answered, timeout=options.ORDER_ANSWER, timeout_summary="for the canary's answer to an order"
            )
        except TimeoutError:
            pass

    # Showing.

    def _introduce(self) -> None:
        workflow.upsert_search_attributes(
            [
                search_attributes.TENANT.value_set(self._tenant),
                search_attributes.MODEL.value_set(self._model),
                search_attributes.PATH.value_set(self.path),
                search_attributes.PHASE.value_set(self._phase),
            ]
        )
        alert = self._alert
        self._note(
            EventKind.ALERT,
            f"{alert.name} from {alert.source or 'unknown'}, since {alert.starts_at:%Y-%m-%d %H:%M:%S} UTC",
            actor=alert.source or "unknown",
            severity=alert.severity,
        )

    def _enter(self, phase: Phase) -> None:
        if phase is not Phase.CLOSING:
            self._heed_cancellation()
        if phase is not self._phase:
            self._phase = phase
            workflow.upsert_search_attributes([search_attributes.PHASE.value_set(phase)])
        self._note(EventKind.PHASE, phase)
        self._refresh()

    def _call_human(self, title: str, body: str) -> None:
        self._page(self._first_tier(), title, body)

    def _first_tier(self) -> int:
        return self._policy.escalation.urgent_starts_at_tier if self._urgent else 0

    def _is_answered(self) -> bool:
        return self._gate is not None and gates.state(self._gate, workflow.now()) is not GateState.OPEN

    def _refresh(self) -> None:
        gate = self._open_gate()
        awaiting = gate.id if gate is not None else ""
        if awaiting != self._awaiting:
            self._awaiting = awaiting
            key = search_attributes.AWAITING
            workflow.upsert_search_attributes([key.value_set(awaiting) if awaiting else key.value_unset()])
        workflow.set_current_details(briefing.details(self.status(), self._timeline[-_LATEST:]))
