"""SYNAPSE on the wire: actions that carry out plan steps (runbook §3.4)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from contracts.base import Wire


class ActionType(StrEnum):
    """What SYNAPSE can do to PERCEPTION."""

    START_CANARY = "START_CANARY"
    PROMOTE_VERSION = "PROMOTE_VERSION"
    REFRESH_BASELINE = "REFRESH_BASELINE"


class ActionStatus(StrEnum):
    """An action's life; the last two are final."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def is_final(self) -> bool:
        return self in (ActionStatus.SUCCEEDED, ActionStatus.FAILED)


class SubmitAction(Wire):
    """`POST /actions` with an `Idempotency-Key`; answers 202 and the action, the same one for the same key."""

    plan_id: str
    step_id: str
    type: str
    model: str
    params: dict[str, Any] = Field(default_factory=dict)


class Action(Wire):
    """One action and how it ended. `rim_node_id` is `rim:model:{name}`, what §3.4 queries by."""

    id: str
    tenant_id: str
    plan_id: str
    step_id: str
    type: str
    rim_node_id: str
    status: ActionStatus
    params: dict[str, Any] = Field(default_factory=dict)
    result: dict[str, Any] = Field(default_factory=dict)
    error: str = ""
    created_at: datetime
    finished_at: datetime | None = None
