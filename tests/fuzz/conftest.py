"""How long to search: a few seconds in the suite, `ORCHESTRATOR_FUZZ=deep pytest tests/fuzz` for minutes."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import orchestrator as orc
from tests.conformance import tools

SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
settings.register_profile("fuzz-quick", max_examples=150, deadline=None, suppress_health_check=SLOW)
settings.register_profile("fuzz-deep", max_examples=20_000, deadline=None, suppress_health_check=SLOW)
PROFILE = settings.get_profile("fuzz-deep" if os.environ.get("ORCHESTRATOR_FUZZ") == "deep" else "fuzz-quick")

RUNS = settings(PROFILE, max_examples=PROFILE.max_examples // 6)
"""For what takes a whole run to try."""


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    directory = tmp_path_factory.mktemp("fuzz")
    with orc.Orchestrator(store=f"sqlite:///{directory}/runs.db", tools=[tools], directory=directory) as client:
        yield client
