"""What the tests of the adapter share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.models.adapter.simulator import NoSimulatorError, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def simulator() -> Iterator[str]:
    """The address of a simulator of providers; tests that need one are skipped where it cannot be had."""
    try:
        with running() as url:
            yield url
    except NoSimulatorError as reason:
        pytest.skip(str(reason))
