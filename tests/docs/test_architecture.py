"""What `docs/ARCHITECTURE.md` sends readers to exists: files, rooms, classes and their methods."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import orchestrator

ROOT = Path(__file__).parents[2]
SOURCE = Path(orchestrator.__file__).parent
PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
READ = [PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0] for title in ("Where to change what", "Follow one step")]
NAMES = sorted({name for section in READ for name in re.findall(r"`([^`]+)`", section)})
PATHS = [name for name in NAMES if re.fullmatch(r"[\w./-]+/[\w./-]*|\w+\.py", name)]
CLASSES = [name for name in NAMES if re.match(r"[A-Z]\w*(?=$|[.(])", name)]
KNOWN = {"orchestrator.toml"}


def methods() -> dict[str, set[str]]:
    """The public classes of the package with what they define."""
    found: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = {each.name for each in node.body if hasattr(each, "name")}
    return found


def test_every_name_is_a_path_or_a_class():
    assert set(NAMES) == {*PATHS, *CLASSES, *KNOWN}
    assert len(PATHS) > 30


@pytest.mark.parametrize("name", PATHS)
def test_every_path_exists(name: str):
    assert (SOURCE / name).exists() or (ROOT / name).exists() or (ROOT / "src" / "orchestrator" / name).exists()


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_and_method_exists(name: str):
    owner, _, member = name.partition("(")[0].partition(".")
    known = methods()
    assert owner in known
    assert not member or member in known[owner]
