"""Starts the services of services.toml, shows what they print, and ends them with Ctrl-C. It needs Python alone.

python up.py [--without SERVICE]...
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).resolve().parent
DATA = HERE / ".local"
RUN = Path(tempfile.gettempdir()) / f"orchestrator-{hashlib.sha256(str(HERE).encode()).hexdigest()[:12]}"
"""Short, as the path of a socket has at most 107 bytes."""

STARTING_SECONDS = 60.0
STOPPING_SECONDS = 30.0
RESTART_SECONDS = 1.0


@dataclass
class Service:
    """A process that is kept running."""

    name: str
    command: list[str]
    ready: str
    needs: list[str] = field(default_factory=list)
    gives: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    def start(self, environment: dict[str, str]) -> None:
        """Start the process. Its output is printed with its name in front."""
        program, *words = self.command
        installed = Path(sys.executable).with_name(program)  # as in the virtual environment of this Python
        self.process = subprocess.Popen(
            [str(installed) if installed.exists() else program, *words],
            cwd=HERE,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a Ctrl-C is for this program, which ends the services in order
        )
        threading.Thread(target=self._print, args=(self.process,), daemon=True).start()

    def is_ready(self) -> bool:
        """Whether the process can be used."""
        if not self.ready.startswith("http"):
            return Path(self.ready).exists()
        try:
            with urlopen(self.ready, timeout=1) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False

    def stop(self) -> None:
        """End the process, and wait until it is gone."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _print(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"{self.name:10}| {line}", end="", flush=True)


def services(without: list[str]) -> list[Service]:
    """Return the services in the order in which they are started."""
    with (HERE / "services.toml").open("rb") as file:
        found = tomllib.load(file)["services"]
    for name in without:
        found.pop(name)
    places = {"{run}": str(RUN), "{data}": str(DATA)}

    def filled(text: str) -> str:
        for mark, place in places.items():
            text = text.replace(mark, place)
        return text

    ordered: list[Service] = []
    while found:
        done = {service.name for service in ordered}
        name = next(name for name, given in found.items() if not ({*given.get("needs", ())} & {*found} - done))
        given = found.pop(name)
        ordered.append(
            Service(
                name,
                [filled(word) for word in given["command"]],
                filled(given["ready"]),
                [each for each in given.get("needs", ()) if each not in without],
                {variable: filled(value) for variable, value in given.get("gives", {}).items()},
            )
        )
    return ordered


def main() -> None:
    """Start all services, keep them running, and end them in the opposite order."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without", action="append", default=[], metavar="SERVICE", help="leave a service out")
    ordered = services(parser.parse_args().without)
    given = {service.name: service.gives for service in ordered}
    for directory in (DATA, RUN):
        directory.mkdir(mode=0o700, exist_ok=True)
    if RUN.stat().st_uid not in (os.geteuid(), DATA.stat().st_uid):
        sys.exit(f"{RUN} belongs to another user")
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        for service in ordered:
            _start(service, given, stopping)
        print("all services are ready; Ctrl-C ends them", flush=True)
        while not stopping.wait(RESTART_SECONDS):
            for service in ordered:
                if service.process is not None and service.process.poll() is not None:
                    print(f"{service.name:10}| ended with {service.process.returncode}; started again", flush=True)
                    _start(service, given, stopping)
    finally:
        for service in reversed(ordered):
            service.stop()


def _start(service: Service, given: dict[str, dict[str, str]], stopping: threading.Event) -> None:
    """Start a service, and wait until it is ready."""
    service.start({name: value for needed in service.needs for name, value in given[needed].items()})
    assert service.process is not None
    deadline = time.monotonic() + STARTING_SECONDS
    while not service.is_ready() and not stopping.wait(0.1):
        if service.process.poll() is not None:
            sys.exit(f"the service `{service.name}` ended with {service.process.returncode} before it was ready")
        if time.monotonic() > deadline:
            sys.exit(f"the service `{service.name}` was not ready within {STARTING_SECONDS:g} seconds")


if __name__ == "__main__":
    main()
