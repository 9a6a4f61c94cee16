"""Canary judges: a pure function of per-arm counts to ADVANCE, ROLLBACK or WAIT.

A judge sees what both arms counted since the stage began, and the policy. It is chosen by name
(`canary.judge`), so that a better one replaces the plain rule without touching a workflow.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

from contracts.canary import ArmCounts, Judgement, Verdict
from contracts.policy import CanaryPolicy

Judge = Callable[[ArmCounts, ArmCounts, CanaryPolicy], Judgement]

# A difference of means must be this many standard errors before it counts as harm: one look in about 700
# of an equal canary is further out by chance (normal, one-sided).
_HARM_STANDARD_ERRORS = 3.0


def threshold_rule(baseline: ArmCounts, canary: ArmCounts, policy: CanaryPolicy) -> Judgement:
    """The runbook's plain rule (§7.3), on two measures.

    Failed predictions are held against an absolute ceiling, `error_rate_threshold`. Quality is held
    against the baseline arm over the same time, never against a constant. `minimum_predictions` is a
    floor for advancing only: errors that already exceed what that many predictions would allow roll back.
    """
    harm = [reason for reason in (_too_many_errors(canary, policy), _worse(baseline, canary, policy)) if reason]
    if harm:
        return _judgement(Verdict.ROLLBACK, harm, baseline, canary, policy)
    missing = _missing(baseline, canary, policy)
    if missing:
        return _judgement(Verdict.WAIT, missing, baseline, canary, policy)
    return _judgement(Verdict.ADVANCE, _praise(baseline, canary, policy), baseline, canary, policy)


JUDGES: dict[str, Judge] = {"threshold": threshold_rule}


def judge(baseline: ArmCounts, canary: ArmCounts, policy: CanaryPolicy) -> Judgement:
    """Ask the judge that the policy names. Raises KeyError for an unknown one: `check_policy` refuses it first."""
    return JUDGES[policy.judge](baseline, canary, policy)


def _too_many_errors(canary: ArmCounts, policy: CanaryPolicy) -> str:
    allowed = policy.error_rate_threshold * max(canary.predictions, policy.minimum_predictions)
    if canary.errors <= allowed:
        return ""
    return (
        f"{canary.errors} of {canary.predictions} predictions failed ({canary.error_rate or 0:.1%}); "
        f"the ceiling is {policy.error_rate_threshold:.1%}"
    )


def _worse(baseline: ArmCounts, canary: ArmCounts, policy: CanaryPolicy) -> str:
    difference = _loss_difference(baseline, canary)
    if difference is None or canary.labelled < min(30, policy.minimum_labelled):
        return ""
    error = sqrt(_mean_variance(baseline) + _mean_variance(canary))
    if difference - _HARM_STANDARD_ERRORS * error <= 0 or difference <= policy.quality_margin:
        return ""
    return (
        f"loss {canary.mean_loss:.3f} against {baseline.mean_loss:.3f} of the baseline over the same time: "
        f"worse by {difference:.3f} ± {error:.3f}, margin {policy.quality_margin:.3f}"
    )


def _missing(baseline: ArmCounts, canary: ArmCounts, policy: CanaryPolicy) -> list[str]:
    missing = []
    if canary.predictions < policy.minimum_predictions:
        missing.append(f"{canary.predictions} of {policy.minimum_predictions} predictions")
    if _has_control(baseline):
        if canary.labelled < policy.minimum_labelled:
            missing.append(f"{canary.labelled} of {policy.minimum_labelled} labels on the canary")
        if baseline.labelled < policy.minimum_labelled:
            missing.append(f"{baseline.labelled} of {policy.minimum_labelled} labels on the baseline")
        difference = _loss_difference(baseline, canary)
        if not missing and difference is not None and difference > policy.quality_margin:
            missing.append(f"loss is {difference:.3f} above the baseline's, not yet beyond chance")
    return missing


def _praise(baseline: ArmCounts, canary: ArmCounts, policy: CanaryPolicy) -> list[str]:
    praise = [f"error rate {canary.error_rate or 0:.1%} under the ceiling of {policy.error_rate_threshold:.1%}"]
    difference = _loss_difference(baseline, canary)
    if _has_control(baseline) and difference is not None:
        praise.append(
            f"loss {canary.mean_loss:.3f} against {baseline.mean_loss:.3f} of the baseline: within the margin"
        )
    else:
        praise.append("no baseline traffic to compare quality with")
    return praise


def _has_control(baseline: ArmCounts) -> bool:
    # At 100 % the baseline arm serves nobody, and quality is never held against a constant.
    return baseline.predictions > 0


def _loss_difference(baseline: ArmCounts, canary: ArmCounts) -> float | None:
    if baseline.mean_loss is None or canary.mean_loss is None:
        return None
    return canary.mean_loss - baseline.mean_loss


def _mean_variance(arm: ArmCounts) -> float:
    """Squared standard error of the mean loss."""
    if arm.labelled < 2 or arm.mean_loss is None:
        return 0.25  # the largest variance a loss in 0-1 can have
    spread = max(0.0, arm.loss_square_sum - arm.labelled * arm.mean_loss**2) / (arm.labelled - 1)
    return spread / arm.labelled


def _judgement(
    verdict: Verdict, reasons: list[str], baseline: ArmCounts, canary: ArmCounts, policy: CanaryPolicy
) -> Judgement:
    needed = max(policy.minimum_predictions - canary.predictions, 0)
    if _has_control(baseline):
        needed = max(needed, policy.minimum_labelled - canary.labelled)
    return Judgement(
        verdict=verdict, reasons=reasons, baseline=baseline, canary=canary, needed=needed, judge=policy.judge
    )
