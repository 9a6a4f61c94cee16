"""Ports of the embedded stack: the usual ones where they are free, else others; the same again after a restart."""

from __future__ import annotations

import json
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

USUAL = {
    "temporal": 7233,
    "ui": 8233,
    "perception": 8181,
    "plato": 8182,
    "synapse": 8183,
    "gateway": 8184,
}
HOST = "127.0.0.1"


def choose(note: Path) -> dict[str, int]:
    """A free port for each name. Ports noted by an earlier run come first, then the usual ones, then any."""
    noted: dict[str, int] = json.loads(note.read_text()) if note.is_file() else {}
    chosen: dict[str, int] = {}
    for name, usual in USUAL.items():
        wishes = [noted[name], usual] if name in noted else [usual]
        free = next((port for port in wishes if is_free(port) and port not in chosen.values()), None)
        chosen[name] = free if free is not None else any_free([name], set(chosen.values()))[name]
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps(chosen))
    return chosen


def is_free(port: int) -> bool:
    """Whether nobody listens there, on this address or on all of them."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
        return True


def any_free(names: Iterable[str], taken: Collection[int] = ()) -> dict[str, int]:
    """A port for each name that the system has to give."""
    chosen: dict[str, int] = {}
    for name in names:
        while name not in chosen:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
                listener.bind((HOST, 0))
                port = int(listener.getsockname()[1])
            if port not in taken and port not in chosen.values():
                chosen[name] = port
    return chosen
