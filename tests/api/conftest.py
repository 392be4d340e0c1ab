from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestrator as orc
from tests.runtime.support import Bench


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def client(bench: Bench, tmp_path: Path, url: str) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools(), store=url) as client:
        yield client
