"""Keeps processes running: a process that dies is started again, all of them die with their supervisor."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger("driftloop.stack")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds between two starts of a process that keeps dying
_STABLE_AFTER = 10.0  # seconds of life that count as a good start


@dataclass(frozen=True)
class Program:
    """One process of the stack."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    drain: float = 5.0
    """Seconds between SIGTERM and SIGKILL."""


class Supervisor:
    """Starts programs in order, restarts them for ever, stops them in reverse order."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._programs: list[Program] = []
        self.restarts: dict[str, int] = {}

    async def start(self, program: Program) -> None:
        """Start and keep a program. Raises OSError when it can't be executed at all."""
        self._programs.append(program)
        process = await self._spawn(program)
        self._keepers[program.name] = asyncio.create_task(self._keep(program, process))

    def pid(self, name: str) -> int:
        """The process id that a program has right now."""
        return self._running[name].pid

    async def stop(self) -> None:
        """Let every program drain, last started first; kill what does not."""
        for program in reversed(self._programs):
            keeper = self._keepers.pop(program.name)
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper
            await self._end(program)
        self._programs.clear()

    async def _end(self, program: Program) -> None:
        process = self._running.pop(program.name, None)
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), program.drain)
        except TimeoutError:
            log.warning("%s did not stop within %g s and is killed", program.name, program.drain)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _keep(self, program: Program, process: asyncio.subprocess.Process) -> None:
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            code = await process.wait()
            pause = _FIRST_PAUSE if loop.time() - started > _STABLE_AFTER else min(pause * 2, _LONGEST_PAUSE)
            log.warning("%s ended with %s and is started again in %.1f s", program.name, _how(code), pause)
            await asyncio.sleep(pause)
            process = await self._spawn(program)
            self.restarts[program.name] = self.restarts.get(program.name, 0) + 1

    async def _spawn(self, program: Program) -> asyncio.subprocess.Process:
        self._log_dir.mkdir(parents=True, exist_ok=True)
        with (self._log_dir / f"{program.name}.log").open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *_dying_with_parent(program.argv),
                env={**os.environ, **program.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                # Ctrl-C belongs to the supervisor, which stops the others in order.
                start_new_session=True,
            )
        self._running[program.name] = process
        return process


def _dying_with_parent(argv: Sequence[str]) -> list[str]:
    """A killed supervisor leaves no orphans, where the system can see to that (Linux)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", *argv] if setpriv else list(argv)


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name}"
