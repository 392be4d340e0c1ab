"""The machine that measures: what it is, how busy it is, and the clock."""

import os
import platform
import sqlite3
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

BUSY = 0.15
"""The part of the processors that other programs may use during a measurement."""


class Clock:
    """Wall and processor time of this process between `start` and `stop`, in seconds; its peak memory then, in MB."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self.before = self.peak = 0.0

    def start(self) -> None:
        """Begin to measure."""
        self.before = peak_memory()
        self.cpu = -time.process_time()
        self.wall = -time.perf_counter()

    def stop(self) -> None:
        """End."""
        self.wall += time.perf_counter()
        self.cpu += time.process_time()
        self.peak = peak_memory()


def peak_memory() -> float:
    """Return the most memory that this process has had resident, in MB."""
    try:
        # Not getrusage: its value for a new process includes the parent's memory at the fork.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) / 1024
    except OSError:
        import resource

        divisor = 1 << 20 if sys.platform == "darwin" else 1 << 10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / divisor


def wait_for_quiet(patience: float) -> None:
    """Return when the processors have been nearly idle for half a second, or after `patience` seconds."""
    end = time.monotonic() + patience
    while (before := _ticks()) is not None:
        time.sleep(0.5)
        after = _ticks() or before
        elapsed = sum(after) - sum(before)
        idle = (after[3] + after[4]) - (before[3] + before[4])
        if elapsed == 0 or 1 - idle / elapsed < BUSY or time.monotonic() > end:
            return


def load() -> float:
    """Return the load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def description() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "versions": {
            name: found
            for name in ("orchestrator", "langgraph", "langgraph-checkpoint-sqlite", "pydantic")
            if (found := _version(name)) is not None
        },
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        return text.split("model name")[1].split(":", 1)[1].split("\n")[0].strip()
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def _ticks() -> list[int] | None:
    try:
        return [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:9]]
    except OSError:
        return None
