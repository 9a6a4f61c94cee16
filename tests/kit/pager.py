"""A pager: takes pages over HTTP as a webhook would, and shows what it took."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class Pager:
    """Pages taken, oldest first; `broken` makes it answer 500."""

    def __init__(self) -> None:
        self.pages: list[dict[str, Any]] = []
        self.broken = False
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if pager.broken:
                    self.send_response(500)
                else:
                    pager.pages.append(json.loads(body))
                    self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Its address as apprise writes it."""
        return f"json://127.0.0.1:{self._server.server_port}/"

    def about(self, model: str) -> list[str]:
        """Titles of pages that name a model."""
        return [page["title"] for page in self.pages if model in page["title"] or model in page["message"]]

    def __enter__(self) -> Pager:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
