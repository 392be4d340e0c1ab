"""The modules beside a user's tools: found by their names, and not mixed up with those beside other tools."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.tools.sandbox.protection import is_importable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST: Final = 100
"""How many files beside the tools are protected, at most."""

_lock = threading.RLock()
_searched: list[str] = []
"""The directories that are searched for neighbours, in the order of `sys.path`."""


def _reset_lock() -> None:
    """In a child of `fork`: another thread of the parent may have held it."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_lock)


@contextmanager
def neighbours(directory: Path) -> Iterator[None]:
    """Let tools in a directory import what lies beside them, while they are loaded and when they are called.

    What is installed goes first, so a file beside the tools never takes the place of a library. Modules of the same
    name beside other tools stay what they are for those that have imported them.
    """
    with _lock:
        _search(str(directory))
        names = {entry.stem if entry.suffix == ".py" else entry.name for entry in _entries(directory)}
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in names and _is_beside_others(module, directory):
                del sys.modules[name]
        importlib.invalidate_caches()
        yield


def named_sources(names: Iterable[str], directory: Path) -> tuple[Path, ...]:
    """Return the files that are run when tools are loaded by these names: those that hold them, and those beside them.

    Nothing is loaded for it. Modules are looked for in `directory` alone.
    """
    found: dict[Path, None] = {}
    for name in names:
        text = name.rpartition(":")[0] if ":" in name[2:] else name
        if text.endswith(".py"):
            file = Path(os.path.normpath(directory / text))
            found.update(dict.fromkeys((file, *_sources(file.parent))))
        else:
            module = directory.joinpath(*text.split("."))
            found.update(dict.fromkeys((module.with_name(f"{module.name}.py"), *_packages(directory, text))))
    return tuple(found)


def searched_directories(names: Iterable[str], files: Iterable[Path], directory: Path) -> tuple[Path, ...]:
    """Return where tools look for modules: those that are loaded by these names, and those that these files hold."""
    found: dict[Path, None] = {}
    files = list(files)
    for name in names:
        text = name.rpartition(":")[0] if ":" in name[2:] else name
        if text.endswith(".py"):
            files.append(Path(os.path.normpath(directory / text)))
        else:
            found[directory] = None
            found.update(dict.fromkeys(path.parent for path in _packages(directory, text)))
    for file in files:
        package = package_root(file)
        found.update(dict.fromkeys((file.parent, package[0] if package else file.parent)))
    linked = (entry.resolve() for directory in tuple(found) for entry in _entries(directory) if _leads_away(entry))
    found.update(dict.fromkeys(linked))
    return tuple(found)


def _leads_away(entry: Path) -> bool:
    """Whether an import may follow a link to a directory elsewhere."""
    return entry.is_symlink() and is_importable(entry.name) and entry.is_dir()


def _packages(directory: Path, name: str) -> Iterator[Path]:
    """Yield what is imported on the way to a module: whole packages, and the code in directories that are none."""
    for part in name.split("."):
        directory = directory / part
        if (directory / "__init__.py").is_file() or not directory.is_dir():
            yield directory
            return
        yield directory / "__init__.py"  # it would be run if it were there
        yield from _sources(directory)


def _sources(directory: Path) -> list[Path]:
    return sorted(entry for entry in _entries(directory) if _is_source(entry))[:_MOST]


def _is_source(entry: Path) -> bool:
    return entry.suffix == ".py" or (entry / "__init__.py").is_file()


def package_root(file: Path) -> tuple[Path, str] | None:
    """Return where the package that a file is in starts, and the file's dotted name; None if it is in no package."""
    parts = [file.stem]
    directory = file.parent
    while (directory / "__init__.py").is_file() and directory.name.isidentifier():
        parts.insert(0, directory.name)
        directory = directory.parent
    return (directory, ".".join(parts)) if len(parts) > 1 and file.stem.isidentifier() else None


def _search(directory: str) -> None:
    """Put a directory in front of those of other tools; one that was on the path anyway stays where it is."""
    if directory in sys.path and directory not in _searched:
        return
    if directory in _searched:
        _searched.remove(directory)
        sys.path[:] = [entry for entry in sys.path if entry != directory]
    first = next((sys.path.index(entry) for entry in _searched if entry in sys.path), len(sys.path))
    sys.path.insert(first, directory)
    _searched.insert(0, directory)


def _entries(directory: Path) -> Iterator[Path]:
    try:
        yield from (entry for entry in directory.iterdir() if entry.suffix == ".py" or entry.is_dir())
    except OSError:
        return


def _is_beside_others(module: object, directory: Path) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return False
    place = Path(file)
    others = [Path(entry) for entry in _searched if Path(entry) != directory]
    return any(place.is_relative_to(other) for other in others) and not place.is_relative_to(directory)
