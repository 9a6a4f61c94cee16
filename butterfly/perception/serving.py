"""Serving: a sticky split by traffic share, real scores, failures counted, truth joined later."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from butterfly.perception import registry
from butterfly.perception.deployments import BASELINE, CANARY, LATENCY_EDGES, find_open
from butterfly.perception.models import LogisticModel
from butterfly.perception.tables import arms, predictions
from butterfly.storage import stamp
from butterfly.web import Call, Problem
from contracts.perception import Instance, Outcome, Prediction, PredictRequest, PredictResponse

LARGEST_BATCH = 1000
_BUCKETS_OF_KEYS = 1_000_000


def predict(tx: Connection, call: Call, name: str, body: PredictRequest) -> PredictResponse:
    """Score a batch. A prediction that fails is an answer with an error, counted as such."""
    if not 0 < len(body.instances) <= LARGEST_BATCH:
        raise Problem(422, "BATCH_SIZE", f"{len(body.instances)} instances: send 1 to {LARGEST_BATCH} at a time")
    registry.require_model(tx, call.tenant, name)
    production = registry.production_version(tx, call.tenant, name)
    if production is None:
        raise Problem(409, "NO_PRODUCTION", f"model {name} has no version in production")
    deployment = find_open(tx, call.tenant, name)
    by_arm: dict[str, list[int]] = defaultdict(list)
    for index, instance in enumerate(body.instances):
        to_canary = deployment is not None and goes_to_canary(deployment.number, instance.key, deployment.traffic)
        by_arm[CANARY if to_canary else BASELINE].append(index)
    answers: dict[int, Prediction] = {}
    for arm, indexes in by_arm.items():
        version = production
        if arm == CANARY and deployment is not None:
            version = registry.require_version(tx, call.tenant, name, deployment.version)
        started = time.perf_counter()
        scored = _score(version, arm, [body.instances[index] for index in indexes])
        seconds = (time.perf_counter() - started) / len(indexes)
        answers.update(zip(indexes, scored, strict=True))
        if deployment is not None:
            _count(tx, deployment.number, arm, scored, seconds)
    ordered = [answers[index] for index in range(len(body.instances))]
    _keep(tx, call.tenant, name, deployment, body.instances, ordered)
    return PredictResponse(predictions=ordered)


def goes_to_canary(deployment: int, key: str, traffic: float) -> bool:
    """The same key stays in its arm, and a larger share only ever adds keys to the canary."""
    digest = hashlib.sha256(f"{deployment}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _BUCKETS_OF_KEYS < traffic / 100 * _BUCKETS_OF_KEYS


def take_outcomes(tx: Connection, call: Call, name: str, outcomes: list[Outcome]) -> None:
    """Join labels to predictions. Told twice counts once; a late label still counts for its own arm."""
    registry.require_model(tx, call.tenant, name)
    labels = {outcome.prediction_id: outcome.label for outcome in outcomes}
    wrong = [label for label in labels.values() if label not in (0, 1)]
    if wrong:
        raise Problem(422, "INVALID_LABEL", f"label {wrong[0]} is not 0 or 1")
    rows = tx.execute(
        sa.select(predictions).where(
            predictions.c.id.in_(labels),
            predictions.c.tenant == call.tenant,
            predictions.c.model == name,
            predictions.c.label.is_(None),
        )
    ).all()
    losses: dict[tuple[int, str], list[float]] = defaultdict(list)
    for row in rows:
        if row.deployment is not None and row.score is not None:
            losses[(row.deployment, row.arm)].append((row.score - labels[row.id]) ** 2)
    if rows:
        tx.execute(
            predictions.update().where(predictions.c.number == sa.bindparam("n")).values(label=sa.bindparam("l")),
            [{"n": row.number, "l": labels[row.id]} for row in rows],
        )
    for (deployment, arm), values in losses.items():
        tx.execute(
            arms.update()
            .where(arms.c.deployment == deployment, arms.c.arm == arm)
            .values(
                labelled=arms.c.labelled + len(values),
                loss_sum=arms.c.loss_sum + sum(values),
                loss_square_sum=arms.c.loss_square_sum + sum(value * value for value in values),
            )
        )


def _score(version: Row[Any], arm: str, instances: list[Instance]) -> list[Prediction]:
    scores = LogisticModel.model_validate(version.artefact).score([instance.features for instance in instances])
    return [
        Prediction(
            id=uuid.uuid4().hex,
            key=instance.key,
            arm=arm,
            version=version.version,
            score=score if isinstance(score, float) else None,
            error=None if isinstance(score, float) else score,
        )
        for instance, score in zip(instances, scores, strict=True)
    ]


def _count(tx: Connection, deployment: int, arm: str, scored: list[Prediction], seconds: float) -> None:
    of_arm = sa.and_(arms.c.deployment == deployment, arms.c.arm == arm)
    buckets = tx.execute(sa.select(arms.c.latency_buckets).where(of_arm)).scalar_one()
    for edge in LATENCY_EDGES:
        if seconds <= float(edge):
            buckets[edge] += len(scored)
    tx.execute(
        arms.update()
        .where(of_arm)
        .values(
            predictions=arms.c.predictions + len(scored),
            errors=arms.c.errors + sum(prediction.error is not None for prediction in scored),
            latency_sum=arms.c.latency_sum + seconds * len(scored),
            latency_buckets=buckets,
        )
    )


def _keep(
    tx: Connection,
    tenant: str,
    name: str,
    deployment: Row[Any] | None,
    instances: list[Instance],
    answers: list[Prediction],
) -> None:
    at = stamp()
    tx.execute(
        predictions.insert(),
        [
            {
                "id": answer.id,
                "tenant": tenant,
                "model": name,
                "version": answer.version,
                "arm": answer.arm,
                "deployment": None if deployment is None else deployment.number,
                "score": answer.score,
                "features": instance.features,
                "at": at,
            }
            for instance, answer in zip(instances, answers, strict=True)
        ],
    )
