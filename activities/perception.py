"""PERCEPTION: canary deployments, moved as the runbook's operator moves them (§4.2-4.4)."""

from __future__ import annotations

from typing import assert_never

from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.http import Service, segment
from activities.ports import PerceptionPort
from contracts.canary import ArmCounts, CanaryReading
from contracts.gate import Verb
from contracts.perception import (
    AdvanceRequest,
    ArmCounters,
    Deployment,
    DeploymentStats,
    DeploymentStatus,
    ReasonRequest,
)
from contracts.steps import CanaryMove, CanaryRef


class PerceptionActivities(PerceptionPort):
    """Reads and moves canaries. Every write says the state it wants, so a repeat changes nothing."""

    def __init__(self, perception: Service) -> None:
        self._perception = perception

    @activity.defn(name="perception.read_canary")
    async def read_canary(self, request: CanaryRef) -> CanaryReading:
        deployment = await self._perception.get(Deployment, _path(request), request.tenant)
        return await self._reading(request, deployment)

    @activity.defn(name="perception.move_canary")
    async def move_canary(self, request: CanaryMove) -> CanaryReading:
        try:
            deployment = await self._perception.post(
                Deployment, f"{_path(request)}/{request.verb}", request.tenant, _body(request), _key(request)
            )
        except ApplicationError as error:
            if error.type != "Conflict":
                raise
            # A conflict may be our own earlier success whose answer was lost: look before giving up.
            deployment = await self._perception.get(Deployment, _path(request), request.tenant)
            if not _is_done(request, deployment):
                raise
        return await self._reading(request, deployment)

    async def _reading(self, request: CanaryRef, deployment: Deployment) -> CanaryReading:
        stats = await self._perception.get(DeploymentStats, f"{_path(request)}/stats", request.tenant)
        return CanaryReading(
            deployment_id=deployment.id,
            version=deployment.version,
            baseline_version=deployment.baseline_version,
            status=stats.status,
            traffic_percentage=stats.traffic_percentage,
            stages=deployment.stages,
            at=stats.at,
            baseline=_counts(stats.baseline),
            canary=_counts(stats.canary),
        )


def _path(request: CanaryRef) -> str:
    return f"/api/v1/models/{segment(request.model)}/deployments/{segment(request.deployment_id)}"


def _body(request: CanaryMove) -> BaseModel:
    if request.verb is Verb.ADVANCE:
        return AdvanceRequest(from_percentage=request.from_percentage, reason=request.reason)
    return ReasonRequest(reason=request.reason)


def _key(request: CanaryMove) -> str | None:
    """Advances and rollbacks happen once per stage and deployment. Pause and resume may come again, and are
    desired-state anyway: a recorded answer to an earlier pause must not stand in for a new one."""
    if request.verb is Verb.ADVANCE:
        return f"{request.deployment_id}:advance:{request.from_percentage:g}"
    return f"{request.deployment_id}:rollback" if request.verb is Verb.ROLLBACK else None


def _is_done(request: CanaryMove, deployment: Deployment) -> bool:
    status = deployment.status
    match request.verb:
        case Verb.ADVANCE:
            if request.to_percentage is None:
                return status is DeploymentStatus.PROMOTED
            # Paused since then is still advanced; rolled back since then shows as its status.
            return not status.is_open or deployment.traffic_percentage >= request.to_percentage
        case Verb.ROLLBACK:
            return not status.is_open
        case Verb.PAUSE:
            return status is DeploymentStatus.PAUSED or not status.is_open
        case Verb.RESUME:
            return status is DeploymentStatus.IN_PROGRESS or not status.is_open
        case Verb.ACKNOWLEDGE:
            return False
        case _:
            assert_never(request.verb)


def _counts(arm: ArmCounters) -> ArmCounts:
    return ArmCounts(
        predictions=arm.predictions,
        errors=arm.errors,
        labelled=arm.labelled,
        loss_sum=arm.loss_sum,
        loss_square_sum=arm.loss_square_sum,
    )
