"""A real mail server on the loopback, and a certificate of `localhost` for it."""

from __future__ import annotations

import base64
import datetime
import queue
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from email.message import EmailMessage

PATIENCE = 300.0


def write_certificate(directory: Path) -> Path:
    """Write a certificate of `localhost` with its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "localhost.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@dataclass
class MailServer:
    """A mail server: one thread for each connection. With a `certificate`, it offers STARTTLS, or has `tls` at once.

    `logins` are the users that it knows with their passwords; with any, it accepts mail only after a login. `refuses`
    maps commands, or beginnings of commands, to what it answers instead, if anything. `envelopes` are the senders and
    recipients of accepted mails. With `hang` it takes mails and never says so.
    """

    certificate: Path | None = None
    tls: bool = False
    logins: dict[str, str] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)
    offers: tuple[str, ...] = ()
    encrypted: list[bool] = field(default_factory=list)
    envelopes: list[list[str]] = field(default_factory=list)
    hang: bool = False

    def __enter__(self) -> Self:
        self._received: queue.Queue[EmailMessage] = queue.Queue()
        self.released = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed = True
        self.released.set()
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
        self._envelope: list[str] = []

    def hold(self) -> None:
        try:
            self._say("220 ready")
            while line := self._file.readline():
                words = line.decode().strip()
                name = words.partition(" ")[0].upper()
                refuses = self._server.refuses
                refused = refuses.get(name) or next(
                    (refuses[each] for each in refuses if words.lower().startswith(each.lower())), None
                )
                if refused is not None:
                    if refused:
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
                offers = ["mail", *self._server.offers]
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
                _, user, password = base64.b64decode(words.split()[2]).decode().split("\0")
                self._known = self._server.logins.get(user) == password
                self._say("235 welcome" if self._known else "535 wrong")
            case "MAIL" if not self._known:
                self._say("530 log in first")
            case "MAIL" | "RCPT":
                self._envelope.append(words.partition(":")[2].split(">")[0].strip("< "))
                self._say("250 fine")
            case "DATA":
                self._say("354 go ahead")
                lines = []
                while (line := self._file.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
                self._server.encrypted.append(encrypted)
                self._server.envelopes.append(self._envelope)
                self._envelope = []
                self._server._received.put(message_from_bytes(b"".join(lines), policy=policy.default))
                if self._server.hang:
                    self._server.released.wait(PATIENCE)
                    self._connection.shutdown(socket.SHUT_RDWR)
                    return
                self._say("250 accepted")
            case _:
                self._say("250 fine")
