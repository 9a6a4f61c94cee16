"""What happened, in order, in words: the raw material of status, details and the incident report."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from contracts.base import Contract


class EventKind(StrEnum):
    """What a timeline entry is about."""

    ALERT = "ALERT"
    PHASE = "PHASE"
    EVIDENCE = "EVIDENCE"
    PLAN = "PLAN"
    GATE = "GATE"
    DECISION = "DECISION"
    COMMAND = "COMMAND"
    REFUSED = "REFUSED"
    LOOK = "LOOK"
    TRAFFIC = "TRAFFIC"
    PAGE = "PAGE"
    EXTERNAL = "EXTERNAL"
    FAILURE = "FAILURE"
    OUTCOME = "OUTCOME"


class TimelineEvent(Contract):
    """One entry. `actor` is a person, a service or "driftloop"; `data` holds the numbers behind the text."""

    at: datetime
    kind: EventKind
    text: str
    actor: str = "driftloop"
    data: dict[str, Any] = Field(default_factory=dict)
