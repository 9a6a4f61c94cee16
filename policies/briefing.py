"""What people read: current details in Markdown, pages, and the command lines that answer a gate."""

from __future__ import annotations

import json
from collections.abc import Sequence

from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError, FailureError, TimeoutError

from contracts.canary import ArmCounts, CanaryView, Judgement
from contracts.gate import Choice, Gate, OnSilence
from contracts.perception import DeploymentStatus
from contracts.remediation import RemediationStatus
from contracts.timeline import TimelineEvent


def describe(error: BaseException) -> str:
    """The cause that a person can act on, out of Temporal's wrapping."""
    cause: BaseException = error
    while isinstance(cause, ActivityError | ChildWorkflowError) and cause.cause is not None:
        cause = cause.cause
    if isinstance(cause, TimeoutError) and isinstance(cause.cause, ApplicationError):
        # What the last try said is worth more than that time ran out.
        return f"{cause.cause.message} (gave up after trying again)"
    if isinstance(cause, FailureError):
        return cause.message
    return f"{type(cause).__name__}: {cause}"


def arm(counts: ArmCounts) -> str:
    """One arm's counts in a line."""
    if not counts.predictions:
        return "no predictions"
    loss = "no labels yet" if counts.mean_loss is None else f"loss {counts.mean_loss:.3f} over {counts.labelled}"
    return f"{counts.predictions} predictions, {counts.error_rate or 0:.2%} failed, {loss}"


def judgement(judged: Judgement) -> str:
    """A verdict with the numbers it rests on."""
    return f"{judged.verdict}: {'; '.join(judged.reasons)}"


def answer_lines(gate: Gate, workflow_id: str) -> list[str]:
    """The command lines that answer a gate, our own first, then plain `temporal`."""
    tenant_and_model = _tenant_and_model(workflow_id)
    lines = []
    if tenant_and_model:
        tenant, model = tenant_and_model
        lines += [
            f"driftloop approve {model} --tenant {tenant} --gate {gate.id} --plan {gate.plan_hash} --by YOU",
            f"driftloop reject {model} --tenant {tenant} --gate {gate.id} --plan {gate.plan_hash} --by YOU",
        ]
    payload = {"gate_id": gate.id, "plan_hash": gate.plan_hash, "choice": str(Choice.APPROVE), "by": "YOU"}
    lines.append(
        f"temporal workflow update execute --workflow-id {workflow_id} --name decide --input '{json.dumps(payload)}'"
    )
    return lines


def gate_page(gate: Gate, workflow_id: str) -> str:
    """The body of a page about an open gate: what, why, what silence means, and the line that answers."""
    return "\n".join(
        [
            *(f"- {line}" for line in gate.why),
            "Proposed:",
            *(f"- {line}" for line in gate.will_happen),
            f"Answer by {gate.deadline:%Y-%m-%d %H:%M:%S} UTC; {_silence(gate)}.",
            *answer_lines(gate, workflow_id),
        ]
    )


def gate_details(gate: Gate, workflow_id: str) -> str:
    """An open gate, in Markdown."""
    answers = "\n".join(answer_lines(gate, workflow_id))
    acknowledged = f" Acknowledged by {gate.acknowledged_by}." if gate.acknowledged_by else ""
    return "\n".join(
        [
            f"## Asked: {gate.title}",
            "",
            *(f"- why: {line}" for line in gate.why),
            *(f"- will happen: {line}" for line in gate.will_happen),
            f"- who: {', '.join(gate.approvers)}; {len(gate.votes)} of {gate.quorum} approvals so far.{acknowledged}",
            f"- by: {gate.deadline:%Y-%m-%d %H:%M:%S} UTC; {_silence(gate)}",
            "",
            f"```\n{answers}\n```",
        ]
    )


def canary_details(view: CanaryView, workflow_id: str) -> str:
    """How a canary stands, in Markdown."""
    stages = " → ".join(
        f"**{stage:g} %**" if stage == view.traffic_percentage else f"{stage:g} %" for stage in view.stages
    )
    lines = [
        f"## Canary {view.deployment_id}: {view.version or 'version not read yet'} is {view.status}",
        "",
        f"- traffic: {stages or f'{view.traffic_percentage:g} %'}",
    ]
    if view.last_look is not None:
        judged = view.last_look.judgement
        lines += [
            f"- baseline {view.baseline_version}: {arm(judged.baseline)}",
            f"- canary {view.version}: {arm(judged.canary)}, {judged.needed} more needed",
            f"- verdict at {view.last_look.at:%H:%M:%S} UTC (look {view.looks}): {judgement(judged)}",
        ]
    if view.ended_because:
        lines.append(f"- ended: {view.ended_because}")
    elif view.gate is None and view.status.is_open:
        lines += ["", f"```\n{chr(10).join(order_lines(view, workflow_id))}\n```"]
    return "\n".join(lines)


def order_lines(view: CanaryView, workflow_id: str) -> list[str]:
    """The orders that make sense now, as plain `temporal` signals."""

    def signal(name: str, **fields: object) -> str:
        payload = json.dumps({"by": "YOU", **fields})
        return f"temporal workflow signal --workflow-id {workflow_id} --name {name} --input '{payload}'"

    if view.status is DeploymentStatus.PAUSED:
        return [signal("resume"), signal("rollback", reason="WHY")]
    return [
        signal("pause", reason="WHY"),
        signal("advance", from_percentage=view.traffic_percentage),
        signal("rollback", reason="WHY"),
    ]


def details(status: RemediationStatus, recent: Sequence[TimelineEvent]) -> str:
    """The whole remediation, in Markdown, for the Temporal UI."""
    evidence = status.evidence
    lines = [f"# {status.path} of {status.model} ({status.tenant}): {status.outcome or status.phase}", ""]
    if status.reason:
        lines.append(f"- because: {status.reason}")
    if evidence is not None:
        severity = "not measured" if evidence.severity is None else f"{evidence.severity:.2f}"
        features = ", ".join(f"{f.feature} (PSI {f.psi:.2f})" for f in evidence.worst_features[:3] if f.severity > 0)
        lines.append(
            f"- severity {severity} ({evidence.state}) over {evidence.window_rows} rows; worst: {features or '–'}"
        )
    if status.plan is not None:
        steps = "; ".join(f"{step.id} {step.type} {step.description}".strip() for step in status.plan.steps)
        lines.append(f"- plan {status.plan.id} (hash `{status.plan_hash}`), attempt {status.attempt}: {steps}")
    if status.verification is not None:
        marks = ", ".join(f"{'✓' if check.ok else '✗'} {check.name}" for check in status.verification.checks)
        lines.append(f"- verification: {marks}")
    if status.report:
        lines.append(f"- report: `{status.report}`")
    if status.gate is not None:
        lines += ["", gate_details(status.gate, status.workflow_id)]
    if status.canary is not None:
        lines += ["", canary_details(status.canary, status.workflow_id)]
        lines.append(f"\nEvery look: workflow `{status.canary_workflow_id}`")
    if recent:
        lines += ["", "## Latest", ""]
        lines += [f"- {event.at:%H:%M:%S} {event.kind} {event.text} ({event.actor})" for event in recent]
    return "\n".join(lines)


def _silence(gate: Gate) -> str:
    if gate.on_silence is OnSilence.ROLL_BACK:
        return "no answer by then rolls the canary back"
    return "no answer by then lets it expire and nothing is done"


def _tenant_and_model(workflow_id: str) -> tuple[str, str] | None:
    kind, _, rest = workflow_id.partition("/")
    tenant, _, model = rest.partition("/")
    return (tenant, model) if kind == "remediation" and model else None
