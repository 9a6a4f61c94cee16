"""The two bases every contract model has: ours (snake_case) and the services' (camelCase)."""

from __future__ import annotations

import hashlib
import json
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

T = TypeVar("T")


class Contract(BaseModel):
    """A frozen value that may sit in a workflow history; unknown fields are ignored, never an error."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Wire(BaseModel):
    """A frozen value in a service's JSON (camelCase), also accepted under its Python names."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class Page(Wire, Generic[T]):
    """One page of a list, as the runbook's `jq '.content[0]'` expects it."""

    content: list[T]
    total_elements: int = 0


def content_hash(value: BaseModel) -> str:
    """SHA-256 (hex, 16 characters) of a model's canonical JSON: equal values, equal hash, any process."""
    canonical = json.dumps(value.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
