"""Walks, searches, copies, moves and deletes directory trees through descriptors, so that no link leads elsewhere.

Before a change, the whole tree is checked for protected files, under its old and its new names; each change is checked
again when it is made.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
import secrets
import shutil
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Literal

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.tools.sandbox.paths import (
    DIRECTORY_MODE,
    Location,
    list_location,
    open_location,
    open_parent,
    path_status,
    protected_error,
)
from orchestrator.tools.sandbox.protection import is_importable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.tools.sandbox.refusal import Refusal

Kind = Literal["file", "directory", "link", "other"]

MOST_ENTRIES = 100_000
"""The maximum number of entries of a tree that a step walks."""

NEW_FILE = 0o600
"""The mode of a file that a step creates: accessible only to its user, unless the step sets another."""

_MOST_DEPTH = 200
_CHUNK = 1 << 20


class TreeEntry(Struct, frozen=True):
    """An entry in a tree: `names` lead to it from the top; `status` does not follow a link."""

    place: Location
    names: tuple[str, ...]
    status: os.stat_result

    @property
    def kind(self) -> Kind:
        """The kind of the entry."""
        return file_kind(self.status.st_mode)


def file_kind(mode: int) -> Kind:
    """Return the kind of a file, by its mode."""
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "directory"
    return "file" if stat.S_ISREG(mode) else "other"


def walk_tree(top: Location, *, enter: Callable[[TreeEntry], bool] = lambda _: True) -> Iterator[TreeEntry]:
    """Yield the entries below a directory, parents first; links are not followed.

    `enter` decides whether a directory is entered.

    Raises:
        StepError: The tree is too large or too deep.
    """
    waiting: list[tuple[Location, tuple[str, ...]]] = [(top, ())]
    count = 0
    while waiting:
        directory, names = waiting.pop()
        for entry in list_location(directory):
            count += 1
            if count > MOST_ENTRIES or len(names) >= _MOST_DEPTH:
                raise tree_too_large(top.text)
            node = TreeEntry(directory.child(entry.name), (*names, entry.name), entry.stat(follow_symlinks=False))
            yield node
            if node.kind == "directory" and not _is_refused(node.place, node.status) and enter(node):
                waiting.append((node.place, node.names))


def _is_refused(place: Location, status: os.stat_result) -> bool:
    return place.guard.refuses_name(place.path.name) or place.guard.refuses(status)


def find_matches(
    top: Location, pattern: Sequence[str], *, directories: bool, follow: Callable[[Location], Location | None]
) -> Iterator[tuple[str, ...]]:
    """Yield the entries that match a pattern, given by its parts; `**` matches any directories, but no links.

    With `directories` only directories match. `follow` returns the target of a link, or None if it is not permitted.

    Raises:
        StepError: The tree is too large.
    """
    waiting: list[tuple[Location, tuple[str, ...], int]] = [(top, (), 0)]
    seen: set[tuple[tuple[str, ...], int]] = {((), 0)}
    count = 0

    def push(place: Location, names: tuple[str, ...], index: int) -> None:
        if (names, index) not in seen:
            seen.add((names, index))
            waiting.append((place, names, index))

    while waiting:
        directory, names, index = waiting.pop()
        part = pattern[index]
        last = index == len(pattern) - 1
        if part == "**" and not last:
            push(directory, names, index + 1)
        matches = re.compile(fnmatch.translate(part)).match if part != "**" else None
        for entry in _entries(directory, tolerant=bool(names)):
            count += 1
            if count > 10 * MOST_ENTRIES or len(names) >= _MOST_DEPTH:
                raise tree_too_large(top.text)
            below, found = directory.child(entry.name), (*names, entry.name)
            if _is_refused(below, entry.stat(follow_symlinks=False)):
                continue
            is_directory = entry.is_dir(follow_symlinks=False)
            if matches is None:
                if is_directory:
                    push(below, found, index)
                if last and (is_directory or not directories):
                    yield found
            elif matches(entry.name):
                led = follow(below) if entry.is_symlink() else below
                if led is not None and last and (not directories or _is_directory(led)):
                    yield found
                elif led is not None and not last and (is_directory or entry.is_symlink()) and _is_directory(led):
                    push(led, found, index + 1)


def _puts_module(source: Location, status: os.stat_result, target: Location) -> bool:
    """Whether tools could import the copied or moved file, or the target of a link, at its new path."""
    path = str(target.path)
    kind, name = file_kind(status.st_mode), target.path.name
    if kind not in ("directory", "link") or not is_importable(name) or not target.guard.is_searched(path):
        return False
    return kind == "link" or any(
        target.guard.refuses_module(str(target.child(*node.names).path))
        or (node.kind == "link" and all(map(is_importable, node.names)))
        for node in walk_tree(source)
    )


def require_free(top: Location) -> None:
    """Refuse a tree that contains protected files.

    Raises:
        PermissionDenied: It contains the configuration of the project, its store, modules of its tools, or the like.
    """
    status = path_status(top)
    if status is None or not stat.S_ISDIR(status.st_mode):
        return
    for node in walk_tree(top):
        guard = node.place.guard
        if guard.refuses_name(node.names[-1]) or guard.refuses(node.status):
            raise protected_error(node.place)
        if guard.advice(str(node.place.path)) is not None:
            raise protected_error(node.place)


def copy_tree(source: Location, target: Location, *, refuse_link: Callable[[Location], Refusal | None]) -> None:
    """Copy a directory and its contents into another, which may exist; links stay links.

    `refuse_link` decides whether a link may be created at a location.

    Raises:
        PermissionDenied: A target is protected. Nothing is copied.
        StepError: An entry is not a file, directory or link.
    """
    require_apart(source, target, "copied")
    nodes = list(walk_tree(source))
    for node in nodes:
        place = target.child(*node.names)
        if node.place.guard.refuses(node.status):
            raise protected_error(node.place)
        if (
            any(map(place.guard.refuses_name, node.names))
            or place.guard.advice(str(place.path)) is not None
            or _puts_module(node.place, node.status, place)
        ):
            raise protected_error(place)
        if node.kind == "other":
            message = f"`{node.place.text}` is a device, a pipe or a socket, not a file"
            raise StepError(message, code=codes.FILE_FAILED, retryable=False)
        refusal = refuse_link(place) if node.kind == "link" else None
        if refusal is not None:
            raise refusal.error()
    top = path_status(source)
    make_directory(target, 0o700 if top is None else stat.S_IMODE(top.st_mode))
    for node in nodes:
        place = target.child(*node.names)
        if node.kind == "directory":
            make_directory(place, stat.S_IMODE(node.status.st_mode))
        elif node.kind == "link":
            _copy_link(node.place, place)
        else:
            copy_file(node.place, place)


def copy_file(source: Location, target: Location, *, overwrite: bool = True) -> None:
    """Copy a file atomically; a new file gets the mode of the source."""
    descriptor = open_location(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as original:
        require_file(descriptor, source.text)
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o777
        with replacing(target, new=mode, overwrite=overwrite) as file:
            shutil.copyfileobj(original, file, _CHUNK)


def move_entry(source: Location, target: Location, *, overwrite: bool) -> None:
    """Rename an entry; a link is not followed.

    Raises:
        PermissionDenied: It contains protected files.
    """
    require_apart(source, target, "moved")
    require_free(source)
    status = path_status(source)
    if target.guard.advice(str(target.path)) is not None or (
        status is not None and _puts_module(source, status, target)
    ):
        raise protected_error(target)
    if status is not None and stat.S_ISDIR(status.st_mode) and target.guard.is_offered(str(target.path)):
        for node in walk_tree(source):
            if target.guard.refuses_pipeline(str(target.child(*node.names).path)):
                raise protected_error(target.child(*node.names))
    with open_parent(source) as (from_directory, name), open_parent(target, create=True) as (to_directory, new):
        if not overwrite and _exists(new, to_directory):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target.text)
        os.replace(name, new, src_dir_fd=from_directory, dst_dir_fd=to_directory)


def remove_entry(place: Location, *, recursive: bool) -> None:
    """Remove a file, a link (not its target), or a directory; with `recursive` also its contents.

    Raises:
        PermissionDenied: It contains protected files. Nothing is removed.
    """
    if recursive:
        require_free(place)
    with open_parent(place) as (parent, name):
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(name, dir_fd=parent)
        elif recursive:
            shutil.rmtree(name, dir_fd=parent)
        else:
            os.rmdir(name, dir_fd=parent)


def make_directory(place: Location, mode: int) -> None:
    """Create a directory if it does not exist."""
    if not place.parts:
        place.root.mkdir(mode=mode, parents=True, exist_ok=True)
        return
    with open_parent(place, create=True) as (parent, name):
        try:
            os.mkdir(name, mode | stat.S_IRWXU, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                raise


@contextmanager
def replacing(
    place: Location,
    *,
    mode: int | None = None,
    new: int = NEW_FILE,
    directories: int = DIRECTORY_MODE,
    overwrite: bool = True,
) -> Iterator[BinaryIO]:
    """Yield a temporary file that replaces the target when it is complete, and is removed on an error.

    `mode` is the mode of the file; by default a replaced file keeps its mode, and a new file gets the mode `new`.
    `directories` is the mode of missing directories, which are created.
    """
    with open_parent(place, create=True, mode=directories) as (parent, name):
        kept = _mode_of(name, parent) if mode is None else mode
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        with _temporary(name, parent) as temporary:
            descriptor = os.open(
                temporary, flags | getattr(os, "O_BINARY", 0), new if kept is None else NEW_FILE, dir_fd=parent
            )
            with os.fdopen(descriptor, "wb") as file:
                yield file
                if kept is not None and hasattr(os, "fchmod"):
                    os.fchmod(descriptor, kept)
            if overwrite:
                os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            else:
                _add(temporary, name, parent)


def require_file(descriptor: int, path: str) -> int:
    """Return the size of an open file. Devices and pipes are refused, because reading them may never end."""
    found = os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(found.st_mode):
        raise StepError(
            f"`{path}` is a device, a pipe or a socket, not a file", code=codes.FILE_FAILED, retryable=False
        )
    return found.st_size


def require_apart(source: Location, target: Location, done: str) -> None:
    """Refuse to copy or move a directory into itself."""
    if target.path.is_relative_to(source.path) and stat.S_ISDIR(getattr(path_status(source), "st_mode", 0)):
        raise StepError(
            f"`{source.text}` cannot be {done} into itself, to `{target.text}`",
            code=codes.INVALID_TOOL_INPUT,
            help="use a destination outside the directory",
            retryable=False,
        )


def tree_too_large(path: str) -> StepError:
    """Return the error for a tree that is too large to walk."""
    message = f"`{path}` has more than {MOST_ENTRIES:,} entries, or is nested more than {_MOST_DEPTH} levels deep"
    return StepError(message, code=codes.FILE_FAILED, help="use a subdirectory", retryable=False)


def _entries(directory: Location, *, tolerant: bool) -> list[os.DirEntry[str]]:
    """List a directory; with `tolerant`, an unreadable or missing directory has no entries."""
    try:
        return list_location(directory)
    except OSError:
        if not tolerant:
            raise
        return []


def _copy_link(source: Location, target: Location) -> None:
    with open_parent(source) as (parent, name):
        text = os.readlink(name, dir_fd=parent)
    with open_parent(target, create=True) as (parent, name), _temporary(name, parent) as temporary:
        os.symlink(text, temporary, dir_fd=parent)
        os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)


@contextmanager
def _temporary(name: str, parent: int | None) -> Iterator[str]:
    """Yield a temporary name next to another, and remove the file with that name on an error."""
    head, tail = os.path.split(name)
    temporary = os.path.join(head, f".{tail[:60]}.{secrets.token_hex(6)}.tmp")  # noqa: PTH118 - in the same directory
    try:
        yield temporary
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=parent)
        raise


def _add(temporary: str, name: str, parent: int | None) -> None:
    """Rename a file if the name is free; of two concurrent attempts one succeeds."""
    try:
        os.link(temporary, name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
    except (NotImplementedError, PermissionError):  # a file system without hard links
        if _exists(name, parent):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name) from None
        os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    else:
        os.unlink(temporary, dir_fd=parent)


def _is_directory(place: Location) -> bool:
    status = path_status(place)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _exists(name: str, parent: int | None) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _mode_of(name: str, parent: int | None) -> int | None:
    """Return the mode of the file that is replaced, if there is one."""
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    return stat.S_IMODE(found.st_mode) & 0o777
