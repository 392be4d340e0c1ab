from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.server.service import Service
from tests.runtime.support import Bench
from tests.server.support import CLIENTS, Client, client_of, serving

HELLO = """\
name: Greeting
description: Greets somebody.
inputs:
  name: {type: string, default: world, description: Whom to greet}
  pin: {type: string, secret: true, required: false}
steps:
  - {id: greet, tool: log, parameters: {message: "Hello {{ name }} {{ pin }}"}}
outputs:
  text: "Hello {{ name }}"
"""
ASK = """\
steps:
  - {id: review, approve: "Send it?"}
  - {id: sent, tool: log, parameters: {message: "sent"}, condition: "{{ review.approved }}"}
outputs: {sent: "{{ review.approved }}"}
"""
BROKEN = "steps:\n  - {id: one, tool: lgo}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with three pipelines, one of which has an error."""
    (tmp_path / "hello.yaml").write_text(HELLO)
    (tmp_path / "ask.yaml").write_text(ASK)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "broken.yaml").write_text(BROKEN)
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    return tmp_path


@pytest.fixture(autouse=True)
def closed_clients() -> Iterator[None]:
    yield
    while CLIENTS:
        CLIENTS.pop().close()


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def server(project: Path, url: str, bench: Bench) -> Iterator[tuple[Service, str]]:
    with serving(project, store=url, tools=bench.tools()) as running:
        yield running


@pytest.fixture
def client(server: tuple[Service, str]) -> Client:
    """A client that may do everything."""
    return client_of(*server)


@pytest.fixture
def orchestrator(server: tuple[Service, str]) -> orc.Orchestrator:
    return server[0].orchestrator
