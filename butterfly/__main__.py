"""`python -m butterfly perception|plato|synapse`: one service in this process."""

from __future__ import annotations

import logging
import os
from enum import StrEnum
from typing import Annotated

import typer
import uvicorn

from butterfly.faults import FaultyApp
from butterfly.perception.app import PerceptionSettings
from butterfly.perception.app import create_app as perception
from butterfly.perception.drift import DriftSettings
from butterfly.plato.app import PlatoSettings
from butterfly.plato.app import create_app as plato
from butterfly.synapse.app import SynapseSettings
from butterfly.synapse.app import create_app as synapse


class Service(StrEnum):
    """Which of the three."""

    PERCEPTION = "perception"
    PLATO = "plato"
    SYNAPSE = "synapse"


def serve(
    service: Service,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
    db: Annotated[str, typer.Option(help="SQLAlchemy URL: sqlite:///file or postgresql+psycopg://…")] = "",
) -> None:
    """Serve one embedded service until it is stopped."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.WARNING)
    tenants = frozenset(os.environ.get("BUTTERFLY_TENANTS", "acme,globex,your-tenant-id").split(","))
    perception_url = os.environ.get("PERCEPTION_URL", "http://127.0.0.1:8080")
    database = db or f"sqlite:///{service}.db"
    if service is Service.PERCEPTION:
        drift = DriftSettings(window_rows=int(os.environ.get("BUTTERFLY_WINDOW_ROWS", "2000")))
        webhook = os.environ.get("BUTTERFLY_DRIFT_WEBHOOK", "")
        token = os.environ.get("BUTTERFLY_DRIFT_WEBHOOK_TOKEN", "")
        app = perception(PerceptionSettings(database, tenants, webhook, token, drift))
    elif service is Service.PLATO:
        app = plato(PlatoSettings(database, tenants, perception_url))
    else:
        app = synapse(SynapseSettings(database, tenants, perception_url))
    wrapped = FaultyApp(app, app.state.faults)
    uvicorn.run(wrapped, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=3)


typer.run(serve)
