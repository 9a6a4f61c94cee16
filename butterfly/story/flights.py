"""Real flights: which ones a model is trained on, and which ones it then serves."""

from __future__ import annotations

import csv
import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

FEATURES = ["tod", "distance", "temp", "dewp", "humid", "wind_speed", "pressure", "visib"]
"""Schedule and weather. `dep_delay` is left out on purpose: with it, retraining buys nothing."""

_SEED = 2013


@dataclass(frozen=True)
class Flight:
    """One flight: what was known before it left, and whether it came in more than 15 minutes late."""

    number: int
    hour: str
    features: dict[str, Any]
    late: int


def load() -> list[Flight]:
    """All 30,000, in time order. A weather value that was not observed is None."""
    packed = files("butterfly") / "data" / "nyc_slice.csv.gz"
    with packed.open("rb") as raw, gzip.open(raw, "rt", encoding="utf-8") as text:
        return [
            Flight(
                number=number,
                hour=row["time_hour"],
                features={name: float(row[name]) if row[name] else None for name in FEATURES},
                late=int(row["late"]),
            )
            for number, row in enumerate(csv.DictReader(text))
        ]


@dataclass(frozen=True)
class Seasons:
    """Flights as the story uses them. Odd flights train, even ones are served: no row is ever both."""

    winter_training: list[Flight]
    winter_traffic: list[Flight]
    storm: list[Flight]
    summer_training: list[Flight]
    summer_traffic: list[Flight]


def seasons() -> Seasons:
    """January and February; the storm of 5 to 9 March; June to August.

    The summer is served in one seeded shuffle: in time order each fortnight's weather drifts from the last,
    so that no summer model would ever be "at home".
    """
    flights = load()
    winter, summer = _between(flights, "2013-01", "2013-03"), _between(flights, "2013-06", "2013-09")
    shuffled = _even(summer)
    random.Random(_SEED).shuffle(shuffled)  # noqa: S311 an order, not a secret
    winter_traffic = _even(winter)
    random.Random(_SEED).shuffle(winter_traffic)  # noqa: S311 an order, not a secret
    return Seasons(
        winter_training=_odd(winter),
        winter_traffic=winter_traffic,
        storm=_between(flights, "2013-03-05", "2013-03-10"),
        summer_training=_odd(summer),
        summer_traffic=shuffled,
    )


def endlessly(flights: list[Flight]) -> Iterator[tuple[str, Flight]]:
    """Flights with a key each; after the last one they come again under new keys."""
    lap = 0
    while True:
        for flight in flights:
            yield f"{lap}-{flight.number}", flight
        lap += 1


def _between(flights: list[Flight], start: str, end: str) -> list[Flight]:
    return [flight for flight in flights if start <= flight.hour < end]


def _odd(flights: list[Flight]) -> list[Flight]:
    return [flight for flight in flights if flight.number % 2]


def _even(flights: list[Flight]) -> list[Flight]:
    return [flight for flight in flights if not flight.number % 2]
