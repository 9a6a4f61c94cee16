"""All three services in this process, on free loopback ports: for tests, and for whoever wants to try a call."""

from __future__ import annotations

import socket
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType

import uvicorn
from fastapi import FastAPI

from butterfly.faults import FaultyApp
from butterfly.perception.app import PerceptionSettings
from butterfly.perception.app import create_app as create_perception
from butterfly.perception.drift import DriftSettings
from butterfly.plato.app import PlatoSettings
from butterfly.plato.app import create_app as create_plato
from butterfly.synapse.app import SynapseSettings
from butterfly.synapse.app import create_app as create_synapse

_UP_WITHIN = 20.0  # seconds


class Served:
    """One application on a port of its own, in a thread of its own."""

    def __init__(self, app: FastAPI) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.app = app
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            FaultyApp(app, app.state.faults), log_level="error", access_log=False, timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _UP_WITHIN
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError(f"{app.title} did not start")
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)


class Embedded:
    """PERCEPTION, PLATO and SYNAPSE, talking HTTP to each other, over databases in one directory."""

    def __init__(
        self,
        directory: Path,
        tenants: frozenset[str],
        *,
        webhook: str = "",
        drift: DriftSettings | None = None,
        patience: timedelta = timedelta(seconds=60),
    ) -> None:
        def database(name: str) -> str:
            return f"sqlite:///{directory / name}.db"

        self.perception = Served(
            create_perception(
                PerceptionSettings(database("perception"), tenants, webhook=webhook, drift=drift or DriftSettings())
            )
        )
        self.plato = Served(create_plato(PlatoSettings(database("plato"), tenants, self.perception.url)))
        self.synapse = Served(
            create_synapse(SynapseSettings(database("synapse"), tenants, self.perception.url, patience))
        )

    @property
    def urls(self) -> dict[str, str]:
        """Where each service listens, by name."""
        return {"perception": self.perception.url, "plato": self.plato.url, "synapse": self.synapse.url}

    def __enter__(self) -> Embedded:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop all three; their databases stay."""
        for served in (self.synapse, self.plato, self.perception):
            served.stop()
