"""PLATO's HTTP API (runbook §3.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import sqlalchemy as sa
from fastapi import FastAPI, Query, Response
from prometheus_client import CollectorRegistry
from sqlalchemy.engine import Connection, Row

from butterfly.plato.planner import plan_steps
from butterfly.storage import Store, journal, stamp
from butterfly.upstream import Perception
from butterfly.web import Call, Caller, Problem, make_app, page
from contracts.base import Page
from contracts.perception import Deployment, DriftAnalysis, ModelVersion
from contracts.plato import CreatePlan, Plan, PlanStatus, PlanStatusChange

metadata = sa.MetaData()
plans = sa.Table(
    "plans",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("plan_type", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("severity", sa.Float, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("rationale", sa.String, nullable=False),
    sa.Column("steps", sa.JSON, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
)

_FINAL = {PlanStatus.COMPLETED, PlanStatus.FAILED, PlanStatus.REJECTED, PlanStatus.EXPIRED}


@dataclass(frozen=True)
class PlatoSettings:
    """One PLATO and the PERCEPTION it asks."""

    database: str
    tenants: frozenset[str]
    perception_url: str


def create_app(settings: PlatoSettings) -> FastAPI:
    """The service."""
    store = Store(settings.database, metadata)
    http = httpx.Client(base_url=settings.perception_url, timeout=10, trust_env=False)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        http.close()  # noqa: ASYNC212 closes sockets, talks to nobody
        store.close()

    app = make_app("PLATO", "Remediation plans", store, settings.tenants, CollectorRegistry())
    app.router.lifespan_context = lifespan

    @app.post("/api/v1/plans", status_code=201, response_model=Plan, tags=["plans"], summary="Make a plan")
    def create(body: CreatePlan, call: Caller) -> Response:
        # PERCEPTION is asked inside the effect: under a key that was answered before, it is not asked again.
        return call.write(body.model, lambda tx: _create(tx, call, body, http), 201)

    @app.get("/api/v1/plans", tags=["plans"], summary="Plans, newest first (3.3)")
    def list_plans(
        call: Caller,
        plan_type: str = Query("", alias="planType"),
        limit: int = Query(50, ge=1, le=1000),
        model: str = "",
    ) -> Page[Plan]:
        query = sa.select(plans).where(plans.c.tenant == call.tenant)
        for column, value in ((plans.c.plan_type, plan_type), (plans.c.model, model)):
            query = query.where(column == value) if value else query
        with store.read() as tx:
            return page([_as_plan(row) for row in tx.execute(query.order_by(plans.c.number.desc()).limit(limit))])

    @app.get("/api/v1/plans/{id}", tags=["plans"], summary="One plan (3.3)")
    def get(id: str, call: Caller) -> Plan:
        with store.read() as tx:
            return _as_plan(_require(tx, call.tenant, id))

    @app.post("/api/v1/plans/{id}/status", response_model=Plan, tags=["plans"], summary="Say how a plan stands")
    def set_status(id: str, body: PlanStatusChange, call: Caller) -> Response:
        return call.write(id, lambda tx: _set_status(tx, call, id, body))

    return app


def _create(tx: Connection, call: Call, body: CreatePlan, http: httpx.Client) -> Plan:
    perception = Perception(http, call.tenant, call.trace)
    model = quote(body.model, safe="")
    analysis = perception.get(DriftAnalysis, f"/api/v1/drift/models/{model}/analyze")
    candidates = perception.get(Page[ModelVersion], f"/api/v1/models/{model}/versions", stage="CANDIDATE")
    deployments = perception.get(Page[Deployment], f"/api/v1/models/{model}/deployments")
    steps, rationale = plan_steps(analysis, candidates.content, deployments.content, body.excluded_versions)
    number = tx.execute(
        plans.insert()
        .values(
            tenant=call.tenant,
            model=body.model,
            plan_type=body.plan_type,
            status=PlanStatus.PROPOSED,
            severity=body.severity,
            attempt=body.attempt,
            rationale=rationale,
            steps=[step.model_dump(mode="json", by_alias=True) for step in steps],
            created_at=stamp(),
        )
        .returning(plans.c.number)
    ).scalar_one()
    _journal(tx, call, "plan.created", body.model, number, attempt=body.attempt)
    return _as_plan(_require(tx, call.tenant, f"plan-{number}"))


def _set_status(tx: Connection, call: Call, id: str, body: PlanStatusChange) -> Plan:
    row = _require(tx, call.tenant, id)
    if row.status != body.status:
        if row.status in _FINAL:
            raise Problem(409, "PLAN_ENDED", f"plan {id} is {row.status} for good: it can't become {body.status}")
        tx.execute(plans.update().where(plans.c.number == row.number).values(status=body.status))
        _journal(tx, call, "plan.status", row.model, row.number, status=body.status, reason=body.reason)
    return _as_plan(_require(tx, call.tenant, id))


def _require(tx: Connection, tenant: str, id: str) -> Row[Any]:
    number = id.removeprefix("plan-")
    row = None
    if id.startswith("plan-") and number.isdecimal() and len(number) < 10:
        row = tx.execute(sa.select(plans).where(plans.c.tenant == tenant, plans.c.number == int(number))).first()
    if row is None:
        raise Problem(404, "UNKNOWN_PLAN", f"there is no plan {id[:100]} for tenant {tenant}")
    return row


def _as_plan(row: Row[Any]) -> Plan:
    return Plan(
        id=f"plan-{row.number}",
        plan_type=row.plan_type,
        tenant_id=row.tenant,
        model=row.model,
        status=PlanStatus(row.status),
        severity=row.severity,
        attempt=row.attempt,
        rationale=row.rationale,
        steps=row.steps,
        created_at=row.created_at,
    )


def _journal(tx: Connection, call: Call, kind: str, model: str, number: int, **detail: Any) -> None:
    journal(tx, tenant=call.tenant, kind=kind, model=model, subject=f"plan-{number}", key=call.key, **detail)
