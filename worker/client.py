"""Connecting to Temporal the way Temporal's own tools do: TEMPORAL_ADDRESS, TEMPORAL_PROFILE, a TOML file."""

from __future__ import annotations

import asyncio
import logging

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime

from worker.plugin import driftloop_plugin

log = logging.getLogger("driftloop.client")

_LOCAL = "127.0.0.1:7233"
_RETRY_EVERY = 1.0  # seconds


async def connect(*, wait: float = 0.0, runtime: Runtime | None = None) -> Client:
    """A client with our plugin. Retries for `wait` seconds: a worker may boot before its server.

    Raises RuntimeError, naming the address, when nobody answers in time.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", _LOCAL)
    deadline = asyncio.get_running_loop().time() + wait
    while True:
        try:
            return await Client.connect(**config, plugins=[driftloop_plugin()], runtime=runtime)
        except RuntimeError as error:
            if asyncio.get_running_loop().time() >= deadline:
                raise RuntimeError(
                    f"no Temporal server answers at {config['target_host']} "
                    f"(TEMPORAL_ADDRESS or TEMPORAL_PROFILE says where): {error}"
                ) from error
            log.info("waiting for Temporal at %s", config["target_host"])
            await asyncio.sleep(_RETRY_EVERY)
