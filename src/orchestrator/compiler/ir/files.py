"""Finds and reads the files that a pipeline calls: in the file system, or in the record of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.language import Document, read_document
from orchestrator.remedies import Remedy
from orchestrator.text.content import path_kind, read_content

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.tools import Permissions

SUFFIX: Final = ".lock"
"""The suffix that the name of a lock adds to that of its file."""

_LARGEST_LOCK: Final = 32 * 1024 * 1024


class Unreadable(Struct, frozen=True):
    """Why a file cannot be called."""

    code: str
    message: str
    help: str | None
    remedies: tuple[Remedy, ...] = ()


class FileLocation(Struct, frozen=True):
    """The path of a file, and its key: the path relative to the run's directory, if it is inside it."""

    key: str
    path: Path


class PipelineFiles:
    """The files that a compilation can read. `sources`, by their keys, replace the files."""

    def __init__(self, directory: Path, permissions: Permissions, sources: Mapping[str, str] | None) -> None:
        self._directory = absolute(directory)
        self._permissions = permissions
        self._sources = sources

    def places(self, name: str) -> tuple[FileLocation, ...]:
        """Return where the main file may be, by its name in diagnostics; empty for a text without a path.

        A recorded name is relative to where its run was started, which may not be where this process runs.
        """
        if name.startswith("<"):
            return ()
        bases = (Path.cwd(),) if self._sources is None else (self._directory, Path.cwd())
        places = tuple(self._place(base / name) for base in bases)
        known = [place for place in places if place.key in (self._sources or ())]
        return tuple(known or places)

    def find(self, callers: Sequence[FileLocation], written: str) -> FileLocation | Unreadable:
        """Return the location of the file `written` that a file at one of these locations calls; it may not exist."""
        if "\0" in written:
            return Unreadable(codes.UNREADABLE_PIPELINE, "a path cannot contain a NUL character", "name a file")
        bases = [caller.path.parent for caller in callers] or [self._directory]
        places = [self._place(base / written) for base in bases]
        if self._sources is None:
            return places[0]
        tail = _without_ups(written)
        places += [self._place(self._directory / key) for key in self._sources if key.endswith(f"/{tail}")]
        known = (place for place in places if place.key in self._sources)
        missing = Unreadable(
            codes.UNREADABLE_PIPELINE, f"the run did not record the pipeline file `{written}`", "start a new run"
        )
        return next(known, missing)

    def lock(self, places: Sequence[FileLocation]) -> tuple[str, str] | None:
        """Return the key and the text of the lock of a file at one of these locations; None if it has none.

        Raises:
            OSError, ValueError: It cannot be read.
        """
        for place in places:
            key = place.key + SUFFIX
            if self._sources is not None:
                if key in self._sources:
                    return key, self._sources[key]
            elif path_kind(path := place.path.with_name(place.path.name + SUFFIX)) == "file":
                return key, read_content(path, _LARGEST_LOCK).decode("utf-8")
        return None

    def read(self, place: FileLocation, written: str, name: str) -> Document | Unreadable:
        """Read the file at a location; `name` is its name in diagnostics."""
        if self._sources is not None:
            return read_document(self._sources[place.key], name=name)
        refusal = self._permissions.check_read(place.path)
        if refusal is not None:
            return Unreadable(codes.NOT_PERMITTED, refusal.message, refusal.help, refusal.remedies)
        if path_kind(place.path) != "file":
            return _missing(written, place.path)
        document = read_document(place.path, name=name)
        first = document.diagnostics[0] if document.diagnostics else None
        if document.root is None and first is not None and first.code == codes.UNREADABLE_FILE:
            return Unreadable(codes.UNREADABLE_PIPELINE, first.message, first.help or "check the file")
        return document

    def _place(self, path: Path) -> FileLocation:
        path = absolute(path)
        inside = path.is_relative_to(self._directory)
        return FileLocation((path.relative_to(self._directory) if inside else path).as_posix(), path)


def absolute(path: Path) -> Path:
    """Return the absolute path without `..`. No symbolic link is followed, so that it is always the same."""
    return Path(os.path.normpath(Path.cwd() / path))


def _without_ups(written: str) -> str:
    tail = Path(os.path.normpath(written)).as_posix().removeprefix("/")
    while tail.startswith("../"):
        tail = tail[3:]
    return tail


def _missing(written: str, path: Path) -> Unreadable:
    if path_kind(path) == "directory":
        return Unreadable(
            codes.UNREADABLE_PIPELINE, f"`{written}` is a directory, not a pipeline file", "name a file in it"
        )
    try:
        near = suggest(path.name, [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")])
    except OSError:
        near = None
    help = f"paths are relative to the calling file: `{path.parent}`"
    if near:
        help = f"did you mean `{(Path(written).parent / near).as_posix()}`?"
    return Unreadable(codes.UNREADABLE_PIPELINE, f"pipeline file not found: `{written}`", help)
