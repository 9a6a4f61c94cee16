"""The worker's life: connect, poll, drain on SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal

from worker.client import connect
from worker.settings import Settings
from worker.telemetry import set_up_logging, set_up_tracing
from worker.wiring import build_worker, wired_activities

log = logging.getLogger("driftloop.worker")

_BOOT_PATIENCE = 60.0  # seconds: a worker may be started before its server


async def run_worker(settings: Settings) -> None:
    """Poll until SIGTERM or SIGINT, then let running activities finish for `drain_seconds`."""
    client = await connect(wait=_BOOT_PATIENCE)
    async with wired_activities(settings) as activities:
        worker = build_worker(client, activities, settings)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with worker:
            build = f", build {settings.build_id}" if settings.build_id else ""
            log.info(
                "polling task queue %s of %s%s", worker.task_queue, client.service_client.config.target_host, build
            )
            await stop.wait()
            log.info("draining for at most %g s", settings.drain_seconds)
    log.info("stopped")


def main() -> None:
    """Entry point of the worker process."""
    settings = Settings()
    set_up_logging(settings)
    set_up_tracing(settings, "driftloop-worker")
    asyncio.run(run_worker(settings))


if __name__ == "__main__":
    main()
