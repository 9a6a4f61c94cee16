"""What a person is asked, what a person answers, and what is on record about both."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from contracts.base import Contract


class GateKind(StrEnum):
    """Why the loop stopped to ask."""

    PLAN = "PLAN"
    CANARY_STALLED = "CANARY_STALLED"
    CANARY_UNREADABLE = "CANARY_UNREADABLE"
    PAUSED_TOO_LONG = "PAUSED_TOO_LONG"


class OnSilence(StrEnum):
    """What happens when nobody answers: nothing was started, or the canary goes back."""

    EXPIRE = "EXPIRE"
    ROLL_BACK = "ROLL_BACK"


class Choice(StrEnum):
    """A decision's content."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"


class GateState(StrEnum):
    """How a gate stands."""

    OPEN = "OPEN"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    SILENT = "SILENT"


class Decision(Contract):
    """One person's answer, bound to one gate and one plan. Any other gate or plan refuses it.

    `identity` says how `by` is known: "claimed" (typed into a CLI or UI) or "authenticated" (by a gateway).
    """

    gate_id: str = ""
    plan_hash: str = ""
    choice: Choice
    by: str = ""
    comment: str = ""
    via: str = "update"
    identity: str = "claimed"


class DecisionAck(Contract):
    """What a decision did."""

    gate_id: str
    state: GateState
    message: str


class Vote(Contract):
    """A decision on record."""

    at: datetime
    choice: Choice
    by: str
    via: str
    identity: str
    comment: str = ""


class Gate(Contract):
    """An open question: what exactly will happen, why, who may decide, by when, and what silence means."""

    id: str
    kind: GateKind
    plan_hash: str
    title: str
    will_happen: list[str]
    why: list[str]
    approvers: list[str]
    quorum: int
    four_eyes: bool = True
    require_authenticated: bool = False
    requested_by: str = ""
    opened_at: datetime
    deadline: datetime
    on_silence: OnSilence
    votes: list[Vote] = Field(default_factory=list)
    first_tier: int = 0
    paged_tiers: int = 0
    last_paged_at: datetime | None = None
    acknowledged_by: str = ""


class Verb(StrEnum):
    """What an operator can do to a running canary, or to the pager."""

    PAUSE = "pause"
    RESUME = "resume"
    ADVANCE = "advance"
    ROLLBACK = "rollback"
    ACKNOWLEDGE = "acknowledge"


class Command(Contract):
    """An operator's order. `advance` must name the traffic it starts from, so that a repeat can't raise it again."""

    verb: Verb
    by: str = ""
    reason: str = ""
    from_percentage: float | None = None
    via: str = "update"
    identity: str = "claimed"
    request_id: str = ""


class CommandAck(Contract):
    """What an order did, or why it was refused."""

    request_id: str = ""
    verb: Verb
    done: bool
    message: str
