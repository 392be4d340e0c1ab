"""What `import orchestrator` gives, and what it costs."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import orchestrator

HEAVY = ("sqlalchemy", "rich", "typer", "pydantic", "pydantic_ai", "polars", "httpx2", "yaml", "anyio", "asyncio")


def test_the_import_loads_nothing_heavy() -> None:
    code = f"import orchestrator, sys, json; print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []


def test_every_public_name_is_there_and_no_other() -> None:
    assert orchestrator.__all__ == sorted(orchestrator.__all__)
    for name in orchestrator.__all__:
        assert getattr(orchestrator, name) is not None
    assert set(orchestrator.__all__) <= set(dir(orchestrator))


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    assert not hasattr(orchestrator, "Advanced")


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == orchestrator.__version__
