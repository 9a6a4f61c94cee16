"""Faults on demand: a service that is slow, failing, silent or talking nonsense, per endpoint."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class FaultKind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    ERROR = "error"
    DROP = "drop"
    WRONG_JSON = "wrong_json"
    TRUNCATED = "truncated"


class FaultRule(BaseModel):
    """One fault. `after`: the request has its effect first, only the answer is lost or spoiled."""

    kind: FaultKind
    method: str = ".*"
    path: str = ".*"
    status: int = 503
    seconds: float = 0.0
    retry_after: int | None = None
    after: bool = False
    times: int | None = Field(default=None, description="How often; for ever when left out.")


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self.rules: list[FaultRule] = []
        self._lock = threading.Lock()

    def replace(self, rules: list[FaultRule]) -> None:
        with self._lock:
            self.rules = list(rules)

    def take(self, method: str, path: str) -> FaultRule | None:
        """The fault that this request meets, counted against its `times`."""
        with self._lock:
            for index, rule in enumerate(self.rules):
                if rule.times == 0 or not _matches(rule, method, path):
                    continue
                if rule.times is not None:
                    self.rules[index] = rule.model_copy(update={"times": rule.times - 1})
                return rule
        return None


def _matches(rule: FaultRule, method: str, path: str) -> bool:
    if path.startswith("/_butterfly"):
        return False
    if path.startswith("/actuator") and not rule.path.startswith("/actuator"):
        return False  # a failing endpoint does not make its service unhealthy, unless a rule says so
    return re.fullmatch(rule.method, method) is not None and re.search(rule.path, path) is not None


class FaultyApp:
    """Wraps a service from outside everything else, down to the connection."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rule = self._faults.take(scope["method"], scope["path"]) if scope["type"] == "http" else None
        if rule is None:
            await self._app(scope, receive, send)
            return
        if rule.kind is FaultKind.LATENCY:
            await asyncio.sleep(rule.seconds)
            await self._app(scope, receive, send)
            return
        if rule.after:
            await self._app(scope, receive, _swallow)
        if rule.kind is FaultKind.DROP:
            # Under uvicorn `send` belongs to the request's cycle, which knows its connection.
            send.__self__.transport.abort()  # type: ignore[attr-defined]
            return
        await _answer(send, rule)


async def _swallow(_: Message) -> None:
    return


async def _answer(send: Send, rule: FaultRule) -> None:
    headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
    if rule.retry_after is not None:
        headers.append((b"retry-after", str(rule.retry_after).encode()))
    body: Any = {"status": rule.status, "code": "FAULT", "message": "a fault was asked for"}
    status = rule.status
    if rule.kind is not FaultKind.ERROR:
        status, body = 200, ["this is not", {"what": "the contract says"}]
    data = json.dumps(body).encode()
    if rule.kind is FaultKind.TRUNCATED:
        data = data[: len(data) // 2]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
