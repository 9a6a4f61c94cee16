"""PLATO: plans (runbook §3.3)."""

from __future__ import annotations

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.http import Service, segment
from activities.ports import PlatoPort
from contracts.plato import CreatePlan, Plan, PlanStatusChange
from contracts.steps import PlanMove, PlanRequest


class PlatoActivities(PlatoPort):
    """Creates plans and tells PLATO how they stand."""

    def __init__(self, plato: Service) -> None:
        self._plato = plato

    @activity.defn(name="plato.create_plan")
    async def create_plan(self, request: PlanRequest) -> Plan:
        body = CreatePlan(
            model=request.model,
            severity=request.severity,
            attempt=request.attempt,
            excluded_versions=request.excluded_versions,
        )
        return await self._plato.post(Plan, "/api/v1/plans", request.tenant, body, request.key)

    @activity.defn(name="plato.move_plan")
    async def move_plan(self, request: PlanMove) -> Plan:
        path = f"/api/v1/plans/{segment(request.plan_id)}"
        body = PlanStatusChange(status=request.status, reason=request.reason)
        try:
            # Desired state: PLATO takes a repeat as the same statement, so no key is needed.
            return await self._plato.post(Plan, f"{path}/status", request.tenant, body)
        except ApplicationError as error:
            if error.type != "Conflict":
                raise
            plan = await self._plato.get(Plan, path, request.tenant)
            if plan.status is not request.status:
                raise
            return plan
