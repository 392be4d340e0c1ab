"""A local web site for the tests of the browser: pages by path, a socket, and a port that hears stray packets."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

Page = str | bytes | tuple[int, dict[str, str], bytes]

FORM = """<title>Search</title><h1>Search</h1>
<nav><a href="/elsewhere">Elsewhere</a></nav>
<form action="/results"><label>Name <input name="q"></label>
<label><input type="checkbox" name="all"> All</label>
<label>Kind <select name="kind"><option value="a">Apple</option><option value="b">Pear</option></select></label>
<button>Go</button></form>"""

LIVE = """<title>Live</title><main><h1>Live</h1><div id="out"></div><a href="/table?x=1">The  table</a>
<a href="javascript:alert(1)">no</a></main>
<script>setTimeout(() => { out.innerHTML = '<p class=late>made by a script</p>' }, 100)</script>"""

TABLE = """<table id=t><tr><th>Name</th><th>Price</th><th>Price</th></tr>
<tr><td rowspan=2>Apple</td><td>1</td><td></td></tr><tr><td colspan=2>2</td></tr></table>
<table id=plain><tr><td>a</td><td>b</td></tr></table>"""


class Site(ThreadingHTTPServer):
    """Answers with `pages`, and remembers what was asked."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SiteHandler)
        self.pages: dict[str, Page] = {"/": FORM, "/live": LIVE, "/table": TABLE}
        self.asked: list[str] = []
        self.endless = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has gone is no error."""


class SiteHandler(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.server.asked.append(self.path)
        if parts.path == "/ws":
            self.socket()
            return
        if parts.path == "/hang":
            self.server.endless.wait(300)
            return
        if parts.path == "/results":
            given = {name: values[0] for name, values in parse_qs(parts.query).items()}
            said = escape(str(sorted(given.items())), quote=False)
            self.reply(f"<title>Results</title><main><h1>Results</h1><p id=q>{said}</p></main>")
            return
        self.reply(self.server.pages.get(parts.path, (404, {}, b"missing")))

    def reply(self, page: Page) -> None:
        status, headers, body = page if isinstance(page, tuple) else (200, {}, page)
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def socket(self) -> None:
        """Open a WebSocket, and send one message."""
        accept = hashlib.sha1(f"{self.headers['Sec-WebSocket-Key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode())
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept.digest()).decode())
        self.end_headers()
        self.wfile.write(b"\x81\x05hello")
        self.wfile.flush()
        self.rfile.read(1)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as found:
        yield found


class serving:  # noqa: N801 - it reads as what it does
    """Serve a site in a thread."""

    def __enter__(self) -> Site:
        self.site = Site()
        self.thread = threading.Thread(target=self.site.serve_forever, daemon=True)
        self.thread.start()
        return self.site

    def __exit__(self, *_: object) -> None:
        self.site.endless.set()
        self.site.shutdown()
        self.site.server_close()
        self.thread.join()


class PacketTrap:
    """A UDP port that hears what passes a proxy."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]

    def heard(self) -> bool:
        try:
            return bool(self.socket.recv(2000))
        except BlockingIOError:
            return False
        finally:
            self.socket.close()
