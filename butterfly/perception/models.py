"""Served models: small, real, and plain parameters instead of pickles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, model_validator

from butterfly.perception.profiles import is_missing


class LogisticModel(BaseModel):
    """A logistic regression on standardised features.

    A missing feature takes its `fill` value; without one the prediction fails, as it does on anything that
    is not a finite number. A failed prediction is an error that its caller sees, not an exception here.
    """

    kind: Literal["logistic"]
    features: list[str]
    means: list[float]
    scales: list[float]
    coefficients: list[float]
    intercept: float
    fill: dict[str, float] = {}

    @model_validator(mode="after")
    def _lengths_agree(self) -> LogisticModel:
        if not len(self.features) == len(self.means) == len(self.scales) == len(self.coefficients) > 0:
            raise ValueError("features, means, scales and coefficients must have the same length, at least 1")
        if any(scale <= 0 for scale in self.scales):
            raise ValueError("scales must be positive")
        return self

    def score(self, rows: Sequence[dict[str, Any]]) -> list[float | str]:
        """A probability in 0-1 per row, or what went wrong with it."""
        matrix = np.array([[self._value(row, feature) for feature in self.features] for row in rows], dtype=float)
        standardised = (matrix - np.array(self.means)) / np.array(self.scales)
        with np.errstate(over="ignore", invalid="ignore"):
            logits = standardised @ np.array(self.coefficients) + self.intercept
            scores: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-logits))
        return [
            float(score) if np.isfinite(score) else self._complaint(row)
            for score, row in zip(scores, rows, strict=True)
        ]

    def _value(self, row: dict[str, Any], feature: str) -> float:
        value = row.get(feature)
        if is_missing(value):
            return self.fill.get(feature, np.nan)
        return float(value) if isinstance(value, int | float) else np.nan

    def _complaint(self, row: dict[str, Any]) -> str:
        bad = [feature for feature in self.features if not np.isfinite(self._value(row, feature))]
        return f"no usable value for {', '.join(bad)}" if bad else "the score is not finite"
