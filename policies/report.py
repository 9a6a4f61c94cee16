"""The incident report (runbook §7.1) as Markdown: from the record alone, the same every time it is written."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.remediation import RemediationResult, RemediationStatus
from contracts.timeline import EventKind, TimelineEvent
from policies import briefing

_NOT_PEOPLE = {"driftloop", "PERCEPTION", "PLATO", "SYNAPSE", "", "unknown"}


def markdown(status: RemediationStatus, result: RemediationResult, timeline: Sequence[TimelineEvent]) -> str:
    """One report: summary, evidence, plan, what was measured, who stepped in, the timeline."""
    sections = [
        f"# Incident: {status.model} drifted ({status.tenant})",
        _summary(status, result),
        _evidence(status),
        _attempts(timeline),
        _canary(status),
        _interventions(timeline),
        _timeline(timeline),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _summary(status: RemediationStatus, result: RemediationResult) -> str:
    rows = [
        ("outcome", f"**{result.outcome}**: {result.reason}"),
        (
            "alert",
            f"{status.alert.name} from {status.alert.source or 'unknown'}, since {_time(status.alert.starts_at)}",
        ),
        ("severity", f"{_severity(result.severity_before)} → {_severity(result.severity_after)}"),
        ("attempts", f"{result.attempts} of at most {status.max_attempts}"),
        ("promoted", result.promoted_version or "nothing"),
        ("rolled back", ", ".join(result.rolled_back_versions) or "nothing"),
        ("detection to canary start", _latency(status)),
        ("workflow", f"`{status.workflow_id}` run `{status.run_id}`"),
        ("policy", f"`{status.policy_hash or 'defaults'}`"),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in rows)])


def _evidence(status: RemediationStatus) -> str:
    evidence = status.evidence
    if evidence is None:
        return ""
    lines = [
        "## Evidence",
        "",
        f"{evidence.state} over {evidence.window_rows} rows served by {evidence.production_version or 'no version'}. "
        f"{evidence.note}".strip(),
        "",
        "| feature | PSI | above the noise floor | severity |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {_cell(f.feature)} | {f.psi:.3f} | {'yes' if f.gated_psi > 0 else 'no'} | {f.severity:.2f} |"
        for f in evidence.worst_features
    ]
    return "\n".join(lines)


def _attempts(timeline: Sequence[TimelineEvent]) -> str:
    planned = [event for event in timeline if event.kind is EventKind.PLAN and "plan_hash" in event.data]
    if not planned:
        return ""
    return "\n".join(["## Plans", "", *(f"- {event.text} (hash `{event.data['plan_hash']}`)" for event in planned)])


def _canary(status: RemediationStatus) -> str:
    view = status.canary
    if view is None or view.last_look is None:
        return ""
    judged = view.last_look.judgement
    return "\n".join(
        [
            f"## Last canary: {view.version} ({view.deployment_id}), {view.status}",
            "",
            f"- baseline {view.baseline_version}: {briefing.arm(judged.baseline)}",
            f"- canary {view.version}: {briefing.arm(judged.canary)}",
            f"- last verdict: {briefing.judgement(judged)}",
        ]
    )


def _interventions(timeline: Sequence[TimelineEvent]) -> str:
    by_people = [event for event in timeline if event.actor not in _NOT_PEOPLE and _is_intervention(event)]
    lines = [f"- {_time(event.at)} {event.actor}: {event.text}" for event in by_people]
    outside = [f"- {_time(event.at)} {event.text}" for event in timeline if event.kind is EventKind.EXTERNAL]
    return "\n".join(["## Manual interventions", "", *(lines + outside or ["None."])])


def _is_intervention(event: TimelineEvent) -> bool:
    return event.kind in (EventKind.DECISION, EventKind.COMMAND, EventKind.REFUSED, EventKind.TRAFFIC)


def _timeline(timeline: Sequence[TimelineEvent]) -> str:
    rows = [f"| {_time(e.at)} | {e.kind} | {_cell(e.text)} | {_cell(e.actor)} |" for e in timeline]
    return "\n".join(["## Timeline", "", "| UTC | | what | who |", "|---|---|---|---|", *rows])


def _latency(status: RemediationStatus) -> str:
    detected = status.evidence.detected_at if status.evidence else None
    if detected is None or status.canary_started_at is None:
        return "–"
    return f"{(status.canary_started_at - detected).total_seconds():.1f} s"


def _severity(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"


def _time(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _cell(text: str) -> str:
    """Text from outside must not break out of its table cell."""
    return " ".join(text.split()).replace("|", "\\|")
