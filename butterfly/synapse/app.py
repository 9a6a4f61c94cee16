"""SYNAPSE's HTTP API (runbook §3.4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
import sqlalchemy as sa
from fastapi import FastAPI, Query, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from butterfly.storage import Store
from butterfly.synapse import actions
from butterfly.synapse.executor import Executor
from butterfly.web import Caller, make_app, page
from contracts.base import Page
from contracts.plato import DRIFT_REMEDIATION
from contracts.synapse import Action, ActionStatus, SubmitAction


@dataclass(frozen=True)
class SynapseSettings:
    """One SYNAPSE and the PERCEPTION it acts on. `patience`: how long an outage there is waited out."""

    database: str
    tenants: frozenset[str]
    perception_url: str
    patience: timedelta = timedelta(seconds=60)


def create_app(settings: SynapseSettings) -> FastAPI:
    """The service and its executor."""
    store = Store(settings.database, actions.metadata)
    http = httpx.Client(base_url=settings.perception_url, timeout=10, trust_env=False)
    metrics = CollectorRegistry()
    metrics.register(_Decisions(store))
    executor = Executor(store, http)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        executor.start()
        yield
        executor.stop()
        http.close()  # noqa: ASYNC212 closes sockets, talks to nobody
        store.close()

    app = make_app("SYNAPSE", "Actions that carry out plans", store, settings.tenants, metrics)
    app.router.lifespan_context = lifespan

    @app.post("/api/v1/actions", status_code=202, response_model=Action, tags=["actions"], summary="Submit an action")
    def submit(body: SubmitAction, call: Caller) -> Response:
        return call.write("actions", lambda tx: actions.submit(tx, call, body, settings.patience), 202)

    @app.get("/api/v1/actions/nexus", tags=["actions"], summary="Actions on a RIM node (3.4)")
    def by_node(call: Caller, node: str = Query(alias="rimNodeId")) -> Page[Action]:
        model = node.removeprefix("rim:model:")
        with store.read() as tx:
            return page(actions.find(tx, call.tenant, actions.actions.c.model == model))

    @app.get("/api/v1/actions/by-plato-plan/{plan_id}", tags=["actions"], summary="Actions of a plan (3.4)")
    def by_plan(plan_id: str, call: Caller) -> Page[Action]:
        with store.read() as tx:
            return page(actions.find(tx, call.tenant, actions.actions.c.plan_id == plan_id))

    @app.get("/api/v1/actions/{id}", tags=["actions"], summary="One action")
    def get(id: str, call: Caller) -> Action:
        with store.read() as tx:
            return actions.as_action(actions.require(tx, call.tenant, id))

    return app


class _Decisions(Collector):
    """Actions by how they ended, from the table."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        table = actions.actions
        with self._store.read() as tx:
            rows = tx.execute(sa.select(table.c.status, sa.func.count().label("n")).group_by(table.c.status))
            counted = {row.status: row.n for row in rows}
        for name, status in (("failed", ActionStatus.FAILED), ("succeeded", ActionStatus.SUCCEEDED)):
            family = CounterMetricFamily(f"synapse_decisions_{name}", f"Actions that {name}", labels=["plan_type"])
            family.add_metric([DRIFT_REMEDIATION], counted.get(status, 0))
            yield family
