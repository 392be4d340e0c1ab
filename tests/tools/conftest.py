from pathlib import Path

import pytest

from tests.tools.support import Workplace


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    directory = tmp_path / "work"
    directory.mkdir()
    return Workplace(directory)
