"""Decompressed streams that hold little in memory, and that a hostile archive can neither rewind nor read at once."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import TYPE_CHECKING, BinaryIO, Final

from orchestrator.tools.archives.limits import archive_error

if TYPE_CHECKING:
    from orchestrator.tools.archives.limits import ArchiveMeter

CHUNK: Final = 32 * 1024
"""Bytes that are read at once. Headers are smaller; what claims to be a larger one is refused."""

_XZ_MEMORY: Final = 256_000_000
_OVERHEAD: Final = 2_048
"""Bytes of a tar archive for the headers and the padding of an entry."""


class XzStream(io.RawIOBase):
    """Decompresses xz with a limit on memory, which `lzma.LZMAFile` has not."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder: lzma.LZMADecompressor | None = self._new()
        self._rest = b""

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=_XZ_MEMORY)

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes; none at the end."""
        while True:
            if self._decoder is None:
                self._rest = (self._rest or self._file.read(CHUNK)).lstrip(b"\0")  # padding between streams
                if not self._rest:
                    return b""
                self._decoder = self._new()
            given = b""
            if self._decoder.needs_input:
                given = self._rest or self._file.read(CHUNK)
                self._rest = b""
                if not given:
                    raise EOFError("the compressed data ends early")
            found = self._decoder.decompress(given, size)
            if self._decoder.eof:
                self._rest, self._decoder = self._decoder.unused_data, None
            if found:
                return found


def decompressed(file: BinaryIO, compression: str) -> BinaryIO:
    """Return a stream of the decompressed content of a file."""
    match compression:
        case "gz":
            return gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[return-value]
        case "bz2":
            return bz2.BZ2File(file, "rb")  # type: ignore[return-value]
        case "xz":
            return XzStream(file)  # type: ignore[return-value]
    return file


class ForwardReader:
    """A stream for `tarfile` that moves only forward. One byte back is possible, because `tarfile` asks for it.

    It counts all that comes out, headers and skipped entries too, and refuses to read much at once.
    """

    def __init__(self, stream: BinaryIO, meter: ArchiveMeter) -> None:
        self._stream = stream
        self._meter = meter
        self._position = 0
        self._last = b""
        self._back = False
        self.block = b""
        """What was read last: at the end of an archive zeros, or nothing."""

    def tell(self) -> int:
        """The position."""
        return self._position - self._back

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move forward, or one byte back."""
        if whence != 0 or offset < self._position - len(self._last):
            raise ValueError("the headers lead backwards")
        self._back = offset < self._position
        while self._position < offset and self._pull(min(offset - self._position, CHUNK)):
            pass
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        """Return exactly `size` bytes, fewer only at the end."""
        if not 0 <= size <= CHUNK:
            raise archive_error(f"`{self._meter.name}` has a header of more than {CHUNK // 1024} kB")
        pieces = []
        if self._back and size:
            self._back = False
            pieces.append(self._last)
            size -= 1
        while size and (piece := self._pull(size)):
            pieces.append(piece)
            size -= len(piece)
        self.block = b"".join(pieces)
        return self.block

    def _pull(self, size: int) -> bytes:
        piece = self._stream.read(size)
        if piece:
            self._position += len(piece)
            self._last = piece[-1:]
            limits = self._meter.limits
            self._meter.check_stopped()
            self._meter.check_bytes(self._position, limits.max_bytes + _OVERHEAD * limits.max_entries)
        return piece


class LimitedFile:
    """A file for `zipfile` that refuses to read a directory of the archive that is larger than its entries need."""

    def __init__(self, file: BinaryIO, meter: ArchiveMeter) -> None:
        self._file = file
        self._meter = meter
        self._most = 100_000 + 600 * meter.limits.max_entries

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes."""
        found = self._file.read(size) if 0 <= size <= self._most else self._file.read(self._most + 1)
        if len(found) > self._most:
            message = f"`{self._meter.name}` has more than {self._meter.limits.max_entries:,} entries"
            raise archive_error(message, "increase `max_entries`")
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Whether it can be moved."""
        return True
