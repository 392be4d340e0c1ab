"""Runs a program so that all of its processes have ended when the call returns, however it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack, ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio
from msgspec import Struct

from orchestrator.tools.sandbox import guardian, guardian_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_GRACE = guardian.GRACE
_GUARDIAN_SECONDS = 10.0
"""Seconds for a guardian to kill remaining processes; usually a few milliseconds suffice."""

_KILLED = getattr(signal, "SIGKILL", signal.SIGTERM)

_REST = 0.3
"""Seconds to read the pipes after SIGKILL: a cancelled step must end within two seconds."""


class CompletedProcess(Struct, frozen=True):
    """How a program ended. `exit_code` is the negative signal number if a signal ended it; `duration` is in seconds.

    If the output is too long, the start of standard output and the end of standard error are kept.
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
    timeout: float | None = None,  # noqa: ASYNC109 - all processes must have ended before this returns
    max_output: int = 10_000_000,
) -> CompletedProcess:
    """Run a list of arguments, or a string in the system shell, and wait until it ends.

    When the program ends, is cancelled or runs longer than `timeout` seconds, or when this process dies, all of its
    child processes are ended too: SIGTERM first, SIGKILL a second later.

    Raises:
        OSError: The program cannot be started.
    """
    watch = _Watch(max_output)
    started = time.monotonic()
    if has_guardian():
        return await _run_guarded(command, directory, environment, stdin, timeout, watch)
    transport = await _start(command, directory, environment, watch)
    try:
        timed_out = await _wait(transport, watch, stdin, timeout)
    finally:
        with anyio.CancelScope(shield=True):
            await _end_group(transport, watch)
        transport.close()
    code = transport.get_returncode()
    return watch.completed(code if code is not None else -_KILLED, timed_out, time.monotonic() - started)


def has_guardian() -> bool:
    """Whether programs run under a guardian, which ends their child processes: not on Windows or in a frozen Python."""
    return sys.platform != "win32" and bool(sys.executable) and not getattr(sys, "frozen", False)


def guarded(command: Sequence[str]) -> list[str]:
    """Return a command that runs another one under a guardian, which ends with SIGTERM or with this process."""
    return [*guardian_server.SCRIPT, "-", str(os.getpid()), *command] if has_guardian() else list(command)


async def _run_guarded(
    command: str | Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    stdin: bytes,
    timeout: float | None,  # noqa: ASYNC109 - as above
    watch: _Watch,
) -> CompletedProcess:
    loop = asyncio.get_running_loop()
    words = ["/bin/sh", "-c", command] if isinstance(command, str) else command
    asked = {
        "command": [_bytes(word) for word in words],
        "environment": {_bytes(name): _bytes(value) for name, value in environment.items()},
        "directory": _bytes(str(directory)),
    }
    timed_out = False
    report: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        control, transport = await _guardian(watch, stack)
        try:
            async with asyncio.timeout(timeout):
                with suppress(ConnectionError):  # it has ended, which is detected below
                    await loop.sock_sendall(control, json.dumps(asked).encode() + b"\n")
                if stdin:
                    transport.write(stdin)
                transport.close()  # after the written data is flushed
                report = await _report(control)
        except TimeoutError:
            timed_out = True
        finally:
            with anyio.CancelScope(shield=True):
                report = report or await _ended(control)
                await _within(watch.closed, _REST)
    if "errno" in report:
        raise OSError(report["errno"], os.strerror(report["errno"]))
    return watch.completed(report.get("code", -_KILLED), timed_out, report.get("seconds", 0.0))


async def _guardian(watch: _Watch, stack: AsyncExitStack) -> tuple[socket.socket, asyncio.WriteTransport]:
    """Start a guardian; return its socket, and the transport to the standard input of its program."""
    loop = asyncio.get_running_loop()
    with ExitStack() as theirs:
        ours, control = socket.socketpair()
        stack.callback(ours.close)
        theirs.callback(control.close)
        ours.setblocking(False)
        reading, stdin = os.pipe()
        theirs.callback(os.close, reading)
        given = [reading]
        transport, written = await loop.connect_write_pipe(_Input, os.fdopen(stdin, "wb", 0))
        stack.callback(lambda: None if written.lost else transport.abort())
        for number in (1, 2):
            output, writing = os.pipe()
            theirs.callback(os.close, writing)
            given.append(writing)
            pipe, _ = await loop.connect_read_pipe(partial(_Pipe, watch, number), os.fdopen(output, "rb", 0))
            stack.callback(pipe.close)
        guardian_server.start_guardian([*given, control.fileno()])
    return ours, transport


async def _report(control: socket.socket) -> dict[str, Any]:
    """Return the final report of a guardian: empty if it was killed."""
    loop = asyncio.get_running_loop()
    received = bytearray()
    with suppress(ConnectionError):
        while not received.endswith(b"\n") and (piece := await loop.sock_recv(control, 1 << 16)):
            received += piece
    report: dict[str, Any] = json.loads(received or b"{}")
    return report


async def _ended(control: socket.socket) -> dict[str, Any]:
    """Tell a guardian to end its program, and return its report."""
    with suppress(OSError):
        control.send(b"end")
    try:
        async with asyncio.timeout(guardian.GRACE + _GUARDIAN_SECONDS):
            return await _report(control)
    except TimeoutError:
        return {}


def _bytes(text: str) -> str:
    """Return the bytes of a text in the file system encoding, decoded as Latin-1."""
    raw = os.fsencode(text)
    if b"\0" in raw:
        raise ValueError("embedded null byte")
    return raw.decode("latin-1")


async def _start(
    command: str | Sequence[str], directory: Path, environment: Mapping[str, str], watch: _Watch
) -> asyncio.SubprocessTransport:
    loop = asyncio.get_running_loop()
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
    return transport


async def _wait(
    transport: asyncio.SubprocessTransport,
    watch: _Watch,
    stdin: bytes,
    timeout: float | None,  # noqa: ASYNC109 - as above
) -> bool:
    """Wait until the program ends; return whether it timed out."""
    _feed(transport, stdin)
    try:
        async with asyncio.timeout(timeout):
            await watch.exited.wait()
    except TimeoutError:
        return True
    return False


class _Input(asyncio.BaseProtocol):
    """Tracks whether the pipe to a program is closed."""

    lost = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


class _Pipe(asyncio.Protocol):
    """Forwards the output of one pipe."""

    def __init__(self, watch: _Watch, number: int) -> None:
        self._watch = watch
        self._number = number

    def data_received(self, data: bytes) -> None:
        self._watch.pipe_data_received(self._number, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.pipe_connection_lost(self._number, exc)


class _Watch(asyncio.SubprocessProtocol):
    """Collects the output, and tracks whether the program has exited (its children may still hold the pipes open)."""

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

    def completed(self, exit_code: int, timed_out: bool, duration: float) -> CompletedProcess:
        """Return the collected result."""
        return CompletedProcess(bytes(self.stdout), bytes(self.stderr), exit_code, self.truncated, timed_out, duration)


def _feed(process: asyncio.SubprocessTransport, data: bytes) -> None:
    pipe = cast("asyncio.WriteTransport | None", process.get_pipe_transport(0))
    if pipe is not None:
        if data:
            pipe.write(data)
        pipe.close()  # after the written data is flushed


async def _end_group(process: asyncio.SubprocessTransport, watch: _Watch) -> None:
    """End the remaining processes of the group, then read the rest of the pipes."""
    try:
        if not watch.exited.is_set():
            _signal(process, signal.SIGTERM)
            await _within(watch.exited, _GRACE)
    finally:
        _signal(process, _KILLED)
    await _within(watch.exited, _REST)
    await _within(watch.closed, _REST)


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event for a limited time; a process that left the group may hold a pipe open longer."""
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
        pass  # the group has ended (macOS raises the second)
