"""One canary: what was counted, what was concluded, where it stands."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from contracts.base import Contract
from contracts.gate import Command, CommandAck, Decision, Gate
from contracts.perception import DeploymentStatus
from contracts.policy import RemediationPolicy
from contracts.timeline import TimelineEvent


class ArmCounts(Contract):
    """One arm's sufficient statistics: n, failures, labelled n, sum and sum of squares of the loss (0-1 each)."""

    predictions: int = 0
    errors: int = 0
    labelled: int = 0
    loss_sum: float = 0.0
    loss_square_sum: float = 0.0

    @property
    def error_rate(self) -> float | None:
        """Share 0-1 of predictions that failed; None without predictions."""
        return self.errors / self.predictions if self.predictions else None

    @property
    def mean_loss(self) -> float | None:
        """Mean loss 0-1 over labelled predictions; None without labels."""
        return self.loss_sum / self.labelled if self.labelled else None

    def since(self, earlier: ArmCounts) -> ArmCounts:
        """What was counted after `earlier`. A counter that fell was reset: then everything counts as new."""
        if self.predictions < earlier.predictions or self.labelled < earlier.labelled:
            return self
        return ArmCounts(
            predictions=self.predictions - earlier.predictions,
            errors=max(0, self.errors - earlier.errors),
            labelled=self.labelled - earlier.labelled,
            loss_sum=max(0.0, self.loss_sum - earlier.loss_sum),
            loss_square_sum=max(0.0, self.loss_square_sum - earlier.loss_square_sum),
        )


class CanaryReading(Contract):
    """A deployment and both arms' running totals, read at one moment."""

    deployment_id: str
    version: str
    baseline_version: str
    status: DeploymentStatus
    traffic_percentage: float
    stages: list[float]
    at: datetime
    baseline: ArmCounts
    canary: ArmCounts


class Verdict(StrEnum):
    """What a judge can say."""

    ADVANCE = "ADVANCE"
    ROLLBACK = "ROLLBACK"
    WAIT = "WAIT"


class Judgement(Contract):
    """A verdict with the numbers it rests on. `needed` is how many canary predictions the stage still lacks."""

    verdict: Verdict
    reasons: list[str]
    baseline: ArmCounts
    canary: ArmCounts
    needed: int = 0
    judge: str = ""


class Look(Contract):
    """One evaluation on record."""

    at: datetime
    traffic_percentage: float
    judgement: Judgement


class CanaryPhase(StrEnum):
    """What the owner of a canary is doing."""

    OBSERVING = "OBSERVING"
    PAUSED = "PAUSED"
    ROLLING_BACK = "ROLLING_BACK"
    ENDED = "ENDED"


class CanaryView(Contract):
    """How a canary stands, for its parent, for operators and across continue-as-new."""

    deployment_id: str
    version: str = ""
    baseline_version: str = ""
    status: DeploymentStatus = DeploymentStatus.IN_PROGRESS
    phase: CanaryPhase = CanaryPhase.OBSERVING
    traffic_percentage: float = 0.0
    stages: list[float] = Field(default_factory=list)
    stage_entered_at: datetime | None = None
    looks: int = 0
    last_look: Look | None = None
    gate: Gate | None = None
    ended_because: str = ""
    ended_by: str = ""


class CanaryState(Contract):
    """What a continued run needs to go on as if nothing had happened."""

    view: CanaryView
    stage_start: CanaryReading | None = None
    next_look_at: datetime | None = None
    paused_at: datetime | None = None
    unread_since: datetime | None = None
    unread_paged: bool = False
    gates_opened: int = 0
    inbox: list[Command] = Field(default_factory=list)
    timeline: list[TimelineEvent] = Field(default_factory=list)


class CanaryInput(Contract):
    """Start of `CanaryRollout`: a deployment that exists already, started by us or by somebody else."""

    tenant: str
    model: str
    deployment_id: str
    plan_hash: str
    policy: RemediationPolicy
    requested_by: str = ""
    urgent: bool = False
    state: CanaryState | None = None


class CanaryOutcome(StrEnum):
    """How a canary ended. SUPERSEDED: somebody outside driftloop ended it."""

    PROMOTED = "PROMOTED"
    ROLLED_BACK = "ROLLED_BACK"
    SUPERSEDED = "SUPERSEDED"


class CanaryResult(Contract):
    """The end of a canary. `by_judge` is False when a person, silence or a failure ended it."""

    outcome: CanaryOutcome
    version: str
    reason: str
    by_judge: bool
    by: str = ""
    last_look: Look | None = None
    timeline: list[TimelineEvent] = Field(default_factory=list)


class CanaryReport(Contract):
    """Child to parent: how the canary stands, the news since the last report, and answers to orders."""

    view: CanaryView
    news: list[TimelineEvent] = Field(default_factory=list)
    answers: list[CommandAck] = Field(default_factory=list)


class CanaryOrder(Contract):
    """Parent to child: an operator's order or decision, already checked once."""

    command: Command | None = None
    decision: Decision | None = None
