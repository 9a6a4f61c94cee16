"""Incident reports as files (runbook §7.1)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import anyio.to_thread
from temporalio import activity

from activities.ports import ReportPort
from contracts.steps import ReportRequest, ReportResult
from policies.report import markdown


class ReportActivities(ReportPort):
    """Writes each report once under its key; a repeat overwrites it with the same content."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @activity.defn(name="reports.write")
    async def write(self, request: ReportRequest) -> ReportResult:
        status = request.status
        # Names come from outside: only harmless characters reach a file name.
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{status.tenant}-{status.model}-{request.key}").lstrip(".")
        path = self._directory / f"{name}.md"
        text = markdown(status, request.result, request.timeline)
        await anyio.to_thread.run_sync(_write, path, text)
        return ReportResult(location=str(path))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A reader never sees half a report, whatever dies meanwhile.
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
