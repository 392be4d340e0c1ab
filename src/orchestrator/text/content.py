"""File contents: read within a limit, without waiting for the writer of a pipe, and decoded."""

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

    A named pipe without a writer is empty, and a device without an end is too large.

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
    """Open a file for writing; a new file is accessible only to its owner. An `opener` for `open`."""
    return os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o600)


def make_private_directory(path: Path) -> None:
    """Create a directory and its missing parents, accessible only to their owner.

    Raises:
        OSError: It cannot be created.
    """
    if not path.is_dir():
        make_private_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def path_kind(path: str | Path) -> Literal["file", "directory", "other"] | None:
    """Return the kind of a path, following links; None if it does not exist or is invalid: too long, or with a NUL.

    The methods of `Path` raise for a path that is too long.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a text need not become a path for it
    except (OSError, ValueError):
        return None
    return "directory" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def content_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file, read in chunks.

    Raises:
        OSError: It cannot be read, or is not a regular file (a directory, a pipe, a device).
        ValueError: The path has a NUL character.
    """
    with open(path, "rb", opener=_open) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return hashlib.file_digest(file, "sha256").hexdigest()


ENCODING_SAMPLE = 4096
"""The number of bytes that `encoding_of` reads."""


class NotText(ValueError):
    """Bytes are not text in their expected encoding; `help` has the fix."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.help = help


def decode_text(data: bytes, encoding: str | None = None) -> str:
    """Return the text of a file's bytes: in the named encoding, else UTF-8, or UTF-16 and UTF-32 by their mark.

    A byte order mark at the start is not part of the text.

    Raises:
        NotText: The bytes are not text in that encoding, or the encoding is unknown.
    """
    codec = encoding_of(data[:ENCODING_SAMPLE], encoding)
    try:
        return data.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise undecodable(codec, data[error.start], data.count(b"\n", 0, error.start) + 1) from None
    except UnicodeError:  # UTF-16 without all of its mark
        raise undecodable(codec) from None


def encoding_of(start: bytes, encoding: str | None = None) -> str:
    """Return the named encoding, else detect it from the first bytes of a file, at most `ENCODING_SAMPLE`.

    UTF-16 and UTF-32 have a mark and an early NUL: every line break and ASCII character has one.

    Raises:
        NotText: The encoding is unknown.
    """
    if encoding is None:
        marked = (codec for mark, codec in _MARKS if start.startswith(mark) and b"\0" in start)
        return next(marked, "utf-8-sig")
    try:
        info = codecs.lookup(encoding)
    except (LookupError, ValueError):
        info = None
    if info is None or not info._is_text_encoding:  # noqa: SLF001 - of codecs, which has no public way
        raise NotText(f"unknown encoding `{encoding}`", f"use {_ENCODINGS}, or another encoding of Python")
    return "utf-8-sig" if info.name == "utf-8" else info.name


def text_file(file: IO[bytes], codec: str, *, newline: Literal["\n", ""] = "\n") -> io.TextIOWrapper:
    """Return the text of an open file with its line breaks. Other bytes than UTF-8 are marked: see `is_damaged`.

    A line ends with a line feed; if `newline` is empty, also with a carriage return, as records of CSV do.
    """
    errors = "surrogateescape" if codec == "utf-8-sig" else "strict"
    return io.TextIOWrapper(file, encoding=codec, errors=errors, newline=newline)


def is_damaged(line: str) -> bool:
    """Return whether a line of `text_file` has bytes that are not text in the encoding of the file."""
    return not line.isascii() and _UNDECODED.search(line) is not None


_UNDECODED = re.compile("[\udc80-\udcff]")


def encoding_problem(encoding: str) -> str | None:
    """Return why an encoding name is invalid, or None if it is valid."""
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
    """Open without waiting for the writer of a pipe; then read as usual."""
    waiting = getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | waiting)
    if waiting:
        os.set_blocking(descriptor, True)
    return descriptor
