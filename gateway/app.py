"""The gateway's HTTP: PERCEPTION's own drift webhook. 2xx only after Temporal has the alert."""

from __future__ import annotations

import hmac
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError

from contracts.alerts import Alert, AttachAck
from contracts.perception import DriftSignal
from gateway.ingest import Ingest
from policies.alerts import problem
from policies.briefing import describe

log = logging.getLogger("driftloop.gateway")

OpenIngest = Callable[[], AbstractAsyncContextManager[Ingest]]


def create_app(open_ingest: OpenIngest, token: str | None) -> FastAPI:
    """The application. `token` None lets everybody in: only for loopback (gateway.main sees to that)."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_ingest() as ingest:
            app.state.ingest = ingest
            yield

    app = FastAPI(title="driftloop gateway", summary="Alerts in, remediations started.", lifespan=lifespan)

    def authenticated(authorization: Annotated[str, Header()] = "") -> None:
        if token is not None and not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "wrong or missing bearer token", {"WWW-Authenticate": "Bearer"})

    @app.get("/healthz", summary="Whether this process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "UP"}

    @app.post("/api/v1/alerts/drift", summary="PERCEPTION's MODEL_DRIFT webhook", dependencies=[Depends(authenticated)])
    async def drift(signal: DriftSignal, request: Request) -> AttachAck:
        alert = Alert(
            name=signal.type,
            tenant=signal.tenant_id,
            model=signal.model,
            fingerprint=signal.fingerprint,
            starts_at=signal.starts_at,
            severity=signal.severity,
            source="perception",
        )
        if why := problem(alert):
            raise HTTPException(422, why)
        ingest: Ingest = request.app.state.ingest
        ack = await ingest.submit(alert)
        log.info(
            "%s for %s: %s", alert.name, alert.model, ack.outcome, extra={"tenant": alert.tenant, "model": alert.model}
        )
        return ack

    @app.exception_handler(WorkflowUpdateFailedError)
    async def refused(_: Request, error: WorkflowUpdateFailedError) -> JSONResponse:
        return JSONResponse({"detail": describe(error.cause)}, 409)

    @app.exception_handler(RPCError)
    @app.exception_handler(WorkflowUpdateRPCTimeoutOrCancelledError)
    async def not_taken(_: Request, error: Exception) -> JSONResponse:
        # 503, never 429: senders try a 5xx again soon, a 4xx only once per interval.
        log.warning("Temporal did not take an alert: %s", error)
        return JSONResponse({"detail": "Temporal did not take the alert; send it again"}, 503, {"Retry-After": "1"})

    return app
