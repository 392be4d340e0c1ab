"""How many connections a server has at once, and the answer to those that are one too many.

Without a limit of its own, a server would run out of open files instead: then it could neither accept connections nor
open its store.
"""

from __future__ import annotations

import asyncio
import json
from typing import Final

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.server.problems import MEDIA_TYPE, RETRY_SECONDS, problem

ACCEPTED_AT_ONCE: Final = 256
"""How many connections the server takes from the system's queue before it looks at how many it has."""

_RESERVED: Final = 256
"""Open files for the store, the steps of runs, and what the server itself has open."""

_FEWEST: Final = 32

LINGER_SECONDS: Final = 1.0
"""How long a refused client may take to read why."""

MOST_LINGERING: Final = 64
"""How many refused clients receive the reason at once; further ones are disconnected without an answer."""


def connection_limit(wanted: int) -> int:
    """Return how many connections a server can have, at most `wanted`, and raise the limit of open files for them.

    The soft limit of this process is raised, which its user may do, up to the hard one, which they may not exceed.
    """
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return wanted
    needed = wanted + ACCEPTED_AT_ONCE + _RESERVED
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):  # the system has a lower limit for all processes
        raised = soft
    return min(wanted, max(_FEWEST, raised - ACCEPTED_AT_ONCE - _RESERVED))


class Refusals:
    """The connections that a server with `most` of them has refused."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0
        self._lingering: set[_RefusedConnection] = set()
        error = RequestError(
            f"the server has {most:,} connections already",
            status=503,
            code=codes.REQUEST_REFUSED,
            help="try again later, or raise `max_connections` in [serve] of orchestrator.toml",
        )
        body = json.dumps(problem(error)).encode()
        head = (
            "HTTP/1.1 503 Service Unavailable",
            f"content-type: {MEDIA_TYPE}",
            f"content-length: {len(body)}",
            f"retry-after: {RETRY_SECONDS}",
            "connection: close",
        )
        self._answer = "\r\n".join([*head, "", ""]).encode() + body

    def refuse(self, transport: asyncio.Transport) -> None:
        """Answer on a connection, whatever it asks, and close it."""
        self.count += 1
        if len(self._lingering) >= MOST_LINGERING:
            transport.abort()
            return
        refused = _RefusedConnection(self._lingering, transport)
        transport.set_protocol(refused)
        transport.write(self._answer)
        if transport.can_write_eof():
            transport.write_eof()


class _RefusedConnection(asyncio.Protocol):
    """Takes what a refused client sends: closed with unread data, a connection loses what was written to it."""

    def __init__(self, lingering: set[_RefusedConnection], transport: asyncio.Transport) -> None:
        self._lingering = lingering
        lingering.add(self)
        self._timer = asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._timer.cancel()
        self._lingering.discard(self)


def limit_warning(most: int, wanted: int) -> str | None:
    """Return a warning if the server can have fewer connections than its settings say; else None."""
    if most >= wanted:
        return None
    return (
        f"the server accepts {most:,} connections at once instead of {wanted:,}, as the system allows this process too "
        "few open files: raise its hard limit (`ulimit -Hn`, or `LimitNOFILE=` of systemd)"
    )
