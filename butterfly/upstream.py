"""Calls from one embedded service to another: over HTTP, like the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from butterfly.web import Problem

M = TypeVar("M", bound=BaseModel)


class Perception:
    """A client of PERCEPTION for one tenant. Raises Problem: the upstream's own 4xx, 503 for everything else."""

    def __init__(self, client: httpx.Client, tenant: str, trace: Mapping[str, str]) -> None:
        self._client = client
        self._headers = {"X-Tenant-ID": tenant, **trace}

    def get(self, model: type[M], path: str, **params: str) -> M:
        """Read one thing."""
        return model.model_validate(self.send("GET", path, params=params))

    def send(self, method: str, path: str, *, body: Any = None, key: str = "", params: Any = None) -> Any:
        """One request; JSON back."""
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        try:
            answer = self._client.request(method, path, headers=headers, json=body, params=params)
            content = answer.json()
        except (httpx.TransportError, ValueError) as error:
            raise Problem(503, "PERCEPTION_DOWN", f"PERCEPTION can't be used now: {type(error).__name__}") from error
        if answer.is_success:
            return content
        message = content.get("message", "") if isinstance(content, dict) else ""
        if answer.is_client_error and answer.status_code not in (408, 425, 429):
            raise Problem(answer.status_code, "PERCEPTION_REFUSED", message)
        raise Problem(503, "PERCEPTION_DOWN", f"PERCEPTION answered {answer.status_code}: {message}")
