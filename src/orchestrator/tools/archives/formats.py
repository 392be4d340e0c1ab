"""The formats of archives: what a file is by its content, and its entries, one after another."""

from __future__ import annotations

import lzma
import re
import stat
import struct
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Literal, cast, get_args

from msgspec import Struct

from orchestrator.tools.archives.limits import archive_error
from orchestrator.tools.archives.streams import CHUNK, ForwardReader, LimitedFile, decompressed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.tools.archives.limits import ArchiveMeter

ArchiveFormat = Literal["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "gz", "bz2", "xz"]
"""The last three are single compressed files."""

FORMATS: Final = get_args(ArchiveFormat)

_COMPRESSIONS: Final = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\0", "xz"))
_OTHERS: Final = (
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"\x04\x22\x4d\x18", "LZ4"),
)
_HELP_OTHERS: Final = "unpack it with a program: `tool: terminal`, `command: [bsdtar, -xf, {name}]`"
_LONGEST_TARGET: Final = 4_096
_EARLY: Final = 4_096  # what `bz2` and `lzma` in a ZIP file are given at once, which can grow ten-thousandfold


class ArchiveEntry(Struct, frozen=True):
    """An entry as the archive describes it, which may be a lie. `read(n)` returns its next bytes, `b""` at its end.

    `target` is where a link leads: for a hard link the name of an earlier entry. `modified` is in seconds since 1970.
    """

    name: str
    kind: Literal["file", "directory", "link", "hard link", "other"]
    mode: int
    size: int
    modified: float
    target: str
    read: Callable[[int], bytes]


@contextmanager
def opened_archive(file: BinaryIO, meter: ArchiveMeter) -> Iterator[tuple[ArchiveFormat, Iterator[ArchiveEntry]]]:
    """Yield the format of an archive and its entries. Each must be read before the next one is taken.

    Raises:
        StepError: The file is not an archive, is damaged or encrypted, or exceeds the limits.
    """
    with damage(meter.name):
        head = file.read(512)
        file.seek(0)
        if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            with zipfile.ZipFile(LimitedFile(file, meter)) as archive:
                yield "zip", _zip_entries(archive, meter)
            return
        compression = next((name for sign, name in _COMPRESSIONS if head.startswith(sign)), "")
        if compression:
            with decompressed(file, compression) as stream:
                start = _read_all(stream, 512)
            file.seek(0)
            if not _is_tar(start, meter.name):
                with decompressed(file, compression) as stream:
                    yield _format(compression), iter([_single(stream, meter)])
                return
        elif not _is_tar(head, meter.name):
            raise _unknown(meter.name, head)
        stream = decompressed(file, compression)
        reader = ForwardReader(stream, meter)
        with tarfile.TarFile(fileobj=cast("Any", reader), mode="r", errorlevel=2) as tar:
            yield _format(f"tar.{compression}" if compression else "tar"), _tar_entries(tar, reader)


@contextmanager
def damage(name: str) -> Iterator[None]:
    """Turn what the libraries raise for broken archives into a StepError."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        lzma.LZMAError,
        zlib.error,
        struct.error,
        EOFError,
        ValueError,
        OverflowError,
        LookupError,
        AssertionError,
    ) as error:
        raise archive_error(f"`{name}` is damaged: {str(error) or type(error).__name__}") from error
    except NotImplementedError as error:
        raise archive_error(f"`{name}` cannot be unpacked: {error}", _HELP_OTHERS.format(name=name)) from error
    except RecursionError:
        raise archive_error(f"`{name}` is damaged: its headers are nested too deeply") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise archive_error(f"`{name}` is damaged: {error}") from error


def _format(text: str) -> ArchiveFormat:
    return next(each for each in FORMATS if each == text)


def _unknown(name: str, head: bytes) -> Exception:
    other = next((what for sign, what in _OTHERS if head.startswith(sign)), None)
    if other is not None:
        return archive_error(f"`{name}` is a {other} file, which cannot be unpacked", _HELP_OTHERS.format(name=name))
    return archive_error(
        f"`{name}` is not an archive", "it can be a ZIP or tar file, or a file compressed by gz, bz2 or xz"
    )


def _is_tar(head: bytes, name: str) -> bool:
    if len(head) < 512:
        return False
    if not head.strip(b"\0"):  # an archive without entries, or any file of zeros
        return re.search(r"\.(tar|tgz|tbz2?|txz)\b", name.lower()) is not None
    with suppress(tarfile.HeaderError, ValueError):
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
        return True
    return False


def _read_all(stream: BinaryIO, size: int) -> bytes:
    found = b""
    while len(found) < size and (piece := stream.read(size - len(found))):
        found += piece
    return found


def _single(stream: BinaryIO, meter: ArchiveMeter) -> ArchiveEntry:
    """Return a compressed file as the only entry, named after the archive."""
    name = meter.name.replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    named = stem if dot and stem and ending.lower() in ("gz", "bz2", "xz", "lzma") else f"{name}.unpacked"
    return ArchiveEntry(named, "file", 0o600, -1, 0, "", stream.read)


def _zip_entries(archive: zipfile.ZipFile, meter: ArchiveMeter) -> Iterator[ArchiveEntry]:
    for info in archive.infolist():
        if info.flag_bits & 0x1:
            raise archive_error(f"`{meter.name}` is encrypted", _HELP_OTHERS.format(name=meter.name))
        name = info.filename.replace("\\", "/") if "/" not in info.filename else info.filename
        mode = info.external_attr >> 16 if info.create_system == 3 else 0
        kind = _zip_kind(name, mode)
        modified = 0.0
        with suppress(ValueError, OverflowError):
            modified = time.mktime((*info.date_time, 0, 0, -1))
        content = _ZipContent(archive, info)
        try:
            target = content.read(_LONGEST_TARGET).decode("utf-8", "surrogateescape") if kind == "link" else ""
            yield ArchiveEntry(name, kind, stat.S_IMODE(mode), info.file_size, modified, target, content.read)
        finally:
            content.close()


def _zip_kind(name: str, mode: int) -> Literal["file", "directory", "link", "other"]:
    if name.endswith("/"):
        return "directory"
    if stat.S_ISLNK(mode):
        return "link"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "other"


class _ZipContent:
    """The content of an entry of a ZIP file, which is opened when it is read."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self._archive = archive
        self._info = info
        self._file: Any = None
        self._most = CHUNK if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else _EARLY

    def read(self, size: int) -> bytes:
        if self._file is None:
            self._file = self._archive.open(self._info)
        found: bytes = self._file.read(min(size, self._most))
        return found

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _tar_entries(tar: tarfile.TarFile, reader: ForwardReader) -> Iterator[ArchiveEntry]:
    while (member := tar.next()) is not None:
        cast("Any", tar).members = []  # nothing leads back to them
        content = tar.extractfile(member) if member.isreg() else None
        yield ArchiveEntry(
            member.name,
            _tar_kind(member),
            stat.S_IMODE(member.mode),
            member.size,
            float(member.mtime),
            member.linkname,
            content.read if content is not None else lambda _: b"",
        )
    if reader.block.strip(b"\0"):  # `tarfile` takes a broken header for the end
        raise tarfile.ReadError("a header is broken")


def _tar_kind(member: tarfile.TarInfo) -> Literal["file", "directory", "link", "hard link", "other"]:
    if member.isreg():
        return "file"
    if member.isdir():
        return "directory"
    if member.issym():
        return "link"
    return "hard link" if member.islnk() else "other"
