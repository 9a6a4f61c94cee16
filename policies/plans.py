"""Plans as driftloop reads them."""

from __future__ import annotations

from datetime import datetime

from contracts.perception import Deployment
from contracts.plato import DRIFT_REMEDIATION, Plan, PlanStatus, PlanStep, StepType

_ADOPTED = "adopt:"


def adoption(deployment: Deployment, severity: float, now: datetime) -> Plan:
    """A plan of our own for a canary that somebody else started: see it through, like one of ours."""
    return Plan(
        id=f"{_ADOPTED}{deployment.id}",
        plan_type=DRIFT_REMEDIATION,
        tenant_id=deployment.tenant_id,
        model=deployment.model,
        status=PlanStatus.PROPOSED,
        severity=severity,
        rationale=f"canary {deployment.id} of {deployment.version} is open already: it gets an owner",
        steps=[
            PlanStep(
                id="s1",
                type=StepType.CANARY,
                description=f"adopt canary {deployment.id} of {deployment.version}",
                params={"version": deployment.version, "deploymentId": deployment.id},
            )
        ],
        created_at=now,
    )


def is_adopted(plan: Plan) -> bool:
    """Whether PLATO knows nothing of this plan."""
    return plan.id.startswith(_ADOPTED)


def acts(plan: Plan) -> bool:
    """Whether the plan changes anything; one that only observes can't fix what it observes."""
    return any(step.type != StepType.OBSERVE for step in plan.steps)


def with_policy_stages(step: PlanStep, stages: list[float]) -> PlanStep:
    """A canary step walks the stages of the policy that approved it."""
    if step.type != StepType.CANARY:
        return step
    return step.model_copy(update={"params": {**step.params, "initialPercentage": stages[0], "stages": stages}})


def describe(step: PlanStep) -> str:
    """One step, in words with its parameters."""
    params = ", ".join(f"{name} {value}" for name, value in sorted(step.params.items()))
    return f"{step.id} {step.type}: {step.description or params}" + (
        f" ({params})" if step.description and params else ""
    )
