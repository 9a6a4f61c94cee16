"""PERCEPTION's tables."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String, primary_key=True)


def _text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=nullable)


models = sa.Table(
    "models", metadata, _key("tenant"), _key("name"), sa.Column("features", sa.JSON), _text("registered_at")
)

versions = sa.Table(
    "versions",
    metadata,
    _key("tenant"),
    _key("model"),
    _key("version"),
    _text("stage"),
    sa.Column("artefact", sa.JSON),
    sa.Column("profile", sa.JSON),
    sa.Column("rows", sa.Integer),
    sa.Column("offline_loss", sa.Float, nullable=True),
    _text("trained_on"),
    _text("registered_at"),
    _text("promoted_at", nullable=True),
)

baselines = sa.Table(
    "baselines",
    metadata,
    _key("tenant"),
    _key("model"),
    _text("version"),
    _text("source"),
    sa.Column("rows", sa.Integer),
    sa.Column("profile", sa.JSON),
    _text("registered_at"),
)

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    _text("tenant"),
    _text("model"),
    _text("version"),
    _text("baseline_version"),
    _text("status"),
    sa.Column("traffic", sa.Float),
    sa.Column("stages", sa.JSON),
    _text("reason"),
    _text("started_by"),
    _text("created_at"),
    _text("updated_at"),
)
# At most one open canary per model, whoever asks: the database says so, not a check before an insert.
sa.Index(
    "one_open_canary",
    deployments.c.tenant,
    deployments.c.model,
    unique=True,
    sqlite_where=deployments.c.status.in_(["IN_PROGRESS", "PAUSED"]),
    postgresql_where=deployments.c.status.in_(["IN_PROGRESS", "PAUSED"]),
)

arms = sa.Table(
    "arms",
    metadata,
    sa.Column("deployment", sa.Integer, primary_key=True),
    _key("arm"),
    sa.Column("predictions", sa.Integer),
    sa.Column("errors", sa.Integer),
    sa.Column("labelled", sa.Integer),
    sa.Column("loss_sum", sa.Float),
    sa.Column("loss_square_sum", sa.Float),
    sa.Column("latency_sum", sa.Float),
    sa.Column("latency_buckets", sa.JSON),
)

predictions = sa.Table(
    "predictions",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    _text("id"),
    _text("tenant"),
    _text("model"),
    _text("version"),
    _text("arm"),
    sa.Column("deployment", sa.Integer, nullable=True),
    sa.Column("score", sa.Float, nullable=True),
    sa.Column("label", sa.Integer, nullable=True),
    sa.Column("features", sa.JSON),
    _text("at"),
)
sa.Index("predictions_by_id", predictions.c.id, unique=True)
sa.Index("predictions_window", predictions.c.tenant, predictions.c.model, predictions.c.number)

analyses = sa.Table(
    "analyses",
    metadata,
    _key("tenant"),
    _key("model"),
    sa.Column("seen", sa.Integer),
    _text("baseline_at"),
    sa.Column("severity", sa.Float, nullable=True),
    sa.Column("analysis", sa.JSON),
    _text("at"),
)

episodes = sa.Table(
    "episodes",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    _text("tenant"),
    _text("model"),
    _text("started_at"),
    _text("ended_at", nullable=True),
    _text("canary_at", nullable=True),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("episode", sa.Integer, primary_key=True),
    sa.Column("signal", sa.JSON),
    _text("due_at"),
    sa.Column("tries", sa.Integer),
    _text("delivered_at", nullable=True),
)

config = sa.Table("config", metadata, _key("tenant"), sa.Column("auto_remediation", sa.Boolean))
