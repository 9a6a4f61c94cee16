"""PERCEPTION on the wire: drift, baselines, versions, canary deployments, serving (runbook §3.1, 3.2, 4.2-4.7)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from contracts.base import Wire


class DriftState(StrEnum):
    """What the last analysis could say. INSUFFICIENT_DATA and NO_BASELINE are not "no drift"."""

    STABLE = "STABLE"
    DRIFTING = "DRIFTING"
    CRITICAL = "CRITICAL"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"
    NO_BASELINE = "NO_BASELINE"


class DeploymentStatus(StrEnum):
    """The enforced life of a canary: IN_PROGRESS <-> PAUSED, then PROMOTED or ROLLED_BACK for good."""

    IN_PROGRESS = "IN_PROGRESS"
    PAUSED = "PAUSED"
    PROMOTED = "PROMOTED"
    ROLLED_BACK = "ROLLED_BACK"

    @property
    def is_open(self) -> bool:
        return self in (DeploymentStatus.IN_PROGRESS, DeploymentStatus.PAUSED)


class VersionStage(StrEnum):
    """Where a model version stands in the registry."""

    CANDIDATE = "CANDIDATE"
    PRODUCTION = "PRODUCTION"
    ARCHIVED = "ARCHIVED"


class Health(Wire):
    """`GET /actuator/health`: "UP" when the service can work."""

    status: str


class DriftStatus(Wire):
    """`GET /drift/models[/{name}/status]`: one model's last measured severity.

    `severity` is 0-1 (0.5 at the PSI warning threshold, 0.8 at the critical one), or None when the
    model was never measured against its present baseline.
    """

    model: str
    tenant_id: str
    state: DriftState
    severity: float | None = None
    production_version: str | None = None
    window_rows: int = 0
    detected_at: datetime | None = None
    analyzed_at: datetime | None = None


class FeatureDrift(Wire):
    """One feature's drift. `psi` is the published definition; `gated_psi` is 0 below the noise `floor`."""

    feature: str
    psi: float
    gated_psi: float
    floor: float
    severity: float
    missing_share: float = 0.0
    baseline_missing_share: float = 0.0
    suspected_swap_with: str | None = None


class DriftAnalysis(DriftStatus):
    """`GET /drift/models/{name}/analyze`: the status and the features behind it, worst first."""

    baseline_version: str | None = None
    baseline_rows: int = 0
    features: list[FeatureDrift] = Field(default_factory=list)
    note: str = ""


class BaselineRequest(Wire):
    """`POST /drift/models/{name}/baseline`, as runbook §4.6 sends it."""

    version: str
    source: str = "production"
    window_days: int = 14


class Baseline(Wire):
    """A registered baseline: the profile that windows are compared with."""

    model: str
    version: str
    source: str
    rows: int
    registered_at: datetime


class DriftConfig(Wire):
    """`GET|PUT /config/drift`: per tenant."""

    auto_remediation_enabled: bool = True


class ModelVersion(Wire):
    """One registered version. `offline_loss` is what its maker claims; only a canary proves it."""

    model: str
    version: str
    stage: VersionStage
    offline_loss: float | None = None
    trained_on: str = ""
    registered_at: datetime
    promoted_at: datetime | None = None


class CanaryRequest(Wire):
    """`POST /models/{name}/deployments/canary`. Percentages are 0-100; `stages` ends with 100."""

    version: str
    initial_percentage: float = 5.0
    stages: list[float] = Field(default_factory=lambda: [5.0, 25.0, 50.0, 100.0])
    reason: str = ""


class AdvanceRequest(Wire):
    """Optional body of `…/advance`: move only if traffic still stands at `from_percentage`."""

    from_percentage: float | None = None
    reason: str = ""


class ReasonRequest(Wire):
    """Body of `…/rollback` (runbook §4.2) and optional body of pause and resume."""

    reason: str = ""


class PromoteRequest(Wire):
    """Body of `…/versions/{v}/promote` (runbook §4.7)."""

    stage: VersionStage = VersionStage.PRODUCTION
    reason: str = ""


class Deployment(Wire):
    """One canary deployment. `traffic_percentage` is the canary's share, 0-100."""

    id: str
    model: str
    tenant_id: str
    version: str
    baseline_version: str
    status: DeploymentStatus
    traffic_percentage: float
    stages: list[float] = Field(default_factory=list)
    reason: str = ""
    started_by: str = ""
    created_at: datetime
    updated_at: datetime


class ArmCounters(Wire):
    """One arm's counters since the deployment started; they only grow.

    `errors` are predictions that failed (exception, timeout, invalid output). `loss` is the Brier score
    of predictions whose label has arrived, each in 0-1: sum and sum of squares over `labelled`.
    """

    predictions: int = 0
    errors: int = 0
    labelled: int = 0
    loss_sum: float = 0.0
    loss_square_sum: float = 0.0
    latency_seconds_sum: float = 0.0
    latency_buckets: dict[str, int] = Field(default_factory=dict)


class DeploymentStats(Wire):
    """`GET …/deployments/{id}/stats`: both arms over the very same time, and where traffic stood then."""

    deployment_id: str
    status: DeploymentStatus
    traffic_percentage: float
    at: datetime
    baseline: ArmCounters
    canary: ArmCounters


class DriftSignal(Wire):
    """MODEL_DRIFT on `perception.signals` and on PERCEPTION's webhook: one per drift episode, re-sent as is."""

    type: str = "MODEL_DRIFT"
    tenant_id: str
    model: str
    severity: float
    fingerprint: str
    starts_at: datetime
    state: DriftState = DriftState.DRIFTING
    production_version: str | None = None


class RegisterModel(Wire):
    """`POST /models`: a model by name, with the features it is watched on."""

    name: str
    features: list[str]


class RegisterVersion(Wire):
    """`POST /models/{name}/versions`: parameters of a served model and the rows it was trained on.

    `reference` rows become the version's baseline profile: what it saw in training is what "not drifted" means.
    """

    version: str
    stage: VersionStage = VersionStage.CANDIDATE
    artefact: dict[str, Any]
    reference: list[dict[str, Any]] = Field(default_factory=list)
    offline_loss: float | None = None
    trained_on: str = ""


class Instance(Wire):
    """One request to be scored; `key` decides the arm, stickily."""

    key: str
    features: dict[str, Any]


class PredictRequest(Wire):
    """`POST /models/{name}/predictions`."""

    instances: list[Instance]


class Prediction(Wire):
    """One answer: a score in 0-1, or the error that the caller sees instead."""

    id: str
    key: str
    arm: str
    version: str
    score: float | None = None
    error: str | None = None


class PredictResponse(Wire):
    """Answers in request order."""

    predictions: list[Prediction]


class Outcome(Wire):
    """The truth about one prediction, known later: label 0 or 1."""

    prediction_id: str
    label: int


class OutcomesRequest(Wire):
    """`POST /models/{name}/outcomes`. An outcome told twice counts once."""

    outcomes: list[Outcome]
