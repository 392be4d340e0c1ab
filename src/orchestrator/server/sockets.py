"""The sockets at which a server listens. Why it cannot is an error with the way out, before anything else is done."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from typing import Final

from orchestrator import codes
from orchestrator.errors import ConfigurationError
from orchestrator.remedies import TakeFreePort

_UNAVAILABLE: Final = (
    "name an address of this machine: 127.0.0.1 for this machine only, or 0.0.0.0 for all that reach it"
)


def listening_sockets(host: str, port: int) -> list[socket.socket]:
    """Return sockets that are bound to all addresses of a host; the port 0 is a free one.

    Raises:
        ConfigurationError: ORC921, one cannot be bound.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise _cannot_listen(f"the host `{host}` is unknown", _UNAVAILABLE) from None
    with ExitStack() as opened:
        bound: list[socket.socket] = []
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                bound.append(opened.enter_context(_bound(family, kind, protocol, address, bound)))
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT and len(found) > 1:
                    continue  # a name with addresses of a kind that this machine does not have
                raise _explained(error, host, port) from None
        opened.pop_all()
        return bound


def _bound(
    family: int, kind: int, protocol: int, address: tuple[object, ...], bound: list[socket.socket]
) -> socket.socket:
    found = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        port = address[1] or (bound[0].getsockname()[1] if bound else 0)  # one free port for all addresses
        found.bind((address[0], port, *address[2:]))
        found.listen(0)  # of two servers that bind a port at once, one finds out now
        found.setblocking(False)
    except BaseException:
        found.close()
        raise
    return found


def _explained(error: OSError, host: str, port: int) -> ConfigurationError:
    """Return the error for an address that cannot be bound."""
    match error.errno:
        case errno.EADDRINUSE:
            return ConfigurationError(
                f"the port {port} of {host} is in use, by another server or another program",
                code=codes.CANNOT_LISTEN,
                help="stop that one, name another port",
                remedies=[TakeFreePort()],
            )
        case errno.EACCES | errno.EPERM:
            return _cannot_listen(
                f"the port {port} of {host} is reserved for the system",
                "name a port from 1024 on, and put a proxy at this one",
            )
        case errno.EADDRNOTAVAIL:
            return _cannot_listen(f"{host} is not an address of this machine", _UNAVAILABLE)
    reason = (error.strerror or str(error)).lower()
    return _cannot_listen(f"the server cannot listen at {host}, port {port}: {reason}", _UNAVAILABLE)


def _cannot_listen(message: str, help: str) -> ConfigurationError:
    return ConfigurationError(message, code=codes.CANNOT_LISTEN, help=help)
