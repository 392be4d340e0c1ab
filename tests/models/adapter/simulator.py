"""A simulator of providers that others keep, so that our belief about their protocols is not tested against itself."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "@copilotkit/aimock"
VERSION = "1.43.0"
HOME = Path(sys.prefix) / "simulator" / VERSION
"""In the virtual environment, where everything is that the tests need."""

FIXTURES = Path(__file__).with_name("simulated.json")


class NoSimulatorError(Exception):
    """The simulator cannot be had here; says why."""


@contextmanager
def running() -> Iterator[str]:
    """Run the simulator and give its address."""
    program = _installed()
    port = _free_port()
    command = ["node", str(program), "--port", str(port), "--fixtures", str(FIXTURES), "--log-level", "silent"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _wait_until_ready(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()


def _installed() -> Path:
    program = HOME / "node_modules" / PACKAGE / "dist" / "cli.js"
    if program.exists():
        return program
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NoSimulatorError("the simulator of providers needs Node.js 20 and npm")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.removeprefix("v").partition(".")[0]) < 20:
        raise NoSimulatorError(f"the simulator of providers needs Node.js 20; this is {version.strip()}")
    # Tests run in several processes: each installs into a place of its own, and the first to be ready moves it.
    place = HOME.with_name(f"{VERSION}.{os.getpid()}")
    place.mkdir(parents=True)
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(place), f"{PACKAGE}@{VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(place)
        reason = (done.stderr.strip().splitlines() or ["npm gave no reason"])[0]
        raise NoSimulatorError(f"the simulator of providers cannot be installed: {reason}")
    try:
        place.rename(HOME)
    except OSError:
        shutil.rmtree(place)
    return program


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + 60
    while True:
        if process.poll() is not None:
            raise RuntimeError((process.stderr.read() if process.stderr else b"").decode())
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return
