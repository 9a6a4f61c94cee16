"""A remediation on a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from contracts.canary import ArmCounts, CanaryView
from contracts.gate import Gate
from contracts.perception import DeploymentStatus
from contracts.remediation import Phase, RemediationStatus
from policies.briefing import answer_lines, judgement

_PHASES = list(Phase)
_GREEN_BELOW, _RED_ABOVE = 0.5, 0.8  # runbook §2 and §5.5


def render_status(status: RemediationStatus) -> RenderableType:
    """Everything an operator asks first: where it is, how bad it is, what is asked."""
    parts: list[RenderableType] = [_head(status)]
    if status.canary is not None:
        parts.append(render_canary(status.canary))
    if status.gate is not None:
        parts.append(_gate(status.gate, status.workflow_id))
    if status.refused:
        parts.append(Text("\n".join(f"{event.at:%H:%M:%S} {event.text}" for event in status.refused), style="yellow"))
    return Group(*parts)


def _head(status: RemediationStatus) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    table.add_row("model", f"{status.model} ({status.tenant})")
    table.add_row("phase", Text(str(status.outcome)) if status.outcome else phases(status.phase))
    if status.reason:
        table.add_row("because", status.reason)
    table.add_row("attempt", f"{status.attempt} of at most {status.max_attempts}")
    evidence = status.evidence
    if evidence is not None:
        worst = ", ".join(f"{f.feature} PSI {f.psi:.2f}" for f in evidence.worst_features[:3] if f.severity > 0)
        table.add_row("severity", severity(evidence.severity) + Text(f"  {evidence.state}  {worst}"))
    if status.verification is not None:
        table.add_row("verified", severity(status.verification.severity) + Text("  after the remediation"))
    if status.plan is not None:
        steps = "; ".join(f"{step.type} {step.description}" for step in status.plan.steps)
        table.add_row("plan", f"{status.plan.id} ({status.plan_hash}): {steps}")
    if status.report:
        table.add_row("report", status.report)
    return table


def phases(current: Phase) -> Text:
    """The road, with the present phase marked."""
    text = Text()
    for phase in _PHASES:
        here = phase is current
        text.append(str(phase), style="bold reverse" if here else "dim")
        text.append(" ")
    return text


def severity(value: float | None) -> Text:
    """A severity in the runbook's colours: green below 0.5, red above 0.8."""
    if value is None:
        return Text("not measured", style="yellow")
    style = "green" if value < _GREEN_BELOW else "red" if value > _RED_ABOVE else "yellow"
    return Text(f"{value:.2f}", style=f"bold {style}")


def render_canary(view: CanaryView) -> RenderableType:
    """Traffic, both arms side by side, and how much is still missing."""
    table = Table(title=Text(f"canary {view.deployment_id}: {view.status}"), title_justify="left", expand=False)
    for column in ("arm", "version", "traffic", "predictions", "error rate", "loss (labelled)"):
        table.add_column(column, justify="left" if column in ("arm", "version") else "right")
    look = view.last_look.judgement if view.last_look else None
    share = view.traffic_percentage
    baseline = look.baseline if look else ArmCounts()
    canary = look.canary if look else ArmCounts()
    table.add_row("baseline", view.baseline_version, f"{100 - share:g} %", *_counts(baseline, 0))
    table.add_row("canary", view.version, f"{share:g} %", *_counts(canary, look.needed if look else 0))
    stages = Text("stages  ")
    for stage in view.stages:
        done = stage < share or view.status is DeploymentStatus.PROMOTED
        stages.append(f"{stage:g} % ", style="green" if done else "bold reverse" if stage == share else "dim")
    said = Text(f"look {view.looks}: {judgement(look)}" if look else "no look at this stage yet", style="italic")
    return Group(table, stages, said)


def _counts(arm: ArmCounts, needed: int) -> tuple[str, str, str]:
    of = f"{arm.predictions} of {arm.predictions + needed}" if needed else str(arm.predictions)
    rate = "–" if arm.error_rate is None else f"{arm.error_rate:.2%}"
    loss = "–" if arm.mean_loss is None else f"{arm.mean_loss:.3f} ({arm.labelled})"
    return of, rate, loss


def _gate(gate: Gate, workflow_id: str) -> RenderableType:
    lines = [
        *(f"why: {line}" for line in gate.why),
        *(f"will happen: {line}" for line in gate.will_happen),
        f"answer by {gate.deadline:%Y-%m-%d %H:%M:%S} UTC; {len(gate.votes)} of {gate.quorum} approvals so far",
        "",
        *answer_lines(gate, workflow_id),
    ]
    return Panel(Text("\n".join(lines)), title=f"asked: {gate.title}", title_align="left", border_style="yellow")
