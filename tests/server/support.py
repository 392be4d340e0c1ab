"""A server in a thread of this process, and one in a process of its own, with clients that speak HTTP to them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2 as httpx

import orchestrator as orc
from orchestrator.config.server_token import read_token
from orchestrator.config.tables.serve import ServeTable
from orchestrator.server.access.tokens import add_token
from orchestrator.server.http_server import Server
from orchestrator.server.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PATIENCE = 60.0
CLIENTS: list[httpx.Client] = []
"""The clients of a test, which are closed at its end."""


class Client:
    """Sends requests to a server with a token; `problem` and `json` check what comes back."""

    def __init__(self, address: str, token: str | None) -> None:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=address, headers=headers, timeout=PATIENCE)
        CLIENTS.append(self.http)

    def json(self, method: str, path: str, body: Any = None, *, status: int = 200, **options: Any) -> Any:
        """Return the JSON of a response that has this status."""
        response = self.http.request(method, path, json=body, **options)
        assert response.status_code == status, response.text
        return response.json()

    def problem(self, method: str, path: str, body: Any = None, *, status: int, code: str, **options: Any) -> Any:
        """Return the problem details of a response."""
        response = self.http.request(method, path, json=body, **options)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
            response.text
        )
        found = response.json()
        assert (found["status"], found["code"]) == (status, code), found
        return found

    def start(self, pipeline: str, *, wait: float = 0, status: int | None = None, **body: Any) -> Any:
        """Start a run and return the response."""
        wanted = status or (200 if wait else 202)
        return self.json("POST", f"/v1/runs?wait={wait}", {"pipeline": pipeline, **body}, status=wanted)

    @contextmanager
    def stream(self, run_id: str, *, after: int | None = None) -> Iterator[Iterator[tuple[str, int | None, Any]]]:
        """Read the stream of a run: the blocks with their name, id and data."""
        headers = {"accept": "text/event-stream"} | ({} if after is None else {"last-event-id": str(after)})
        with self.http.stream("GET", f"/v1/runs/{run_id}/events", headers=headers) as response:
            assert response.status_code == 200
            yield blocks(response.iter_lines())

    @contextmanager
    def list_stream(self, query: str = "", *, last: str | None = None) -> Iterator[Iterator[tuple[str, Any, Any]]]:
        """Read the stream of a list of runs: the blocks with their name, id and data."""
        headers = {} if last is None else {"last-event-id": last}
        with self.http.stream("GET", f"/v1/events{query}", headers=headers) as response:
            assert response.status_code == 200
            assert response.headers["content-type"].startswith("text/event-stream")
            yield blocks(response.iter_lines())


def blocks(lines: Iterator[str]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the blocks of a stream of server-sent events."""
    name: str = ""
    number: int | str | None = None
    data: str = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "id":
            number = int(value) if value.isdecimal() else value
        elif field == "data":
            data = value
        elif not line and name:
            yield name, number, json.loads(data)
            name, number, data = "", None, ""


@contextmanager
def serving(
    directory: Path, *, store: str | None = None, tools: Sequence[Any] = (), models: Any = None, **settings: Any
) -> Iterator[tuple[Service, str]]:
    """Run a server in a thread; give its service and its address."""
    addresses: list[str] = []
    started = threading.Event()

    def announce(address: str) -> None:
        addresses.append(address)
        started.set()

    with orc.Orchestrator(directory=directory, store=store, tools=tools, models=models) as orchestrator:
        service = Service(orchestrator, ServeTable(**{"port": 0, "drain": 0.0, **settings}))
        server = Server(service, announce)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert started.wait(PATIENCE)
            yield service, addresses[0]
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


def client_of(service: Service, address: str, *scopes: Any, name: str = "ada") -> Client:
    """Return a client with a new token."""
    return Client(address, add_token(service.credentials, name, scopes or ("admin",)))


class ServerProcess:
    """`orchestrator serve` in a process of its own."""

    def __init__(self, directory: Path, *options: str) -> None:
        command = [sys.executable, "-m", "orchestrator", "serve", "--port", "0", *options]
        self.process = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ)
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        while " at http" not in self.said and self.process.poll() is None:
            self.said += self.process.stdout.readline()
        found = re.search(r"http://\S+", self.said)
        if found is None:
            self.process.kill()
            raise AssertionError(self.said + self.process.communicate()[0])
        self.link = self.process.stdout.readline().rpartition(" ")[2].strip()
        token = read_token(directory)
        self.client = Client(found[0], token)

    def kill(self) -> None:
        """End the process at once, and wait until it is gone."""
        self.process.kill()
        self.process.communicate()

    def stop(self, seconds: float = PATIENCE) -> str:
        """Ask the process to end, and return what it printed."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=seconds)[0]
