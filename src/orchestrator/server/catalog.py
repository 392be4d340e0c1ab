"""The pipelines that a server offers: the files of its directories, compiled when they have changed."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.errors import CompilationError, RequestError
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.api.pipeline import Pipeline
    from orchestrator.diagnostics import Diagnostic

MOST_FILES: Final = 2_000
"""How many pipelines a server offers."""

_LARGEST: Final = 5_000_000
_SUFFIXES: Final = (".yaml", ".yml")
_SKIPPED: Final = frozenset({"node_modules", "__pycache__", "site-packages", "venv"})
_STEPS: Final = re.compile(r"^(?:steps|\"steps\"|'steps')\s*:", re.MULTILINE)

Stamp = tuple[int, int, int]
"""What differs when a file has changed: its inode, size, and time of modification."""


class OfferedPipeline(Struct, frozen=True):
    """A file that the server offers. `pipeline` is None if it has errors."""

    name: str
    path: Path
    source: str
    diagnostics: tuple[Diagnostic, ...]
    pipeline: Pipeline | None

    def required(self) -> Pipeline:
        """Return the pipeline.

        Raises:
            CompilationError: It has errors.
        """
        if self.pipeline is None:
            errors = sum(diagnostic.severity == "error" for diagnostic in self.diagnostics)
            message = f"the pipeline `{self.name}` has {plural(errors, 'error')}"
            raise CompilationError(message, diagnostics=self.diagnostics)
        return self.pipeline


class Catalog:
    """The pipelines of some directories. Safe to share between threads."""

    def __init__(self, orchestrator: Orchestrator, directories: Sequence[Path]) -> None:
        self._orchestrator = orchestrator
        self._directories = tuple(directories)
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[dict[Path, Stamp | None], OfferedPipeline | None]] = {}

    def all(self) -> list[OfferedPipeline]:
        """Return all pipelines by name; of two with one name, the one of the first directory."""
        found: dict[str, OfferedPipeline] = {}
        paths = dict(self._files())
        for path, name in paths.items():
            offered = self._read(path, name)
            if offered is not None:
                found.setdefault(name, offered)
        with self._lock:
            self._known = {path: known for path, known in self._known.items() if path in paths}
        return [found[name] for name in sorted(found)]

    def find(self, name: str) -> OfferedPipeline:
        """Return the pipeline with this name.

        Raises:
            RequestError: ORC915, the server offers none.
        """
        for directory in self._directories:
            for suffix in _SUFFIXES:
                path = directory / f"{name}{suffix}"
                if self._is_inside(path, directory) and (offered := self._read(path, name)) is not None:
                    return offered
        names = [name for _, name in self._files()]
        near = suggest(name, names)
        raise RequestError(
            f"the server offers no pipeline `{name}`",
            status=404,
            code=codes.NOT_SERVED,
            help=f"did you mean `{near}`?" if near else "list them with `GET /v1/pipelines`",
        )

    def _files(self) -> Iterator[tuple[Path, str]]:
        count = 0
        for directory in self._directories:
            for parent, directories, files in os.walk(directory):
                directories[:] = sorted(d for d in directories if not d.startswith(".") and d not in _SKIPPED)
                for file in sorted(files):
                    path = Path(parent, file)
                    if path.suffix not in _SUFFIXES or file.startswith(".") or path.stem.endswith(".test"):
                        continue
                    yield path, path.relative_to(directory).with_suffix("").as_posix()
                    count += 1
                    if count == MOST_FILES:
                        return

    @staticmethod
    def _is_inside(path: Path, directory: Path) -> bool:
        """Whether a path that a client has named is a file that `_files` would find: no `..`, no link to elsewhere."""
        try:
            parts = path.relative_to(directory).parts
            return (
                not any(part.startswith(".") or part in _SKIPPED or "\0" in part for part in parts)
                and path.is_file()
                and path.resolve().is_relative_to(directory.resolve())
            )
        except (OSError, ValueError):
            return False

    def _read(self, path: Path, name: str) -> OfferedPipeline | None:
        """Return the pipeline in a file, compiled again if it, or a file that it calls, has changed."""
        with self._lock:
            stamps, offered = self._known.get(path, ({}, None))
        if stamps and all(_stamp(file) == stamp for file, stamp in stamps.items()):
            return offered
        stamps = {path: _stamp(path)}
        offered = self._compiled(path, name)
        if offered is not None and offered.pipeline is not None:
            directory = self._orchestrator.directory
            stamps |= {each: _stamp(each) for key in offered.pipeline.plan.sources for each in [directory / key]}
        lock = path.with_name(f"{path.name}.lock")
        stamps.setdefault(lock, _stamp(lock))
        with self._lock:
            self._known[path] = (stamps, offered)
        return offered

    def _compiled(self, path: Path, name: str) -> OfferedPipeline | None:
        """Compile a file; None if it is not a pipeline, such as the settings of another program."""
        try:
            if path.stat().st_size > _LARGEST:
                return None
            source = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        if not _STEPS.search(source):
            return None
        try:
            pipeline = self._orchestrator.compile(path)
        except CompilationError as error:
            return OfferedPipeline(name, path, source, error.diagnostics, None)
        return OfferedPipeline(name, path, source, pipeline.diagnostics, pipeline)


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)
