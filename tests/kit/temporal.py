"""A real Temporal server for tests, with a clock per workflow, that no test process leaves behind."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from cli.stack.stack import temporal_binary
from worker.plugin import driftloop_plugin
from workflows import search_attributes


@asynccontextmanager
async def temporal_server(directory: Path) -> AsyncIterator[WorkflowEnvironment]:
    """Clocks stand still only where a test moves them: `await env.fast_forward(handle, delta)`."""
    env = await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=str(dying_with_parent(directory)),
        dev_server_extra_args=[
            *("--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"),
            *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000"),
        ],
        dev_server_log_level="error",
        search_attributes=search_attributes.ALL,
        plugins=[driftloop_plugin()],
        identity="tests",  # histories are kept: no machine's name in them
    )
    try:
        yield env
    finally:
        await env.shutdown()
        # An interpreter that ends right after a shutdown aborts now and then (sdk-python#300).
        await asyncio.sleep(0.5)


def dying_with_parent(directory: Path) -> Path:
    """The `temporal` binary, so started that a killed test process takes it along."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return Path(temporal_binary())
    script = directory / "temporal"
    script.write_text(f'#!/bin/sh\nexec {setpriv} --pdeathsig KILL {temporal_binary()} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script
