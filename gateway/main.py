"""The gateway process."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from gateway.app import create_app
from gateway.ingest import Ingest
from worker.client import connect
from worker.settings import Settings
from worker.telemetry import set_up_logging, set_up_tracing

_BOOT_PATIENCE = 60.0  # seconds


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve until SIGTERM. Raises ValueError for an open door: no token and an address others can reach."""
    token = settings.gateway_token.get_secret_value() if settings.gateway_token else None
    if token is None and not _is_loopback(host):
        raise ValueError(
            f"refusing to listen on {host} without DRIFTLOOP_GATEWAY_TOKEN: anybody could start remediations"
        )
    set_up_logging(settings)
    set_up_tracing(settings, "driftloop-gateway")
    policy = settings.policy()

    @asynccontextmanager
    async def open_ingest() -> AsyncIterator[Ingest]:
        yield Ingest(await connect(wait=_BOOT_PATIENCE), policy)

    uvicorn.run(create_app(open_ingest, token), host=host, port=port, log_config=None, access_log=False)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
