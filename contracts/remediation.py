"""The main loop's input, state and end."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from contracts.alerts import Alert
from contracts.base import Contract
from contracts.canary import CanaryView
from contracts.gate import Gate
from contracts.perception import Deployment, DriftState, FeatureDrift
from contracts.plato import Plan
from contracts.policy import RemediationPolicy
from contracts.timeline import TimelineEvent


class Phase(StrEnum):
    """Where the loop is (DESIGN §3)."""

    ANALYZING = "ANALYZING"
    PLANNING = "PLANNING"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    EXECUTING = "EXECUTING"
    CANARY = "CANARY"
    VERIFYING = "VERIFYING"
    CLOSING = "CLOSING"


class Outcome(StrEnum):
    """How a remediation ended."""

    RESOLVED = "RESOLVED"
    NO_DRIFT = "NO_DRIFT"
    ROLLED_BACK = "ROLLED_BACK"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    FAILED = "FAILED"
    SUPERSEDED = "SUPERSEDED"


class RemediationInput(Contract):
    """Start of `DriftRemediation`. `queued` alerts are handled by continued runs, in order."""

    tenant: str
    model: str
    alert: Alert
    policy: RemediationPolicy = RemediationPolicy()
    policy_hash: str = ""
    requested_by: str = ""
    urgent: bool = False
    queued: list[Alert] = Field(default_factory=list)
    seen_episodes: list[str] = Field(default_factory=list)


class Evidence(Contract):
    """What analysis found (runbook §3.1-3.4), at one moment. `severity` None: nobody could measure it."""

    at: datetime
    state: DriftState
    severity: float | None
    production_version: str | None = None
    window_rows: int = 0
    worst_features: list[FeatureDrift] = Field(default_factory=list)
    open_deployments: list[Deployment] = Field(default_factory=list)
    rolled_back_deployments: list[str] = Field(default_factory=list)
    recent_plans: int = 0
    failed_actions: int = 0
    auto_remediation_enabled: bool = True
    detected_at: datetime | None = None
    note: str = ""


class Check(Contract):
    """One line of runbook §5."""

    name: str
    ok: bool
    detail: str


class VerificationLook(Contract):
    """All checks of runbook §5, at one moment."""

    at: datetime
    severity: float | None
    checks: list[Check]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


class RemediationStatus(Contract):
    """Answer of the `status` query: what goes on, what is asked, and how to answer."""

    workflow_id: str
    run_id: str
    tenant: str
    model: str
    path: str
    phase: Phase
    outcome: Outcome | None = None
    reason: str = ""
    attempt: int = 1
    max_attempts: int = 1
    alert: Alert
    evidence: Evidence | None = None
    plan: Plan | None = None
    plan_hash: str = ""
    gate: Gate | None = None
    canary: CanaryView | None = None
    canary_workflow_id: str = ""
    verification: VerificationLook | None = None
    refused: list[TimelineEvent] = Field(default_factory=list)
    policy_hash: str = ""
    report: str = ""
    started_at: datetime
    canary_started_at: datetime | None = None


class RemediationResult(Contract):
    """The end of a remediation. `report` is where the incident report was written."""

    outcome: Outcome
    reason: str
    attempts: int
    severity_before: float | None = None
    severity_after: float | None = None
    promoted_version: str | None = None
    rolled_back_versions: list[str] = Field(default_factory=list)
    report: str = ""
