"""A window of served rows against a baseline: drift per feature, and one severity for the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from butterfly.perception.profiles import FeatureProfile, Profile, count
from butterfly.perception.psi import CRITICAL, WARNING, gated_psi, published_psi, severity
from contracts.perception import DriftState, FeatureDrift

_SWAP_FITS = 0.1  # PSI against another feature's baseline below which the two are taken for swapped
_SWAP_BINS = 8  # a profile of fewer bins fits too many things to accuse anybody
_CRITICAL_SEVERITY = 0.8
_DRIFTING_SEVERITY = 0.5


def analyze(
    baseline: Profile, window: Sequence[dict[str, Any]], warning: float = WARNING, critical: float = CRITICAL
) -> list[FeatureDrift]:
    """Every feature of the baseline, worst first."""
    drifts = [_feature(name, profile, window, warning, critical) for name, profile in baseline.items()]
    drifts = [
        drift.model_copy(update={"suspected_swap_with": _swapped_with(drift.feature, baseline, window)})
        if drift.severity >= _DRIFTING_SEVERITY
        else drift
        for drift in drifts
    ]
    return sorted(drifts, key=lambda drift: (-drift.severity, -drift.psi))


def model_severity(drifts: Sequence[FeatureDrift]) -> float:
    """The worst feature's: means and shares of drifted features dilute one that broke completely."""
    return max((drift.severity for drift in drifts), default=0.0)


def state(value: float) -> DriftState:
    """The band of a measured severity (runbook §2, §5.5)."""
    if value > _CRITICAL_SEVERITY:
        return DriftState.CRITICAL
    return DriftState.DRIFTING if value >= _DRIFTING_SEVERITY else DriftState.STABLE


def _feature(
    name: str, profile: FeatureProfile, window: Sequence[dict[str, Any]], warning: float, critical: float
) -> FeatureDrift:
    counts, missing = count(profile, [row.get(name) for row in window])
    values = gated_psi(profile.counts, counts)
    present, absent = profile.rows, profile.missing
    gaps = gated_psi([present, absent], [len(window) - missing, missing])
    worst = max(values.value, gaps.value)
    return FeatureDrift(
        feature=name,
        psi=published_psi(profile.counts, counts),
        gated_psi=worst,
        floor=values.floor,
        severity=severity(worst, warning, critical),
        missing_share=missing / len(window) if window else 0.0,
        baseline_missing_share=absent / (present + absent) if present + absent else 0.0,
    )


def _swapped_with(name: str, baseline: Profile, window: Sequence[dict[str, Any]]) -> str | None:
    """Another numeric feature whose baseline these values fit: a pipeline fault that retraining would hide."""
    if baseline[name].kind != "deciles":
        return None
    column = [row.get(name) for row in window]
    for other, profile in baseline.items():
        if other == name or profile.kind != "deciles" or len(profile.counts) < _SWAP_BINS:
            continue
        counts, _ = count(profile, column)
        if published_psi(profile.counts, counts) < _SWAP_FITS:
            return other
    return None
