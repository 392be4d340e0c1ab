"""The connections of a server: those that send nothing, or hardly anything, are closed, as are those over its limit."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from orchestrator.server.connection_limit import Refusals

HEADER_SECONDS: Final = 15.0
"""How long a client may take to send the head of a request."""

GONE_SECONDS: Final = 60
"""After how long a connection is closed whose other end does not confirm what is sent to it."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1, for clients that are slow, and not for those that only hold a connection."""

    refusals: Refusals | None = None
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in its base
        """Begin to wait for a request, unless the server has as many connections as it may."""
        if self.refusals is not None and len(self.connections) >= self.refusals.most:
            self.refusals.refuse(transport)
            return
        super().connection_made(transport)
        found: socket.socket | None = transport.get_extra_info("socket")
        if found is not None and found.family in (socket.AF_INET, socket.AF_INET6):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_KEEPIDLE"):  # else a client that was cut off while it sent is kept for two hours
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, GONE_SECONDS // 2)
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, GONE_SECONDS // 4)
            if hasattr(socket, "TCP_USER_TIMEOUT"):  # else the system's own time counts, of about 15 minutes
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_SECONDS * 1_000)
        self._limit_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived."""
        super().data_received(data)
        self._limit_head()

    def _unsupported_upgrade_warning(self) -> None:
        """Write nothing to the log: anyone can ask for another protocol, as often as they like."""

    def _limit_head(self) -> None:
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._stop_timer()
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEADER_SECONDS, self._close_late)

    def _close_late(self) -> None:
        self._head_timer = None
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def limited_protocol(found: Refusals) -> type[PatientProtocol]:
    """Return the protocol of a server that refuses connections over its limit."""

    class LimitedProtocol(PatientProtocol):
        refusals = found

    return LimitedProtocol
