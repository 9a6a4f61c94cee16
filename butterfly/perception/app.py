"""PERCEPTION's HTTP API: the runbook's paths and fields, and what an embedded ecosystem needs beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI, Response
from prometheus_client import CollectorRegistry
from sqlalchemy.engine import Connection

from butterfly.perception import deployments, drift, registry, serving
from butterfly.perception.drift import DriftSettings
from butterfly.perception.metrics import PerceptionMetrics
from butterfly.perception.outbox import Outbox
from butterfly.perception.tables import metadata
from butterfly.storage import Store
from butterfly.web import Caller, make_app, page
from contracts.base import Page
from contracts.perception import (
    AdvanceRequest,
    Baseline,
    BaselineRequest,
    CanaryRequest,
    Deployment,
    DeploymentStats,
    DriftAnalysis,
    DriftConfig,
    DriftStatus,
    ModelVersion,
    OutcomesRequest,
    PredictRequest,
    PredictResponse,
    PromoteRequest,
    ReasonRequest,
    RegisterModel,
    RegisterVersion,
)


@dataclass(frozen=True)
class PerceptionSettings:
    """One PERCEPTION. `webhook` is where MODEL_DRIFT signals go; empty sends none."""

    database: str
    tenants: frozenset[str]
    webhook: str = ""
    webhook_token: str = ""
    drift: DriftSettings = field(default_factory=DriftSettings)


def create_app(settings: PerceptionSettings) -> FastAPI:
    """The service."""
    store = Store(settings.database, metadata)
    metrics = CollectorRegistry()
    metrics.register(PerceptionMetrics(store))
    app = make_app("PERCEPTION", "Drift detection, models, canaries", store, settings.tenants, metrics)
    app.router.lifespan_context = _lifespan(store, settings)
    app.include_router(_drift_routes(settings.drift), prefix="/api/v1", tags=["drift"])
    app.include_router(_registry_routes(), prefix="/api/v1", tags=["registry"])
    app.include_router(_deployment_routes(), prefix="/api/v1", tags=["deployments"])
    app.include_router(_serving_routes(settings.drift), prefix="/api/v1", tags=["serving"])
    return app


def _lifespan(store: Store, settings: PerceptionSettings) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        outbox = Outbox(store, settings.webhook, settings.webhook_token, settings.drift.repeat)
        if settings.webhook:
            outbox.start()
        try:
            yield
        finally:
            if settings.webhook:
                outbox.stop()
            store.close()

    return lifespan


def _drift_routes(settings: DriftSettings) -> APIRouter:
    api = APIRouter()

    def measured(call: Caller, name: str) -> DriftAnalysis:
        # Measuring writes (episodes, the last analysis), so it takes the writer's road.
        with call.store.write(f"{call.tenant}/{name}") as tx:
            return drift.measure(tx, call.tenant, name, settings)

    @api.get("/drift/models", summary="All models with their drift status (runbook 3.1)")
    def list_drift(call: Caller) -> Page[DriftStatus]:
        with call.store.read() as tx:
            names = drift.all_models(tx, call.tenant)
        return page([drift.status(measured(call, name)) for name in names])

    @api.get("/drift/models/{name}/analyze", summary="Drift by feature (runbook 3.1)")
    def analyze(name: str, call: Caller) -> DriftAnalysis:
        return measured(call, name)

    @api.get("/drift/models/{name}/status", summary="Severity now (runbook 5.2)")
    def status(name: str, call: Caller) -> DriftStatus:
        return drift.status(measured(call, name))

    @api.post(
        "/drift/models/{name}/baseline", status_code=201, response_model=Baseline, summary="Register a baseline (4.6)"
    )
    def post_baseline(name: str, body: BaselineRequest, call: Caller) -> Response:
        return call.write(name, lambda tx: registry.register_baseline(tx, call, name, body), 201)

    @api.delete("/drift/models/{name}/baseline", summary="Clear the baseline (4.6)")
    def delete_baseline(name: str, call: Caller) -> Response:
        return call.write(name, lambda tx: registry.delete_baseline(tx, call, name))

    @api.get("/config/drift", summary="Whether auto-remediation is on")
    def get_config(call: Caller) -> DriftConfig:
        with call.store.read() as tx:
            return drift.get_config(tx, call.tenant)

    @api.put("/config/drift", response_model=DriftConfig, summary="Switch auto-remediation (4.5)")
    def put_config(body: DriftConfig, call: Caller) -> Response:
        return call.write("", lambda tx: drift.put_config(tx, call, body))

    return api


def _registry_routes() -> APIRouter:
    api = APIRouter()

    @api.post("/models", status_code=201, response_model=RegisterModel, summary="Register a model")
    def post_model(body: RegisterModel, call: Caller) -> Response:
        return call.write(body.name, lambda tx: registry.register_model(tx, call, body), 201)

    @api.post("/models/{name}/versions", status_code=201, response_model=ModelVersion, summary="Register a version")
    def post_version(name: str, body: RegisterVersion, call: Caller) -> Response:
        return call.write(name, lambda tx: registry.register_version(tx, call, name, body), 201)

    @api.get("/models/{name}/versions", summary="Versions, newest first (4.7)")
    def list_versions(name: str, call: Caller, stage: str | None = None) -> Page[ModelVersion]:
        with call.store.read() as tx:
            return page(registry.list_versions(tx, call.tenant, name, stage))

    @api.post(
        "/models/{name}/versions/{version}/promote", response_model=ModelVersion, summary="Put into production (4.7)"
    )
    def promote(name: str, version: str, body: PromoteRequest, call: Caller) -> Response:
        return call.write(name, lambda tx: registry.promote(tx, call, name, version, body))

    return api


def _deployment_routes() -> APIRouter:
    api = APIRouter(prefix="/models/{name}/deployments")

    @api.post("/canary", status_code=201, response_model=Deployment, summary="Start a canary")
    def start(name: str, body: CanaryRequest, call: Caller) -> Response:
        return call.write(name, lambda tx: deployments.start(tx, call, name, body), 201)

    @api.get("", summary="Deployments, newest first (3.2)")
    def list_deployments(name: str, call: Caller, status: str | None = None) -> Page[Deployment]:
        with call.store.read() as tx:
            return page(deployments.find(tx, call.tenant, name, status))

    @api.get("/{id}", summary="One deployment (3.2, 5.3)")
    def get(name: str, id: str, call: Caller) -> Deployment:
        with call.store.read() as tx:
            return deployments.get(tx, call.tenant, name, id)

    @api.get("/{id}/stats", summary="Both arms' running totals")
    def stats(name: str, id: str, call: Caller) -> DeploymentStats:
        with call.store.read() as tx:
            return deployments.stats(tx, call.tenant, name, id)

    @api.post("/{id}/advance", response_model=Deployment, summary="One stage up (4.4)")
    def advance(name: str, id: str, call: Caller, body: AdvanceRequest | None = None) -> Response:
        return call.write(name, lambda tx: deployments.advance(tx, call, name, id, body))

    @api.post("/{id}/rollback", response_model=Deployment, summary="Back to 0 % (4.2)")
    def rollback(name: str, id: str, call: Caller, body: ReasonRequest | None = None) -> Response:
        reason = body.reason if body is not None else ""
        return call.write(name, lambda tx: deployments.roll_back(tx, call, name, id, reason))

    def mover(move: Callable[..., Deployment]) -> Callable[..., Response]:
        # The body is optional and only documents why: `curl -X POST` alone does.
        def route(name: str, id: str, call: Caller, body: ReasonRequest | None = None) -> Response:  # noqa: ARG001
            def effect(tx: Connection) -> Deployment:
                return move(tx, call, name, id)

            return call.write(name, effect)

        return route

    api.post("/{id}/pause", response_model=Deployment, summary="Keep the split as it is (4.3)")(
        mover(deployments.pause)
    )
    api.post("/{id}/resume", response_model=Deployment, summary="Go on (4.3)")(mover(deployments.resume))
    return api


def _serving_routes(settings: DriftSettings) -> APIRouter:
    api = APIRouter()

    @api.post("/models/{name}/predictions", response_model=PredictResponse, summary="Score a batch")
    def predict(name: str, body: PredictRequest, call: Caller) -> Response:
        def effect(tx: Connection) -> PredictResponse:
            answer = serving.predict(tx, call, name, body)
            drift.measure(tx, call.tenant, name, settings, every=settings.step_rows)
            return answer

        return call.write(name, effect)

    @api.post("/models/{name}/outcomes", summary="Tell the truth about earlier predictions")
    def outcomes(name: str, body: OutcomesRequest, call: Caller) -> Response:
        return call.write(name, lambda tx: serving.take_outcomes(tx, call, name, body.outcomes))

    return api
