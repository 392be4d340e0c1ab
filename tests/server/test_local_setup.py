"""`examples/server`: two servers that share a database, started and ended by one command."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc
from tests.postgres import NoPostgres, Server
from tests.server.support import PATIENCE

EXAMPLE = Path(__file__).parents[2] / "examples" / "server"


class Setup:
    """The example in a copy, at free ports."""

    def __init__(self, directory: Path, *options: str) -> None:
        shutil.copytree(EXAMPLE, directory, ignore=shutil.ignore_patterns(".local", ".orchestrator", "output"))
        self.ports = free_ports(2)
        services = (directory / "services.toml").read_text()
        for number, port in zip(("8421", "8422"), self.ports, strict=True):
            services = services.replace(number, str(port))
        (directory / "services.toml").write_text(services)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
        self.directory = directory
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "up.py", *options],
            cwd=directory,
            env=kept,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        eventually(lambda: self.process.poll() is not None or "all services are ready" in "".join(self.said))
        assert self.process.poll() is None, "".join(self.said)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.said.extend(lines)

    def client(self, number: int) -> orc.Client:
        token = (self.directory / ".orchestrator" / "server-token").read_text().strip()
        return orc.connect(f"http://127.0.0.1:{self.ports[number]}", token=token, patience=PATIENCE)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(PATIENCE) == 0, "".join(self.said)


def free_ports(count: int) -> list[int]:
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in opened]
    for each in opened:
        each.close()
    return ports


def eventually(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def setup(request: pytest.FixtureRequest) -> Iterator[Setup]:
    if request.param == "postgresql":
        try:
            Server().stop()
        except NoPostgres as why:
            pytest.skip(str(why))
    base = Path(tempfile.mkdtemp(prefix="local-", dir="/tmp"))  # PostgreSQL must be able to enter it
    base.chmod(0o755)
    options = ["--without", "database"] if request.param == "sqlite" else []
    started = Setup(base / "server", *options)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.terminate()
            started.process.wait(PATIENCE)
        started.reader.join(PATIENCE)
        shutil.rmtree(base)


def test_two_servers_share_runs_and_a_killed_one_is_started_again(setup: Setup):
    with setup.client(0) as one, setup.client(1) as two:
        assert one.compile("greeting").run(name="Ada").outputs == {"text": "Hello Ada"}
        assert [status.pipeline for status in two.list_runs()] == ["greeting"]
        assert [trigger.id for trigger in two.triggers()] == ["report/nightly"]
        run = one.compile("report").start(day="2026-12-01")
        eventually(lambda: two.get_run(run.id).status().state == "waiting")
        os.kill(server_at(setup.ports[0]), signal.SIGKILL)
        two.get_run(run.id).answer("review", True)
        eventually(lambda: two.get_run(run.id).status().state == "succeeded")
        assert two.get_run(run.id).result().outputs == {"file": "output/2026-12-01.md"}
        assert (setup.directory / "output" / "2026-12-01.md").read_text() == "Report for 2026-12-01: nothing unusual."
        assert one.get_run(run.id).status().state == "succeeded", "the killed server is back"
    assert "ended with -9; started again" in "".join(setup.said)
    setup.stop()
    assert all(not is_open(port) for port in setup.ports)


def server_at(port: int) -> int:
    """The process that listens at a port."""
    for directory in Path("/proc").iterdir():
        if directory.name.isdecimal():
            try:
                words = (directory / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"serve" in words and str(port).encode() in words:
                return int(directory.name)
    raise AssertionError(port)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_readme_names_what_the_example_has():
    text = (EXAMPLE / "README.md").read_text()
    pipelines = {path.stem for path in (EXAMPLE / "pipelines").glob("*.yaml")}
    assert set(re.findall(r"orchestrator run (\w+)", text)) == pipelines
