"""The server process that forks guardians. It starts with the first program, because starting it is slow."""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from orchestrator.tools.sandbox import guardian

if TYPE_CHECKING:
    from collections.abc import Sequence

SCRIPT: tuple[str, ...] = (sys.executable, "-I", "-S", guardian.__file__)

_lock = threading.Lock()
_servers: dict[tuple[str, ...], tuple[int, socket.socket]] = {}
"""The process id of the server of a script, and the socket to it."""


def start_guardian(descriptors: Sequence[int]) -> None:
    """Start a guardian with these descriptors: stdin, stdout and stderr of its program, and a socket to this process.

    Raises:
        OSError: The process cannot be started.
    """
    with _lock:
        try:
            socket.send_fds(_server(), [b"+"], list(descriptors))
        except ConnectionError:  # the server was killed: start another one
            _forget()
            socket.send_fds(_server(), [b"+"], list(descriptors))


def _server() -> socket.socket:
    if SCRIPT not in _servers:
        ours, theirs = socket.socketpair()
        with theirs:
            actions = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
            # Duplicated onto itself, it would be closed on exec, so it gets a different number.
            number = theirs.fileno() + 1
            pid = os.posix_spawn(
                SCRIPT[0],
                [*SCRIPT, str(number), str(os.getpid())],
                os.environ,
                file_actions=[*actions, (os.POSIX_SPAWN_DUP2, theirs.fileno(), number)],
            )
        _servers[SCRIPT] = (pid, ours)
    return _servers[SCRIPT][1]


def _after_fork() -> None:
    """Reset after a fork: another thread may have held the lock, and the servers belong to the parent."""
    global _lock
    _lock = threading.Lock()
    for _, ours in _servers.values():
        ours.close()
    _servers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _forget() -> None:
    pid, ours = _servers.pop(SCRIPT)
    ours.close()
    with suppress(OSError):
        os.waitpid(pid, os.WNOHANG)
