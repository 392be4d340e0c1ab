"""Running a program in a process group of its own, which is gone when the call is over, however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import anyio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""

_REST = 0.3
"""Seconds for what is left in the pipes after SIGKILL: a step that is cancelled has ended within two seconds."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended. `exit_code` is minus the signal's number where a signal ended it; `duration` in seconds.

    Of too much standard output the beginning is kept, of too much standard error the end.
    """

    stdout: bytes
    stderr: bytes
    exit_code: int
    truncated: bool
    timed_out: bool
    duration: float


async def run_program(
    command: str | Sequence[str],
    *,
    directory: Path,
    environment: Mapping[str, str],
    stdin: bytes = b"",
    timeout: float | None = None,  # noqa: ASYNC109 - the group must end before this returns
    max_output: int = 10_000_000,
) -> Completed:
    """Run a list of arguments, or a text in the system's shell, and wait for its end.

    When the program ends, is cancelled or runs longer than `timeout` seconds, whatever it started and left running is
    ended too: SIGTERM to the whole group, SIGKILL a second later.

    Raises:
        OSError: The program cannot be started.
    """
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    watch = _Watch(max_output)
    pipe = asyncio.subprocess.PIPE
    if isinstance(command, str):
        transport, _ = await loop.subprocess_shell(
            lambda: watch, command, stdin=pipe, stdout=pipe, stderr=pipe,
            cwd=directory, env=environment, start_new_session=True,
        )  # fmt: skip
    else:
        transport, _ = await loop.subprocess_exec(
            lambda: watch, *command, stdin=pipe, stdout=pipe, stderr=pipe,
            cwd=directory, env=environment, start_new_session=True,
        )  # fmt: skip
    timed_out = False
    try:
        _feed(transport, stdin)
        try:
            async with asyncio.timeout(timeout):
                await watch.exited.wait()
        except TimeoutError:
            timed_out = True
    finally:
        with anyio.CancelScope(shield=True):
            await _end_group(transport, watch)
        transport.close()
    code = transport.get_returncode()
    return Completed(
        bytes(watch.stdout),
        bytes(watch.stderr),
        code if code is not None else -signal.SIGKILL,
        watch.truncated,
        timed_out,
        time.monotonic() - started,
    )


class _Watch(asyncio.SubprocessProtocol):
    """Collects the output, and knows when the program has exited (its children may still hold the pipes open)."""

    def __init__(self, max_output: int) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.truncated = False
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()
        self._limit = max_output
        self._open = {1, 2}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            room = self._limit - len(self.stdout)
            self.stdout += data[:room] if room > 0 else b""
            self.truncated = self.truncated or len(data) > room
        else:
            self.stderr += data
            if len(self.stderr) > self._limit:
                self.truncated = True
                del self.stderr[: len(self.stderr) - self._limit]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open:
            self.closed.set()

    def process_exited(self) -> None:
        self.exited.set()


def _feed(process: asyncio.SubprocessTransport, data: bytes) -> None:
    pipe = cast("asyncio.WriteTransport | None", process.get_pipe_transport(0))
    if pipe is not None:
        if data:
            pipe.write(data)
        pipe.close()  # after what was written has gone out


async def _end_group(process: asyncio.SubprocessTransport, watch: _Watch) -> None:
    """End whatever is left of the group, then take in what is left in the pipes."""
    try:
        if not watch.exited.is_set():
            _signal(process, signal.SIGTERM)
            await _within(watch.exited, _GRACE)
    finally:
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    await _within(watch.exited, _REST)
    await _within(watch.closed, _REST)


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event for a while; a process that left the group may hold a pipe open for longer."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


def _signal(process: asyncio.SubprocessTransport, number: int) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.get_pid(), number)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass  # the group has ended (macOS says so with the second)
