"""A local server for the tests of the web: it answers as it is told, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Reply = tuple[int, dict[str, str], bytes]


class Server(ThreadingHTTPServer):
    """Answers each search with `reply`, and remembers the searches."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply: Callable[[str], Reply] = lambda path: (404, {}, b"")
        self.asked: list[tuple[str, str, dict[str, str], dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answers(self, data: Any, status: int = 200, **headers: str) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.reply = lambda path: (status, {key.replace("_", "-"): value for key, value in headers.items()}, body)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = urlsplit(self.path)
        kind = self.headers.get("content-type", "")
        given = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if kind.startswith("application/json"):
            given = json.loads(body)
        elif body:
            given = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.server.asked.append((self.command, parts.path, headers, given))
        status, extra, answer = self.server.reply(parts.path)
        self.send_response(status)
        for name, value in extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = handle_any  # noqa: N815 - the names that the base class looks for

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
