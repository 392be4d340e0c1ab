from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.journal import Journal, Store

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        yield store


@pytest.fixture
def journal(store: Store) -> Iterator[Journal]:
    with Journal(store) as journal:
        yield journal
