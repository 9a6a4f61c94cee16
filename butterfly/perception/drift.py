"""Drift of a model: measured on what it served last, kept while nothing new was served, signalled once an episode."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from butterfly.perception import registry
from butterfly.perception.analysis import analyze, model_severity, state
from butterfly.perception.profiles import FeatureProfile
from butterfly.perception.psi import CRITICAL, WARNING
from butterfly.perception.tables import analyses, baselines, config, episodes, models, outbox, predictions
from butterfly.storage import journal, now, stamp
from butterfly.web import Call
from contracts.perception import DriftAnalysis, DriftConfig, DriftSignal, DriftState, DriftStatus

_NORMAL = 0.5


@dataclass(frozen=True)
class DriftSettings:
    """How drift is measured. `window_rows` served rows are compared; new ones are looked at in steps."""

    window_rows: int = 2000
    minimum_rows: int = registry.MINIMUM_ROWS
    step_rows: int = 500
    psi_warning: float = WARNING
    psi_critical: float = CRITICAL
    repeat: timedelta = timedelta(hours=4)


def measure(tx: Connection, tenant: str, name: str, settings: DriftSettings, *, every: int = 1) -> DriftAnalysis:
    """The analysis now. Measured again only after `every` new rows or another baseline; opens and ends episodes."""
    registry.require_model(tx, tenant, name)
    last = tx.execute(sa.select(analyses).where(analyses.c.tenant == tenant, analyses.c.model == name)).first()
    baseline = tx.execute(sa.select(baselines).where(baselines.c.tenant == tenant, baselines.c.model == name)).first()
    of_model = sa.and_(predictions.c.tenant == tenant, predictions.c.model == name)
    newest = tx.execute(sa.select(sa.func.max(predictions.c.number)).where(of_model)).scalar() or 0
    is_known = (
        last is not None
        and baseline is not None
        and newest - last.seen < every
        and last.baseline_at == baseline.registered_at
    )
    if last is not None and is_known:
        return _with_episode(tx, DriftAnalysis.model_validate(last.analysis))
    window = tx.execute(
        sa.select(predictions.c.features)
        .where(of_model)
        .order_by(predictions.c.number.desc())
        .limit(settings.window_rows)
    ).scalars()
    found = _analysis(tx, tenant, name, baseline, list(window), settings)
    if found.severity is not None and baseline is not None:
        _remember(tx, found, newest, baseline.registered_at)
        _follow_episode(tx, found)
    return _with_episode(tx, found)


def status(analysis: DriftAnalysis) -> DriftStatus:
    """The short form of an analysis."""
    return DriftStatus.model_validate(analysis.model_dump())


def all_models(tx: Connection, tenant: str) -> list[str]:
    return list(tx.execute(sa.select(models.c.name).where(models.c.tenant == tenant).order_by(models.c.name)).scalars())


def get_config(tx: Connection, tenant: str) -> DriftConfig:
    enabled = tx.execute(sa.select(config.c.auto_remediation).where(config.c.tenant == tenant)).scalar()
    return DriftConfig(auto_remediation_enabled=enabled is None or enabled)


def put_config(tx: Connection, call: Call, body: DriftConfig) -> DriftConfig:
    """Runbook §4.5."""
    tx.execute(config.delete().where(config.c.tenant == call.tenant))
    tx.execute(config.insert().values(tenant=call.tenant, auto_remediation=body.auto_remediation_enabled))
    journal(
        tx,
        tenant=call.tenant,
        kind="config.drift",
        model="",
        subject="autoRemediationEnabled",
        key=call.key,
        value=body.auto_remediation_enabled,
    )
    return body


def _analysis(
    tx: Connection, tenant: str, name: str, baseline: Row[Any] | None, window: list[Any], settings: DriftSettings
) -> DriftAnalysis:
    production = registry.production_version(tx, tenant, name)
    common = {
        "model": name,
        "tenant_id": tenant,
        "production_version": production.version if production else None,
        "window_rows": len(window),
        "analyzed_at": now(),
    }
    if baseline is None:
        note = f"model {name} has no baseline: register one (runbook 4.6)"
        return DriftAnalysis(state=DriftState.NO_BASELINE, note=note, **common)
    common |= {"baseline_version": baseline.version, "baseline_rows": baseline.rows}
    if len(window) < settings.minimum_rows:
        note = f'{len(window)} rows served, {settings.minimum_rows} are needed: this is not "no drift"'
        return DriftAnalysis(state=DriftState.INSUFFICIENT_DATA, note=note, **common)
    profile = {feature: FeatureProfile.model_validate(item) for feature, item in baseline.profile.items()}
    drifts = analyze(profile, window, settings.psi_warning, settings.psi_critical)
    severity = model_severity(drifts)
    swapped = [
        f"{drift.feature} looks like {drift.suspected_swap_with}" for drift in drifts if drift.suspected_swap_with
    ]
    note = f"columns may be swapped upstream ({'; '.join(swapped)}): retraining would hide that" if swapped else ""
    return DriftAnalysis(state=state(severity), severity=severity, features=drifts, note=note, **common)


def _remember(tx: Connection, found: DriftAnalysis, seen: int, baseline_at: str) -> None:
    tx.execute(analyses.delete().where(analyses.c.tenant == found.tenant_id, analyses.c.model == found.model))
    tx.execute(
        analyses.insert().values(
            tenant=found.tenant_id,
            model=found.model,
            seen=seen,
            baseline_at=baseline_at,
            severity=found.severity,
            analysis=found.model_dump(mode="json"),
            at=stamp(),
        )
    )


def _open_episode(tx: Connection, tenant: str, name: str) -> Row[Any] | None:
    return tx.execute(
        sa.select(episodes).where(episodes.c.tenant == tenant, episodes.c.model == name, episodes.c.ended_at.is_(None))
    ).first()


def _follow_episode(tx: Connection, found: DriftAnalysis) -> None:
    """Drift opens an episode and signals it; a normal severity ends it. In between nothing is new."""
    episode = _open_episode(tx, found.tenant_id, found.model)
    severity = found.severity or 0.0
    if severity < _NORMAL:
        if episode is not None:
            tx.execute(episodes.update().where(episodes.c.number == episode.number).values(ended_at=stamp()))
        return
    if episode is not None:
        return
    at = now()
    number = tx.execute(
        episodes.insert()
        .values(tenant=found.tenant_id, model=found.model, started_at=stamp(at))
        .returning(episodes.c.number)
    ).scalar_one()
    signal = DriftSignal(
        tenant_id=found.tenant_id,
        model=found.model,
        severity=severity,
        fingerprint=hashlib.sha256(f"MODEL_DRIFT/{found.tenant_id}/{found.model}".encode()).hexdigest()[:16],
        starts_at=at,
        state=found.state,
        production_version=found.production_version,
    )
    tx.execute(
        outbox.insert().values(
            episode=number, signal=signal.model_dump(mode="json", by_alias=True), due_at=stamp(at), tries=0
        )
    )


def _with_episode(tx: Connection, found: DriftAnalysis) -> DriftAnalysis:
    episode = _open_episode(tx, found.tenant_id, found.model)
    detected_at = datetime.fromisoformat(episode.started_at) if episode else None
    return found.model_copy(update={"detected_at": detected_at})
