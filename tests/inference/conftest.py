"""The engines that the suite asks. Where one was not built its tests are skipped: `make test-inference` builds it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.inference.build_server import server
from tests.inference.engine import Engine
from tests.inference.tiny_model import TinyModel, tiny_model

if TYPE_CHECKING:
    from collections.abc import Iterator

HOW = "`make test-inference` installs and builds it"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def tiny() -> TinyModel:
    """The model that is made on the spot."""
    try:
        return tiny_model()
    except ModuleNotFoundError as missing:
        pytest.skip(f"{missing.name} is missing; {HOW}")


@pytest.fixture(scope="session")
def engine(tiny: TinyModel) -> Iterator[Engine]:
    """A llama-server with the tiny model."""
    if not server().exists():
        pytest.skip(f"there is no llama-server; {HOW}")
    with Engine(tiny.gguf) as engine:
        yield engine


@pytest.fixture(scope="session")
def weights(tiny: TinyModel) -> TinyModel:
    """The tiny model, where `transformers` can run it."""
    for module in ("torch", "transformers"):
        if find_spec(module) is None:
            pytest.skip(f"{module} is missing; {HOW}")
    return tiny
