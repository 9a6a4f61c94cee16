"""The operator's desk: what every workflow that a human can talk to has in common.

Decisions and orders come in by update (answered, refused with a reason before anything is recorded) or by
signal (the `temporal` CLI's and the UI's way; a refused one shows in the timeline and the details). Both
take the same road from `_refuse_*` to `_decide` and `_operate`.
"""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.ports import PagingPort
    from contracts.canary import CanaryView
    from contracts.gate import Choice, Command, CommandAck, Decision, DecisionAck, Gate, GateState, Verb
    from contracts.policy import RemediationPolicy
    from contracts.steps import Page, PageResult
    from contracts.timeline import EventKind, TimelineEvent
    from policies import briefing, gates, operations
    from workflows import options

_LONGEST_TIMELINE = 500


class OperatorDesk:
    """Base of workflows that people decide on. Subclasses say which gate and canary stand open."""

    def __init__(self, tenant: str, model: str, policy: RemediationPolicy, timeline: list[TimelineEvent]) -> None:
        self._tenant = tenant
        self._model = model
        self._policy = policy
        self._timeline = list(timeline)
        self._gate: Gate | None = None
        self._pages: list[workflow.ActivityHandle[PageResult]] = []
        self._pages_sent = 0

    # What a subclass answers for.

    def _open_gate(self) -> Gate | None:
        return self._gate

    def _canary_view(self) -> CanaryView | None:
        raise NotImplementedError

    async def _decide(self, decision: Decision) -> DecisionAck:
        raise NotImplementedError

    async def _operate(self, command: Command) -> CommandAck:
        raise NotImplementedError

    def _refresh(self) -> None:
        """Bring the current details up to date."""
        raise NotImplementedError

    # Updates: answered or refused on the spot.

    @workflow.update(description="Approve or reject what the open gate proposes; bound to gate_id and plan_hash.")
    async def decide(self, decision: Decision) -> DecisionAck:
        return await self._decide(decision)

    @decide.validator
    def _check_decision(self, decision: Decision) -> None:
        if why := gates.refusal(self._open_gate(), decision, workflow.now()):
            raise ApplicationError(why, type="Refused", non_retryable=True)

    @workflow.update(description="Pause, resume, advance or roll back the canary, or acknowledge a page.")
    async def operate(self, command: Command) -> CommandAck:
        info = workflow.current_update_info()
        ack = await self._operate(command.model_copy(update={"request_id": info.id if info else ""}))
        if not ack.done:
            raise ApplicationError(ack.message, type="Refused", non_retryable=True)
        return ack

    @operate.validator
    def _check_command(self, command: Command) -> None:
        if why := operations.refusal(command, self._canary_view(), self._open_gate()):
            raise ApplicationError(why, type="Refused", non_retryable=True)

    # Signals: never silently dropped, whatever they hold.

    @workflow.signal(description='Approve: {"gate_id": "…", "plan_hash": "…", "by": "you"}')
    async def approve(self, raw: RawValue) -> None:
        await self._signalled_decision(Choice.APPROVE, raw)

    @workflow.signal(description='Reject: {"gate_id": "…", "plan_hash": "…", "by": "you", "comment": "why"}')
    async def reject(self, raw: RawValue) -> None:
        await self._signalled_decision(Choice.REJECT, raw)

    @workflow.signal(description='Pause the canary: {"by": "you", "reason": "why"}')
    async def pause(self, raw: RawValue) -> None:
        await self._signalled_command(Verb.PAUSE, raw)

    @workflow.signal(description='Resume the canary: {"by": "you"}')
    async def resume(self, raw: RawValue) -> None:
        await self._signalled_command(Verb.RESUME, raw)

    @workflow.signal(description='Advance the canary one stage: {"by": "you", "from_percentage": 25}')
    async def advance(self, raw: RawValue) -> None:
        await self._signalled_command(Verb.ADVANCE, raw)

    @workflow.signal(description='Roll the canary back: {"by": "you", "reason": "why"}')
    async def rollback(self, raw: RawValue) -> None:
        await self._signalled_command(Verb.ROLLBACK, raw)

    @workflow.signal(description='Acknowledge the open gate, which stops its pages: {"by": "you"}')
    async def acknowledge(self, raw: RawValue) -> None:
        await self._signalled_command(Verb.ACKNOWLEDGE, raw)

    @workflow.query(description="What happened so far, in order.")
    def timeline(self) -> list[TimelineEvent]:
        return self._timeline

    async def _signalled_decision(self, choice: Choice, raw: RawValue) -> None:
        what = f"signal {choice.lower()}"
        try:
            decision = Decision.model_validate({"via": "signal", **_json_object(raw), "choice": choice})
        except ValueError as error:
            self._refused(what, _why(error))
            return
        if why := gates.refusal(self._open_gate(), decision, workflow.now()):
            self._refused(what, why, decision.by)
            return
        await self._decide(decision)

    async def _signalled_command(self, verb: Verb, raw: RawValue) -> None:
        what = f"signal {verb}"
        try:
            command = Command.model_validate({"via": "signal", **_json_object(raw), "verb": verb})
        except ValueError as error:
            self._refused(what, _why(error))
            return
        if why := operations.refusal(command, self._canary_view(), self._open_gate()):
            self._refused(what, why, command.by)
            return
        ack = await self._operate(command.model_copy(update={"request_id": str(workflow.uuid4())}))
        if not ack.done:
            self._refused(what, ack.message, command.by)

    def _refused(self, what: str, why: str, by: str = "") -> None:
        self._note(EventKind.REFUSED, f"{what} refused: {why}", actor=by or "unknown")
        self._refresh()

    # Records.

    def _note(self, kind: EventKind, text: str, actor: str = "driftloop", **data: Any) -> TimelineEvent:
        event = TimelineEvent(at=workflow.now(), kind=kind, text=text, actor=actor, data=data)
        self._timeline.append(event)
        del self._timeline[:-_LONGEST_TIMELINE]
        workflow.logger.info("%s: %s", kind, text, extra={"tenant": self._tenant, "model": self._model, "actor": actor})
        return event

    def _heed_cancellation(self) -> None:
        """A write that is under way when a cancel comes ends first and swallows it: heed it before the next step."""
        if workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError("cancelled during a write")

    # Gates.

    def _vote(self, gate: Gate, decision: Decision) -> DecisionAck:
        """Record a decision that was found eligible."""
        self._gate = gates.record(gate, decision, workflow.now())
        state = gates.state(self._gate, workflow.now())
        said = "approved" if decision.choice is Choice.APPROVE else "rejected"
        comment = f": {decision.comment}" if decision.comment else ""
        text = f"{gate.title}: {said} by {decision.by} ({decision.identity}, by {decision.via}){comment}"
        self._note(EventKind.DECISION, text, actor=decision.by, gate_id=gate.id, plan_hash=gate.plan_hash)
        self._refresh()
        missing = gate.quorum - len(self._gate.votes)
        message = text if state is not GateState.OPEN else f"{text}; {missing} more approval(s) needed"
        return DecisionAck(gate_id=gate.id, state=state, message=message)

    def _acknowledge(self, gate: Gate, by: str) -> str:
        self._gate = gate.model_copy(update={"acknowledged_by": by})
        text = f"{gate.title}: acknowledged by {by}; no more pages, the deadline stays {gate.deadline:%H:%M:%S} UTC"
        self._note(EventKind.COMMAND, text, actor=by)
        self._refresh()
        return text

    def _page_if_due(self, gate: Gate) -> bool:
        """Page the next tier of the ladder if its time has come."""
        tier = gates.page_due(gate, self._policy.escalation, workflow.now())
        if tier is None:
            return False
        self._gate = gates.paged(gate, workflow.now())
        self._page(tier, gate.title, briefing.gate_page(gate, workflow.info().workflow_id))
        return True

    # Pages run beside the loop: a dead pager must not stop a rollback.

    def _page(self, tier: int, title: str, body: str) -> None:
        ladder = self._policy.escalation.tiers
        rung = ladder[min(tier, len(ladder) - 1)]
        self._pages_sent += 1
        info = workflow.info()
        page = Page(
            tenant=self._tenant,
            model=self._model,
            workflow_id=info.workflow_id,
            audience=rung.audience,
            channel=rung.channel,
            title=title,
            body=body,
            key=f"{info.first_execution_run_id}:{info.workflow_id}:page:{self._pages_sent}",
        )
        self._note(EventKind.PAGE, f"paging {rung.audience} {rung.channel}: {title}".replace(" : ", ": "))
        self._pages.append(
            workflow.start_activity_method(
                PagingPort.page, page, **options.paging(self._tenant, summary=f"{rung.audience}: {title}")
            )
        )

    async def _see_pages_out(self, grace: timedelta) -> list[str]:
        """Give pages under way a moment before the run ends. Answers what is to be said of those that failed."""
        pages, self._pages = self._pages, []
        try:
            await workflow.wait_condition(
                lambda: all(page.done() for page in pages),
                timeout=grace,
                timeout_summary="for pages under way",
            )
        except TimeoutError:
            pass
        undelivered = sum(not page.done() for page in pages)
        failures = [page.exception() for page in pages if page.done()]
        lost = [f"a page was not delivered: {briefing.describe(failure)}" for failure in failures if failure]
        return [*lost, f"{undelivered} page(s) still undelivered when the run ended"] if undelivered else lost


def _json_object(raw: RawValue) -> dict[str, Any]:
    try:
        value = json.loads(raw.payload.data or b"null")
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f'wants a JSON object such as {{"by": "you"}}, got {type(value).__name__}')
    return value


def _why(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return str(error)
