"""Which orders make sense for a canary as it stands."""

from __future__ import annotations

from contracts.canary import CanaryPhase, CanaryView
from contracts.gate import Command, Gate, Verb
from contracts.perception import DeploymentStatus


def refusal(command: Command, canary: CanaryView | None, gate: Gate | None) -> str:  # noqa: PLR0911 a list of rules
    """Why an order can't be carried out, with the way out; empty when it can."""
    if not command.by.strip():
        return f"{command.verb} needs a name: say who orders it in `by`"
    if command.verb is Verb.ACKNOWLEDGE:
        return "" if gate is not None else "there is no open gate to acknowledge"
    if canary is None or not canary.status.is_open or canary.phase is CanaryPhase.ENDED:
        return f"there is no open canary to {command.verb}"
    name = f"canary {canary.deployment_id}"
    if canary.phase is CanaryPhase.ROLLING_BACK:
        return f"{name} is being rolled back already"
    if command.verb is Verb.ADVANCE:
        return _advance_refusal(command, canary, name)
    if command.verb is Verb.PAUSE and canary.status is DeploymentStatus.PAUSED:
        return f"{name} is PAUSED already"
    if command.verb is Verb.RESUME and canary.status is not DeploymentStatus.PAUSED:
        return f"{name} is {canary.status}, not PAUSED: nothing to resume"
    return ""


def _advance_refusal(command: Command, canary: CanaryView, name: str) -> str:
    if canary.status is DeploymentStatus.PAUSED:
        return f"{name} is PAUSED: resume it before advancing"
    if command.from_percentage is None:
        return (
            f"advance must say where it starts, so that a repeated order can't raise traffic twice: "
            f"from_percentage is {canary.traffic_percentage:g} now"
        )
    if command.from_percentage != canary.traffic_percentage:
        return f"{name} is at {canary.traffic_percentage:g} %, your order says {command.from_percentage:g} %"
    return ""


def next_stage(stages: list[float], traffic: float) -> float | None:
    """The stage after `traffic` percent, or None at the last one."""
    return next((stage for stage in sorted(stages) if stage > traffic), None)
