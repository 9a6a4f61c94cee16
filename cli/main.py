"""`driftloop`: one command for operators and for the embedded stack."""

from __future__ import annotations

import typer

from cli import operate, processes
from cli.context import load_surroundings

app = typer.Typer(
    help="From 'a model drifts' to 'production is healthy again', as durable Temporal workflows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
operate.register(app)
processes.register_commands(app)


@app.callback()
def surroundings() -> None:
    """From 'a model drifts' to 'production is healthy again', as durable Temporal workflows."""
    load_surroundings()


def main() -> None:
    """Entry point of the installed command."""
    app()
