"""PLATO on the wire: remediation plans (runbook §3.3)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from contracts.base import Contract, Wire, content_hash

DRIFT_REMEDIATION = "DRIFT_REMEDIATION"


class StepType(StrEnum):
    """The steps driftloop can execute. A plan may name others: that is an error with a name, not a guess."""

    CANARY = "CANARY"
    PROMOTE_VERSION = "PROMOTE_VERSION"
    REFRESH_BASELINE = "REFRESH_BASELINE"
    OBSERVE = "OBSERVE"


class PlanStatus(StrEnum):
    """A plan's life in PLATO; the last four are final."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    EXECUTING = "EXECUTING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class PlanStep(Wire):
    """One step. `type` is a string on purpose: an unknown one must be readable to be refused."""

    id: str
    type: str
    description: str = ""
    params: dict[str, Any] = Field(default_factory=dict)


class Plan(Wire):
    """A remediation plan as PLATO keeps it."""

    id: str
    plan_type: str
    tenant_id: str
    model: str
    status: PlanStatus
    severity: float
    attempt: int = 1
    rationale: str = ""
    steps: list[PlanStep] = Field(default_factory=list)
    created_at: datetime


class CreatePlan(Wire):
    """`POST /plans`, with an `Idempotency-Key`: the same key answers with the same plan."""

    plan_type: str = DRIFT_REMEDIATION
    model: str
    severity: float
    attempt: int = 1
    excluded_versions: list[str] = Field(default_factory=list)


class PlanStatusChange(Wire):
    """`POST /plans/{id}/status`: desired state, so twice is once."""

    status: PlanStatus
    reason: str = ""


class _PlanEssence(Contract):
    plan_id: str
    model: str
    steps: list[PlanStep]


def plan_hash(plan: Plan) -> str:
    """What an approval is bound to: the plan's identity, model and steps; not its status or wording around it."""
    return content_hash(_PlanEssence(plan_id=plan.id, model=plan.model, steps=plan.steps))
