"""MODEL_DRIFT signals out: at least once, until taken, across restarts, and again while the episode lasts."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any

import httpx
import sqlalchemy as sa
from sqlalchemy.engine import Row

from butterfly.perception.tables import episodes, outbox
from butterfly.storage import Store, now, stamp

log = logging.getLogger("butterfly.outbox")

_LOOK_EVERY = 0.2  # seconds
_LONGEST_PAUSE = 30.0


class Outbox:
    """A thread that delivers what is due."""

    def __init__(self, store: Store, url: str, token: str, repeat: timedelta) -> None:
        self._store = store
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._repeat = repeat
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        with httpx.Client(timeout=10, headers=self._headers, trust_env=False) as client:
            while not self._stop.wait(_LOOK_EVERY):
                try:
                    for row in self._due():
                        self._deliver(client, row)
                except sa.exc.SQLAlchemyError:
                    # A busy database is no reason to stop signalling for good.
                    log.exception("signals could not be read or kept")

    def _due(self) -> list[Row[Any]]:
        query = (
            sa.select(outbox)
            .join(episodes, episodes.c.number == outbox.c.episode)
            .where(outbox.c.due_at <= stamp())
            .where(sa.or_(outbox.c.delivered_at.is_(None), episodes.c.ended_at.is_(None)))
        )
        with self._store.read() as tx:
            return list(tx.execute(query))

    def _deliver(self, client: httpx.Client, row: Row[Any]) -> None:
        try:
            answer = client.post(self._url, json=row.signal)
            taken, why = answer.is_success, f"answered {answer.status_code}"
        except httpx.TransportError as error:
            taken, why = False, type(error).__name__
        if taken:
            values = {"delivered_at": stamp(), "due_at": stamp(now() + self._repeat), "tries": 0}
        else:
            pause = min(0.5 * 2 ** min(row.tries, 10), _LONGEST_PAUSE)
            log.warning("signal of episode %s not taken (%s), again in %.1f s", row.episode, why, pause)
            values = {"due_at": stamp(now() + timedelta(seconds=pause)), "tries": row.tries + 1}
        with self._store.write("outbox") as tx:
            tx.execute(outbox.update().where(outbox.c.episode == row.episode).values(**values))
