"""Pack and unpack archives: ZIP and tar files, also compressed, within limits that no archive can exceed."""

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal, TypedDict, TypeVar

from orchestrator.errors import StepTimeout
from orchestrator.tools.builtin.access import (
    MOST_RECORDED,
    Mode,
    checks_paths,
    file_errors,
    file_mode,
    permitted_location,
)
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.sandbox.paths import Location, open_location, path_status
from orchestrator.tools.sandbox.trees import replacing, require_file

if TYPE_CHECKING:
    from orchestrator.tools.archives.limits import ArchiveMeter

T = TypeVar("T")


def _check_patterns(patterns: list[str] | None) -> None:
    from orchestrator.tools.archives.entry_names import check_patterns

    check_patterns(patterns)


def _check_format(path: str) -> None:
    from orchestrator.tools.archives.creation import archive_format

    archive_format(path)


def _check_strip(strip: int) -> None:
    from orchestrator.tools.archives.limits import archive_error

    if strip < 0:
        raise archive_error("`strip` is negative")


def _check_prefix(prefix: str) -> None:
    from orchestrator.tools.archives.creation import checked_prefix

    checked_prefix(prefix, "the archive")


Archive = Annotated[str, "The path of the archive. Its format is recognized by its content."]
Include = Annotated[
    list[str] | None,
    "Patterns of the entries to include, such as `*.csv`, `docs` or `**/*.md`; a directory includes all that is below "
    "it. Default: all.",
    Checked(_check_patterns),
]
Exclude = Annotated[list[str] | None, "Patterns of the entries to leave out.", Checked(_check_patterns)]
MaxBytes = Annotated[int, "The maximum size of the content, in bytes."]
MaxEntries = Annotated[int, "The maximum number of entries."]
MaxRatio = Annotated[float, "How many times its own size an archive may unpack to, beyond 20 MB."]
Timeout = Annotated[float, "The timeout in seconds."]


class ExtractedFiles(TypedDict):
    """The files that were written."""

    paths: Annotated[list[str], "The paths of the written files and links, sorted."]
    count: Annotated[int, "The number of written files and links."]
    size: Annotated[int, "The sum of the sizes of the written files, in bytes."]
    destination: Annotated[str, "The directory, as given."]
    format: Annotated[str, "The format: `zip`, `tar`, `tar.gz`, `tar.bz2`, `tar.xz`, `gz`, `bz2` or `xz`."]
    left_out: Annotated[int, "The number of entries that were left out by `include`, `exclude` and `strip`."]


class CreatedArchive(TypedDict):
    """The archive that was written."""

    path: Annotated[str, "The path of the archive, as given."]
    size: Annotated[int, "The size of the archive in bytes."]
    entries: Annotated[list[str], "The names of the files and links in the archive, sorted."]
    count: Annotated[int, "The number of these."]
    content_size: Annotated[int, "The sum of the sizes of the files, in bytes."]


class ListedEntry(TypedDict):
    """One entry of an archive, as the archive describes it. `modified` is in UTC as ISO 8601."""

    path: Annotated[str, "The name in the archive."]
    type: Annotated[Literal["file", "directory", "link", "other"], "The kind of the entry."]
    size: Annotated[int | None, "The size in bytes, or null if the archive does not say it."]
    modified: Annotated[str | None, "The time of the last modification in UTC as ISO 8601, or null."]


class ArchiveListing(TypedDict):
    """The entries of an archive, in its order."""

    entries: Annotated[list[ListedEntry], "The entries, in the order of the archive."]
    count: Annotated[int, "The number of entries."]
    format: Annotated[str, "The format, such as `zip` or `tar.gz`."]


@tool(primary="paths", refusal=checks_paths(path="read", destination="write"), reads=("path",))
async def extract(
    path: Archive,
    destination: Annotated[str, "The directory to unpack into, which is created if it does not exist."],
    context: ToolContext,
    include: Include = None,
    exclude: Exclude = None,
    strip: Annotated[int, "The number of leading directories to remove from each name.", Checked(_check_strip)] = 0,
    overwrite: Annotated[bool, "Replace existing files; otherwise one that exists is an error."] = True,
    max_bytes: MaxBytes = 1_000_000_000,
    max_entries: MaxEntries = 10_000,
    max_ratio: MaxRatio = 250,
    timeout: Timeout = 600,  # noqa: ASYNC109 - the name that pipelines use
) -> ExtractedFiles:
    """Unpack a ZIP or tar file, or a file compressed by gzip, bzip2 or xz.

    All of it is unpacked and checked before the first file appears in the destination: a damaged archive, one that is
    too large, or one with a path or a link that leads out of the destination changes nothing. Files get the mode of new
    files, but stay executable; devices and pipes are refused; a hard link becomes a copy.

    Example:
        - id: unpacked
          tool: archive
          action: extract
          parameters:
            path: downloads/data.zip
            destination: data
            include: ["**/*.csv"]
    """
    from orchestrator.tools.archives.extraction import EntryChoice, extract_archive
    from orchestrator.tools.archives.limits import ArchiveLimits

    _check_patterns(include)
    _check_patterns(exclude)
    _check_strip(strip)
    target = permitted_location(context, destination, "write")
    choice = EntryChoice(include, exclude, strip)

    def work(file: BinaryIO, meter: "ArchiveMeter") -> ExtractedFiles:
        with file_errors("unpack into", destination):
            found = extract_archive(file, target, meter, choice=choice, overwrite=overwrite, report=context.progress)
        for names in islice(found.names, MOST_RECORDED):
            context.wrote(target.child(*names).path)
        return {
            "paths": [_readable(target.child(*names).text) for names in found.names],
            "count": len(found.names),
            "size": found.size,
            "destination": destination,
            "format": found.format,
            "left_out": found.left_out,
        }

    return await _with_archive(context, path, ArchiveLimits(max_bytes, max_entries, max_ratio), timeout, work)


@tool(primary="path", refusal=checks_paths(path="read", destination="write"), reads=("path",))
async def create(
    path: Annotated[str, "The directory whose content is packed, or a file."],
    destination: Annotated[
        str,
        "The path of the archive, whose ending says its format: `.zip`, `.tar`, `.tar.gz`, `.tar.bz2` or `.tar.xz`.",
        Checked(_check_format),
    ],
    context: ToolContext,
    include: Include = None,
    exclude: Exclude = None,
    prefix: Annotated[str, "A directory in the archive to put everything into.", Checked(_check_prefix)] = "",
    overwrite: Annotated[bool, "Replace an existing archive."] = True,
    mode: Mode = None,
    max_bytes: MaxBytes = 1_000_000_000,
    max_entries: MaxEntries = 10_000,
    timeout: Timeout = 600,  # noqa: ASYNC109 - the name that pipelines use
) -> CreatedArchive:
    """Pack a directory or a file.

    The same names and contents give the same bytes: entries are sorted, and times, owners and modes are left out,
    except that a file is executable. The archive appears only when it is complete. What no step can read is left out; a
    symbolic link stays one if it cannot lead out of the directory, and is an error otherwise.

    Example:
        - id: packed
          tool: archive
          action: create
          parameters:
            path: output
            destination: results.zip
            exclude: ["**/*.tmp"]
    """
    from orchestrator.tools.archives.creation import archive_format, checked_prefix, entries_below, pack
    from orchestrator.tools.archives.limits import ArchiveLimits, ArchiveMeter

    _check_patterns(include)
    _check_patterns(exclude)
    format, chosen, above = archive_format(destination), file_mode(mode), checked_prefix(prefix, destination)
    source, target = permitted_location(context, path, "read"), permitted_location(context, destination, "write")
    meter = ArchiveMeter(destination, max_bytes, ArchiveLimits(max_bytes, max_entries))

    def work() -> CreatedArchive:
        with file_errors("pack", path):
            if path_status(source) is None:
                raise FileNotFoundError(2, os.strerror(2), path)
            nodes = entries_below(source, target, include=include, exclude=exclude)
        with file_errors("write", destination), replacing(target, mode=chosen, overwrite=overwrite) as file:
            packed = pack(file, format, nodes, meter, prefix=above, report=context.progress)
            size = file.tell()
            meter.check_stopped()
        context.wrote(target.path)
        return {
            "path": destination,
            "size": size,
            "entries": [_readable(name) for name in packed.names],
            "count": len(packed.names),
            "content_size": packed.size,
        }

    return await _until(timeout, f"packing `{path}`", meter, work)


@tool(name="list", primary="entries", refusal=checks_paths(path="read"), reads=("path",))
async def list_entries(
    path: Archive,
    context: ToolContext,
    include: Include = None,
    exclude: Exclude = None,
    max_bytes: MaxBytes = 1_000_000_000,
    max_entries: MaxEntries = 10_000,
    max_ratio: MaxRatio = 250,
    timeout: Timeout = 600,  # noqa: ASYNC109 - the name that pipelines use
) -> ArchiveListing:
    """List the entries of an archive without unpacking it.

    Example:
        - id: listed
          tool: archive
          action: list
          parameters:
            path: downloads/data.zip
    """
    from orchestrator.tools.archives.entry_names import entry_names, is_selected
    from orchestrator.tools.archives.formats import opened_archive
    from orchestrator.tools.archives.limits import ArchiveLimits

    _check_patterns(include)
    _check_patterns(exclude)

    def work(file: BinaryIO, meter: "ArchiveMeter") -> ArchiveListing:
        found: list[ListedEntry] = []
        with file_errors("read", path), opened_archive(file, meter) as (format, entries):
            for entry in entries:
                meter.count_entry()
                names = entry_names(entry.name, path)
                if names and is_selected(names, include, exclude):
                    found.append(
                        {
                            "path": _readable("/".join(names)),
                            "type": "file" if entry.kind == "hard link" else entry.kind,
                            "size": entry.size if entry.size >= 0 else None,
                            "modified": _time(entry.modified),
                        }
                    )
        return {"entries": found, "count": len(found), "format": format}

    return await _with_archive(context, path, ArchiveLimits(max_bytes, max_entries, max_ratio), timeout, work)


async def _with_archive(
    context: ToolContext,
    path: str,
    limits: Any,
    seconds: float,
    work: "Callable[[BinaryIO, ArchiveMeter], T]",
) -> T:
    """Do work with an open archive in a thread."""
    from orchestrator.tools.archives.limits import ArchiveMeter

    place = permitted_location(context, path, "read")
    meter = ArchiveMeter(path, 0, limits)

    def opened() -> T:
        with _opened(place, path) as file:
            meter.size = require_file(file.fileno(), path)
            return work(file, meter)

    return await _until(seconds, f"reading `{path}`", meter, opened)


def _opened(place: Location, path: str) -> BinaryIO:
    with file_errors("read", path):
        return os.fdopen(open_location(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb")


async def _until(seconds: float, doing: str, meter: "ArchiveMeter", work: Callable[[], T]) -> T:
    """Do work in a thread; when it is cancelled or takes too long, the thread ends it and removes what it has made."""
    try:
        async with asyncio.timeout(seconds):
            found: T = await run_in_thread(work)
            return found
    except TimeoutError:
        raise StepTimeout(f"{doing} took longer than {seconds:g} s", seconds=seconds, help="raise `timeout`") from None
    finally:
        meter.stopped.set()


def _time(seconds: float) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None
    except (OverflowError, ValueError, OSError):
        return None


def _readable(name: str) -> str:
    """Return a name as valid Unicode: invalid bytes become replacement characters."""
    return os.fsencode(name).decode("utf-8", "replace")
