"""What the three services share over HTTP: tenants, errors, idempotency, health, the journal of writes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import BaseModel
from sqlalchemy.engine import Connection
from starlette.exceptions import HTTPException

from butterfly.faults import FaultRule, Faults
from butterfly.storage import Store, idempotency, writes
from contracts.base import Page


class Problem(Exception):
    """An error answer: the thing, the value and the way out."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class Call:
    """Who asks, under which key, with which trace."""

    tenant: str
    key: str | None
    request: str
    body_hash: str
    trace: dict[str, str]
    store: Store

    def write(self, model: str, effect: Callable[[Connection], BaseModel | None], status: int = 200) -> JSONResponse:
        """Run an effect in one transaction; under a key it is run once and answered the same for ever."""
        with self.store.write(f"{self.tenant}/{model}") as tx:
            if self.key is not None and (recorded := self._recorded(tx)) is not None:
                return recorded
            result = effect(tx)
            body = result.model_dump(mode="json", by_alias=True) if result is not None else {}
            if self.key is not None:
                tx.execute(
                    idempotency.insert().values(
                        tenant=self.tenant,
                        key=self.key,
                        request=self.request,
                        body_hash=self.body_hash,
                        status=status,
                        response=body,
                    )
                )
        return JSONResponse(body, status)

    def _recorded(self, tx: Connection) -> JSONResponse | None:
        row = tx.execute(
            sa.select(idempotency).where(
                idempotency.c.tenant == self.tenant,
                idempotency.c.key == self.key,
                idempotency.c.request == self.request,
            )
        ).first()
        if row is None:
            return None
        if row.body_hash != self.body_hash:
            raise Problem(422, "IDEMPOTENCY_KEY_REUSED", f"key {self.key} was used for another request: use a new key")
        return JSONResponse(row.response, row.status)


def make_app(title: str, summary: str, store: Store, tenants: frozenset[str], metrics: CollectorRegistry) -> FastAPI:
    """A service with health, metrics, the journal, faults and errors in one shape."""
    app = FastAPI(title=title, summary=summary)
    app.state.store, app.state.tenants, app.state.faults = store, tenants, Faults()

    @app.get("/actuator/health", summary="UP when the service can work")
    def health() -> JSONResponse:
        try:
            with store.read() as tx:
                tx.execute(sa.text("SELECT 1"))
        except sa.exc.SQLAlchemyError:
            return JSONResponse({"status": "DOWN"}, 503)
        return JSONResponse({"status": "UP"})

    @app.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
    def prometheus() -> PlainTextResponse:
        return PlainTextResponse(generate_latest(metrics), media_type="text/plain; version=0.0.4")

    @app.get("/_butterfly/writes", summary="Every effect this service ever had, oldest first")
    def list_writes(tenant: str = "", model: str = "", kind: str = "") -> dict[str, Any]:
        query = sa.select(writes).order_by(writes.c.seq)
        for column, value in ((writes.c.tenant, tenant), (writes.c.model, model), (writes.c.kind, kind)):
            query = query.where(column == value) if value else query
        with store.read() as tx:
            rows = [dict(row) for row in tx.execute(query).mappings()]
        return {"content": rows, "totalElements": len(rows)}

    _add_fault_routes(app)
    _add_error_shapes(app)
    return app


def _add_fault_routes(app: FastAPI) -> None:
    faults: Faults = app.state.faults

    @app.put("/_butterfly/faults", summary="Replace the faults this service shows")
    def put_faults(rules: list[FaultRule]) -> list[FaultRule]:
        faults.replace(rules)
        return faults.rules

    @app.get("/_butterfly/faults", summary="The faults this service shows")
    def get_faults() -> list[FaultRule]:
        return faults.rules

    @app.delete("/_butterfly/faults", summary="Show no faults")
    def delete_faults() -> list[FaultRule]:
        faults.replace([])
        return []


def _add_error_shapes(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return error_answer(error.status, error.code, error.message)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        said = "; ".join(f"{'.'.join(map(str, e['loc'][1:])) or 'body'}: {e['msg']}" for e in error.errors())
        return error_answer(422, "INVALID_REQUEST", said)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return error_answer(error.status_code, "HTTP", str(error.detail))


def error_answer(status: int, code: str, message: str) -> JSONResponse:
    """An error in the services' one shape."""
    return JSONResponse({"status": status, "code": code, "message": message}, status)


async def call(
    request: Request,
    x_tenant_id: Annotated[str, Header(description="The tenant; objects of others do not exist for it.")] = "",
    idempotency_key: Annotated[
        str | None, Header(description="Makes a write happen once: the same key answers the same.")
    ] = None,
) -> Call:
    """The caller of a request. Raises Problem 400 without a tenant, 403 for one without rights here."""
    if not x_tenant_id:
        raise Problem(400, "NO_TENANT", "header X-Tenant-ID is missing: say for which tenant")
    if x_tenant_id not in request.app.state.tenants:
        raise Problem(403, "UNKNOWN_TENANT", f"tenant {x_tenant_id[:100]} has no rights here")
    body = await request.body()
    trace = {name: value for name, value in request.headers.items() if name in ("traceparent", "tracestate")}
    return Call(
        tenant=x_tenant_id,
        key=idempotency_key,
        request=f"{request.method} {request.url.path}",
        body_hash=hashlib.sha256(body).hexdigest(),
        trace=trace,
        store=request.app.state.store,
    )


Caller = Annotated[Call, Depends(call)]


def page(items: list[Any]) -> Page[Any]:
    """A list in the shape the runbook's `jq` expects."""
    return Page(content=items, total_elements=len(items))
