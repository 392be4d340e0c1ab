"""The stores that tests run on: each kind, empty."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.ollama import Ollama
from tests.postgres import NoPostgres, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# How long an example may take says more about the machine's load than about the code.
settings.register_profile("orchestrator", deadline=None)
settings.load_profile("orchestrator")

_schemas = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A private PostgreSQL; tests that need one are skipped where it cannot be had."""
    try:
        server = Server()
    except NoPostgres as reason:
        pytest.skip(str(reason))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of `localhost` with its key, signed by itself."""
    from tests.mail import write_certificate

    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.db"
    server: Server = request.getfixturevalue("postgres")
    return f"{server.url}&schema=test_{next(_schemas)}"


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ollama]:
    """A running Ollama, whose answers are samples unless a test scripts them."""
    with Ollama() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server
