"""What a feature looked like: bins and counts, small enough to keep for ever and free of raw rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

_DECILES = np.linspace(0, 1, 11)
_FEW = 10  # distinct values up to which every value is a bin of its own


class FeatureProfile(BaseModel):
    """Bins of one feature in its reference rows.

    `deciles`: `edges` are inner edges, bins closed on the right, outer ones open. `values`: one bin per
    value plus one for anything else; a column that was constant needs this, or a complete change reads as 0.
    `categories`: the same for text.
    """

    kind: Literal["deciles", "values", "categories"]
    edges: list[float] = []
    categories: list[str] = []
    counts: list[int]
    missing: int

    @property
    def rows(self) -> int:
        """Rows that had a value."""
        return sum(self.counts)


Profile = dict[str, FeatureProfile]


def profile_rows(rows: Sequence[dict[str, Any]], features: Iterable[str]) -> Profile:
    """The profile of reference rows, feature by feature; a feature that never has a value is left out."""
    profile: Profile = {}
    for feature in features:
        column = [row.get(feature) for row in rows]
        present = [value for value in column if not is_missing(value)]
        if present:
            profile[feature] = _profile(present, missing=len(column) - len(present))
    return profile


def count(profile: FeatureProfile, column: Sequence[Any]) -> tuple[NDArray[np.int64], int]:
    """A window's counts in a reference's bins, and how many values were missing."""
    present = [value for value in column if not is_missing(value)]
    missing = len(column) - len(present)
    if profile.kind == "categories":
        return _count_values([str(value) for value in present], profile.categories), missing
    numbers = _numbers(present)
    missing += len(present) - len(numbers)
    if profile.kind == "values":
        return _count_values(numbers.tolist(), profile.edges), missing
    bins = np.searchsorted(np.asarray(profile.edges), numbers, side="left")
    return np.bincount(bins, minlength=len(profile.edges) + 1), missing


def is_missing(value: Any) -> bool:
    """None and NaN are missing; they are not a value like others."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _profile(present: list[Any], missing: int) -> FeatureProfile:
    if any(isinstance(value, str) for value in present):
        texts = [str(value) for value in present]
        categories = sorted(set(texts))
        counts = _count_values(texts, categories)
        return FeatureProfile(kind="categories", categories=categories, counts=counts.tolist(), missing=missing)
    numbers = _numbers(present)
    distinct = np.unique(numbers)
    if len(distinct) <= _FEW:
        values = distinct.tolist()
        counts = _count_values(numbers.tolist(), values)
        return FeatureProfile(kind="values", edges=values, counts=counts.tolist(), missing=missing)
    edges = np.unique(np.quantile(numbers, _DECILES))[1:-1]
    counts = np.bincount(np.searchsorted(edges, numbers, side="left"), minlength=len(edges) + 1)
    return FeatureProfile(kind="deciles", edges=edges.tolist(), counts=counts.tolist(), missing=missing)


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    numbers = np.array([float(value) if not isinstance(value, str) else np.nan for value in values])
    finite: NDArray[np.float64] = numbers[np.isfinite(numbers)]
    return finite


def _count_values(values: Sequence[Any], known: Sequence[Any]) -> NDArray[np.int64]:
    position = {value: index for index, value in enumerate(known)}
    bins = [position.get(value, len(known)) for value in values]
    return np.bincount(np.asarray(bins, dtype=np.int64), minlength=len(known) + 1)
