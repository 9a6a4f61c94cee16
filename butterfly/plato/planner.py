"""What to do about a drifting model: pure, from what PERCEPTION says."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.perception import Deployment, DeploymentStatus, DriftAnalysis, DriftState, ModelVersion
from contracts.plato import PlanStep, StepType

_STAGES = [5.0, 25.0, 50.0, 100.0]


def plan_steps(
    analysis: DriftAnalysis,
    candidates: Sequence[ModelVersion],
    deployments: Sequence[Deployment],
    excluded: Sequence[str],
) -> tuple[list[PlanStep], str]:
    """Steps and why. A candidate that was rolled back once is not tried again."""
    worst = ", ".join(f"{f.feature} PSI {f.psi:.2f}" for f in analysis.features[:3] if f.severity > 0)
    if analysis.state is DriftState.NO_BASELINE:
        step = PlanStep(
            id="s1",
            type=StepType.REFRESH_BASELINE,
            description="register a baseline from what production serves",
            params={"version": analysis.production_version or "unknown", "source": "production", "windowDays": 14},
        )
        return [step], f"model {analysis.model} has no baseline: nothing can be measured without one"
    if any(feature.suspected_swap_with for feature in analysis.features):
        return [_observe(analysis.note)], analysis.note
    burnt = set(excluded) | {d.version for d in deployments if d.status is DeploymentStatus.ROLLED_BACK}
    fresh = [candidate for candidate in candidates if candidate.version not in burnt]
    if not fresh:
        tried = f"; rolled back before: {', '.join(sorted(burnt))}" if burnt else ""
        why = f"model {analysis.model} has no candidate left to try{tried}: register a retrained version"
        return [_observe(why)], why
    best = min(fresh, key=lambda version: (version.offline_loss is None, version.offline_loss or 0.0, version.version))
    claim = "no offline loss" if best.offline_loss is None else f"offline loss {best.offline_loss:.3f}"
    step = PlanStep(
        id="s1",
        type=StepType.CANARY,
        description=f"canary {best.version}",
        params={"version": best.version, "initialPercentage": _STAGES[0], "stages": _STAGES},
    )
    severity = "not measured" if analysis.severity is None else f"{analysis.severity:.2f}"
    return [step], (
        f"severity {severity}, worst {worst or 'none'}; {best.version} ({best.trained_on or 'training data unknown'}) "
        f"claims the best of {len(fresh)} candidates: {claim}"
    )


def _observe(why: str) -> PlanStep:
    return PlanStep(id="s1", type=StepType.OBSERVE, description=why)
