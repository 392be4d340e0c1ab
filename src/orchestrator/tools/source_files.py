"""The Python files that hold a project's tools, and the directories that are searched for what they import."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.tools.sandbox.protection import is_importable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.tools.contract import Tool

_MAX_SIBLINGS: Final = 100
"""How many files next to the tools are protected, at most."""


def source_files(tools: Iterable[Tool]) -> tuple[Path, ...]:
    """Return the files that the functions of tools were loaded from."""
    files: dict[Path, None] = {}
    for tool in tools:
        for action in tool.actions.values():
            function = inspect.unwrap(getattr(action.function, "__func__", action.function))
            code = getattr(function, "__code__", None)
            if code is not None and not code.co_filename.startswith("<"):
                files[Path(code.co_filename).absolute()] = None
    return tuple(files)


def named_sources(names: Iterable[str], directory: Path) -> tuple[Path, ...]:
    """Return the files that run when tools with these names are loaded: their own, and those next to them.

    Loads nothing. Modules are searched only in `directory`.
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
    """Return the directories where tools search for modules: tools with these names, and those in these files."""
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
    linked = (
        entry.resolve() for directory in tuple(found) for entry in python_entries(directory) if _leads_away(entry)
    )
    found.update(dict.fromkeys(linked))
    return tuple(found)


def _leads_away(entry: Path) -> bool:
    """Whether an import can follow a link to a directory elsewhere."""
    return entry.is_symlink() and is_importable(entry.name) and entry.is_dir()


def _packages(directory: Path, name: str) -> Iterator[Path]:
    """Yield what is imported on the way to a module: packages, and the code in namespace packages."""
    for part in name.split("."):
        directory = directory / part
        if (directory / "__init__.py").is_file() or not directory.is_dir():
            yield directory
            return
        yield directory / "__init__.py"  # it would run if it existed
        yield from _sources(directory)


def _sources(directory: Path) -> list[Path]:
    return sorted(entry for entry in python_entries(directory) if _is_source(entry))[:_MAX_SIBLINGS]


def _is_source(entry: Path) -> bool:
    return entry.suffix == ".py" or (entry / "__init__.py").is_file()


def package_root(file: Path) -> tuple[Path, str] | None:
    """Return the directory of a file's top-level package, and the dotted name of the file; None without a package."""
    parts = [file.stem]
    directory = file.parent
    while (directory / "__init__.py").is_file() and directory.name.isidentifier():
        parts.insert(0, directory.name)
        directory = directory.parent
    return (directory, ".".join(parts)) if len(parts) > 1 and file.stem.isidentifier() else None


def python_entries(directory: Path) -> Iterator[Path]:
    """Yield the Python files and the directories in a directory; nothing if it cannot be read."""
    try:
        yield from (entry for entry in directory.iterdir() if entry.suffix == ".py" or entry.is_dir())
    except OSError:
        return
