"""The settings that steer one run, snapshotted into its input: no workflow reads an environment.

Shares and severities are 0-1, traffic percentages 0-100. Defaults are the runbook's, in DESIGN §5's words.
Ranges are checked by `policies.settings.check_policy`, not here: models under replay stay permissive.
"""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from contracts.base import Contract


class DriftPolicy(Contract):
    """When drift is drift (runbook §2, §5.2, §7.2)."""

    normal_severity: float = 0.5
    critical_severity: float = 0.8
    min_severity_for_auto_remediation: float = 0.75


class CanaryPolicy(Contract):
    """How a canary is walked and judged (runbook §7.3).

    `error_rate_threshold` is an absolute ceiling on the share of failed predictions. `quality_margin` is
    how much worse (Brier score, 0-1) than the concurrent baseline arm a canary may measure.
    """

    stages: list[float] = Field(default_factory=lambda: [5.0, 25.0, 50.0, 100.0])
    evaluation_window: timedelta = timedelta(hours=1)
    minimum_predictions: int = 1000
    error_rate_threshold: float = 0.05
    minimum_labelled: int = 200
    quality_margin: float = 0.02
    judge: str = "threshold"
    stalled_after: timedelta = timedelta(hours=2)
    pause_limit: timedelta = timedelta(hours=24)
    looks_per_run: int = 200


class GatePolicy(Contract):
    """Who may decide, how many must, by when. `approvers` are shell patterns over the approver's name."""

    always_ask: bool = False
    approvers: list[str] = Field(default_factory=lambda: ["*"])
    quorum: int = 1
    four_eyes: bool = True
    require_authenticated: bool = False
    plan_timeout: timedelta = timedelta(hours=4)
    canary_timeout: timedelta = timedelta(hours=1)
    always_gated_steps: list[str] = Field(default_factory=lambda: ["PROMOTE_VERSION", "REFRESH_BASELINE"])


class EscalationTier(Contract):
    """Who is paged once a wait is `after` old and nobody has acknowledged it."""

    after: timedelta
    audience: str
    channel: str = ""


def _runbook_ladder() -> list[EscalationTier]:
    return [
        EscalationTier(after=timedelta(0), audience="on-call engineer", channel="#ml-platform-oncall"),
        EscalationTier(after=timedelta(minutes=15), audience="ML platform team", channel="#ml-platform-oncall"),
        EscalationTier(after=timedelta(minutes=30), audience="ML model owners", channel="#perception-support"),
        EscalationTier(after=timedelta(hours=1), audience="engineering management"),
    ]


class EscalationPolicy(Contract):
    """The ladder of the runbook's section "Escalation"; the last tier is repeated every `repeat`."""

    tiers: list[EscalationTier] = Field(default_factory=_runbook_ladder)
    repeat: timedelta = timedelta(hours=1)
    urgent_starts_at_tier: int = 1


class VerificationPolicy(Contract):
    """A window, not one look (runbook §5): `consecutive` good looks in a row within `window`."""

    window: timedelta = timedelta(minutes=30)
    interval: timedelta = timedelta(minutes=5)
    consecutive: int = 3


class RemediationPolicy(Contract):
    """Everything that steers a run. Its `content_hash` is recorded with the run."""

    drift: DriftPolicy = DriftPolicy()
    canary: CanaryPolicy = CanaryPolicy()
    gate: GatePolicy = GatePolicy()
    escalation: EscalationPolicy = EscalationPolicy()
    verification: VerificationPolicy = VerificationPolicy()
    max_attempts: int = 3
    outage_patience: timedelta = timedelta(minutes=10)
    loop_latency_slo: timedelta = timedelta(seconds=30)
