"""The bytes of a file that a person named: bounded, and without waiting for a writer that may never come."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path


def read_content(path: str | Path, limit: int) -> bytes:
    """Return the bytes of a file, a pipe such as `/dev/stdin` or `<(...)`, or a device.

    A named pipe that nobody writes is empty, and a device without an end is too large.

    Raises:
        OSError: It cannot be read; with `errno.EFBIG` it has more than `limit` bytes.
        ValueError: The path has a NUL character.
    """
    with open(path, "rb", opener=_open) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def open_private(path: str, flags: int) -> int:
    """Open a file for writing; one that is made is for its owner alone. An `opener` for `open`."""
    return os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o600)


def make_private_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing, for their owner alone.

    Raises:
        OSError: It cannot be made.
    """
    if not path.is_dir():
        make_private_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def kind_of(path: str | Path) -> Literal["file", "directory", "other"] | None:
    """Return what is at a path, links followed; None if nothing is, or if it cannot be a path: too long, a NUL in it.

    The methods of `Path` that ask the same raise for what is too long.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a text need not become a path for it
    except (OSError, ValueError):
        return None
    return "directory" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def content_digest(path: str | Path) -> str:
    """Return the SHA-256 of what a file holds, read piece by piece.

    Raises:
        OSError: It cannot be read, or is no ordinary file (a directory, a pipe, a device).
        ValueError: The path has a NUL character.
    """
    with open(path, "rb", opener=_open) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(path: str, flags: int) -> int:
    """Open at once, where opening a pipe would wait for its writer; then read as usual."""
    waiting = getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | waiting)
    if waiting:
        os.set_blocking(descriptor, True)
    return descriptor
