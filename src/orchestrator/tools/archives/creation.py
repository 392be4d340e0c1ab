"""Packs files: always into the same bytes for the same names and contents."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from msgspec import Struct

from orchestrator.tools.archives.entry_names import check_link, is_selected, shown_name
from orchestrator.tools.archives.limits import archive_error
from orchestrator.tools.archives.streams import CHUNK
from orchestrator.tools.sandbox.paths import open_location, open_parent, path_status
from orchestrator.tools.sandbox.trees import TreeEntry, require_file, walk_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.tools.archives.entry_names import Names
    from orchestrator.tools.archives.limits import ArchiveMeter
    from orchestrator.tools.sandbox.paths import Location

_ENDINGS: Final = {
    ".zip": "zip",
    ".tar": "tar",
    ".tar.gz": "tar.gz",
    ".tgz": "tar.gz",
    ".tar.bz2": "tar.bz2",
    ".tbz2": "tar.bz2",
    ".tar.xz": "tar.xz",
    ".txz": "tar.xz",
}
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
_TAR_TIME: Final = 315_532_800
"""The same moment in UTC, the first that a ZIP file can name. Times would make equal contents differ."""

_LARGE: Final = 2**31 - 1


class PackedFiles(Struct, frozen=True):
    """The names in an archive, sorted, without directories; and the sum of their bytes."""

    names: Sequence[str]
    size: int


def archive_format(path: str) -> str:
    """Return the format that a file name stands for.

    Raises:
        StepError: It stands for none.
    """
    name = path.lower()
    found = [format for ending, format in _ENDINGS.items() if name.endswith(ending)]
    if not found:
        raise archive_error(
            f"`{path}` does not name a format", "end it with `.zip`, `.tar`, `.tar.gz`, `.tar.bz2` or `.tar.xz`"
        )
    return max(found, key=len)


def entries_below(
    source: Location, skipped: Location, *, include: Sequence[str] | None, exclude: Sequence[str] | None
) -> list[TreeEntry]:
    """Return what belongs into an archive of a directory or a file, sorted by name.

    What no step can read, and the archive itself, are left out. A directory that is empty, or whose content is left
    out, is an entry only if it is selected itself.

    Raises:
        StepError: Something is a device, or a link that leads elsewhere.
    """
    status = path_status(source)
    if status is not None and not stat.S_ISDIR(status.st_mode):
        return [TreeEntry(source, (source.path.name,), status)]
    found = []
    for node in walk_tree(source, enter=lambda node: not is_excluded(node.names, exclude)):
        guard = node.place.guard
        if guard.refuses_name(node.names[-1]) or guard.refuses(node.status) or node.place.path == skipped.path:
            continue
        if not is_selected(node.names, include, exclude):
            continue
        if node.kind == "other":
            message = f"`{shown_name(node.place.text)}` is a device, a pipe or a socket, not a file"
            raise archive_error(message, "leave it out with `exclude`")
        found.append(node)
    return sorted(found, key=lambda node: node.names)


def is_excluded(names: Names, exclude: Sequence[str] | None) -> bool:
    """Whether a directory is left out with all that is below it."""
    return not is_selected(names, None, exclude)


def pack(
    file: BinaryIO,
    format: str,
    nodes: Sequence[TreeEntry],
    meter: ArchiveMeter,
    *,
    prefix: Names,
    report: Callable[[float | None, str], None],
) -> PackedFiles:
    """Write an archive of some entries; `prefix` are the names of directories that they are put into.

    Raises:
        StepError: A file has changed meanwhile, or the limits are exceeded.
    """
    names = []
    with _writer(file, format) as add:
        for number, node in enumerate(nodes, 1):
            meter.count_entry()
            name = "/".join((*prefix, *node.names))
            _add(add, name, node, meter)
            if node.kind != "directory":
                names.append(name)
            report(number / len(nodes), f"{number:,} entries")
    return PackedFiles(names, meter.written)


def _add(add: _Add, name: str, node: TreeEntry, meter: ArchiveMeter) -> None:
    if node.kind == "directory":
        add(name, node, b"", None)
    elif node.kind == "link":
        with open_parent(node.place) as (parent, own):
            target = os.readlink(own, dir_fd=parent)
        check_link(node.names, target, meter.name)
        add(name, node, os.fsencode(target), None)
    else:
        descriptor = open_location(node.place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as content:
            size = require_file(descriptor, node.place.text)
            counted = _Counted(content, size, meter, node.place.text)
            add(name, node, b"", counted)
            counted.check_end()


class _Counted:
    """The content of a file, of which exactly `size` bytes are packed."""

    def __init__(self, file: BinaryIO, size: int, meter: ArchiveMeter, name: str) -> None:
        self.size = size
        self._left = size
        self._file = file
        self._meter = meter
        self._name = name

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(min(size, self._left) if size >= 0 else self._left)
        if not found and self._left and size:
            raise self._changed()
        self._left -= len(found)
        self._meter.count_bytes(len(found))
        return found

    def check_end(self) -> None:
        if self._left or self._file.read(1):
            raise self._changed()

    def _changed(self) -> Exception:
        return archive_error(f"`{self._name}` changed while it was packed")


_Add = Any  # (name, node, target of a link, content of a file)


@contextmanager
def _writer(file: BinaryIO, format: str) -> Iterator[_Add]:
    if format == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            yield lambda *entry: _add_to_zip(archive, *entry)
        return
    with (
        _compressing(file, format) as stream,
        tarfile.TarFile(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        yield lambda *entry: _add_to_tar(tar, *entry)


@contextmanager
def _compressing(file: BinaryIO, format: str) -> Iterator[Any]:
    match format:
        case "tar.gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as stream:
                yield stream
        case "tar.bz2":
            with bz2.BZ2File(file, "wb") as packed:
                yield packed
        case "tar.xz":
            with lzma.LZMAFile(file, "wb") as squeezed:
                yield squeezed
        case _:
            yield file


def _mode(node: TreeEntry) -> int:
    if node.kind == "link":
        return stat.S_IFLNK | 0o777
    if node.kind == "directory":
        return stat.S_IFDIR | 0o755
    return stat.S_IFREG | (0o755 if node.status.st_mode & stat.S_IXUSR else 0o644)


def _add_to_zip(archive: zipfile.ZipFile, name: str, node: TreeEntry, target: bytes, content: _Counted | None) -> None:
    _require_unicode(name)
    info = zipfile.ZipInfo(f"{name}/" if node.kind == "directory" else name, _ZIP_TIME)
    info.create_system = 3
    info.external_attr = _mode(node) << 16 | (0x10 if node.kind == "directory" else 0)
    if content is None:
        archive.writestr(info, target)
        return
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=content.size > _LARGE) as packed:
        while piece := content.read(CHUNK):
            packed.write(piece)


def _add_to_tar(tar: tarfile.TarFile, name: str, node: TreeEntry, target: bytes, content: _Counted | None) -> None:
    info = tarfile.TarInfo(name)
    info.mode = stat.S_IMODE(_mode(node))
    info.mtime = _TAR_TIME
    if node.kind == "directory":
        info.type = tarfile.DIRTYPE
    elif node.kind == "link":
        info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(target)
    elif content is not None:
        info.size = content.size
    tar.addfile(info, content)


def _require_unicode(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        message = f"`{shown_name(name)}` is not valid Unicode, which names in a ZIP file must be"
        raise archive_error(message, "rename it, leave it out with `exclude`, or write a `.tar` file") from None


def checked_prefix(prefix: str, archive: str) -> Names:
    """Return the names of the directories that entries are put into.

    Raises:
        StepError: It leads out of the archive.
    """
    path = PurePosixPath(prefix)
    if path.is_absolute() or ".." in path.parts:
        raise archive_error(f"`{archive}`: the prefix `{prefix}` leads out of the archive", "write names without `..`")
    return path.parts
