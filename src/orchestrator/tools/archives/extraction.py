"""Unpacks an archive: all of it into a hidden directory first, then, if nothing is wrong with it, into its place."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.tools.archives.entry_names import Names, check_link, entry_names, is_selected, shown_name
from orchestrator.tools.archives.formats import ArchiveFormat, opened_archive
from orchestrator.tools.archives.limits import archive_error
from orchestrator.tools.archives.streams import CHUNK
from orchestrator.tools.sandbox.paths import DIRECTORY_MODE, Location, open_parent, path_status, protected_error
from orchestrator.tools.sandbox.protection import Guard, is_importable
from orchestrator.tools.sandbox.trees import NEW_FILE, file_kind, make_directory, require_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from orchestrator.tools.archives.formats import ArchiveEntry
    from orchestrator.tools.archives.limits import ArchiveMeter
    from orchestrator.tools.sandbox.trees import Kind

_EXECUTABLE: Final = 0o100
_LAST_SECOND: Final = 2**33


class EntryChoice(Struct, frozen=True):
    """Which entries are unpacked, and how many leading names of each are removed."""

    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    strip: int = 0


class UnpackedFiles(Struct, frozen=True):
    """The files and links that were written, sorted, by the names that lead to them; and the sum of their bytes."""

    format: ArchiveFormat
    names: Sequence[Names]
    size: int
    left_out: int


def extract_archive(
    file: BinaryIO,
    target: Location,
    meter: ArchiveMeter,
    *,
    choice: EntryChoice,
    overwrite: bool,
    report: Callable[[float | None, str], None],
) -> UnpackedFiles:
    """Unpack an archive into a directory, which is created, or whose other files stay as they are.

    Raises:
        PermissionDenied: A file of it would be protected. Nothing has changed.
        StepError: It is damaged, hostile or too large. Nothing has changed.
    """
    with _staging(target) as staging:
        unpacking = _Unpacking(staging, target, meter, choice)
        with opened_archive(file, meter) as (format, entries):
            for entry in entries:
                meter.count_entry()
                unpacking.add(entry)
                report(min(file.tell() / max(meter.size, 1), 1.0), f"{meter.entries:,} entries")
        unpacking.add_links()
        unpacking.check_target(overwrite=overwrite)
        meter.check_stopped()
        unpacking.commit()
    return UnpackedFiles(format, sorted(unpacking.written), meter.written, unpacking.left_out)


class _Unpacking:
    """The state of an extraction: what has been seen, by the names that lead to it."""

    def __init__(self, staging: Location, target: Location, meter: ArchiveMeter, choice: EntryChoice) -> None:
        self._staging = staging
        self._target = target
        self._meter = meter
        self._choice = choice
        self._kinds: dict[Names, Kind] = {}
        self._links: dict[Names, str] = {}
        self.left_out = 0

    @property
    def written(self) -> list[Names]:
        """The files and links."""
        return [names for names, kind in self._kinds.items() if kind != "directory"]

    def add(self, entry: ArchiveEntry) -> None:
        """Put an entry into the hidden directory; links follow at the end, so that nothing is written through them."""
        names = entry_names(entry.name, self._meter.name)
        chosen = is_selected(names, self._choice.include, self._choice.exclude)
        names = names[self._choice.strip :]
        if not names or not chosen:
            self.left_out += bool(not chosen or entry.kind != "directory")
            return
        kind: Kind = "file" if entry.kind == "hard link" else entry.kind
        if kind == "other":
            message = f"`{self._meter.name}`: `{shown_name(entry.name)}` is a device or a pipe"
            raise archive_error(message, "leave it out with `exclude`")
        if kind == "link":
            check_link(names, entry.target, self._meter.name)
        self._claim(names, kind, entry.name)
        place = self._staging.child(*names)
        if kind == "directory":
            make_directory(place, DIRECTORY_MODE)
        elif kind == "link":
            self._links[names] = entry.target
        else:
            content = self._linked(entry) if entry.kind == "hard link" else None
            with _created(place, entry) as copy:
                try:
                    while piece := entry.read(CHUNK) if content is None else content.read(CHUNK):
                        self._meter.count_bytes(len(piece))
                        copy.write(piece)
                finally:
                    if content is not None:
                        content.close()

    def _claim(self, names: Names, kind: Kind, said: str) -> None:
        """Record an entry and the directories above it, and refuse contradictions and protected paths."""
        for length in range(1, len(names)):
            if self._kinds.setdefault(names[:length], "directory") != "directory":
                raise self._contradiction(said)
        known = self._kinds.get(names)
        if known is not None and not (known == kind == "directory"):
            raise self._contradiction(said)
        self._kinds[names] = kind
        place = self._target.child(*names)
        path = str(place.path)
        module = kind == "link" and is_importable(names[-1]) and place.guard.is_searched(path)
        if module or any(map(place.guard.refuses_name, names)) or place.guard.advice(path) is not None:
            raise protected_error(replace(place, text=shown_name(place.text)))

    def _contradiction(self, said: str) -> Exception:
        return archive_error(
            f"`{self._meter.name}` contains `{shown_name(said)}` more than once, or as a directory and as a file",
            "leave it out with `exclude`",
        )

    def _linked(self, entry: ArchiveEntry) -> BinaryIO:
        """Open the file that a hard link means, which is a copy of it here."""
        names = entry_names(entry.target, self._meter.name)[self._choice.strip :]
        if self._kinds.get(names) != "file":
            message = (
                f"`{self._meter.name}`: the hard link `{shown_name(entry.name)}` leads to "
                f"`{shown_name(entry.target)}`, which was not unpacked before"
            )
            raise archive_error(message, "leave it out with `exclude`")
        with open_parent(self._staging.child(*names)) as (parent, name):
            descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0), dir_fd=parent)
        return os.fdopen(descriptor, "rb")

    def add_links(self) -> None:
        """Create the symbolic links in the hidden directory."""
        for names, leads in self._links.items():
            with open_parent(self._staging.child(*names), create=True) as (parent, name):
                os.symlink(leads, name, dir_fd=parent)

    def check_target(self, *, overwrite: bool) -> None:
        """Refuse what stands in the way.

        Raises:
            StepError: A directory would replace a file, or the reverse, or a link leads elsewhere.
            FileExistsError: A file exists, and must not be replaced.
        """
        found = path_status(self._target)
        if found is None:
            return
        if not stat.S_ISDIR(found.st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), self._target.text)
        absent: set[Names] = set()
        for names, kind in sorted(self._kinds.items()):
            if names[:-1] in absent:
                absent.add(names)
                continue
            place = self._target.child(*names)
            status = path_status(place)
            if status is None:
                absent.add(names)
                continue
            if place.guard.refuses(status):
                raise protected_error(place)
            existing = file_kind(status.st_mode)
            if kind == "directory" and existing == "link":
                message = f"`{shown_name(place.text)}` is a symbolic link, and nothing is unpacked through links"
                raise archive_error(message, "remove it, or unpack into another directory")
            if (kind == "directory") != (existing == "directory") or existing == "other":
                message = f"`{shown_name(place.text)}` exists, as a {_WORDS[existing]}"
                raise archive_error(message, "remove it, or unpack into another directory")
            if kind != "directory" and not overwrite:
                raise archive_error(f"`{shown_name(place.text)}` exists", "set `overwrite: true`, or remove it")

    def commit(self) -> None:
        """Move everything into its place: in one step if the directory is new, else file by file."""
        if path_status(self._target) is None:
            _rename(self._staging, self._target)
            return
        for names, kind in sorted(self._kinds.items()):
            if kind == "directory":
                make_directory(self._target.child(*names), DIRECTORY_MODE)
            else:
                _rename(self._staging.child(*names), self._target.child(*names))


_WORDS: Final = {"file": "file", "directory": "directory", "link": "link", "other": "device, a pipe or a socket"}


@contextmanager
def _staging(target: Location) -> Iterator[Location]:
    """Yield a new hidden directory on the same file system, which is removed at the end if it is still there.

    It is next to the target, or inside if that exists. What is in it is not protected until it is moved.
    """
    hidden = f".unpacking-{secrets.token_hex(6)}.tmp"
    parts = (*target.parts, hidden) if path_status(target) is not None else (*target.parts[:-1], hidden)
    staging = replace(target, parts=parts, guard=Guard())
    with open_parent(staging, create=True) as (parent, name):
        os.mkdir(name, DIRECTORY_MODE, dir_fd=parent)
        try:
            yield staging
        finally:
            with suppress(FileNotFoundError):
                shutil.rmtree(name, dir_fd=parent)


@contextmanager
def _created(place: Location, entry: ArchiveEntry) -> Iterator[BinaryIO]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    with open_parent(place, create=True) as (parent, name):
        descriptor = os.open(name, flags, NEW_FILE | (entry.mode & _EXECUTABLE), dir_fd=parent)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        require_file(descriptor, place.text)
        if 0 < entry.modified < _LAST_SECOND and os.utime in os.supports_fd:
            os.utime(descriptor, (entry.modified, entry.modified))


def _rename(source: Location, target: Location) -> None:
    with open_parent(source) as (old, name), open_parent(target, create=True) as (new, changed):
        os.replace(name, changed, src_dir_fd=old, dst_dir_fd=new)
