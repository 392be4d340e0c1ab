"""Runs programs and ends all of their child processes: a separate script, run next to the process that needs them.

    python -I -S guardian.py FD OWNER            receives requests through the socket FD; one guardian per program
    python -I -S guardian.py - OWNER PROGRAM...  runs the given program, until it ends or SIGTERM arrives

On Linux a guardian is a subreaper: it adopts orphaned processes, so that all processes of its program stay below it,
even in a new session. If control groups can be created, the program gets one. A guardian also ends its program when its
owner has exited for any reason. The server adopts and ends the processes of a guardian that was killed. See
docs/decisions/0025-programs.md.
"""

# This runs for every program, and importing pathlib takes as long as everything else.
# ruff: noqa: PTH102, PTH106, PTH110, PTH123, PTH208

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

GRACE = 1.0
"""Seconds between SIGTERM and SIGKILL."""

_LOOK = 0.5  # seconds between checks that the owner is alive, in case another process holds its socket open
_SHORT = 0.05  # seconds; moving a process into a control group takes longer than most programs run
_LIMIT = 5.0  # seconds for all processes to end after SIGKILL
_LINUX = sys.platform == "linux"
_LIBC = ctypes.CDLL(None) if _LINUX else ctypes.pythonapi  # the second is unused
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_NOT_STARTED = 127


class Program:
    """The program and its child processes. `code` is its exit status, or the negative number of a signal."""

    def __init__(self, command: list[bytes], environment: dict[bytes, bytes], directory: bytes) -> None:
        self.code: int | None = None
        self.group: str | None = None
        self.started = self.ended = time.monotonic()
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _execute(command, environment, directory, writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as failures:
            failure = failures.read()
        if failure:
            os.waitpid(self.pid, 0)
            raise OSError(int(failure), os.strerror(int(failure)))

    def reap(self) -> bool:
        """Reap ended processes; return whether any are left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.pid:
                self.code = os.waitstatus_to_exitcode(status)
                self.ended = time.monotonic()

    def confine(self) -> None:
        """Move all processes into a control group, if possible."""
        self.group = _control_group()
        if self.group is None:
            return
        for pid in {self.pid, *_descendants()}:
            with suppress(OSError), open(f"{self.group}/cgroup.procs", "w") as members:
                members.write(str(pid))

    def signal(self, number: int) -> None:
        """Send a signal to all processes."""
        with suppress(OSError):
            os.killpg(self.pid, number)
        for pid in _descendants():
            _kill(pid, number)

    def end(self) -> None:
        """Kill the remaining processes. They are stopped first, so that they cannot start others."""
        limit = time.monotonic() + _LIMIT
        if self.group is not None:
            with suppress(OSError), open(f"{self.group}/cgroup.kill", "w") as order:
                order.write("1")
        while self.reap() and time.monotonic() < limit:
            seen: set[int] = set()
            while not (found := _descendants()) <= seen and time.monotonic() < limit:
                for pid in found - seen:
                    _kill(pid, signal.SIGSTOP)
                seen |= found
            self.signal(signal.SIGKILL)
            time.sleep(0.002)
        if not _LINUX:
            self.signal(signal.SIGKILL)  # only children can be waited for
        self.remove_group()

    def remove_group(self) -> None:
        """Remove the empty control group."""
        if self.group is not None:
            with suppress(OSError):
                os.rmdir(self.group)


def _execute(command: list[bytes], environment: dict[bytes, bytes], directory: bytes, failures: int) -> None:
    """In the new process: execute the program, or report the error."""
    try:
        try:
            os.setsid()
            if _LINUX:
                _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            for number in (
                signal.SIGINT,
                signal.SIGTERM,
                signal.SIGHUP,
                signal.SIGCHLD,
                signal.SIGPIPE,
                signal.SIGXFSZ,
            ):
                signal.signal(number, signal.SIG_DFL)
            os.chdir(directory)
            os.execvpe(command[0], command, environment)  # noqa: S606 - what the caller was permitted to run
        except OSError as error:
            os.write(failures, str(error.errno or 0).encode())
        except ValueError:
            os.write(failures, b"22")
    finally:
        os._exit(_NOT_STARTED)


def _prctl(option: int, value: int) -> None:
    _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


def _kill(pid: int, number: int) -> None:
    with suppress(OSError):  # it has ended, or belongs to another user
        os.kill(pid, number)


def _descendants(*, exclude: Collection[int] = ()) -> set[int]:
    """Return all descendants of this process, except the children in `exclude` and their descendants."""
    if not _LINUX:
        return set()
    own = os.getpid()
    try:
        children_of = _children if _children(own) is not None else _scanned().get
    except OSError:
        return set()
    found = {child for child in children_of(own) or () if child not in exclude}
    waiting = list(found)
    while waiting:
        for child in children_of(waiting.pop()) or ():
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def _children(pid: int) -> list[int] | None:
    """Return the children of a process, as the kernel lists them; None if it does not."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += map(int, file.read().split())
    except OSError:
        return None
    return found


def _scanned() -> dict[int, list[int]]:
    """Return the children of all processes, by scanning each: slower, and more likely to miss a new one."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            children.setdefault(parent, []).append(int(name))
    return children


def _control_group() -> str | None:
    """Create a control group below that of this process; None if that is not possible."""
    if not _LINUX:
        return None
    with suppress(OSError, StopIteration):
        with open("/proc/self/cgroup") as file:
            own = next(line.rstrip("\n")[3:] for line in file if line.startswith("0::"))
        for mounted in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
            if os.path.exists(mounted + own.rstrip("/") + "/cgroup.procs") and _is_unified(mounted):
                group = f"{mounted}{own.rstrip('/')}/orchestrator-{os.getpid()}"
                os.mkdir(group)
                if os.path.exists(group + "/cgroup.kill"):
                    return group
                os.rmdir(group)
    return None


def _is_unified(mounted: str) -> bool:
    return os.path.exists(mounted + "/cgroup.controllers")


def _read_request(fd: int) -> tuple[socket.socket, list[bytes], dict[bytes, bytes], bytes]:
    """Read the request from the socket: a line of JSON, whose strings are bytes decoded as Latin-1."""
    control = socket.socket(fileno=fd)
    control.set_inheritable(False)
    text = bytearray()
    while not text.endswith(b"\n"):
        piece = control.recv(1 << 16)
        if not piece:
            os._exit(_NOT_STARTED)
        text += piece
    request = json.loads(text)
    environment = {name.encode("latin-1"): value.encode("latin-1") for name, value in request["environment"].items()}
    command = [word.encode("latin-1") for word in request["command"]]
    return control, command, environment, request["directory"].encode("latin-1")


def _watch(program: Program, control: socket.socket | None, owner: int, wake: int, terminated: list[bool]) -> None:
    """Wait until the program ends, or until it has to be ended."""
    watched: list[int | socket.socket] = [wake] if control is None else [wake, control]
    limit: float | None = None
    confined = False
    while program.reap() and program.code is None:
        now = time.monotonic()
        if limit is not None and now >= limit:
            return
        pause = _LOOK if confined else _SHORT
        ready, _, _ = select.select(watched, [], [], pause if limit is None else min(pause, limit - now))
        if not ready and not confined:
            program.confine()
            confined = True
        if wake in ready:
            os.read(wake, 4096)
        ordered = control is not None and control in ready
        if control is not None and ordered:
            watched.remove(control)  # a request to end, or the end of the owner
        if limit is None and (ordered or terminated or os.getppid() != owner):
            limit = time.monotonic() + GRACE
            program.signal(signal.SIGTERM)


def guard(
    control: socket.socket | None, command: list[bytes], environment: dict[bytes, bytes], directory: bytes
) -> None:
    """Run a program until it ends, report how it ended, and exit."""
    owner = os.getppid() if control is not None else int(sys.argv[2])
    if _LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    terminated: list[bool] = []
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN if control is not None else lambda *_: terminated.append(True))
    try:
        program = Program(command, environment, directory)
    except OSError as error:
        if control is None:
            os.write(2, command[0] + b": " + str(error.strerror).encode() + b"\n")
            os._exit(_NOT_STARTED)
        control.sendall(json.dumps({"errno": error.errno}).encode() + b"\n")
        os._exit(0)
    _release_pipes()
    _watch(program, control, owner, wake, terminated)
    program.end()
    code: int = -signal.SIGKILL if program.code is None else program.code
    if control is None:
        os._exit(code if code >= 0 else 128 - code)
    with suppress(OSError):  # the owner may have exited
        control.sendall(json.dumps({"code": code, "seconds": program.ended - program.started}).encode() + b"\n")
    os._exit(0)


def _release_pipes() -> None:
    """Close this process's copies of the program's pipes."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _end_orphans(guardians: Collection[int]) -> None:
    """Kill the processes that this process has adopted, which happens only if a guardian was killed."""
    limit = time.monotonic() + _LIMIT
    while (found := _descendants(exclude=guardians)) and time.monotonic() < limit:
        seen: set[int] = set()
        while not found <= seen and time.monotonic() < limit:
            for pid in found - seen:
                _kill(pid, signal.SIGSTOP)
            seen |= found
            found = _descendants(exclude=guardians)
        for pid in seen:
            _kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def serve(fd: int, owner: int) -> None:
    """Fork a guardian for each request, until the owner has exited."""
    for name in os.listdir(
        "/dev/fd"
    ):  # programs must not inherit descriptors that the owner left open for its children
        if int(name) > 2 and int(name) != fd:
            with suppress(OSError):
                os.close(int(name))
    requests = socket.socket(fileno=fd)
    requests.set_inheritable(False)
    with suppress(OSError):
        os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # guardians are not waited for
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if _LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    guardians: set[int] = set()
    while os.getppid() == owner:
        ready, _, _ = select.select([requests], [], [], _LOOK)
        if guardians:
            guardians = {pid for pid in guardians if os.path.exists(f"/proc/{pid}")} if _LINUX else set()
            _end_orphans(guardians)
        if not ready:
            continue
        request, descriptors, _, _ = socket.recv_fds(requests, 1, 4)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            try:
                requests.close()
                for standard, descriptor in enumerate(descriptors[:3]):
                    os.dup2(descriptor, standard)
                    os.close(descriptor)
                guard(*_read_request(descriptors[3]))
            finally:
                os._exit(_NOT_STARTED)
        guardians.add(pid)
        for descriptor in descriptors:
            os.close(descriptor)


if __name__ == "__main__":
    if sys.argv[1] == "-":
        guard(None, [os.fsencode(word) for word in sys.argv[3:]], dict(os.environb), b".")
    else:
        serve(int(sys.argv[1]), int(sys.argv[2]))
