"""The executor: takes actions one by one and does them to PERCEPTION, under the submitter's own business key."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
from sqlalchemy.engine import Row

from butterfly.storage import Store, stamp
from butterfly.synapse import actions
from butterfly.upstream import Perception
from butterfly.web import Problem
from contracts.synapse import ActionType

log = logging.getLogger("butterfly.executor")

_LOOK_EVERY = 0.05  # seconds
_PAUSE = timedelta(seconds=0.5)


class Executor:
    """A thread that works the queue."""

    def __init__(self, store: Store, http: httpx.Client) -> None:
        self._store = store
        self._http = http
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="executor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                row = actions.claim(self._store)
                if row is not None:
                    self._work(row)
            except Exception:
                # The queue outlives any one action: its lease ends, and it is tried again.
                log.exception("an action could not be worked on")
                row = None
            if row is None:
                self._stop.wait(_LOOK_EVERY)

    def _work(self, row: Row[Any]) -> None:
        try:
            result = self._do(row)
        except Problem as problem:
            if problem.status == 503 and stamp() < row.give_up_at:
                log.warning("action act-%s: %s; trying again", row.number, problem.message)
                actions.postpone(self._store, row, _PAUSE)
            else:
                actions.finish(self._store, row, error=problem.message)
        else:
            actions.finish(self._store, row, result=result)

    def _do(self, row: Row[Any]) -> dict[str, Any]:
        perception = Perception(self._http, row.tenant, row.trace)
        model, params = quote(row.model, safe=""), dict(row.params)
        key = row.key or f"synapse:act-{row.number}"
        match ActionType(row.type):
            case ActionType.START_CANARY:
                started = perception.send("POST", f"/api/v1/models/{model}/deployments/canary", body=params, key=key)
                return {"deploymentId": started["id"]}
            case ActionType.PROMOTE_VERSION:
                version = str(params.pop("version", ""))
                path = f"/api/v1/models/{model}/versions/{quote(version, safe='')}/promote"
                promoted = perception.send("POST", path, body={"stage": "PRODUCTION", **params}, key=key)
                return {"version": promoted["version"]}
            case ActionType.REFRESH_BASELINE:
                path = f"/api/v1/drift/models/{model}/baseline"
                perception.send("DELETE", path, key=f"{key}:clear")
                registered = perception.send("POST", path, body=params, key=key)
                return {"version": registered["version"], "rows": registered["rows"]}
