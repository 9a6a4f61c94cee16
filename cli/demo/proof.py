"""What was really measured: asked of the services and of Temporal after the run, not remembered by the demo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from contracts.remediation import Outcome, RemediationResult, RemediationStatus

_ROAD = [5.0, 25.0, 50.0, 100.0]


@dataclass(frozen=True)
class Fact:
    """One thing that must be true, and what was found."""

    claim: str
    found: str
    holds: bool


async def collect(
    perception: httpx.AsyncClient, tenant: str, model: str, status: RemediationStatus, result: RemediationResult
) -> list[Fact]:
    """Every claim of the demonstration against PERCEPTION's journal and the workflow's result."""
    answer = await perception.get("/_butterfly/writes", params={"tenant": tenant, "model": model})
    writes: list[dict[str, Any]] = answer.json()["content"]
    now = (await perception.get(f"/api/v1/drift/models/{model}/status")).json()
    bad = _life(writes, "v2-storm")
    good = _life(writes, "v3-summer")
    normal = 0.5
    before, after = result.severity_before, now["severity"]
    report = Path(status.report or result.report)
    return [
        Fact(f"drift was measured: severity at least {normal}", _number(before), (before or 0) >= normal),
        Fact(
            "the worse candidate was rolled back at 5 %",
            _road(bad),
            _traffic(bad) == [5.0] and _ends(bad, "rolled_back"),
        ),
        Fact(
            "the better one went 5 → 25 → 50 → 100 and was promoted",
            _road(good),
            _traffic(good) == _ROAD and _ends(good, "promoted"),
        ),
        Fact(f"severity is below {normal} again", _number(after), after is not None and after < normal),
        Fact("the remediation says so", f"{result.outcome}", result.outcome is Outcome.RESOLVED),
        Fact("the incident report is written", str(report), report.is_file()),
    ]


def _life(writes: Sequence[dict[str, Any]], version: str) -> list[dict[str, Any]]:
    """Journal lines of the canaries of one version."""
    ids = {w["subject"] for w in writes if w["kind"] == "canary.started" and w["detail"]["version"] == version}
    return [w for w in writes if w["subject"] in ids and w["kind"].startswith("canary.")]


def _traffic(life: Sequence[dict[str, Any]]) -> list[float]:
    return [w["detail"]["traffic"] for w in life if "traffic" in w["detail"]]


def _ends(life: Sequence[dict[str, Any]], how: str) -> bool:
    return bool(life) and life[-1]["kind"] == f"canary.{how}"


def _road(life: Sequence[dict[str, Any]]) -> str:
    if not life:
        return "never started"
    return " → ".join([*(f"{share:g} %" for share in _traffic(life)), life[-1]["kind"].removeprefix("canary.")])


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
