"""The process that owns a run: distinguished from a later one with the same id, and whether it is alive."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, convert

if TYPE_CHECKING:
    from collections.abc import Mapping


class Owner(Struct, frozen=True):
    """A process. `process_start` distinguishes it from a later process with the same `pid`; "" where it is unknown.

    `machine` names the boot and the process table that `pid` belongs to: two containers may share a host's name but
    not its processes. `label` is for people, such as `ci job 17`.
    """

    host: str
    pid: int
    process_start: str = ""
    label: str = ""
    machine: str = ""

    @classmethod
    def current(cls, label: str = "") -> Owner:
        """Describe the current process."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _process(pid)[1], label, _machine())

    def is_dead(self) -> bool:
        """Whether the process is known to have ended; False for one on another machine."""
        if self.host != socket.gethostname() or self.machine != _machine():
            return False
        alive, start = _process(self.pid)
        return not alive or (self.process_start != "" and start != "" and start != self.process_start)

    def __str__(self) -> str:
        """Return the name of the owner, as it is shown to people."""
        process = f"process {self.pid} on {self.host}"
        return f"{self.label} ({process})" if self.label else process

    def to_dict(self) -> dict[str, Any]:
        """Return the owner as JSON data."""
        return {
            "host": self.host,
            "pid": self.pid,
            "process_start": self.process_start,
            "label": self.label,
            "machine": self.machine,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Owner:
        """Build the owner that `to_dict` described."""
        return convert(dict(data), cls)


def _process(pid: int) -> tuple[bool, str]:
    """Return whether a process lives, and its start time in the system's own terms ("" when not known)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _answers(pid), ""
    # The command's name is in parentheses and may itself contain spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    # Threads of a process that is killed may still end while its first one is a zombie: until then it has its files.
    return fields[0] not in "ZX" or int(fields[17]) > 1, fields[19]


def _answers(pid: int) -> bool:
    if os.name == "nt":
        return True  # signal 0 would end the process there; its lease runs out instead
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@cache
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        processes = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        return ""
    return f"{boot} {processes}"
