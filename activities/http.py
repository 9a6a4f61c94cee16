"""One small client for all three services: tenant header, business key, trace context, error classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from opentelemetry import propagate
from pydantic import BaseModel, ValidationError

from activities.errors import raise_for_body, raise_for_response, raise_for_transport
from contracts.base import Page

M = TypeVar("M", bound=BaseModel)


class Service:
    """A service by name and base address. The client is injected, and closed by whoever made it."""

    def __init__(self, name: str, base_url: str, client: httpx.AsyncClient) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self._client = client

    async def get(self, model: type[M], path: str, tenant: str, **params: str | int) -> M:
        """Read one thing."""
        return await self.call(model, "GET", path, tenant, params=params)

    async def get_all(self, model: type[M], path: str, tenant: str, **params: str | int) -> list[M]:
        """Read the `content` of a page."""
        page = await self.call(Page[model], "GET", path, tenant, params=params)  # type: ignore[valid-type]
        return list(page.content)

    async def post(
        self, model: type[M], path: str, tenant: str, body: BaseModel | None = None, key: str | None = None
    ) -> M:
        """Write, under a business key where one is given."""
        return await self.call(model, "POST", path, tenant, body=body, key=key)

    async def call(
        self,
        model: type[M],
        method: str,
        path: str,
        tenant: str,
        *,
        params: Mapping[str, str | int] | None = None,
        body: BaseModel | None = None,
        key: str | None = None,
    ) -> M:
        """One request, one try. Raises ApplicationError, sorted as `activities.errors` says."""
        headers = {"X-Tenant-ID": tenant}
        if key is not None:
            headers["Idempotency-Key"] = key
        propagate.inject(headers)
        content: Any = None if body is None else body.model_dump(mode="json", by_alias=True)
        try:
            response = await self._client.request(
                method, self.base_url + path, headers=headers, params=dict(params or {}), json=content
            )
        except httpx.TransportError as error:
            raise_for_transport(self.name, error)
        if response.is_error or response.is_redirect:
            raise_for_response(self.name, response)
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            first = error.errors()[0]
            raise_for_body(self.name, response, f"{'.'.join(map(str, first['loc'])) or 'body'}: {first['msg']}")


def segment(value: str) -> str:
    """A name as one path segment: a model called `../x` stays inside its own URL."""
    return quote(value, safe="")
