"""What starts a remediation, and the answer its sender gets."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from contracts.base import Contract

MODEL_DRIFT = "MODEL_DRIFT"


class Alert(Contract):
    """One firing of one alert for one model. `fingerprint` + `starts_at` name the episode; a repeat has both equal."""

    name: str = MODEL_DRIFT
    tenant: str
    model: str
    fingerprint: str
    starts_at: datetime
    severity: float | None = None
    source: str = ""

    @property
    def episode(self) -> str:
        return f"{self.fingerprint}@{self.starts_at.isoformat()}"


class Attached(StrEnum):
    """What became of an alert."""

    STARTED = "STARTED"
    ATTACHED = "ATTACHED"
    QUEUED = "QUEUED"
    DUPLICATE = "DUPLICATE"


class AttachAck(Contract):
    """The owner's answer to `attach`."""

    outcome: Attached
    workflow_id: str
    run_id: str
    path: str
    phase: str
