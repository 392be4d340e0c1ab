"""The source tree: rooms, and names that mean one thing each. Cycles of imports are in `test_imports`."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import orchestrator

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = Path(orchestrator.__file__).parent

NOUNS = {"pricing", "pruning", "ranking", "testing", "spelling", "string", "encoding"}
"""Words in -ing that are the field's nouns."""

ROOM = range(2, 19)
"""How many modules a room may hold, `__init__` not counted."""

ALIKE = {"builtin"}
"""Rooms with a module for each of many things of one kind, named after it: their number says nothing."""

SMALL: set[str] = set()
"""Packages of one module that stand in the order of packages by themselves."""


@cache
def modules() -> Mapping[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        if "migrations" not in path.parts:
            found[name] = path
    return found


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def test_no_two_classes_share_a_name():
    names = Counter(
        node.name for module in modules() for node in tree_of(module).body if isinstance(node, ast.ClassDef)
    )
    assert sorted(name for name, count in names.items() if count > 1) == []


def test_a_module_is_named_after_a_thing_and_not_after_what_happens_to_it():
    lasts = {module.rpartition(".")[2] for module in modules()}
    assert sorted(last for last in lasts if last.endswith("ing") and last not in NOUNS) == []


@pytest.mark.parametrize("room", sorted({path.parent for path in modules().values()}), ids=lambda room: room.name)
def test_a_room_says_what_lives_in_it_and_can_be_seen_at_a_glance(room: Path):
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert said
    assert "TODO" not in said
    count = sum(1 for path in room.iterdir() if path.suffix == ".py" and not path.name.startswith("__"))
    has_rooms = any(each.is_dir() and (each / "__init__.py").exists() for each in room.iterdir())
    assert room.name in SMALL | ALIKE or has_rooms or count in ROOM


WORDS = (
    "lease retry snapshot secret fork stream timeout cancel branch approval judge token usage cost dependency alias "
    "sandbox progress command rule error_handler"
)
"""What newcomers grep the file names for. Not concepts of the product yet: `worker`; nor at all: `checkpoint`."""


@pytest.mark.parametrize("word", WORDS.split())
def test_who_greps_the_file_names_for_a_concept_finds_its_room(word: str):
    assert [module for module in modules() if word in module]


def test_codes_are_symbols():
    bare = [
        f"{module}:{node.lineno}"
        for module in modules()
        if module != "orchestrator.codes"
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"ORC\d{3}", node.value)
    ]
    assert bare == []
