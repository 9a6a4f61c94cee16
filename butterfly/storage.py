"""One database for one service: SQLite by default, PostgreSQL by URL. Acknowledged writes survive `kill -9`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

metadata = sa.MetaData()

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("tenant", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("request", sa.String, primary_key=True),
    sa.Column("body_hash", sa.String, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("response", sa.JSON, nullable=False),
)

writes = sa.Table(
    "writes",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("key", sa.String, nullable=False),
)


class Store:
    """Transactions on one database. Writers wait for each other instead of failing."""

    def __init__(self, url: str, tables: sa.MetaData) -> None:
        self.engine = sa.create_engine(url, future=True, pool_pre_ping=True)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _set_up_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        metadata.create_all(self.engine)
        tables.create_all(self.engine)

    @contextmanager
    def write(self, scope: str) -> Iterator[Connection]:
        """A transaction that sees and shuts out every other writer of the same scope."""
        with self.engine.execution_options(driftloop_write=True).begin() as tx:
            if not self.is_sqlite:
                tx.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:scope))"), {"scope": scope})
            yield tx

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent look."""
        with self.engine.begin() as tx:
            yield tx

    def close(self) -> None:
        self.engine.dispose()


def _set_up_sqlite(connection: Any, _: Any) -> None:
    # Transactions are opened by hand below: the driver would open them too late to lock out a second writer.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=20000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("driftloop_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def now() -> datetime:
    """UTC, aware."""
    return datetime.now(UTC)


def stamp(at: datetime | None = None) -> str:
    """A time as text that sorts as it should, the same on every database."""
    return (at or now()).astimezone(UTC).isoformat(timespec="microseconds")


def journal(
    tx: Connection, *, tenant: str, kind: str, model: str, subject: str, key: str | None, **detail: Any
) -> None:
    """Record an effect in the transaction that has it: what `GET /_butterfly/writes` counts."""
    tx.execute(
        writes.insert().values(
            at=stamp(), tenant=tenant, kind=kind, model=model, subject=subject, detail=detail, key=key or ""
        )
    )
