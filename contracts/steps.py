"""Requests and answers of activities: one argument, one result each."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from contracts.base import Contract
from contracts.gate import Verb
from contracts.perception import DeploymentStatus
from contracts.plato import PlanStatus, PlanStep
from contracts.remediation import RemediationResult, RemediationStatus
from contracts.timeline import TimelineEvent


class ModelRef(Contract):
    """Which model of which tenant."""

    tenant: str
    model: str


class PlanRequest(ModelRef):
    """Ask PLATO for a plan. `key` is the business key: one plan per episode and attempt."""

    severity: float
    attempt: int
    excluded_versions: list[str] = Field(default_factory=list)
    key: str


class PlanMove(Contract):
    """Tell PLATO how a plan stands."""

    tenant: str
    plan_id: str
    status: PlanStatus
    reason: str = ""


class StepRequest(ModelRef):
    """Have SYNAPSE carry out one plan step; `key` = plan hash + step."""

    plan_id: str
    step: PlanStep
    key: str
    reason: str = ""


class StepResult(Contract):
    """What SYNAPSE says became of a step."""

    action_id: str
    result: dict[str, Any] = Field(default_factory=dict)


class CanaryRef(ModelRef):
    """Which deployment."""

    deployment_id: str


class CanaryMove(CanaryRef):
    """Move a canary; `to_percentage` is what an advance must end at, `from_percentage` what it starts from."""

    verb: Verb
    reason: str = ""
    from_percentage: float | None = None
    to_percentage: float | None = None


class SettleRequest(ModelRef):
    """Make sure that no canary of this plan is left open: started under a key with the prefix, or named."""

    plan_id: str
    started_by: str
    deployment_id: str = ""
    reason: str


class Settled(Contract):
    """Deployments that were found under the prefix, and how they stand now."""

    deployments: dict[str, DeploymentStatus] = Field(default_factory=dict)
    rolled_back: list[str] = Field(default_factory=list)


class VerifyRequest(ModelRef):
    """Look at everything runbook §5 lists. A rollback that is not among `known_rollbacks` is a new one."""

    normal_severity: float
    deployment_id: str | None = None
    known_rollbacks: list[str] = Field(default_factory=list)


class Page(Contract):
    """A page to a human: what is wrong, what is proposed, the line that answers. `key` makes it one page."""

    tenant: str
    model: str
    workflow_id: str
    audience: str
    channel: str
    title: str
    body: str
    key: str


class PageResult(Contract):
    """Where a page went."""

    delivered_to: list[str]


class ReportRequest(Contract):
    """Everything the incident report says (runbook §7.1)."""

    status: RemediationStatus
    result: RemediationResult
    timeline: list[TimelineEvent]
    key: str


class ReportResult(Contract):
    """Where the report was written."""

    location: str
