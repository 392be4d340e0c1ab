"""The process that makes guardians for this one: started with the first program, since starting one takes longest."""

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
"""The id of the server that a script makes, and a socket to it."""


def start_guardian(descriptors: Sequence[int]) -> None:
    """Have a guardian made that gets these descriptors: stdin, stdout and stderr of its program, and a socket to us.

    Raises:
        OSError: No process can be started.
    """
    with _lock:
        try:
            socket.send_fds(_server(), [b"+"], list(descriptors))
        except ConnectionError:  # somebody has killed it: once more
            _forget()
            socket.send_fds(_server(), [b"+"], list(descriptors))


def _server() -> socket.socket:
    if SCRIPT not in _servers:
        ours, theirs = socket.socketpair()
        with theirs:
            actions = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
            # Duplicated onto itself it would stay closed on exec, so it gets a number that is certainly another one.
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
    """In a process that was forked: another thread may have held the lock, and the servers are the parent's."""
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
