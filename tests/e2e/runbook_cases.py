"""The runbook's commands as cases: what must stand, what is typed, what must come back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Values = list[Any]
"""The JSON values that a block of commands printed, in order."""


@dataclass(frozen=True)
class Case:
    """One block of the runbook. `own`: the same in our words, for where the runbook itself is not at hand."""

    section: str
    own: str
    gives: Callable[[Values], bool]
    beside_a_canary: bool = True


_PERCEPTION = '"$PERCEPTION_URL/api/v1/models/MY_MODEL'
_TENANT = 'curl -s -H "X-Tenant-ID: $TENANT_ID"'
_JSON = '-H "Content-Type: application/json"'


def _post(path: str, body: str = "") -> str:
    return f'{_TENANT} -X POST {_JSON} {_PERCEPTION}{path}"{f" -d {body!r}" if body else ""}'


CASES = [
    Case(
        "3.1",
        f'{_TENANT} "$PERCEPTION_URL/api/v1/drift/models"\n'
        f'{_TENANT} "$PERCEPTION_URL/api/v1/drift/models/MY_MODEL/analyze"',
        lambda said: (
            "MY_MODEL" in [model["model"] for model in said[0]["content"]]
            and said[1]["model"] == "MY_MODEL"
            and 0 <= said[1]["severity"] < 1
            and said[1]["features"][0]["feature"] == "x"
        ),
    ),
    Case(
        "3.2",
        f'{_TENANT} {_PERCEPTION}/deployments?status=IN_PROGRESS"\n'
        f'{_TENANT} {_PERCEPTION}/deployments/{{deploymentId}}"',
        lambda said: said[0]["content"][0]["id"] == said[1]["id"] and said[1]["status"] == "IN_PROGRESS",
    ),
    Case(
        "3.3",
        f'{_TENANT} "$PLATO_URL/api/v1/plans?planType=DRIFT_REMEDIATION&limit=10"\n'
        f'{_TENANT} "$PLATO_URL/api/v1/plans/{{planId}}"',
        lambda said: said[1] in said[0]["content"] and said[1]["planType"] == "DRIFT_REMEDIATION",
    ),
    Case(
        "3.4",
        f'{_TENANT} "$SYNAPSE_URL/api/v1/actions/nexus?rimNodeId=rim:model:MY_MODEL"; '
        f'{_TENANT} "$SYNAPSE_URL/api/v1/actions/by-plato-plan/{{planId}}"',
        lambda said: said[1]["content"][0] in said[0]["content"] and said[1]["content"][0]["status"] == "SUCCEEDED",
    ),
    Case(
        "4.2",
        f"DEPLOYMENT_ID=$({_TENANT} {_PERCEPTION}/deployments?status=IN_PROGRESS\" | jq -r '.content[0].id')\n"
        + _post("/deployments/$DEPLOYMENT_ID/rollback", '{"reason": "Manual rollback"}'),
        lambda said: said[-1]["status"] == "ROLLED_BACK",
    ),
    Case(
        "4.3",
        _post("/deployments/$DEPLOYMENT_ID/pause") + "\n" + _post("/deployments/$DEPLOYMENT_ID/resume"),
        lambda said: [answer["status"] for answer in said] == ["PAUSED", "IN_PROGRESS"],
    ),
    Case("4.4", _post("/deployments/$DEPLOYMENT_ID/advance"), lambda said: said[0]["trafficPercentage"] == 25),
    Case(
        "4.5",
        f'{_TENANT} -X PUT {_JSON} "$PERCEPTION_URL/api/v1/config/drift" -d \'{{"autoRemediationEnabled": false}}\'',
        lambda said: said[0]["autoRemediationEnabled"] is False,
    ),
    Case(
        "4.6",
        f'{_TENANT} -X DELETE "$PERCEPTION_URL/api/v1/drift/models/MY_MODEL/baseline"\n'
        f'{_TENANT} -X POST {_JSON} "$PERCEPTION_URL/api/v1/drift/models/MY_MODEL/baseline" '
        '-d \'{"version": "1.0.0", "source": "production", "windowDays": 14}\'',
        lambda said: (said[-1]["version"], said[-1]["source"]) == ("1.0.0", "production"),
    ),
    Case(
        "4.7",
        f'{_TENANT} {_PERCEPTION}/versions?stage=PRODUCTION"\n'
        + _post("/versions/PREVIOUS_VERSION/promote", '{"stage": "PRODUCTION", "reason": "Emergency rollback"}'),
        lambda said: (
            [version["stage"] for version in said[0]["content"]] == ["PRODUCTION"]
            and said[1]["stage"] == "PRODUCTION"
            and said[1]["version"] != said[0]["content"][0]["version"]
        ),
        beside_a_canary=False,  # PERCEPTION promotes past no open canary
    ),
    Case(
        "5.1",
        'for url in "$PERCEPTION_URL" "$SYNAPSE_URL" "$PLATO_URL"; do\n'
        '  curl -s "$url/actuator/health" | jq .status\n'
        "done",
        lambda said: said == ["UP", "UP", "UP"],
    ),
    Case(
        "5.2",
        f'{_TENANT} "$PERCEPTION_URL/api/v1/drift/models/MY_MODEL/status" | jq ".severity < 0.5"',
        lambda said: said == [True],
    ),
    Case(
        "5.3",
        f'{_TENANT} {_PERCEPTION}/deployments/$DEPLOYMENT_ID" | jq ".status, .trafficPercentage"',
        lambda said: said == ["IN_PROGRESS", 5],
    ),
]

QUICK_REFERENCE = """
GET  $PERCEPTION_URL/api/v1/drift/models
GET  $PERCEPTION_URL/api/v1/drift/models/{name}/analyze
GET  $PERCEPTION_URL/api/v1/drift/models/{name}/status
POST $PERCEPTION_URL/api/v1/drift/models/{name}/baseline
POST $PERCEPTION_URL/api/v1/models/{name}/deployments/canary
POST $PERCEPTION_URL/api/v1/models/{name}/deployments/{id}/advance
POST $PERCEPTION_URL/api/v1/models/{name}/deployments/{id}/rollback
POST $PERCEPTION_URL/api/v1/models/{name}/deployments/{id}/pause
POST $PERCEPTION_URL/api/v1/models/{name}/deployments/{id}/resume
GET  $SYNAPSE_URL/api/v1/actions/nexus?rimNodeId={nodeId}
GET  $SYNAPSE_URL/api/v1/actions/by-plato-plan/{planId}
"""
"""The runbook's "API Quick Reference": not shell, a list of what there is."""

LATER = {
    "Tools Required": "kubectl",
    "3.6": "kubectl logs",
    "4.1": "the end-to-end scenario of the runbook's own repository",
    "4.5": "kubectl patch and rollout restart",
    "Complete Feature Disable": "kubectl set env and rollout restart",
    "Restore Previous Configuration": "kubectl apply and rollout restart",
}
"""Blocks that need Kubernetes or another repository: later issues. §5.5 (Grafana) has no commands."""
