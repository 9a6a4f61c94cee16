"""A model of its own for one test: versions that are good, wrong or failing, traffic, and what the services saw."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from contracts.alerts import Alert
from contracts.perception import VersionStage
from contracts.policy import (
    CanaryPolicy,
    EscalationPolicy,
    EscalationTier,
    GatePolicy,
    RemediationPolicy,
    VerificationPolicy,
)

TENANT = "acme"

QUICK = RemediationPolicy(
    canary=CanaryPolicy(
        stages=[50.0, 100.0],
        evaluation_window=timedelta(milliseconds=300),
        minimum_predictions=40,
        minimum_labelled=30,
        stalled_after=timedelta(hours=2),
    ),
    gate=GatePolicy(plan_timeout=timedelta(hours=4), canary_timeout=timedelta(hours=1)),
    verification=VerificationPolicy(window=timedelta(seconds=5), interval=timedelta(milliseconds=200), consecutive=2),
    escalation=EscalationPolicy(
        tiers=[
            EscalationTier(after=timedelta(0), audience="on-call engineer"),
            EscalationTier(after=timedelta(minutes=15), audience="ML platform team"),
        ]
    ),
    outage_patience=timedelta(seconds=3),
)
"""Production's policy with windows that a test can wait for."""


class World:
    """One model of one tenant in the embedded ecosystem."""

    def __init__(self, urls: Mapping[str, str], tenant: str = TENANT, model: str = "") -> None:
        self.urls = urls
        self.tenant = tenant
        self.model = model or f"m{uuid.uuid4().hex[:10]}"
        headers = {"X-Tenant-ID": tenant}
        self.perception = httpx.AsyncClient(base_url=urls["perception"], headers=headers, timeout=20)
        self.plato = httpx.AsyncClient(base_url=urls["plato"], headers=headers, timeout=20)
        self.synapse = httpx.AsyncClient(base_url=urls["synapse"], headers=headers, timeout=20)
        self._random = random.Random(self.model)
        self._keys = 0

    async def close(self) -> None:
        for client in (self.perception, self.plato, self.synapse):
            await client.aclose()

    # Setting the scene.

    async def register(self, **candidates: str) -> None:
        """The model with `v1` in production, trained on x near 0; candidates by name: good, wrong or failing."""
        await self.post("/api/v1/models", {"name": self.model, "features": ["x"]})
        await self.add_version("v1", "stale", VersionStage.PRODUCTION, centre=0.0)
        for name, quality in candidates.items():
            await self.add_version(name, quality, VersionStage.CANDIDATE, centre=3.0)

    async def add_version(self, version: str, quality: str, stage: VersionStage, centre: float) -> None:
        """`good` scores well, `stale` so-so, `wrong` badly; `failing` needs a feature that nobody sends."""
        feature = "y" if quality == "failing" else "x"
        slope = {"good": 4.0, "stale": 0.3, "wrong": -4.0, "failing": 4.0}[quality]
        body = {
            "version": version,
            "stage": stage,
            "artefact": {
                "kind": "logistic",
                "features": [feature],
                "means": [3.0],
                "scales": [1.0],
                "coefficients": [slope],
                "intercept": 0.0,
            },
            "reference": [{"x": self._random.gauss(centre, 1.0)} for _ in range(1500)],
            "offlineLoss": 0.1,
            "trainedOn": quality,
        }
        await self.post(f"/api/v1/models/{self.model}/versions", body)

    async def serve(self, rows: int = 300, centre: float = 3.0) -> None:
        """Predictions on x near `centre`, and their labels: 1 when x is above 3."""
        values = [self._random.gauss(centre, 1.0) for _ in range(rows)]
        instances = [{"key": self._key(), "features": {"x": value}} for value in values]
        answer = await self.post(f"/api/v1/models/{self.model}/predictions", {"instances": instances})
        outcomes = [
            {"predictionId": prediction["id"], "label": int(value > 3.0)}
            for prediction, value in zip(answer["predictions"], values, strict=True)
        ]
        await self.post(f"/api/v1/models/{self.model}/outcomes", {"outcomes": outcomes})

    async def drift(self) -> None:
        """Serve what production was never trained on, until PERCEPTION measures it."""
        await self.serve(600)
        assert (await self.severity()) > 0.8

    @asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """Keep serving beside the test."""

        async def keep_serving() -> None:
            while True:
                with suppress(httpx.HTTPError, KeyError, AssertionError):  # a test may have broken PERCEPTION
                    await self.serve(60)
                await asyncio.sleep(0.1)

        serving = asyncio.create_task(keep_serving())
        try:
            yield
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    async def fault(self, service: str, **rule: Any) -> None:
        """Make a service misbehave on this model's paths (or on `path`)."""
        client: httpx.AsyncClient = getattr(self, service)
        rule.setdefault("path", f"/{self.model}/")
        (await client.put("/_butterfly/faults", json=[rule])).raise_for_status()

    async def heal(self) -> None:
        """No faults any more."""
        for client in (self.perception, self.plato, self.synapse):
            (await client.delete("/_butterfly/faults")).raise_for_status()

    def alert(self, **changes: Any) -> Alert:
        """MODEL_DRIFT for this model; every call is another episode."""
        values = {
            "tenant": self.tenant,
            "model": self.model,
            "fingerprint": uuid.uuid4().hex[:12],
            "starts_at": datetime.now(UTC),
            "source": "perception",
        }
        return Alert.model_validate({**values, **changes})

    # What the outside world saw.

    async def writes(self, *kinds: str, service: str = "perception") -> list[dict[str, Any]]:
        """Effects on this model, oldest first."""
        client: httpx.AsyncClient = getattr(self, service)
        answer = await client.get("/_butterfly/writes", params={"tenant": self.tenant, "model": self.model})
        found: list[dict[str, Any]] = answer.json()["content"]
        return [write for write in found if not kinds or write["kind"] in kinds]

    async def canary_life(self) -> list[str]:
        """The canaries' life as PERCEPTION journalled it: `started 50`, `advanced 100`, `promoted`, …"""
        life = []
        for write in await self.writes():
            if write["kind"].startswith("canary."):
                traffic = write["detail"].get("traffic")
                life.append(write["kind"].removeprefix("canary.") + (f" {traffic:g}" if traffic else ""))
        return life

    async def deployments(self) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = (await self.get(f"/api/v1/models/{self.model}/deployments"))["content"]
        return content

    async def production(self) -> str:
        versions = (await self.get(f"/api/v1/models/{self.model}/versions?stage=PRODUCTION"))["content"]
        return str(versions[0]["version"])

    async def severity(self) -> float:
        return float((await self.get(f"/api/v1/drift/models/{self.model}/status"))["severity"])

    async def plans(self) -> list[dict[str, Any]]:
        answer = await self.plato.get("/api/v1/plans", params={"model": self.model})
        content: list[dict[str, Any]] = answer.json()["content"]
        return content

    async def get(self, path: str) -> Any:
        answer = await self.perception.get(path)
        answer.raise_for_status()
        return answer.json()

    async def post(self, path: str, body: Any = None) -> Any:
        answer = await self.perception.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def _key(self) -> str:
        self._keys += 1
        return f"{self.model}-{self._keys}"


def with_changes(policy: RemediationPolicy, **sections: dict[str, Any]) -> RemediationPolicy:
    """A policy with some values of some sections changed."""
    changed = {name: getattr(policy, name).model_copy(update=values) for name, values in sections.items()}
    return policy.model_copy(update=changed)


ASKING = with_changes(QUICK, gate={"always_ask": True})
"""Every plan needs a person."""
