from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 30


class Worker:
    """A process that executes a run, and what it has said."""

    def __init__(self, forge: Forge, pid: int, report: Path) -> None:
        self.pid = pid
        self._forge = forge
        self._report = report.open("rb")

    def read(self) -> dict[str, Any] | None:
        """The next thing it says; None when it has ended."""
        line = self._report.readline()
        return json.loads(line) if line else None

    def kill(self) -> None:
        """End it with SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        self.join()

    def join(self) -> None:
        """Return when it has ended."""
        self._forge.ask({"wait": self.pid})
        self._report.close()


class Forge:
    """Makes workers."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._count = 0

    def ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, directory: Path, **request: Any) -> Worker:
        """Start a run of `directory/pipeline.yaml`, or resume one."""
        self._count += 1
        report = directory / f"report-{self._count}"
        os.mkfifo(report)
        pid = self.ask({"directory": str(directory), "report": str(report), **request})
        return Worker(self, pid, report)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(PATIENCE)


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    forge = Forge()
    yield forge
    forge.close()
