"""Commands that run processes: the demonstration, the embedded stack, worker, gateway."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import httpx
import typer

from cli.context import HOME, NOTE, console, fail, run
from cli.demo.run import demonstrate, register
from cli.stack.lock import locked, owner
from cli.stack.stack import POLICY, TENANT, Stack
from gateway.main import serve
from worker.main import run_worker
from worker.settings import Settings
from worker.telemetry import set_up_logging, set_up_tracing

_UP_WITHIN = 90.0  # seconds
_DOWN_WITHIN = 60.0


class Approve(StrEnum):
    """Who approves plans in the demonstration."""

    POLICY = "policy"
    ASK = "ask"


def register_commands(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Embedded stack", name="run")(run_demo)
    app.command(rich_help_panel="Embedded stack")(up)
    app.command(rich_help_panel="Embedded stack")(down)
    app.command(rich_help_panel="Embedded stack")(drive)
    app.command(rich_help_panel="Processes")(worker)
    app.command(rich_help_panel="Processes")(gateway)
    app.command(hidden=True)(supervise)


def run_demo(
    approve: Annotated[
        Approve, typer.Option(help="`policy`: severity decides. `ask`: stop at the gate and wait for a person.")
    ] = Approve.POLICY,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the stack up at the end, until Ctrl-C.")] = False,
) -> None:
    """Drift, a bad canary caught, a good one promoted, recovery verified: on real data, with proof."""
    if not run(demonstrate(HOME / "run", ask=approve is Approve.ASK, keep=keep)):
        fail("not everything was measured as it should be: see the table above")


def up(
    policy: Annotated[Path, typer.Option(help="Policy file of the stack.", exists=True, dir_okay=False)] = POLICY,
) -> None:
    """Start the embedded stack and keep it up; started again, it continues where it was."""
    directory = HOME / "stack"
    if owner(directory):
        fail(f"the stack in {directory} is up already (process {owner(directory)})")
    directory.mkdir(parents=True, exist_ok=True)
    ready = directory / "ready"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "cli", "supervise", "--policy", str(policy.absolute())]
    with (directory / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + _UP_WITHIN
    with console.status("starting the stack"):
        while not ready.exists():
            if supervisor.poll() is not None or time.monotonic() > deadline:
                fail(f"the stack did not come up; its log: {directory / 'supervisor.log'}")
            time.sleep(0.1)
    console.print(ready.read_text(), highlight=False, end="")


def down() -> None:
    """Stop the embedded stack. Its state stays on disk."""
    directory = HOME / "stack"
    pid = owner(directory)
    if pid is None:
        console.print(f"no stack is up in {directory}")
        return
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_WITHIN
    while owner(directory):
        if time.monotonic() > deadline:
            fail(f"process {pid} does not stop; its log: {directory / 'supervisor.log'}")
        time.sleep(0.1)
    console.print("stopped")


def supervise(policy: Annotated[Path, typer.Option()]) -> None:
    """Hold the embedded stack up until SIGTERM."""
    settings = Settings()
    set_up_logging(settings)

    async def work() -> None:
        directory = HOME / "stack"
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        with locked(directory):
            stack = Stack(directory, policy)
            try:
                await stack.start()
                NOTE.write_text(stack.note())
                (directory / "ready").write_text(_welcome(stack))
                await stop.wait()
            finally:
                NOTE.unlink(missing_ok=True)
                await stack.stop()

    run(work())


def drive() -> None:
    """Serve the demonstration's flights to the running stack, until Ctrl-C."""
    settings = Settings()

    async def work() -> None:
        headers = {"X-Tenant-ID": settings.tenant_id or TENANT}
        async with httpx.AsyncClient(base_url=settings.perception_url, headers=headers, timeout=20) as client:
            traffic = await register(client)
            console.print(f"serving flights to {settings.perception_url}; Ctrl-C stops it")
            await traffic.summer()

    try:
        run(work())
    except KeyboardInterrupt:
        console.print("stopped")


def worker() -> None:
    """Run workflows and activities until SIGTERM. Settings come from the environment (docs/configure.md)."""
    settings = Settings()
    set_up_logging(settings)
    set_up_tracing(settings, "driftloop-worker")
    run(run_worker(settings))


def gateway(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8184,
) -> None:
    """Take alerts and turn them into remediations, until SIGTERM."""
    try:
        serve(Settings(), host, port)
    except ValueError as error:
        fail(str(error))


def _welcome(stack: Stack) -> str:
    at = stack.addresses
    return (
        f"Temporal UI    {at.ui}\n"
        f"Temporal       {at.temporal}\n"
        f"PERCEPTION     {at.perception}/docs\n"
        f"PLATO          {at.plato}/docs\n"
        f"SYNAPSE        {at.synapse}/docs\n"
        f"gateway        {at.gateway}/docs\n"
        f"state and logs {stack.directory}\n"
    )
