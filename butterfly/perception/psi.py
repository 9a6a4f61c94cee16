"""Population stability index, gated against noise, and the severity it means.

The published PSI is the credit-risk one: reference deciles, natural logarithm, an empty side counts as
0.0001. On small windows it alarms on nothing at all, so severity rests on a gated one: sparse bins are
merged, half a count is added to each, and it counts as 0 unless it exceeds what chance explains
(Yurdakul 2018: PSI under no drift is about chi-square(B-1) · (1/N + 1/M)).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import exp

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri

WARNING, CRITICAL = 0.10, 0.25
"""Customary PSI bands (Lewis, credit scoring), and DESIGN §5's defaults."""

_EMPTY = 1e-4
_SPARSE = 5.0  # expected window counts below which a bin is merged
_CHANCE = 0.999
_BELOW_ONE = 1.0 - 1e-9


@dataclass(frozen=True)
class Gated:
    """PSI beyond noise: 0 when chance explains it. `floor` is what it had to exceed."""

    value: float
    floor: float


def published_psi(reference: ArrayLike, window: ArrayLike) -> float:
    """PSI of two vectors of counts over the same bins; 0 when either is empty."""
    expected, actual = np.asarray(reference, float), np.asarray(window, float)
    if not expected.sum() or not actual.sum():
        return 0.0
    return _psi(_shares(expected), _shares(actual))


def gated_psi(reference: ArrayLike, window: ArrayLike) -> Gated:
    """PSI after merging sparse bins and adding half a count, or 0 below the noise floor."""
    expected, actual = np.asarray(reference, float), np.asarray(window, float)
    n, m = expected.sum(), actual.sum()
    if not n or not m:
        return Gated(0.0, 0.0)
    expected, actual = _merge_sparse(expected, actual)
    bins = len(expected)
    if bins < 2:
        return Gated(0.0, 0.0)
    value = _psi((expected + 0.5) / (n + 0.5 * bins), (actual + 0.5) / (m + 0.5 * bins))
    floor = _quantile(bins - 1) * float(1 / n + 1 / m)
    return Gated(value if value > floor else 0.0, floor)


def severity(psi: float, warning: float = WARNING, critical: float = CRITICAL) -> float:
    """0-1, monotone, below 1: 0.5 at the warning threshold, 0.8 at the critical one, saturating above."""
    if psi <= warning:
        return 0.5 * max(psi, 0.0) / warning
    if psi <= critical:
        return 0.5 + 0.3 * (psi - warning) / (critical - warning)
    return min(1.0 - 0.2 * exp(-(psi - critical) / critical), _BELOW_ONE)


def _psi(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = counts / counts.sum()
    # A bin empty on both sides says nothing: 0.0001 against 0.0001 adds nothing either.
    return np.where(shares == 0, _EMPTY, shares)


def _merge_sparse(
    expected: NDArray[np.float64], actual: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Join neighbours until each bin would expect enough of the window; what is left over joins the last."""
    scale = actual.sum() / expected.sum()
    merged: list[list[float]] = []
    pending = [0.0, 0.0]
    for e, a in zip(expected, actual, strict=True):
        pending = [pending[0] + e, pending[1] + a]
        if pending[0] * scale >= _SPARSE:
            merged.append(pending)
            pending = [0.0, 0.0]
    if pending != [0.0, 0.0]:
        # A bin that the reference never filled but the window does is the strongest drift there is: keep it.
        if pending[1] >= _SPARSE or not merged:
            merged.append(pending)
        else:
            merged[-1] = [merged[-1][0] + pending[0], merged[-1][1] + pending[1]]
    joined = np.array(merged)
    return joined[:, 0], joined[:, 1]


@lru_cache(maxsize=256)
def _quantile(degrees: int) -> float:
    return float(chdtri(degrees, 1 - _CHANCE))
