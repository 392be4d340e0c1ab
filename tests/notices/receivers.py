"""A real receiver of notices on the loopback: a web server with scripted answers."""

from __future__ import annotations

import json
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 300.0


@dataclass(frozen=True)
class Delivery:
    """What a web server was sent."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class HttpReceiver:
    """A web server that keeps what it is sent. It answers with `answers`, one after another, and then with 204.

    While `held`, it answers nothing.
    """

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.answer_headers: dict[str, str] = {}
        self.held = threading.Event()
        self._released = threading.Event()
        self._received: queue.Queue[Delivery] = queue.Queue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver._received.put(Delivery(self.path, headers, body))
                if receiver.held.is_set():
                    receiver._released.wait(PATIENCE)
                with suppress(OSError):  # its client may have been killed
                    self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                    for name, value in receiver.answer_headers.items():
                        self.send_header(name, value)
                    self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hooks/a-key-in-the-address"

    def next(self) -> Delivery:
        """Return the next delivery, as soon as it has arrived."""
        return self._received.get(timeout=PATIENCE)

    def rest(self) -> list[Delivery]:
        """Return what has arrived."""
        found = []
        with suppress(queue.Empty):
            while True:
                found.append(self._received.get_nowait())
        return found

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
