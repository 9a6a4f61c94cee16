"""Actions: the table, the claim, the trail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from butterfly.storage import Store, journal, now, stamp
from butterfly.web import Call, Problem
from contracts.synapse import Action, ActionStatus, ActionType, SubmitAction

metadata = sa.MetaData()
actions = sa.Table(
    "actions",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("plan_id", sa.String, nullable=False),
    sa.Column("step_id", sa.String, nullable=False),
    sa.Column("type", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("result", sa.JSON, nullable=False),
    sa.Column("error", sa.String, nullable=False),
    sa.Column("key", sa.String, nullable=False),
    sa.Column("trace", sa.JSON, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("lease_until", sa.String, nullable=True),
    sa.Column("give_up_at", sa.String, nullable=False),
    sa.Column("finished_at", sa.String, nullable=True),
)

_UNFINISHED = [ActionStatus.PENDING, ActionStatus.RUNNING]
_LEASE = timedelta(seconds=15)


def submit(tx: Connection, call: Call, body: SubmitAction, patience: timedelta) -> Action:
    """Queue an action. Raises Problem 422 for a type SYNAPSE can't carry out."""
    if body.type not in list(ActionType):
        raise Problem(422, "UNKNOWN_ACTION", f"action {body.type[:100]} does not exist: {', '.join(ActionType)}")
    number = tx.execute(
        actions.insert()
        .values(
            tenant=call.tenant,
            plan_id=body.plan_id,
            step_id=body.step_id,
            type=body.type,
            model=body.model,
            status=ActionStatus.PENDING,
            params=body.params,
            result={},
            error="",
            key=call.key or "",
            trace=call.trace,
            created_at=stamp(),
            give_up_at=stamp(now() + patience),
        )
        .returning(actions.c.number)
    ).scalar_one()
    row = require(tx, call.tenant, f"act-{number}")
    _journal(tx, row, "action.submitted", type=body.type)
    return as_action(row)


def require(tx: Connection, tenant: str, id: str) -> Row[Any]:
    """The action's row. Raises Problem 404."""
    number = id.removeprefix("act-")
    row = None
    if id.startswith("act-") and number.isdecimal() and len(number) < 10:
        row = tx.execute(sa.select(actions).where(actions.c.tenant == tenant, actions.c.number == int(number))).first()
    if row is None:
        raise Problem(404, "UNKNOWN_ACTION", f"there is no action {id[:100]} for tenant {tenant}")
    return row


def find(tx: Connection, tenant: str, where: sa.ColumnElement[bool]) -> list[Action]:
    """Newest first."""
    query = sa.select(actions).where(actions.c.tenant == tenant, where).order_by(actions.c.number.desc())
    return [as_action(row) for row in tx.execute(query)]


def claim(store: Store) -> Row[Any] | None:
    """An unfinished action for this executor alone, until its lease ends: a dead executor's work is taken over."""
    at = stamp()
    is_free = sa.or_(actions.c.lease_until.is_(None), actions.c.lease_until < at)
    waiting = sa.select(actions.c.number).where(actions.c.status.in_(_UNFINISHED), is_free)
    with store.read() as tx:
        if tx.execute(waiting.limit(1)).first() is None:
            return None
    with store.write("actions") as tx:
        row = tx.execute(
            sa.select(actions).where(actions.c.status.in_(_UNFINISHED), is_free).order_by(actions.c.number).limit(1)
        ).first()
        if row is None:
            return None
        tx.execute(
            actions.update()
            .where(actions.c.number == row.number)
            .values(status=ActionStatus.RUNNING, lease_until=stamp(now() + _LEASE))
        )
        return row


def finish(store: Store, row: Row[Any], *, result: dict[str, Any] | None = None, error: str = "") -> None:
    """Record the end, once."""
    status = ActionStatus.SUCCEEDED if result is not None else ActionStatus.FAILED
    with store.write("actions") as tx:
        ended = tx.execute(
            actions.update()
            .where(actions.c.number == row.number, actions.c.status.in_(_UNFINISHED))
            .values(status=status, result=result or {}, error=error, finished_at=stamp(), lease_until=None)
        )
        if ended.rowcount:
            _journal(tx, row, "action.finished", status=status)


def postpone(store: Store, row: Row[Any], pause: timedelta) -> None:
    """Try again later."""
    with store.write("actions") as tx:
        tx.execute(actions.update().where(actions.c.number == row.number).values(lease_until=stamp(now() + pause)))


def as_action(row: Row[Any]) -> Action:
    return Action(
        id=f"act-{row.number}",
        tenant_id=row.tenant,
        plan_id=row.plan_id,
        step_id=row.step_id,
        type=row.type,
        rim_node_id=f"rim:model:{row.model}",
        status=ActionStatus(row.status),
        params=row.params,
        result=row.result,
        error=row.error,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _journal(tx: Connection, row: Row[Any], kind: str, **detail: Any) -> None:
    journal(tx, tenant=row.tenant, kind=kind, model=row.model, subject=f"act-{row.number}", key=row.key, **detail)
