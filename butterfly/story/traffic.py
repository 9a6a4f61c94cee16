"""Traffic: flights to be scored, and a little later whether they were late."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice

import httpx
from pydantic import BaseModel

from butterfly.story.flights import FEATURES, Flight, Seasons, endlessly
from contracts.perception import (
    Instance,
    Outcome,
    OutcomesRequest,
    PredictRequest,
    PredictResponse,
    RegisterModel,
    RegisterVersion,
)

_BATCH = 50
_RETRY_EVERY = 0.3  # seconds: PERCEPTION may be restarting


class Traffic:
    """Drives one model. `served` counts predictions that PERCEPTION answered."""

    def __init__(self, client: httpx.AsyncClient, model: str, seasons: Seasons, rows_per_second: float) -> None:
        self._client = client
        self._model = model
        self._seasons = seasons
        self._pause = _BATCH / rows_per_second
        self.served = 0
        self.season = "winter"

    async def register(self, versions: list[RegisterVersion]) -> None:
        """Make PERCEPTION know the model and its versions; what it knows already stays as it is."""
        await self._post("/api/v1/models", RegisterModel(name=self._model, features=FEATURES))
        for version in versions:
            await self._post(f"/api/v1/models/{self._model}/versions", version, known=409)

    async def winter(self, rows: int) -> None:
        """Traffic like the training data: no drift."""
        source = endlessly(self._seasons.winter_traffic)
        while self.served < rows:
            await self._serve(source)

    async def summer(self) -> None:
        """Traffic as it came to be, until cancelled."""
        self.season = "summer"
        source = endlessly(self._seasons.summer_traffic)
        while True:
            await self._serve(source)

    async def _serve(self, source: Iterator[tuple[str, Flight]]) -> None:
        started = asyncio.get_running_loop().time()
        batch = list(islice(source, _BATCH))
        instances = [Instance(key=key, features=flight.features) for key, flight in batch]
        path = f"/api/v1/models/{self._model}"
        answer = await self._post(f"{path}/predictions", PredictRequest(instances=instances))
        answered = PredictResponse.model_validate_json(answer.content).predictions
        outcomes = [
            Outcome(prediction_id=prediction.id, label=flight.late)
            for prediction, (_, flight) in zip(answered, batch, strict=True)
        ]
        await self._post(f"{path}/outcomes", OutcomesRequest(outcomes=outcomes))
        self.served += len(batch)
        await asyncio.sleep(max(0.0, started + self._pause - asyncio.get_running_loop().time()))

    async def _post(self, path: str, body: BaseModel, known: int | None = None) -> httpx.Response:
        """Through restarts of PERCEPTION. Raises httpx.HTTPStatusError for an answer that won't get better."""
        while True:
            try:
                answer = await self._client.post(path, json=body.model_dump(mode="json", by_alias=True))
            except httpx.TransportError:
                await asyncio.sleep(_RETRY_EVERY)
                continue
            if answer.is_server_error:
                await asyncio.sleep(_RETRY_EVERY)
                continue
            if answer.status_code != known:
                answer.raise_for_status()
            return answer
