"""The machine that measures: what it is, how busy it is, and the clock."""

import compileall
import os
import platform
import sqlite3
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

BUSY = 0.15
"""The part of the processors that other programs may use during a measurement."""

_MOMENT = 0.3
"""Seconds."""

PACKAGES = (
    "pyorchestrator",
    "dbos",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "openai",
    "pydantic",
    "pydantic-ai-slim",
)


class Clock:
    """Wall and processor time of this process between `start` and `stop`, in seconds; its peak memory then, in MB."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self.before = self.peak = 0.0

    def start(self) -> None:
        """Begin to measure."""
        forget_peak()
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


def forget_peak() -> None:
    """Let the peak be that from now on, where the system can do that."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def resident_memory() -> float | None:
    """Return the memory that this process has resident now, in MB; None if the system does not say."""
    try:
        return int(Path("/proc/self/status").read_text(encoding="ascii").split("VmRSS:")[1].split()[0]) / 1024
    except OSError:
        return None


class Quiet:
    """Waits for a quiet machine, for a limited time in total."""

    def __init__(self, patience: float) -> None:
        self._left = patience

    def wait(self) -> None:
        """Return when the processors have been nearly idle for a moment, or when the time is used up."""
        while self._left > 0 and (before := _ticks()) is not None:
            time.sleep(_MOMENT)
            after = _ticks() or before
            elapsed = sum(after) - sum(before)
            idle = (after[3] + after[4]) - (before[3] + before[4])
            if elapsed == 0 or 1 - idle / elapsed < BUSY:
                return
            self._left -= _MOMENT


def load() -> float:
    """Return the load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def environment() -> dict[str, str]:
    """Return the environment of a measurement: Python reads and writes bytecode, as where packages are installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def write_bytecode() -> None:
    """Compile this project's modules to bytecode where that is missing or out of date."""
    import orchestrator

    compileall.compile_dir(Path(orchestrator.__file__).parent, quiet=2)


def modules_without_bytecode() -> int:
    """Return how many of the loaded modules Python had to compile from their source."""
    caches = [getattr(module, "__cached__", None) for module in list(sys.modules.values())]
    return sum(cache is not None and not Path(cache).exists() for cache in caches)


def description(postgres: str | None) -> dict[str, Any]:
    """Return what the figures depend on; `postgres` is the version of its server."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "postgres": postgres,
        "memory": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)),
        "versions": {name: found for name in PACKAGES if (found := _version(name)) is not None},
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
