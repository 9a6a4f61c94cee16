"""Where the command finds its surroundings: the environment first, then the embedded stack's own note."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
from dotenv import dotenv_values
from rich.console import Console

T = TypeVar("T")

HOME = Path(".driftloop")
NOTE = HOME / "env"
"""Addresses of the embedded stack that was started last: `set -a; . .driftloop/env` gives them to a shell."""

console = Console()
errors = Console(stderr=True)


def load_surroundings() -> None:
    """Let a running embedded stack fill in what the environment leaves open."""
    for name, value in dotenv_values(NOTE).items() if NOTE.is_file() else ():
        if value is not None:
            os.environ.setdefault(name, value)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; a failure is one line on stderr and exit code 1, not a traceback."""
    try:
        return asyncio.run(work)
    except (RuntimeError, ValueError) as error:
        fail(str(error))


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong and stop."""
    errors.print(f"[bold red]error:[/] {message}", highlight=False, soft_wrap=True)
    raise typer.Exit(code)
