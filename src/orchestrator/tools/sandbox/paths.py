"""Opens exactly the file that was permitted, even if a symbolic link is swapped in between."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.errors import PermissionDenied
from orchestrator.tools.sandbox.protection import Guard

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY_MODE = 0o700
"""The mode of parent directories that are created for a file."""

_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
# O_PATH walks through directories that may be entered but not listed.
_WALK = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BY_DESCRIPTOR = os.open in os.supports_dir_fd and sys.platform != "win32"

_TRIES = 100
_SWAPPED_HELP = "do not change symbolic links inside the working directory during a run"


class Location(Struct, frozen=True):
    """A permitted path: the real path of an allowed directory, and the parts below it, free of links when checked.

    `text` is the path in the pipeline, for messages. `guard` has what must not be accessed on the way or at the end; it
    is checked again when the path is opened.
    """

    root: Path
    parts: tuple[str, ...]
    text: str
    guard: Guard = Guard()

    @property
    def path(self) -> Path:
        """The full real path."""
        return self.root.joinpath(*self.parts)

    def child(self, *names: str) -> Location:
        """Return a location below this directory."""
        text = "/".join(names if self.text in ("", ".") else (self.text.rstrip("/"), *names))
        return replace(self, parts=(*self.parts, *names), text=text)


def real_path(path: str | Path) -> str:
    """Return the real path, with every symbolic link resolved; missing parts stay unchanged.

    Raises:
        PermissionDenied: It keeps changing.
    """
    for _ in range(_TRIES):
        with suppress(OSError):  # a link was removed meanwhile
            return os.path.realpath(path)
    raise PermissionDenied(f"`{path}` keeps changing while it is resolved", help=_SWAPPED_HELP)


def open_location(location: Location, flags: int, mode: int = 0o600) -> int:
    """Open a permitted path and return the file descriptor; no component is followed if it is a link.

    Raises:
        PermissionDenied: A component has become a symbolic link since the path was checked, or the file is protected.
        OSError: As `os.open` does.
    """
    if not location.parts:
        descriptor = os.open(location.root, flags, mode)
    else:
        with open_parent(location) as (parent, name):
            try:
                descriptor = os.open(name, flags | _NO_FOLLOW | getattr(os, "O_CLOEXEC", 0), mode, dir_fd=parent)
            except OSError as error:
                if not _is_link(name, parent):
                    raise
                raise _swapped(location) from error
    try:
        if location.guard.refuses(os.fstat(descriptor)):
            raise protected_error(location)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def open_parent(
    location: Location, *, create: bool = False, mode: int = DIRECTORY_MODE
) -> Iterator[tuple[int | None, str]]:
    """Yield a descriptor of the parent directory, and the last name; `create` creates missing directories, with `mode`.

    On systems without such descriptors the first is None and the second the whole path.

    Raises:
        PermissionDenied: A component has become a symbolic link, or is protected.
    """
    if not location.parts:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), location.text)
    if any(map(location.guard.refuses_name, location.parts)) or location.guard.advice(str(location.path)) is not None:
        raise protected_error(location)
    if not _BY_DESCRIPTOR:
        if create:
            location.path.parent.mkdir(mode=mode, parents=True, exist_ok=True)
        yield None, str(location.path)
        return
    if create:
        location.root.mkdir(mode=mode, parents=True, exist_ok=True)
    descriptor = os.open(location.root, _WALK)
    try:
        for part in location.parts[:-1]:
            below = _enter(part, descriptor, location, create=mode if create else None)
            os.close(descriptor)
            descriptor = below
            if location.guard.refuses(os.fstat(descriptor)):
                raise protected_error(location)
        _check_last(location, descriptor)
        yield descriptor, location.parts[-1]
    finally:
        os.close(descriptor)


def list_location(location: Location) -> list[os.DirEntry[str]]:
    """Return the entries of a permitted directory, sorted by name; links are not followed."""
    if not _BY_DESCRIPTOR:
        with os.scandir(location.path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    descriptor = open_location(location, _DIRECTORY)
    try:
        with os.scandir(descriptor) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            entry.stat(follow_symlinks=False)  # cached now, because the descriptor is closed below
        return listed
    finally:
        os.close(descriptor)


def path_status(location: Location) -> os.stat_result | None:
    """Return the status of a permitted path, without following a link; None if it does not exist."""
    try:
        if not location.parts:
            return location.root.stat()
        with open_parent(location) as (parent, name):
            return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def protected_error(location: Location) -> PermissionDenied:
    """Return the error for a protected path."""
    if location.guard.names:
        message = f"`{location.text}` belongs to Orchestrator and cannot be changed by a pipeline"
    else:
        message = (
            f"`{location.text}` contains provider keys, or belongs to Orchestrator, and cannot be read by a pipeline"
        )
    advice = location.guard.advice(str(location.path))
    return PermissionDenied(message, help=advice or "use another path; no option allows this one")


def _check_last(location: Location, parent: int) -> None:
    if not location.guard.identities:
        return
    try:
        found = os.stat(location.parts[-1], dir_fd=parent, follow_symlinks=False)
    except OSError:
        return
    if location.guard.refuses(found):
        raise protected_error(location)


def _enter(part: str, parent: int, location: Location, *, create: int | None) -> int:
    try:
        try:
            return os.open(part, _WALK | _NO_FOLLOW, dir_fd=parent)
        except FileNotFoundError:
            if create is None:
                raise
            with suppress(FileExistsError):
                os.mkdir(part, create, dir_fd=parent)
            return os.open(part, _WALK | _NO_FOLLOW, dir_fd=parent)
    except OSError as error:
        if not _is_link(part, parent):
            raise
        raise _swapped(location) from error


def _is_link(name: str, parent: int | None) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _swapped(location: Location) -> PermissionDenied:
    return PermissionDenied(
        f"`{location.text}` became a symbolic link while it was being opened",
        help=_SWAPPED_HELP,
    )
