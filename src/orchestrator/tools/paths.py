"""Opening exactly the file that was permitted, even if somebody swaps a symbolic link in between."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
# O_PATH walks through directories that may be entered but not listed.
_WALK = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BY_DESCRIPTOR = os.open in os.supports_dir_fd and sys.platform != "win32"


@dataclass(frozen=True, slots=True)
class Location:
    """A permitted place: the real path of an allowed directory, and the way from there, free of links when checked.

    `text` is the path as the pipeline gave it, for messages.
    """

    root: Path
    parts: tuple[str, ...]
    text: str

    @property
    def path(self) -> Path:
        """The whole real path."""
        return self.root.joinpath(*self.parts)


def open_location(location: Location, flags: int, mode: int = 0o666) -> int:
    """Open a permitted place and return the file descriptor; every component is opened without following links.

    Raises:
        PermissionDenied: A component has become a symbolic link since the path was checked.
        OSError: As `os.open` does.
    """
    if not location.parts:
        return os.open(location.root, flags, mode)
    with open_parent(location) as (parent, name):
        if parent is None:
            return os.open(location.path, flags | _NO_FOLLOW, mode)
        try:
            return os.open(name, flags | _NO_FOLLOW | getattr(os, "O_CLOEXEC", 0), mode, dir_fd=parent)
        except OSError as error:
            if not _is_link(name, parent):
                raise
            raise _swapped(location) from error


@contextmanager
def open_parent(location: Location, *, create: bool = False) -> Iterator[tuple[int | None, str]]:
    """Give a descriptor of the directory that holds the place, and the last name; `create` makes missing directories.

    Where the system has no such descriptors the first is None and the second the whole path.
    """
    if not location.parts:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), location.text)
    if not _BY_DESCRIPTOR:
        if create:
            location.path.parent.mkdir(parents=True, exist_ok=True)
        yield None, str(location.path)
        return
    if create:
        location.root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(location.root, _WALK)
    try:
        for part in location.parts[:-1]:
            below = _enter(part, descriptor, location, create=create)
            os.close(descriptor)
            descriptor = below
        yield descriptor, location.parts[-1]
    finally:
        os.close(descriptor)


def list_location(location: Location) -> list[os.DirEntry[str]]:
    """Return the entries of a permitted directory, sorted by name."""
    if not _BY_DESCRIPTOR:
        with os.scandir(location.path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    descriptor = open_location(location, _DIRECTORY)
    try:
        with os.scandir(descriptor) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            entry.stat(follow_symlinks=False)  # read now: it is cached, and the descriptor is closed below
        return listed
    finally:
        os.close(descriptor)


def _enter(part: str, parent: int, location: Location, *, create: bool) -> int:
    try:
        return os.open(part, _WALK | _NO_FOLLOW, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
        with suppress(FileExistsError):
            os.mkdir(part, dir_fd=parent)
        return os.open(part, _WALK | _NO_FOLLOW, dir_fd=parent)
    except OSError as error:
        if not _is_link(part, parent):
            raise
        raise _swapped(location) from error


def _is_link(name: str, parent: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _swapped(location: Location) -> PermissionDenied:
    return PermissionDenied(
        f"`{location.text}` became a symbolic link while it was being opened",
        flag="",
        help="let no other program change links inside the working directory during a run",
    )
