"""Which path handles which alert (DESIGN §3), and which names may become part of a workflow id."""

from __future__ import annotations

import re

from contracts.alerts import MODEL_DRIFT, Alert

_PATHS = {MODEL_DRIFT: "DriftRemediation"}

# A slash would make one model's lock look like another's; a space or quote would break a command line.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def route(alert: Alert) -> str | None:
    """The workflow type for an alert, or None when no path handles it."""
    return _PATHS.get(alert.name)


def problem(alert: Alert) -> str:
    """Why an alert can't be taken, with the value and what is allowed; empty when it can."""
    for what, value in (("tenant", alert.tenant), ("model", alert.model)):
        if not _NAME.fullmatch(value):
            return f"{what} {value[:200]!r} can't be used: at most 128 of A-Z a-z 0-9 . _ -, no sign first"
    if not alert.fingerprint:
        return "fingerprint is empty: it tells a repeated alert from a new one"
    if alert.starts_at.tzinfo is None:
        return f"startsAt {alert.starts_at.isoformat()} has no time zone"
    if route(alert) is None:
        return f"no path handles alert {alert.name!r}; known: {', '.join(sorted(_PATHS))}"
    return ""
