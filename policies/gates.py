"""When a person must be asked, and what counts as an answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from contracts.gate import Choice, Decision, Gate, GateState, OnSilence, Vote
from contracts.plato import Plan, StepType
from contracts.policy import EscalationPolicy, GatePolicy, RemediationPolicy
from contracts.remediation import Evidence


def reasons_to_ask(evidence: Evidence, plan: Plan, policy: RemediationPolicy) -> list[str]:
    """Why this plan needs a human (DESIGN §3); an empty list means it runs on its own."""
    reasons = []
    floor = policy.drift.min_severity_for_auto_remediation
    if policy.gate.always_ask:
        reasons.append("policy asks for approval of every plan")
    if evidence.severity is None:
        reasons.append(f"severity could not be measured ({evidence.state})")
    elif evidence.severity < floor:
        reasons.append(f"severity {evidence.severity:.2f} is below {floor:.2f}, the floor for acting unasked")
    if not evidence.auto_remediation_enabled:
        reasons.append("auto-remediation is switched off for this tenant")
    reasons += [
        f"step {step.id} ({step.type}) always needs approval"
        for step in plan.steps
        if step.type in policy.gate.always_gated_steps
    ]
    return reasons


def unknown_steps(plan: Plan) -> list[str]:
    """Steps of a plan that driftloop can't execute, as `id (type)`."""
    known = {str(step_type) for step_type in StepType}
    return [f"{step.id} ({step.type})" for step in plan.steps if step.type not in known]


def open_gate(
    *,
    policy: GatePolicy,
    id: str,
    kind: str,
    plan_hash: str,
    title: str,
    will_happen: list[str],
    why: list[str],
    requested_by: str,
    now: datetime,
    timeout: timedelta,
    on_silence: OnSilence,
    first_tier: int = 0,
) -> Gate:
    """A new question under `policy`. `timeout` is how long silence is taken for thinking."""
    return Gate.model_validate(
        {
            "id": id,
            "kind": kind,
            "plan_hash": plan_hash,
            "title": title,
            "will_happen": will_happen,
            "why": why,
            "approvers": policy.approvers,
            "quorum": policy.quorum,
            "four_eyes": policy.four_eyes,
            "require_authenticated": policy.require_authenticated,
            "requested_by": requested_by,
            "opened_at": now,
            "deadline": now + timeout,
            "on_silence": on_silence,
            "first_tier": first_tier,
        }
    )


def refusal(gate: Gate | None, decision: Decision, now: datetime) -> str:
    """Why a decision can't be taken, in words for its sender; empty when it can."""
    if gate is None or state(gate, now) is not GateState.OPEN:
        return "nothing is waiting for a decision here: see the status for what is going on"
    checks = (
        (decision.gate_id != gate.id, f"gate {decision.gate_id or '(none)'} is not open; the open one is {gate.id}"),
        (
            decision.plan_hash != gate.plan_hash,
            f"plan hash {decision.plan_hash or '(none)'} is not what is proposed now ({gate.plan_hash}): "
            "read the plan again before deciding",
        ),
        (not decision.by.strip(), "a decision needs a name: say who decides in `by`"),
        (
            not any(fnmatchcase(decision.by, pattern) for pattern in gate.approvers),
            f"{decision.by} may not decide here; eligible: {', '.join(gate.approvers)}",
        ),
        (
            gate.require_authenticated and decision.identity != "authenticated",
            f"policy wants an authenticated decision; {decision.by} is only claimed ({decision.via})",
        ),
        (
            gate.four_eyes and decision.choice is Choice.APPROVE and decision.by == gate.requested_by,
            f"{decision.by} asked for this plan and can't approve it too: four eyes",
        ),
        (any(vote.by == decision.by for vote in gate.votes), f"{decision.by} has already decided on {gate.id}"),
    )
    return next((text for wrong, text in checks if wrong), "")


def record(gate: Gate, decision: Decision, now: datetime) -> Gate:
    """The gate with one more vote. Call only after `refusal` was empty."""
    vote = Vote(
        at=now,
        choice=decision.choice,
        by=decision.by,
        via=decision.via,
        identity=decision.identity,
        comment=decision.comment,
    )
    return gate.model_copy(update={"votes": [*gate.votes, vote]})


def state(gate: Gate, now: datetime) -> GateState:
    """One rejection is a veto; `quorum` approvals open; past the deadline silence has spoken."""
    if any(vote.choice is Choice.REJECT for vote in gate.votes):
        return GateState.REJECTED
    if len(gate.votes) >= gate.quorum:
        return GateState.APPROVED
    return GateState.SILENT if now >= gate.deadline else GateState.OPEN


def page_due(gate: Gate, ladder: EscalationPolicy, now: datetime) -> int | None:
    """The index of the tier to page now, or None. Acknowledged gates page nobody."""
    due_at = next_page_at(gate, ladder)
    if due_at is None or now < due_at:
        return None
    return min(gate.first_tier + gate.paged_tiers, len(ladder.tiers) - 1)


def next_page_at(gate: Gate, ladder: EscalationPolicy) -> datetime | None:
    """When the next page goes out: tier after tier, then the last one again every `repeat`."""
    if gate.acknowledged_by or not ladder.tiers:
        return None
    tier = gate.first_tier + gate.paged_tiers
    if tier < len(ladder.tiers):
        # A gate that starts higher up the ladder starts its clock there too.
        start = ladder.tiers[min(gate.first_tier, len(ladder.tiers) - 1)].after
        return gate.opened_at + ladder.tiers[tier].after - start
    return (gate.last_paged_at or gate.opened_at) + ladder.repeat


def paged(gate: Gate, now: datetime) -> Gate:
    """The gate after one page went out."""
    return gate.model_copy(update={"paged_tiers": gate.paged_tiers + 1, "last_paged_at": now})


def next_event_at(gate: Gate, ladder: EscalationPolicy) -> datetime:
    """When the gate wants attention next: a page or its deadline."""
    page_at = next_page_at(gate, ladder)
    return gate.deadline if page_at is None else min(gate.deadline, page_at)
