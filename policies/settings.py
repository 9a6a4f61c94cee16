"""A policy from a mapping: the runbook's YAML (§7.2, §7.3) as written, and our own section beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import durationpy
from pydantic import ValidationError

from contracts.plato import StepType
from contracts.policy import RemediationPolicy
from policies.judge import JUDGES


class PolicyError(ValueError):
    """A policy that can't be used; the message lists every problem with its value and its range."""


# The runbook's key -> ours. PSI thresholds are PERCEPTION's own settings: accepted, and not ours to apply.
_RUNBOOK_KEYS = {
    "perception.drift.model.min-severity-for-auto-remediation": ("drift", "min_severity_for_auto_remediation"),
    "perception.models.canary.initial-percentage": ("canary", "initial_percentage"),
    "perception.models.canary.evaluation-window": ("canary", "evaluation_window"),
    "perception.models.canary.minimum-predictions": ("canary", "minimum_predictions"),
    "perception.models.canary.error-rate-threshold": ("canary", "error_rate_threshold"),
}
_PERCEPTION_OWN_KEYS = {
    "perception.drift.model.psi-threshold-warning",
    "perception.drift.model.psi-threshold-critical",
}


def policy_from_mapping(settings: Mapping[str, Any]) -> RemediationPolicy:
    """Read a policy file's content. Raises PolicyError naming every unknown key and value out of range."""
    ours: dict[str, Any] = {}
    problems: list[str] = []
    for key, value in _flatten(settings):
        if key in _RUNBOOK_KEYS:
            section, name = _RUNBOOK_KEYS[key]
            ours.setdefault(section, {})[name] = value
        elif key.startswith("driftloop."):
            _put(ours, key.removeprefix("driftloop.").replace("-", "_").split("."), value)
        elif key not in _PERCEPTION_OWN_KEYS:
            problems.append(f"{key}: not a setting; ours start with `driftloop.`, the runbook's with `perception.`")
    _apply_initial_percentage(ours)
    problems += _unknown(ours, RemediationPolicy().model_dump(), "driftloop")
    try:
        policy = RemediationPolicy.model_validate(_with_durations(ours))
    except ValidationError as error:
        problems += [f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in error.errors()]
        raise PolicyError("; ".join(problems)) from error
    problems += check_policy(policy)
    if problems:
        raise PolicyError("; ".join(problems))
    return policy


def check_policy(policy: RemediationPolicy) -> list[str]:
    """Every value out of range, in words; an empty list when the policy can be used."""
    zero = timedelta(0)
    canary, gate, drift, verification = policy.canary, policy.gate, policy.drift, policy.verification
    rules: list[tuple[bool, str, object, str]] = [
        (0 < drift.normal_severity < 1, "drift.normal_severity", drift.normal_severity, "between 0 and 1"),
        (
            0 <= drift.min_severity_for_auto_remediation <= 1,
            "drift.min_severity_for_auto_remediation",
            drift.min_severity_for_auto_remediation,
            "0 to 1",
        ),
        (_rising_to_100(canary.stages), "canary.stages", canary.stages, "rising percentages that end with 100"),
        (canary.evaluation_window > zero, "canary.evaluation_window", canary.evaluation_window, "longer than 0"),
        (canary.minimum_predictions >= 1, "canary.minimum_predictions", canary.minimum_predictions, "1 or more"),
        (canary.minimum_labelled >= 0, "canary.minimum_labelled", canary.minimum_labelled, "0 or more"),
        (
            0 <= canary.error_rate_threshold < 1,
            "canary.error_rate_threshold",
            canary.error_rate_threshold,
            "a share of at least 0 and below 1",
        ),
        (0 <= canary.quality_margin < 1, "canary.quality_margin", canary.quality_margin, "at least 0 and below 1"),
        (canary.judge in JUDGES, "canary.judge", canary.judge, f"one of {', '.join(sorted(JUDGES))}"),
        (canary.stalled_after > zero, "canary.stalled_after", canary.stalled_after, "longer than 0"),
        (canary.pause_limit > zero, "canary.pause_limit", canary.pause_limit, "longer than 0"),
        (canary.looks_per_run >= 1, "canary.looks_per_run", canary.looks_per_run, "1 or more"),
        (gate.quorum >= 1, "gate.quorum", gate.quorum, "1 or more"),
        (bool(gate.approvers), "gate.approvers", gate.approvers, "at least one pattern"),
        (gate.plan_timeout > zero, "gate.plan_timeout", gate.plan_timeout, "longer than 0"),
        (gate.canary_timeout > zero, "gate.canary_timeout", gate.canary_timeout, "longer than 0"),
        (
            set(gate.always_gated_steps) <= {str(step) for step in StepType},
            "gate.always_gated_steps",
            gate.always_gated_steps,
            f"only {', '.join(StepType)}",
        ),
        (bool(policy.escalation.tiers), "escalation.tiers", policy.escalation.tiers, "at least one tier"),
        (policy.escalation.repeat > zero, "escalation.repeat", policy.escalation.repeat, "longer than 0"),
        (verification.interval > zero, "verification.interval", verification.interval, "longer than 0"),
        (verification.consecutive >= 1, "verification.consecutive", verification.consecutive, "1 or more"),
        (
            verification.window >= verification.interval * (verification.consecutive - 1),
            "verification.window",
            verification.window,
            f"room for {verification.consecutive} looks {verification.interval} apart",
        ),
        (1 <= policy.max_attempts <= 20, "max_attempts", policy.max_attempts, "1 to 20"),
        (policy.outage_patience > zero, "outage_patience", policy.outage_patience, "longer than 0"),
    ]
    return [f"{name}: {value} is out of range: {allowed}" for ok, name, value, allowed in rules if not ok]


def _rising_to_100(stages: list[float]) -> bool:
    return bool(stages) and stages[-1] == 100 and stages[0] > 0 and stages == sorted(set(stages))


def _flatten(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _put(target: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        target = target.setdefault(name, {})
    target[path[-1]] = value


def _apply_initial_percentage(ours: dict[str, Any]) -> None:
    """`initial-percentage: 3` is a first stage of 3 %, then the usual ones above it."""
    canary = ours.get("canary", {})
    initial = canary.pop("initial_percentage", None)
    if isinstance(initial, int | float):
        stages = canary.get("stages") or RemediationPolicy().canary.stages
        canary["stages"] = [float(initial), *(stage for stage in stages if stage > initial)]


def _unknown(ours: Mapping[str, Any], known: Mapping[str, Any], prefix: str) -> list[str]:
    problems = []
    for key, value in ours.items():
        if key not in known:
            problems.append(f"{prefix}.{key}: not a setting; known: {', '.join(sorted(known))}")
        elif isinstance(value, Mapping) and isinstance(known[key], Mapping):
            problems += _unknown(value, known[key], f"{prefix}.{key}")
    return problems


def _with_durations(value: Any) -> Any:
    """Durations may be written as the runbook does ("2h", "90s"); numbers are seconds, ISO 8601 passes."""
    if isinstance(value, Mapping):
        return {key: _with_durations(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_durations(item) for item in value]
    if isinstance(value, str) and value[:1].isdigit():
        try:
            return durationpy.from_str(value)
        except durationpy.DurationError:
            return value
    return value
