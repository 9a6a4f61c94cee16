"""Canary deployments: an enforced state machine (IN_PROGRESS ⇄ PAUSED → PROMOTED | ROLLED_BACK)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from butterfly.perception import registry
from butterfly.perception.tables import arms, deployments, episodes
from butterfly.storage import journal, now, stamp
from butterfly.web import Call, Problem
from contracts.perception import (
    AdvanceRequest,
    ArmCounters,
    CanaryRequest,
    Deployment,
    DeploymentStats,
    DeploymentStatus,
    VersionStage,
)

BASELINE, CANARY = "baseline", "canary"
LATENCY_EDGES = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "+Inf")
_OPEN = [status for status in DeploymentStatus if status.is_open]


def start(tx: Connection, call: Call, name: str, body: CanaryRequest) -> Deployment:
    """Open a canary at its first percentage."""
    registry.require_model(tx, call.tenant, name)
    version = registry.require_version(tx, call.tenant, name, body.version)
    production = registry.production_version(tx, call.tenant, name)
    if production is None:
        raise Problem(409, "NO_PRODUCTION", f"model {name} has no version in production to compare a canary with")
    if version.stage == VersionStage.PRODUCTION:
        raise Problem(409, "IN_PRODUCTION", f"version {body.version} of model {name} is in production already")
    stages = _stages(body)
    found = find_open(tx, call.tenant, name)
    if found is not None:
        raise Problem(
            409,
            "CANARY_OPEN",
            f"canary dep-{found.number} of model {name} is {found.status}: end it before starting another",
        )
    at = stamp()
    number = tx.execute(
        deployments.insert()
        .values(
            tenant=call.tenant,
            model=name,
            version=body.version,
            baseline_version=production.version,
            status=DeploymentStatus.IN_PROGRESS,
            traffic=stages[0],
            stages=stages,
            reason=body.reason,
            started_by=call.key or "",
            created_at=at,
            updated_at=at,
        )
        .returning(deployments.c.number)
    ).scalar_one()
    for arm in (BASELINE, CANARY):
        tx.execute(
            arms.insert().values(
                deployment=number,
                arm=arm,
                predictions=0,
                errors=0,
                labelled=0,
                loss_sum=0.0,
                loss_square_sum=0.0,
                latency_sum=0.0,
                latency_buckets=dict.fromkeys(LATENCY_EDGES, 0),
            )
        )
    tx.execute(
        episodes.update()
        .where(
            episodes.c.tenant == call.tenant,
            episodes.c.model == name,
            episodes.c.ended_at.is_(None),
            episodes.c.canary_at.is_(None),
        )
        .values(canary_at=at)
    )
    _journal(tx, call, "canary.started", name, number, version=body.version, traffic=stages[0])
    return as_deployment(_require(tx, call.tenant, name, f"dep-{number}"))


def advance(tx: Connection, call: Call, name: str, id: str, body: AdvanceRequest | None) -> Deployment:
    """One stage up; from the last stage, promoted. With `fromPercentage`, only if traffic still stands there."""
    row = _require(tx, call.tenant, name, id)
    _require_open(row, "advancing")
    if row.status == DeploymentStatus.PAUSED:
        raise Problem(409, "PAUSED", f"canary {id} of model {name} is PAUSED: resume it before advancing")
    if body is not None and body.from_percentage is not None and body.from_percentage != row.traffic:
        raise Problem(
            409,
            "STALE_TRAFFIC",
            f"canary {id} of model {name} is at {row.traffic:g} %, the request says {body.from_percentage:g} %",
        )
    following = next((stage for stage in row.stages if stage > row.traffic), None)
    if following is None:
        _move(tx, row, status=DeploymentStatus.PROMOTED)
        _journal(tx, call, "canary.promoted", name, row.number, version=row.version)
        registry.make_production(tx, call, name, row.version, f"canary {id} promoted")
    else:
        _move(tx, row, traffic=following)
        _journal(tx, call, "canary.advanced", name, row.number, traffic=following)
    return as_deployment(_require(tx, call.tenant, name, id))


def roll_back(tx: Connection, call: Call, name: str, id: str, reason: str) -> Deployment:
    """To 0 % from any open state; rolled back twice is rolled back once."""
    row = _require(tx, call.tenant, name, id)
    if row.status != DeploymentStatus.ROLLED_BACK:
        _require_open(row, "rolling back")
        _move(tx, row, status=DeploymentStatus.ROLLED_BACK, traffic=0.0, reason=reason or row.reason)
        _journal(tx, call, "canary.rolled_back", name, row.number, reason=reason)
    return as_deployment(_require(tx, call.tenant, name, id))


def pause(tx: Connection, call: Call, name: str, id: str) -> Deployment:
    """Keep the split as it is; paused twice is paused once."""
    return _set_status(tx, call, name, id, DeploymentStatus.PAUSED, "canary.paused")


def resume(tx: Connection, call: Call, name: str, id: str) -> Deployment:
    """Go on; resuming what runs changes nothing."""
    return _set_status(tx, call, name, id, DeploymentStatus.IN_PROGRESS, "canary.resumed")


def get(tx: Connection, tenant: str, name: str, id: str) -> Deployment:
    return as_deployment(_require(tx, tenant, name, id))


def find(tx: Connection, tenant: str, name: str, status: str | None) -> list[Deployment]:
    """Newest first. Raises Problem 400 for a status that does not exist."""
    registry.require_model(tx, tenant, name)
    query = sa.select(deployments).where(deployments.c.tenant == tenant, deployments.c.model == name)
    if status is not None:
        if status not in list(DeploymentStatus):
            raise Problem(400, "UNKNOWN_STATUS", f"status {status[:100]} does not exist: {', '.join(DeploymentStatus)}")
        query = query.where(deployments.c.status == status)
    return [as_deployment(row) for row in tx.execute(query.order_by(deployments.c.number.desc()))]


def find_open(tx: Connection, tenant: str, name: str) -> Row[Any] | None:
    """The one open canary of a model, if any."""
    return tx.execute(
        sa.select(deployments).where(
            deployments.c.tenant == tenant, deployments.c.model == name, deployments.c.status.in_(_OPEN)
        )
    ).first()


def stats(tx: Connection, tenant: str, name: str, id: str) -> DeploymentStats:
    """Both arms' running totals at one moment."""
    row = _require(tx, tenant, name, id)
    counted = {
        arm.arm: ArmCounters(
            predictions=arm.predictions,
            errors=arm.errors,
            labelled=arm.labelled,
            loss_sum=arm.loss_sum,
            loss_square_sum=arm.loss_square_sum,
            latency_seconds_sum=arm.latency_sum,
            latency_buckets=arm.latency_buckets,
        )
        for arm in tx.execute(sa.select(arms).where(arms.c.deployment == row.number))
    }
    return DeploymentStats(
        deployment_id=id,
        status=DeploymentStatus(row.status),
        traffic_percentage=row.traffic,
        at=now(),
        baseline=counted[BASELINE],
        canary=counted[CANARY],
    )


def as_deployment(row: Row[Any]) -> Deployment:
    return Deployment(
        id=f"dep-{row.number}",
        model=row.model,
        tenant_id=row.tenant,
        version=row.version,
        baseline_version=row.baseline_version,
        status=DeploymentStatus(row.status),
        traffic_percentage=row.traffic,
        stages=row.stages,
        reason=row.reason,
        started_by=row.started_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _stages(body: CanaryRequest) -> list[float]:
    stages = sorted({body.initial_percentage, *(stage for stage in body.stages if stage > body.initial_percentage)})
    if not stages or stages[0] <= 0 or stages[-1] != 100:
        raise Problem(422, "INVALID_STAGES", f"stages {stages} must be percentages above 0 that end with 100")
    return stages


def _set_status(tx: Connection, call: Call, name: str, id: str, wanted: DeploymentStatus, kind: str) -> Deployment:
    row = _require(tx, call.tenant, name, id)
    _require_open(row, "pausing or resuming")
    if row.status != wanted:
        _move(tx, row, status=wanted)
        _journal(tx, call, kind, name, row.number)
    return as_deployment(_require(tx, call.tenant, name, id))


def _require(tx: Connection, tenant: str, name: str, id: str) -> Row[Any]:
    registry.require_model(tx, tenant, name)
    number = id.removeprefix("dep-")
    row = None
    if id.startswith("dep-") and number.isdecimal() and len(number) < 10:
        row = tx.execute(
            sa.select(deployments).where(
                deployments.c.tenant == tenant, deployments.c.model == name, deployments.c.number == int(number)
            )
        ).first()
    if row is None:
        raise Problem(404, "UNKNOWN_DEPLOYMENT", f"model {name} has no deployment {id[:100]}")
    return row


def _require_open(row: Row[Any], doing: str) -> None:
    if row.status not in _OPEN:
        raise Problem(
            409, "ENDED", f"canary dep-{row.number} of model {row.model} is {row.status} for good: no {doing} any more"
        )


def _move(tx: Connection, row: Row[Any], **values: Any) -> None:
    """Compare and set: of two who move at once, one is told that it came second."""
    moved = tx.execute(
        deployments.update()
        .where(
            deployments.c.number == row.number,
            deployments.c.status == row.status,
            deployments.c.traffic == row.traffic,
        )
        .values(updated_at=stamp(), **values)
    )
    if moved.rowcount != 1:
        raise Problem(409, "MOVED", f"canary dep-{row.number} of model {row.model} was moved by somebody else just now")


def _journal(tx: Connection, call: Call, kind: str, name: str, number: int, **detail: Any) -> None:
    journal(tx, tenant=call.tenant, kind=kind, model=name, subject=f"dep-{number}", key=call.key, **detail)
