"""A bad network between a client and a server: it cuts connections, loses responses, and is slow, as a test says."""

from __future__ import annotations

import socket
import threading
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class CuttingProxy:
    """Passes bytes on between clients and a server at `target`, which may change."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.connections = 0
        self._cuts: deque[int] = deque()
        self._lost: deque[str] = deque()
        self._piece = 65_536
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closed = False
        self._start(self._accept)

    @property
    def url(self) -> str:
        """The address of the proxy."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut_after(self, sizes: Sequence[int]) -> None:
        """Cut each of the next connections after so many bytes from the server."""
        self._cuts.extend(sizes)

    def lose_response_to(self, path: str) -> None:
        """Pass the next request to a path on, wait for the response, and cut the connection instead of returning it."""
        self._lost.append(path)

    def send_pieces_of(self, size: int) -> None:
        """Return what the server sends in pieces of so many bytes, each in its own packet."""
        self._piece = size

    def cut(self) -> None:
        """Cut all connections."""
        for each in list(self._open):
            _shut(each)

    def close(self) -> None:
        """Cut all connections and accept no others."""
        self._closed = True
        _shut(self._listener)
        self.cut()
        for thread in self._threads:
            thread.join()

    def _start(self, target: object, *given: object) -> None:
        thread = threading.Thread(target=target, args=given)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            address = urlsplit(self.target)
            try:
                server = socket.create_connection((address.hostname, address.port))
            except OSError:
                _shut(client)
                continue
            self.connections += 1
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.add(each)
            limit = [self._cuts.popleft()] if self._cuts else []
            losing = threading.Event()
            self._start(self._requests, client, server, losing)
            self._start(self._responses, server, client, limit, losing)

    def _requests(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65_536):
                path = data.split(b" ", 2)[1].split(b"?")[0].decode() if data.count(b" ") > 1 else ""
                if self._lost and path == self._lost[0]:
                    self._lost.popleft()
                    losing.set()
                server.sendall(data)
        self._end(client, server)

    def _responses(
        self, server: socket.socket, client: socket.socket, limit: list[int], losing: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(65_536):
                if losing.is_set():
                    break
                if limit:
                    data, limit[0] = data[: limit[0]], limit[0] - len(data)
                for start in range(0, len(data), self._piece):
                    client.sendall(data[start : start + self._piece])
                if limit and limit[0] <= 0:
                    break
        self._end(server, client)

    def _end(self, *both: socket.socket) -> None:
        for each in both:
            _shut(each)
            self._open.discard(each)


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()


@contextmanager
def bad_network(target: str) -> Iterator[CuttingProxy]:
    """Run a proxy for a server."""
    proxy = CuttingProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
