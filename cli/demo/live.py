"""The run as it goes: a picture that moves on a terminal, a line per change in a log."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from cli.show import render_status
from contracts.remediation import RemediationStatus
from contracts.timeline import TimelineEvent
from policies.briefing import judgement


class Progress:
    """Shows one remediation. On a terminal it redraws; elsewhere it prints what is new."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="visible")
        self._printed = 0
        self._last_line = ""

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def waiting(self, text: str) -> None:
        """Before there is a remediation to show."""
        if self._console.is_terminal:
            self._live.update(Text(text), refresh=True)
        elif text != self._last_line:
            self._last_line = text
            self._console.print(text, soft_wrap=True)

    def show(self, status: RemediationStatus, timeline: list[TimelineEvent], traffic: str) -> None:
        """The state of things now."""
        if self._console.is_terminal:
            recent = Text("\n".join(_line(event) for event in timeline[-6:]), style="dim")
            self._live.update(Group(Text(traffic, style="cyan"), render_status(status), recent), refresh=True)
            return
        for event in timeline[self._printed :]:
            self._console.print(_line(event), soft_wrap=True, markup=False, highlight=False)
        self._printed = max(self._printed, len(timeline))
        look = status.canary.last_look if status.canary and status.outcome is None else None
        if status.canary is not None and look is not None:
            self.waiting(f"  {status.canary.version} at {look.traffic_percentage:g} %: {judgement(look.judgement)}")


def _line(event: TimelineEvent) -> str:
    return f"{event.at:%H:%M:%S} {event.kind:<9} {event.text} ({event.actor})"
