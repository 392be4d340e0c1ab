"""Real receivers of notices on the loopback: a web server with scripted answers, and a mail server."""

from __future__ import annotations

import json
import queue
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from email.message import EmailMessage

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


@dataclass
class MailServer:
    """A mail server: one thread for each connection. With a `certificate`, it offers STARTTLS, or has `tls` at once.

    `logins` are the users that it knows with their passwords; with any, it accepts mail only after a login. `refuses`
    maps commands to what it answers instead.
    """

    certificate: Path | None = None
    tls: bool = False
    logins: dict[str, str] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    encrypted: list[bool] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._received: queue.Queue[EmailMessage] = queue.Queue()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        with suppress(OSError):  # wakes `accept`
            socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join(PATIENCE)
        self._socket.close()

    _closed = False

    def next(self) -> EmailMessage:
        """Return the next mail, as soon as it has arrived."""
        return self._received.get(timeout=PATIENCE)

    def _accept(self) -> None:
        while not self._closed:
            connection, _ = self._socket.accept()
            if not self._closed:
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()
            else:
                connection.close()

    def _secured(self, connection: socket.socket) -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(self.certificate))
        return context.wrap_socket(connection, server_side=True)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        try:
            with suppress(OSError):  # the client may not trust the certificate
                if self.tls:
                    connection = self._secured(connection)
                _Dialogue(self, connection).hold()
        finally:
            connection.close()


class _Dialogue:
    """One connection to a mail server."""

    def __init__(self, server: MailServer, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection
        self._file = connection.makefile("rb")
        self._known = not server.logins

    def hold(self) -> None:
        try:
            self._say("220 ready")
            while line := self._file.readline():
                words = line.decode().strip()
                name = words.partition(" ")[0].upper()
                refused = self._server.refuses.get(name)
                if refused is not None:
                    self._say(refused)
                elif name == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._obey(name, words)
        finally:
            self._file.close()
            self._connection.close()

    def _say(self, text: str) -> None:
        self._connection.sendall(f"{text}\r\n".encode())

    def _obey(self, name: str, words: str) -> None:
        encrypted = isinstance(self._connection, ssl.SSLSocket)
        match name:
            case "EHLO":
                offers = ["mail"]
                if self._server.certificate is not None and not encrypted:
                    offers.append("STARTTLS")
                if self._server.logins and encrypted:
                    offers.append("AUTH PLAIN")
                *before, last = offers
                self._say("\r\n".join([*(f"250-{each}" for each in before), f"250 {last}"]))
            case "STARTTLS":
                self._say("220 go ahead")
                self._file.close()
                self._connection = self._server._secured(self._connection)
                self._file = self._connection.makefile("rb")
            case "AUTH":
                import base64

                _, user, password = base64.b64decode(words.split()[2]).decode().split("\0")
                self._known = self._server.logins.get(user) == password
                self._say("235 welcome" if self._known else "535 wrong")
            case "MAIL" if not self._known:
                self._say("530 log in first")
            case "DATA":
                self._say("354 go ahead")
                lines = []
                while (line := self._file.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
                self._server.encrypted.append(encrypted)
                self._server._received.put(message_from_bytes(b"".join(lines), policy=policy.default))
                self._say("250 accepted")
            case _:
                self._say("250 fine")
