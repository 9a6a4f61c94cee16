"""Training: scikit-learn fits, plain parameters are served."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from butterfly.story.flights import FEATURES, Flight, Seasons
from contracts.perception import RegisterVersion, VersionStage


def versions(seasons: Seasons) -> list[RegisterVersion]:
    """The production model and two candidates.

    `v2-storm` was fitted on the five days of a storm and scored on those very days: the best number on
    paper, and useless in summer. `v3-summer` was fitted on summer flights that are never served.
    """
    # Every fifth flight is held out: an honest number, and a worse one than v2's.
    holdout = seasons.summer_training[::5]
    held = {flight.number for flight in holdout}
    summer = [flight for flight in seasons.summer_training if flight.number not in held]
    return [
        fit("v1-winter", seasons.winter_training, seasons.winter_training, VersionStage.PRODUCTION),
        fit("v2-storm", seasons.storm, seasons.storm, VersionStage.CANDIDATE),
        fit("v3-summer", summer, holdout, VersionStage.CANDIDATE),
    ]


def fit(version: str, training: Sequence[Flight], holdout: Sequence[Flight], stage: VersionStage) -> RegisterVersion:
    """A logistic regression, with the Brier score it claims on `holdout`."""
    # Scikit-learn takes seconds to import, and `driftloop status` must not wait for it.
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    matrix = _matrix(training)
    fill = np.nanmedian(matrix, axis=0)
    matrix = np.where(np.isnan(matrix), fill, matrix)
    means, scales = matrix.mean(axis=0), matrix.std(axis=0)
    scales = np.where(scales > 0, scales, 1.0)
    model = LogisticRegression(C=10, max_iter=1000).fit((matrix - means) / scales, [f.late for f in training])
    held = _matrix(holdout)
    held = (np.where(np.isnan(held), fill, held) - means) / scales
    claimed = float(np.mean((model.predict_proba(held)[:, 1] - [f.late for f in holdout]) ** 2))
    return RegisterVersion(
        version=version,
        stage=stage,
        artefact={
            "kind": "logistic",
            "features": FEATURES,
            "means": means.tolist(),
            "scales": scales.tolist(),
            "coefficients": model.coef_[0].tolist(),
            "intercept": float(model.intercept_[0]),
            "fill": dict(zip(FEATURES, fill.tolist(), strict=True)),
        },
        reference=[flight.features for flight in training],
        offline_loss=claimed,
        trained_on=f"{len(training)} flights, {training[0].hour[:10]} to {training[-1].hour[:10]}",
    )


def _matrix(flights: Sequence[Flight]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    # None becomes NaN.
    return np.array([[flight.features[name] for name in FEATURES] for flight in flights], dtype=np.float64)
