"""Finds and reads the files that a pipeline names: in the file system, or in the record of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.language import Document, read_document
from orchestrator.language.aliases.older_calls import IsKnown, nothing_known
from orchestrator.remedies import Remedy
from orchestrator.text.content import path_kind, read_content

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.tools import Permissions

SUFFIX: Final = ".lock"
"""The suffix that the name of a lock adds to that of its file."""

_LARGEST_LOCK: Final = 32 * 1024 * 1024
_LARGEST_PROMPT: Final = 4 * 1024 * 1024


class Unreadable(Struct, frozen=True):
    """Why a file cannot be used."""

    code: str
    message: str
    help: str | None
    remedies: tuple[Remedy, ...] = ()


class FileLocation(Struct, frozen=True):
    """The path of a file, and its key: the path relative to the run's directory, if it is inside it."""

    key: str
    path: Path


class PipelineFiles:
    """The files that a compilation can read. `sources`, by their keys, replace the files.

    `may_read`, if given, says which files may be read at all: a text from elsewhere must not lead to others.
    """

    def __init__(
        self,
        directory: Path,
        permissions: Permissions,
        sources: Mapping[str, str] | None,
        may_read: Callable[[Path], bool] | None = None,
        is_known: IsKnown = nothing_known,
    ) -> None:
        self._directory = absolute(directory)
        self._permissions = permissions
        self._sources = sources
        self._may_read = may_read
        self.looked_at: dict[Path, None] = {}
        """The files that were read, or that were looked for and are missing."""
        self._is_known = is_known

    @property
    def restricted(self) -> bool:
        """Whether only some files may be read, and nothing may be said about the existence of others."""
        return self._may_read is not None

    def places(self, name: str) -> tuple[FileLocation, ...]:
        """Return where the main file may be, by its name in diagnostics; empty for a text without a path.

        A recorded name is relative to where its run was started, which may not be where this process runs.
        """
        if name.startswith("<"):
            return ()
        if self.restricted:  # the text is from elsewhere, and so is its name
            bases: tuple[Path, ...] = (self._directory,)
        else:
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
            codes.UNREADABLE_PIPELINE, f"the run did not record the file `{written}`", "start a new run"
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
            elif self._is_readable(place.path):
                path = place.path.with_name(place.path.name + SUFFIX)
                self.looked_at[path] = None
                if path_kind(path) == "file":
                    return key, read_content(path, _LARGEST_LOCK).decode("utf-8")
        return None

    def read(self, place: FileLocation, written: str, name: str) -> Document | Unreadable:
        """Read the file at a location; `name` is its name in diagnostics."""
        if self._sources is not None:
            return read_document(self._sources[place.key], name=name, is_known=self._is_known)
        problem = self._refusal(
            place,
            f"`{written}` is not a pipeline that can be called from this text",
            "call a pipeline that the server offers",
        )
        if problem is not None:
            return problem
        if path_kind(place.path) != "file":
            return _missing(written, place.path)
        document = read_document(place.path, name=name, is_known=self._is_known)
        first = document.diagnostics[0] if document.diagnostics else None
        if document.root is None and first is not None and first.code == codes.UNREADABLE_FILE:
            return Unreadable(codes.UNREADABLE_PIPELINE, first.message, first.help or "check the file")
        return document

    def _refusal(self, place: FileLocation, unoffered: str, help: str) -> Unreadable | None:
        """Return why a file may not be read: it is not offered to this text, or the permissions do not allow it."""
        if not self._is_readable(place.path):
            return Unreadable(codes.NOT_PERMITTED, unoffered, help)
        self.looked_at[place.path] = None
        refusal = self._permissions.check_read(place.path)
        if refusal is not None:
            return Unreadable(codes.NOT_PERMITTED, refusal.message, refusal.help, refusal.remedies)
        return None

    def read_text(self, place: FileLocation, written: str) -> str | Unreadable:
        """Read the text of a prompt at a location."""
        if self._sources is not None:
            return self._sources[place.key]
        problem = self._refusal(
            place,
            f"`{written}` is not a prompt that can be used from this text",
            "use a prompt of a pipeline that the server offers, or write it into the text",
        )
        if problem is not None:
            return problem
        if path_kind(place.path) != "file":
            return _missing_prompt(written, place.path)
        try:
            return read_content(place.path, _LARGEST_PROMPT).decode("utf-8")
        except UnicodeDecodeError:
            return Unreadable(codes.UNREADABLE_PROMPT, f"`{written}` is not UTF-8 text", "save it as UTF-8")
        except OSError as error:
            reason = (error.strerror or "it cannot be opened").lower()
            help = "check its permissions and its size"
            return Unreadable(codes.UNREADABLE_PROMPT, f"`{written}` cannot be read: {reason}", help)

    def _is_readable(self, path: Path) -> bool:
        return self._may_read is None or self._may_read(path)

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
    help = _near(written, path, (".yaml", ".yml"))
    return Unreadable(codes.UNREADABLE_PIPELINE, f"pipeline file not found: `{written}`", help)


def _missing_prompt(written: str, path: Path) -> Unreadable:
    if path_kind(path) == "directory":
        what = f"`{written}` is a directory, not a prompt file"
        return Unreadable(codes.UNREADABLE_PROMPT, what, "name a file in it")
    return Unreadable(codes.UNREADABLE_PROMPT, f"prompt file not found: `{written}`", _near(written, path, ()))


def _near(written: str, path: Path, suffixes: tuple[str, ...]) -> str:
    """Return help for a missing file: one with a similar name and one of the suffixes, if any are given."""
    try:
        names = [entry.name for entry in path.parent.iterdir() if not suffixes or entry.suffix in suffixes]
    except OSError:
        names = []
    near = suggest(path.name, names)
    if near:
        return f"did you mean `{(Path(written).parent / near).as_posix()}`?"
    return f"paths are relative to the calling file: `{path.parent}`"
