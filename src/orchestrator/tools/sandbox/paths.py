"""Opening exactly the file that was permitted, even if somebody swaps a symbolic link in between."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import PermissionDenied
from orchestrator.tools.sandbox.protection import CODE_ADVICE, Guard

if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY_MODE = 0o700
"""The mode of directories that are made on the way to a file."""

_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
# O_PATH walks through directories that may be entered but not listed.
_WALK = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BY_DESCRIPTOR = os.open in os.supports_dir_fd and sys.platform != "win32"

_TRIES = 100
_SWAPPED_HELP = "let no other program change links inside the working directory during a run"


@dataclass(frozen=True, slots=True)
class Location:
    """A permitted place: the real path of an allowed directory, and the way from there, free of links when checked.

    `text` is the path as the pipeline gave it, for messages. `guard` has what must not be reached on the way or at its
    end, and is asked again when the place is opened.
    """

    root: Path
    parts: tuple[str, ...]
    text: str
    guard: Guard = field(default=Guard(), compare=False)

    @property
    def path(self) -> Path:
        """The whole real path."""
        return self.root.joinpath(*self.parts)

    def child(self, *names: str) -> Location:
        """Return a place below this directory."""
        text = "/".join(names if self.text in ("", ".") else (self.text.rstrip("/"), *names))
        return replace(self, parts=(*self.parts, *names), text=text)


def real_path(path: str | Path) -> str:
    """Return the real path, with every symbolic link resolved; what is not there stays as it is.

    Raises:
        PermissionDenied: It changes all the time.
    """
    for _ in range(_TRIES):
        with suppress(OSError):  # a link was removed between two looks at it
            return os.path.realpath(path)
    raise PermissionDenied(f"`{path}` changes while it is looked at", flag="", help=_SWAPPED_HELP)


def open_location(location: Location, flags: int, mode: int = 0o600) -> int:
    """Open a permitted place and return the file descriptor; every component is opened without following links.

    Raises:
        PermissionDenied: A component has become a symbolic link since the path was checked, or what is there now must
            not be reached.
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
def open_parent(location: Location, *, create: bool = False) -> Iterator[tuple[int | None, str]]:
    """Give a descriptor of the directory that holds the place, and the last name; `create` makes missing directories.

    Where the system has no such descriptors the first is None and the second the whole path.

    Raises:
        PermissionDenied: A component has become a symbolic link, or what is there now must not be reached.
    """
    if not location.parts:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), location.text)
    if any(map(location.guard.refuses_name, location.parts)) or location.guard.refuses_module(str(location.path)):
        raise protected_error(location)
    if not _BY_DESCRIPTOR:
        if create:
            location.path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        yield None, str(location.path)
        return
    if create:
        location.root.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    descriptor = os.open(location.root, _WALK)
    try:
        for part in location.parts[:-1]:
            below = _enter(part, descriptor, location, create=create)
            os.close(descriptor)
            descriptor = below
            if location.guard.refuses(os.fstat(descriptor)):
                raise protected_error(location)
        _check_last(location, descriptor)
        yield descriptor, location.parts[-1]
    finally:
        os.close(descriptor)


def list_location(location: Location) -> list[os.DirEntry[str]]:
    """Return the entries of a permitted directory, sorted by name; the status of each is that of a link itself."""
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


def path_status(location: Location) -> os.stat_result | None:
    """Return what a permitted place is, of a link the link itself; None where nothing is there."""
    try:
        if not location.parts:
            return location.root.stat()
        with open_parent(location) as (parent, name):
            return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def protected_error(location: Location) -> PermissionDenied:
    """Return the error for what must not be reached."""
    if location.guard.names:
        message = f"`{location.text}` belongs to Orchestrator; no pipeline may change it"
    else:
        message = f"`{location.text}` holds the keys of providers; no pipeline may use it"
    help = "use another place; no option allows this one"
    if location.guard.refuses_module(str(location.path)):
        help = CODE_ADVICE
    return PermissionDenied(message, flag="", help=help)


def _check_last(location: Location, parent: int) -> None:
    if not location.guard.identities:
        return
    try:
        found = os.stat(location.parts[-1], dir_fd=parent, follow_symlinks=False)
    except OSError:
        return
    if location.guard.refuses(found):
        raise protected_error(location)


def _enter(part: str, parent: int, location: Location, *, create: bool) -> int:
    try:
        try:
            return os.open(part, _WALK | _NO_FOLLOW, dir_fd=parent)
        except FileNotFoundError:
            if not create:
                raise
            with suppress(FileExistsError):
                os.mkdir(part, DIRECTORY_MODE, dir_fd=parent)
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
        flag="",
        help=_SWAPPED_HELP,
    )
