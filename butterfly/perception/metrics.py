"""The runbook's metrics (§3.5, §5.4) under their exact names, counted from the database: a restart forgets nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.engine import Connection

from butterfly.perception.tables import analyses, deployments, episodes, models
from butterfly.storage import Store
from contracts.perception import DeploymentStatus

# An edge at 30 s: over the client's default buckets, which end at 10 s, the SLO alert could never fire.
_LATENCY_EDGES = (1, 2.5, 5, 10, 15, 20, 25, 30, 45, 60, 120, 300, 900, 3600)
_LABELS = ("tenant", "model")


class PerceptionMetrics(Collector):
    """Reads the tables at each scrape. Every model has every series from its registration, starting at 0."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> Iterable[Metric]:
        return []  # nothing to read before the first scrape

    def collect(self) -> Iterator[Metric]:
        with self._store.read() as tx:
            yield from self._collect(tx)

    def _collect(self, tx: Connection) -> Iterator[Metric]:
        known = [(row.tenant, row.name) for row in tx.execute(sa.select(models.c.tenant, models.c.name))]
        severity = GaugeMetricFamily("perception_drift_model_severity", "Last measured severity, 0-1", labels=_LABELS)
        success = GaugeMetricFamily(
            "perception_drift_analysis_last_success_timestamp_seconds",
            "When severity was last measured",
            labels=_LABELS,
        )
        for row in tx.execute(sa.select(analyses)):
            if row.severity is not None:
                severity.add_metric([row.tenant, row.model], row.severity)
                success.add_metric([row.tenant, row.model], datetime.fromisoformat(row.at).timestamp())
        yield severity
        yield success
        yield _counter("perception_drift_model_detected", "Drift episodes", known, _counts(tx, episodes, sa.true()))
        for suffix, what, status in (
            ("rollback", "Canaries rolled back", DeploymentStatus.ROLLED_BACK),
            ("promoted", "Canaries promoted", DeploymentStatus.PROMOTED),
        ):
            counted = _counts(tx, deployments, deployments.c.status == status)
            yield _counter(f"perception_models_deployment_canary_{suffix}", what, known, counted)
        active = GaugeMetricFamily("perception_models_deployment_canary_active", "Open canaries", labels=_LABELS)
        open_now = _counts(tx, deployments, deployments.c.status.in_(["IN_PROGRESS", "PAUSED"]))
        for model in known:
            active.add_metric(model, open_now.get(model, 0))
        yield active
        yield _latency(tx)


def _counts(tx: Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> dict[tuple[str, str], int]:
    query = (
        sa.select(table.c.tenant, table.c.model, sa.func.count().label("n"))
        .where(where)
        .group_by(table.c.tenant, table.c.model)
    )
    return {(row.tenant, row.model): row.n for row in tx.execute(query)}


def _counter(name: str, what: str, known: list[tuple[str, str]], counted: dict[tuple[str, str], int]) -> Metric:
    family = CounterMetricFamily(name, what, labels=_LABELS)
    for model in known:
        family.add_metric(model, counted.get(model, 0))
    return family


def _latency(tx: Connection) -> Metric:
    """Detection to canary start."""
    rows: list[Any] = list(tx.execute(sa.select(episodes).where(episodes.c.canary_at.is_not(None))))
    seconds = [
        (datetime.fromisoformat(row.canary_at) - datetime.fromisoformat(row.started_at)).total_seconds() for row in rows
    ]
    buckets = [(str(float(edge)), float(sum(value <= edge for value in seconds))) for edge in _LATENCY_EDGES]
    buckets.append(("+Inf", float(len(seconds))))
    family = HistogramMetricFamily(
        "perception_drift_remediation_duration_seconds", "From drift detection to canary start"
    )
    family.add_metric([], buckets, sum(seconds))
    return family
