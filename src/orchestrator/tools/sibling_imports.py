"""Imports of the modules next to a user's tools, kept apart from modules of the same name next to other tools."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.tools.source_files import python_entries

if TYPE_CHECKING:
    from collections.abc import Iterator

_lock = threading.RLock()
_searched: list[str] = []
"""The directories that are searched for sibling modules, in the order of `sys.path`."""


def _reset_lock() -> None:
    """Replace the lock after a fork: another thread of the parent may have held it."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_lock)


@contextmanager
def sibling_imports(directory: Path) -> Iterator[None]:
    """Let tools in a directory import the modules next to them, while they are loaded and when they are called.

    Installed packages take precedence, so a file next to the tools never replaces a library. Modules of the same name
    next to other tools stay unchanged for those that have imported them.
    """
    with _lock:
        _search(str(directory))
        names = {entry.stem if entry.suffix == ".py" else entry.name for entry in python_entries(directory)}
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in names and _is_next_to_others(module, directory):
                del sys.modules[name]
        importlib.invalidate_caches()
        yield


def _search(directory: str) -> None:
    """Put a directory on `sys.path` before those of other tools; one that is already on the path stays in place."""
    if directory in sys.path and directory not in _searched:
        return
    if directory in _searched:
        _searched.remove(directory)
        sys.path[:] = [entry for entry in sys.path if entry != directory]
    first = next((sys.path.index(entry) for entry in _searched if entry in sys.path), len(sys.path))
    sys.path.insert(first, directory)
    _searched.insert(0, directory)


def _is_next_to_others(module: object, directory: Path) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return False
    place = Path(file)
    others = [Path(entry) for entry in _searched if Path(entry) != directory]
    return any(place.is_relative_to(other) for other in others) and not place.is_relative_to(directory)
