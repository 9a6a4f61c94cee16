"""Workflow ids. `remediation/{tenant}/{model}` is the model's lock (docs/adr/0001): do not vary it."""

from __future__ import annotations

TASK_QUEUE = "driftloop"  # no hyphen: the server turns `-` into `_` in metric labels


def remediation_id(tenant: str, model: str) -> str:
    """The one workflow that may own a model, whatever path it runs."""
    return f"remediation/{tenant}/{model}"


def canary_id(tenant: str, model: str, deployment_id: str) -> str:
    """The child that owns one canary deployment until it is promoted or rolled back."""
    return f"canary/{tenant}/{model}/{deployment_id}"
