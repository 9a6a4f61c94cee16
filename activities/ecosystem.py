"""Analysis (runbook §3) and verification (§5): one activity each, all services asked at once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.http import Service, segment
from activities.ports import EcosystemPort
from activities.synapse import FIRST_POLL, LONGEST_POLL
from contracts.perception import (
    Deployment,
    DeploymentStatus,
    DriftAnalysis,
    DriftConfig,
    DriftStatus,
    Health,
    ReasonRequest,
)
from contracts.plato import DRIFT_REMEDIATION, Plan
from contracts.remediation import Check, Evidence, VerificationLook
from contracts.steps import ModelRef, Settled, SettleRequest, VerifyRequest
from contracts.synapse import Action, ActionStatus

_WORST_FEATURES = 5


class EcosystemActivities(EcosystemPort):
    """Reads PERCEPTION, PLATO and SYNAPSE side by side."""

    def __init__(self, perception: Service, plato: Service, synapse: Service) -> None:
        self._perception = perception
        self._plato = plato
        self._synapse = synapse

    @activity.defn(name="ecosystem.analyze")
    async def analyze(self, request: ModelRef) -> Evidence:
        tenant, model = request.tenant, segment(request.model)
        analysis, deployments, config, plans, actions = await asyncio.gather(
            self._perception.get(DriftAnalysis, f"/api/v1/drift/models/{model}/analyze", tenant),
            self._perception.get_all(Deployment, f"/api/v1/models/{model}/deployments", tenant),
            self._perception.get(DriftConfig, "/api/v1/config/drift", tenant),
            self._plato.get_all(Plan, "/api/v1/plans", tenant, planType=DRIFT_REMEDIATION, limit=10),
            self._synapse.get_all(Action, "/api/v1/actions/nexus", tenant, rimNodeId=f"rim:model:{request.model}"),
        )
        worst = sorted(analysis.features, key=lambda feature: feature.gated_psi, reverse=True)
        return Evidence(
            at=datetime.now(UTC),
            state=analysis.state,
            severity=analysis.severity,
            production_version=analysis.production_version,
            window_rows=analysis.window_rows,
            worst_features=worst[:_WORST_FEATURES],
            open_deployments=[deployment for deployment in deployments if deployment.status.is_open],
            rolled_back_deployments=_rolled_back(deployments),
            recent_plans=sum(plan.model == request.model for plan in plans),
            failed_actions=sum(action.status is ActionStatus.FAILED for action in actions),
            auto_remediation_enabled=config.auto_remediation_enabled,
            detected_at=analysis.detected_at,
            note=analysis.note,
        )

    @activity.defn(name="ecosystem.verify")
    async def verify(self, request: VerifyRequest) -> VerificationLook:
        tenant, model = request.tenant, segment(request.model)
        healths = await asyncio.gather(
            *(self._health(service) for service in (self._perception, self._synapse, self._plato))
        )
        status, deployments = await asyncio.gather(
            self._perception.get(DriftStatus, f"/api/v1/drift/models/{model}/status", tenant),
            self._perception.get_all(Deployment, f"/api/v1/models/{model}/deployments", tenant),
        )
        return VerificationLook(
            at=datetime.now(UTC),
            severity=status.severity,
            checks=[
                *healths,
                _severity_check(status, request.normal_severity),
                *_canary_checks(request, deployments),
            ],
        )

    @activity.defn(name="ecosystem.settle")
    async def settle(self, request: SettleRequest) -> Settled:
        await self._wait_for_actions(request)
        path = f"/api/v1/models/{segment(request.model)}/deployments"
        ours = [
            deployment
            for deployment in await self._perception.get_all(Deployment, path, request.tenant)
            if deployment.id == request.deployment_id or deployment.started_by.startswith(request.started_by)
        ]
        found = {deployment.id: deployment.status for deployment in ours}
        open_ones = [deployment.id for deployment in ours if deployment.status.is_open]
        for deployment_id in open_ones:
            ended = await self._perception.post(
                Deployment,
                f"{path}/{segment(deployment_id)}/rollback",
                request.tenant,
                ReasonRequest(reason=request.reason),
                f"{deployment_id}:rollback",
            )
            found[deployment_id] = ended.status
        return Settled(deployments=found, rolled_back=open_ones)

    async def _wait_for_actions(self, request: SettleRequest) -> None:
        """An action that is still under way could start a canary after we looked."""
        path = f"/api/v1/actions/by-plato-plan/{segment(request.plan_id)}"
        wait = FIRST_POLL
        while True:
            actions = await self._synapse.get_all(Action, path, request.tenant)
            if all(action.status.is_final for action in actions):
                return
            activity.heartbeat(len(actions))
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, LONGEST_POLL)

    async def _health(self, service: Service) -> Check:
        """A service that is down is a finding here, not an error."""
        try:
            health = await service.get(Health, "/actuator/health", tenant="")
        except ApplicationError as error:
            return Check(name=f"{service.name} health", ok=False, detail=error.message)
        return Check(name=f"{service.name} health", ok=health.status == "UP", detail=health.status)


def _severity_check(status: DriftStatus, normal: float) -> Check:
    if status.severity is None:
        return Check(name="drift severity", ok=False, detail=f"not measured: {status.state}")
    return Check(
        name="drift severity", ok=status.severity < normal, detail=f"{status.severity:.2f} (normal below {normal:g})"
    )


def _canary_checks(request: VerifyRequest, deployments: list[Deployment]) -> list[Check]:
    rollbacks = [id for id in _rolled_back(deployments) if id not in request.known_rollbacks]
    checks = [
        Check(
            name="no new rollbacks",
            ok=not rollbacks,
            detail=f"rolled back meanwhile: {', '.join(rollbacks) or 'none'}",
        )
    ]
    for deployment in deployments:
        if deployment.id == request.deployment_id:
            promoted = deployment.status is DeploymentStatus.PROMOTED
            checks.append(Check(name=f"canary {deployment.id}", ok=promoted, detail=deployment.status))
    return checks


def _rolled_back(deployments: list[Deployment]) -> list[str]:
    return [deployment.id for deployment in deployments if deployment.status is DeploymentStatus.ROLLED_BACK]
