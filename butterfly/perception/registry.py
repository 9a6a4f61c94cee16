"""Models, versions and baselines."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.engine import Connection, Row

from butterfly.perception.models import LogisticModel
from butterfly.perception.profiles import profile_rows
from butterfly.perception.tables import analyses, baselines, deployments, models, predictions, versions
from butterfly.storage import journal, now, stamp
from butterfly.web import Call, Problem
from contracts.perception import (
    Baseline,
    BaselineRequest,
    ModelVersion,
    PromoteRequest,
    RegisterModel,
    RegisterVersion,
    VersionStage,
)

MINIMUM_ROWS = 200
"""Rows below which a window or a baseline says nothing (research: plain PSI alarms on any 100 rows)."""


def register_model(tx: Connection, call: Call, body: RegisterModel) -> RegisterModel:
    """Registered twice is registered once; other features are another model."""
    row = tx.execute(sa.select(models).where(models.c.tenant == call.tenant, models.c.name == body.name)).first()
    if row is None:
        tx.execute(
            models.insert().values(tenant=call.tenant, name=body.name, features=body.features, registered_at=stamp())
        )
        journal(tx, tenant=call.tenant, kind="model.registered", model=body.name, subject=body.name, key=call.key)
    elif row.features != body.features:
        raise Problem(409, "MODEL_EXISTS", f"model {body.name} is registered with features {', '.join(row.features)}")
    return body


def require_model(tx: Connection, tenant: str, name: str) -> Row[Any]:
    """The model's row. Raises Problem 404."""
    row = tx.execute(sa.select(models).where(models.c.tenant == tenant, models.c.name == name)).first()
    if row is None:
        raise Problem(404, "UNKNOWN_MODEL", f"model {name[:200]} is not registered for tenant {tenant}")
    return row


def register_version(tx: Connection, call: Call, name: str, body: RegisterVersion) -> ModelVersion:
    """Adds a version; the first PRODUCTION one brings its training rows as the baseline."""
    model = require_model(tx, call.tenant, name)
    if find_version(tx, call.tenant, name, body.version) is not None:
        raise Problem(409, "VERSION_EXISTS", f"version {body.version} of model {name} is registered already")
    try:
        LogisticModel.model_validate(body.artefact)
    except ValidationError as error:
        raise Problem(
            422, "INVALID_ARTEFACT", f"artefact of {name} {body.version}: {error.errors()[0]['msg']}"
        ) from error
    profile = profile_rows(body.reference, model.features)
    tx.execute(
        versions.insert().values(
            tenant=call.tenant,
            model=name,
            version=body.version,
            stage=VersionStage.CANDIDATE,
            artefact=body.artefact,
            profile={feature: item.model_dump() for feature, item in profile.items()},
            rows=len(body.reference),
            offline_loss=body.offline_loss,
            trained_on=body.trained_on,
            registered_at=stamp(),
        )
    )
    journal(tx, tenant=call.tenant, kind="version.registered", model=name, subject=body.version, key=call.key)
    if body.stage is VersionStage.PRODUCTION:
        make_production(tx, call, name, body.version, "registered as production")
    return as_version(require_version(tx, call.tenant, name, body.version))


def find_version(tx: Connection, tenant: str, name: str, version: str) -> Row[Any] | None:
    return tx.execute(
        sa.select(versions).where(versions.c.tenant == tenant, versions.c.model == name, versions.c.version == version)
    ).first()


def require_version(tx: Connection, tenant: str, name: str, version: str) -> Row[Any]:
    """The version's row. Raises Problem 404."""
    row = find_version(tx, tenant, name, version)
    if row is None:
        raise Problem(404, "UNKNOWN_VERSION", f"model {name} has no version {version[:200]}")
    return row


def production_version(tx: Connection, tenant: str, name: str) -> Row[Any] | None:
    return tx.execute(
        sa.select(versions).where(
            versions.c.tenant == tenant, versions.c.model == name, versions.c.stage == VersionStage.PRODUCTION
        )
    ).first()


def list_versions(tx: Connection, tenant: str, name: str, stage: str | None) -> list[ModelVersion]:
    """Newest first. Raises Problem 400 for a stage that does not exist."""
    require_model(tx, tenant, name)
    query = sa.select(versions).where(versions.c.tenant == tenant, versions.c.model == name)
    if stage is not None:
        if stage not in list(VersionStage):
            raise Problem(400, "UNKNOWN_STAGE", f"stage {stage[:100]} does not exist: {', '.join(VersionStage)}")
        query = query.where(versions.c.stage == stage)
    return [as_version(row) for row in tx.execute(query.order_by(versions.c.registered_at.desc()))]


def promote(tx: Connection, call: Call, name: str, version: str, body: PromoteRequest) -> ModelVersion:
    """Runbook §4.7. What is in production already stays there: a repeat changes nothing."""
    require_model(tx, call.tenant, name)
    row = require_version(tx, call.tenant, name, version)
    if body.stage is not VersionStage.PRODUCTION:
        raise Problem(422, "UNSUPPORTED_STAGE", f"versions are promoted to PRODUCTION, not to {body.stage}")
    if row.stage == VersionStage.PRODUCTION:
        return as_version(row)
    open_canary = tx.execute(
        sa.select(deployments.c.number).where(
            deployments.c.tenant == call.tenant,
            deployments.c.model == name,
            deployments.c.status.in_(["IN_PROGRESS", "PAUSED"]),
        )
    ).scalar()
    if open_canary is not None:
        raise Problem(
            409, "CANARY_OPEN", f"canary dep-{open_canary} of model {name} is open: end it before promoting a version"
        )
    make_production(tx, call, name, version, body.reason)
    return as_version(require_version(tx, call.tenant, name, version))


def make_production(tx: Connection, call: Call, name: str, version: str, reason: str) -> None:
    """Put a version in production, the former one into the archive, and its training rows under the drift."""
    of_model = sa.and_(versions.c.tenant == call.tenant, versions.c.model == name)
    tx.execute(
        versions.update()
        .where(of_model, versions.c.stage == VersionStage.PRODUCTION)
        .values(stage=VersionStage.ARCHIVED)
    )
    tx.execute(
        versions.update()
        .where(of_model, versions.c.version == version)
        .values(stage=VersionStage.PRODUCTION, promoted_at=stamp())
    )
    row = require_version(tx, call.tenant, name, version)
    journal(tx, tenant=call.tenant, kind="version.promoted", model=name, subject=version, key=call.key, reason=reason)
    if row.profile:
        put_baseline(tx, call.tenant, name, version=version, source="training", rows=row.rows, profile=row.profile)


def put_baseline(
    tx: Connection, tenant: str, name: str, *, version: str, source: str, rows: int, profile: dict[str, Any]
) -> Baseline:
    """Replace the baseline; what was measured against the old one is forgotten."""
    at = stamp()
    clear_baseline(tx, tenant, name)
    tx.execute(
        baselines.insert().values(
            tenant=tenant, model=name, version=version, source=source, rows=rows, profile=profile, registered_at=at
        )
    )
    return Baseline(model=name, version=version, source=source, rows=rows, registered_at=datetime.fromisoformat(at))


def clear_baseline(tx: Connection, tenant: str, name: str) -> bool:
    """True when there was one."""
    tx.execute(analyses.delete().where(analyses.c.tenant == tenant, analyses.c.model == name))
    gone = tx.execute(baselines.delete().where(baselines.c.tenant == tenant, baselines.c.model == name))
    return gone.rowcount > 0


def register_baseline(tx: Connection, call: Call, name: str, body: BaselineRequest) -> Baseline:
    """Runbook §4.6: from what production served in the last `windowDays`, or from a version's training rows."""
    model = require_model(tx, call.tenant, name)
    if body.source == "training":
        row = require_version(tx, call.tenant, name, body.version)
        profile, rows = row.profile, row.rows
    elif body.source == "production":
        since = stamp(now() - timedelta(days=body.window_days))
        query = sa.select(predictions.c.features).where(
            predictions.c.tenant == call.tenant, predictions.c.model == name, predictions.c.at >= since
        )
        served = [row.features for row in tx.execute(query)]
        if len(served) < MINIMUM_ROWS:
            raise Problem(
                422,
                "TOO_FEW_ROWS",
                f"model {name} served {len(served)} rows in the last {body.window_days} days; "
                f"a baseline needs {MINIMUM_ROWS}",
            )
        rows = len(served)
        profile = {feature: item.model_dump() for feature, item in profile_rows(served, model.features).items()}
    else:
        raise Problem(422, "UNKNOWN_SOURCE", f"source {body.source[:100]} does not exist: production, training")
    journal(
        tx, tenant=call.tenant, kind="baseline.registered", model=name, subject=body.version, key=call.key, rows=rows
    )
    return put_baseline(tx, call.tenant, name, version=body.version, source=body.source, rows=rows, profile=profile)


def delete_baseline(tx: Connection, call: Call, name: str) -> None:
    """Runbook §4.6. Clearing what is not there is done already."""
    require_model(tx, call.tenant, name)
    if clear_baseline(tx, call.tenant, name):
        journal(tx, tenant=call.tenant, kind="baseline.cleared", model=name, subject=name, key=call.key)


def as_version(row: Row[Any]) -> ModelVersion:
    return ModelVersion(
        model=row.model,
        version=row.version,
        stage=VersionStage(row.stage),
        offline_loss=row.offline_loss,
        trained_on=row.trained_on,
        registered_at=row.registered_at,
        promoted_at=row.promoted_at,
    )
