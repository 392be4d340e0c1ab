"""The content of a file that a person named: bounded, without waiting for a writer that may never come, and decoded."""

from __future__ import annotations

import codecs
import errno
import hashlib
import io
import os
import re
import stat
from typing import IO, TYPE_CHECKING, Literal

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


def path_kind(path: str | Path) -> Literal["file", "directory", "other"] | None:
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


ENCODING_SAMPLE = 4096
"""The bytes that `encoding_of` looks at."""


class NotText(ValueError):
    """Bytes are not text in the encoding that they should have; `help` says how to continue."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help


def decode_text(data: bytes, encoding: str | None = None) -> str:
    """Return the text of a file's bytes: in the named encoding, else UTF-8, or UTF-16 and UTF-32 by their mark.

    A byte order mark at the beginning is not part of the text.

    Raises:
        NotText: The bytes are not text in that encoding, or there is no such encoding.
    """
    codec = encoding_of(data[:ENCODING_SAMPLE], encoding)
    try:
        return data.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise undecodable(codec, data[error.start], data.count(b"\n", 0, error.start) + 1) from None
    except UnicodeError:  # UTF-16 without all of its mark
        raise undecodable(codec) from None


def encoding_of(start: bytes, encoding: str | None = None) -> str:
    """Return the encoding of a file by its first bytes, at most `ENCODING_SAMPLE`, unless one is named.

    UTF-16 and UTF-32 have a mark, and a NUL soon: every line break and every sign of ASCII has one.

    Raises:
        NotText: There is no encoding of this name.
    """
    if encoding is None:
        marked = (codec for mark, codec in _MARKS if start.startswith(mark) and b"\0" in start)
        return next(marked, "utf-8-sig")
    try:
        info = codecs.lookup(encoding)
    except (LookupError, ValueError):
        info = None
    if info is None or not info._is_text_encoding:  # noqa: SLF001 - of codecs, which has no public way
        raise NotText(f"unknown encoding `{encoding}`", f"use {_ENCODINGS}, or another encoding that Python knows")
    return "utf-8-sig" if info.name == "utf-8" else info.name


def text_file(file: IO[bytes], codec: str) -> io.TextIOWrapper:
    """Return the text of an open file, with line breaks as they are. What is not UTF-8 is marked: see `is_damaged`."""
    errors = "surrogateescape" if codec == "utf-8-sig" else "strict"
    return io.TextIOWrapper(file, encoding=codec, errors=errors, newline="\n")


def is_damaged(line: str) -> bool:
    """Tell whether a line of `text_file` has bytes that are not text in the file's encoding."""
    return not line.isascii() and _UNDECODED.search(line) is not None


_UNDECODED = re.compile("[\udc80-\udcff]")


def encoding_problem(encoding: str) -> str | None:
    """Return why a name cannot be that of an encoding, or None if it can."""
    try:
        encoding_of(b"", encoding)
    except NotText as error:
        return f"{error}: {error.help}"
    return None


def undecodable(codec: str, byte: int | None = None, line: int | None = None) -> NotText:
    """Return the error for bytes that are not text in an encoding."""
    name = "UTF-8" if codec == "utf-8-sig" else codec
    where = "" if byte is None else f" (byte 0x{byte:02X}{'' if line is None else f' in line {line}'})"
    return NotText(f"it is not {name} text{where}", f"save it as UTF-8, or name its encoding, such as {_ENCODINGS}")


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENCODINGS = "`latin-1`, `windows-1252` or `utf-16`"


def _open(path: str, flags: int) -> int:
    """Open at once, where opening a pipe would wait for its writer; then read as usual."""
    waiting = getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | waiting)
    if waiting:
        os.set_blocking(descriptor, True)
    return descriptor
