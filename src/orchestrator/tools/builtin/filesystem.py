"""Read, write and arrange files in the directories that the run may touch."""

import base64
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, TypedDict

from orchestrator.errors import StepError
from orchestrator.tools.builtin.access import Access, checks_paths, file_errors, permitted
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.definition import tool
from orchestrator.tools.paths import Location, list_location, open_location, open_parent

_MAX_BYTES = 10_000_000
_MAX_ENTRIES = 100_000

PathText = Annotated[str, "The path; a relative one starts in the working directory."]
Encoding = Annotated[str, "The text encoding, such as `utf-8` or `latin-1`; `base64` for binary data."]
Kind = Literal["file", "directory", "link", "other"]


class ReadResult(TypedDict):
    """What was read."""

    content: str
    path: str
    size: int


class WriteResult(TypedDict):
    """What was written: the path as given, and the size of the file in bytes."""

    path: str
    size: int


class MoveResult(TypedDict):
    """Where something was and is."""

    path: str
    destination: str


class DeleteResult(TypedDict):
    """What was deleted; `deleted` is false where nothing was there."""

    path: str
    deleted: bool


class Entry(TypedDict):
    """One entry of a directory. `size` in bytes, `modified` in UTC as ISO 8601."""

    name: str
    path: str
    type: Kind
    size: int
    modified: str


class ListResult(TypedDict):
    """The entries of a directory, sorted by name."""

    entries: list[Entry]
    count: int


class GlobResult(TypedDict):
    """The paths that match, sorted."""

    paths: list[str]
    count: int


class ExistsResult(TypedDict):
    """Whether something is there, and what."""

    exists: bool
    type: Kind | None
    size: int | None


@tool(primary="content", refusal=checks_paths(path="read"), reads=("path",))
def read(
    path: PathText,
    context: ToolContext,
    encoding: Encoding = "utf-8",
    max_bytes: Annotated[int, "The size over which the file is refused, in bytes."] = _MAX_BYTES,
) -> ReadResult:
    """Read a text file, or any file as base64.

    Example:
        - id: notes
          tool: filesystem
          action: read
          parameters:
            path: notes.txt
    """
    place = permitted(context, path, "read")
    with file_errors("read", path):
        data = _read_bytes(place, max_bytes)
    return {"content": _decode(data, encoding, path), "path": path, "size": len(data)}


@tool(primary="path", refusal=checks_paths(path="write"))
def write(
    path: PathText,
    content: Annotated[str, "The text to write."],
    context: ToolContext,
    encoding: Encoding = "utf-8",
    overwrite: Annotated[bool, "Whether an existing file is replaced."] = True,
) -> WriteResult:
    """Write a text file, or binary data given as base64. Missing directories are made.

    The file is replaced as a whole: whoever reads it meanwhile sees the old content or the new, never a part.

    Example:
        - id: save
          tool: filesystem
          action: write
          parameters:
            path: output/report.md
            content: "{{ report }}"
    """
    place = permitted(context, path, "write")
    data = _encode(content, encoding, path)
    with file_errors("write", path):
        if not overwrite and place.path.exists():
            raise FileExistsError(17, "exists", path)
        write_bytes(place, data)
    return {"path": path, "size": len(data)}


@tool(primary="path", refusal=checks_paths(path="write"))
def append(
    path: PathText,
    content: Annotated[str, "The text to add at the end."],
    context: ToolContext,
    encoding: Encoding = "utf-8",
) -> WriteResult:
    """Add text at the end of a file, which is made if it is not there.

    Example:
        - id: note
          tool: filesystem
          action: append
          parameters:
            path: output/log.txt
            content: "{{ summary }}"
    """
    place = permitted(context, path, "write")
    data = _encode(content, encoding, path)
    with file_errors("append to", path):
        with open_parent(place, create=True):
            pass
        descriptor = open_location(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "ab") as file:
            _require_file(descriptor, path)
            file.write(data)
            size = file.tell()
    return {"path": path, "size": size}


@tool(primary="destination", refusal=checks_paths(path="read", destination="write"), reads=("path",))
def copy(
    path: PathText,
    destination: Annotated[str, "The path of the copy."],
    context: ToolContext,
    overwrite: Annotated[bool, "Whether an existing file is replaced."] = True,
) -> MoveResult:
    """Copy a file, or a directory with all that it holds. Symbolic links inside a directory stay links.

    Example:
        - id: backup
          tool: filesystem
          action: copy
          parameters:
            path: data.csv
            destination: backup/data.csv
    """
    source, target = permitted(context, path, "read"), permitted(context, destination, "write")
    with file_errors("copy", path):
        _require_absent(target, overwrite)
        if source.path.is_dir():
            shutil.copytree(source.path, target.path, symlinks=True, dirs_exist_ok=overwrite)
        else:
            descriptor = open_location(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with os.fdopen(descriptor, "rb") as original, replacing(target) as file:
                _require_file(descriptor, path)
                shutil.copyfileobj(original, file, 1 << 20)
    return {"path": path, "destination": destination}


@tool(primary="destination", refusal=checks_paths(path="remove", destination="write"), reads=("path",))
def move(
    path: PathText,
    destination: Annotated[str, "The new path."],
    context: ToolContext,
    overwrite: Annotated[bool, "Whether an existing file is replaced."] = True,
) -> MoveResult:
    """Move or rename a file or directory.

    Example:
        - id: archive
          tool: filesystem
          action: move
          parameters:
            path: inbox/a.txt
            destination: done/a.txt
    """
    source, target = _unresolved(context, path, "remove"), permitted(context, destination, "write")
    with file_errors("move", path):
        _require_absent(target, overwrite)
        with open_parent(source) as (from_directory, name), open_parent(target, create=True) as (to_directory, new):
            os.replace(name, new, src_dir_fd=from_directory, dst_dir_fd=to_directory)
    return {"path": path, "destination": destination}


@tool(primary="deleted", refusal=checks_paths(path="remove"))
def delete(
    path: PathText,
    context: ToolContext,
    recursive: Annotated[bool, "Whether a directory is deleted with all that it holds."] = False,
    missing_ok: Annotated[bool, "Whether it is fine when nothing is there."] = False,
) -> DeleteResult:
    """Delete a file, a symbolic link (not what it leads to), or a directory.

    Example:
        - id: clean
          tool: filesystem
          action: delete
          parameters:
            path: scratch
            recursive: true
    """
    place = _unresolved(context, path, "remove")
    with file_errors("delete", path):
        try:
            with open_parent(place) as (parent, name):
                found = os.stat(name, dir_fd=parent, follow_symlinks=False)
                if not stat.S_ISDIR(found.st_mode):
                    os.unlink(name, dir_fd=parent)
                elif recursive:
                    shutil.rmtree(name, dir_fd=parent)
                else:
                    os.rmdir(name, dir_fd=parent)
        except FileNotFoundError:
            if not missing_ok:
                raise
            return {"path": path, "deleted": False}
    return {"path": path, "deleted": True}


@tool(name="list", primary="entries", refusal=checks_paths(path="read"))
def list_(
    context: ToolContext,
    path: PathText = ".",
    recursive: Annotated[bool, "Whether directories below are listed too (links are not followed)."] = False,
    hidden: Annotated[bool, "Whether names that begin with a dot are listed."] = False,
) -> ListResult:
    """List a directory, sorted by name.

    Example:
        - id: inbox
          tool: filesystem
          action: list
          parameters:
            path: inbox
    """
    place = permitted(context, path, "read")
    entries: list[Entry] = []
    with file_errors("list", path):
        waiting = [(place, "" if path == "." else path)]
        while waiting:
            directory, prefix = waiting.pop()
            for found in list_location(directory):
                if found.name.startswith(".") and not hidden:
                    continue
                below = f"{prefix}/{found.name}" if prefix else found.name
                entries.append(_entry(found, below))
                if recursive and found.is_dir(follow_symlinks=False):
                    waiting.append((Location(directory.root, (*directory.parts, found.name), below), below))
                if len(entries) > _MAX_ENTRIES:
                    raise _too_many(path)
    entries.sort(key=lambda entry: entry["path"])
    return {"entries": entries, "count": len(entries)}


@tool(primary="paths", refusal=checks_paths(path="read"))
def glob(
    pattern: Annotated[str, "A pattern such as `*.csv` or `**/*.md`; `**` goes through directories, not links."],
    context: ToolContext,
    path: Annotated[str, "The directory to search."] = ".",
) -> GlobResult:
    """Find the paths that match a pattern, sorted; those that lead out of the permitted directories are left out.

    Example:
        - id: pages
          tool: filesystem
          action: glob
          parameters:
            pattern: "docs/**/*.md"
    """
    place = permitted(context, path, "read")
    parts = Path(pattern).parts
    if not parts or Path(pattern).is_absolute() or ".." in parts:
        raise StepError(
            f"`{pattern}` is no pattern below the directory",
            code="ORC710",
            help="leave out the leading `/` and every `..`; give the directory as `path`",
            retryable=False,
        )
    found: list[str] = []
    with file_errors("search", path):
        for match in place.path.glob(pattern):
            if context.permissions.check_read(match) is None:
                below = match.relative_to(place.path).as_posix()
                found.append(below if path == "." else f"{path.rstrip('/')}/{below}")
            if len(found) > _MAX_ENTRIES:
                raise _too_many(path)
    return {"paths": sorted(found), "count": len(found)}


@tool(primary="exists", refusal=checks_paths(path="read"))
def exists(path: PathText, context: ToolContext) -> ExistsResult:
    """Say whether a file or directory is there.

    Example:
        - id: cached
          tool: filesystem
          action: exists
          parameters:
            path: cache/page.html
    """
    place = permitted(context, path, "read")
    with file_errors("look at", path):
        try:
            found = place.path.stat(follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return {"exists": False, "type": None, "size": None}
    return {"exists": True, "type": _kind(found.st_mode), "size": found.st_size}


def read_bytes(context: ToolContext, path: str, max_bytes: int) -> bytes:
    """Read a file on behalf of another tool, with the same checks and errors."""
    place = permitted(context, path, "read")
    with file_errors("read", path):
        return _read_bytes(place, max_bytes)


def write_bytes(place: Location, data: bytes) -> None:
    """Replace a file as a whole. It survives the end of this process, not a power cut (there is no fsync)."""
    with replacing(place) as file:
        file.write(data)


def _read_bytes(place: Location, max_bytes: int) -> bytes:
    descriptor = open_location(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        size = _require_file(descriptor, place.text)
        data = b"" if size > max_bytes else file.read(max_bytes + 1)
    if size > max_bytes or len(data) > max_bytes:
        raise StepError(
            f"`{place.text}` has {max(size, len(data)):,} bytes, more than the limit of {max_bytes:,}",
            code="ORC709",
            help="give a larger `max_bytes`",
            retryable=False,
        )
    return data


@contextmanager
def replacing(place: Location) -> Iterator[BinaryIO]:
    """Give a new file that takes the place when all is written, and leaves nothing behind when it is not."""
    with open_parent(place, create=True) as (parent, name):
        head, tail = os.path.split(name)
        temporary = os.path.join(head, f".{tail[:60]}.{secrets.token_hex(6)}.tmp")  # noqa: PTH118 - beside the name
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(temporary, flags, _mode_of(name, parent), dir_fd=parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
            os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=parent)
            raise


def _mode_of(name: str, parent: int | None) -> int:
    """The mode of the file that is replaced, or that of a new one."""
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return 0o666
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(21, "is a directory", name)
    return stat.S_IMODE(found.st_mode)


def _unresolved(context: ToolContext, path: str, access: Access) -> Location:
    """The place of the name itself: of a symbolic link, not of what it leads to."""
    permitted(context, path, access)
    text = Path(os.path.normpath(context.permissions.directory / path))
    parent = permitted(context, str(text.parent), "read")
    return Location(parent.root, (*parent.parts, text.name), path)


def _require_file(descriptor: int, path: str) -> int:
    """Return the size of an open file; devices and pipes are refused, because reading them may never end."""
    found = os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(21, "is a directory", path)
    if not stat.S_ISREG(found.st_mode):
        raise StepError(f"`{path}` is a device, a pipe or a socket, not a file", code="ORC709", retryable=False)
    return found.st_size


def _require_absent(target: Location, overwrite: bool) -> None:
    if not overwrite and target.path.exists():
        raise FileExistsError(17, "exists", target.text)


def _decode(data: bytes, encoding: str, path: str) -> str:
    if encoding == "base64":
        return base64.b64encode(data).decode()
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        help = "give the right `encoding`, or `encoding: base64` for binary data"
        message = f"`{path}` is no {encoding} text: byte {error.start} does not belong there"
        raise StepError(message, code="ORC709", help=help, retryable=False) from error
    except LookupError as error:
        raise _unknown_encoding(encoding) from error


def _encode(content: str, encoding: str, path: str) -> bytes:
    try:
        if encoding == "base64":
            return base64.b64decode(content, validate=True)
        return content.encode(encoding)
    except UnicodeEncodeError as error:
        message = f"`{path}`: {encoding} has no character for {content[error.start]!r}"
        raise StepError(message, code="ORC710", help="use `encoding: utf-8`", retryable=False) from error
    except LookupError as error:
        raise _unknown_encoding(encoding) from error
    except ValueError as error:
        raise StepError(f"`{path}`: the content is not valid base64", code="ORC710", retryable=False) from error


def _unknown_encoding(encoding: str) -> StepError:
    help = "use `utf-8`, `latin-1`, another encoding that Python knows, or `base64`"
    return StepError(f"there is no encoding `{encoding}`", code="ORC710", help=help, retryable=False)


def _entry(found: os.DirEntry[str], path: str) -> Entry:
    status = found.stat(follow_symlinks=False)
    return {
        "name": _readable(found.name),
        "path": _readable(path),
        "type": _kind(status.st_mode),
        "size": status.st_size,
        "modified": datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds"),
    }


def _readable(name: str) -> str:
    """The name as valid Unicode: bytes that are none become a replacement mark."""
    return os.fsencode(name).decode("utf-8", "replace")


def _kind(mode: int) -> Kind:
    if stat.S_ISLNK(mode):
        return "link"
    if stat.S_ISDIR(mode):
        return "directory"
    return "file" if stat.S_ISREG(mode) else "other"


def _too_many(path: str) -> StepError:
    message = f"`{path}` holds more than {_MAX_ENTRIES:,} entries"
    return StepError(message, code="ORC709", help="name a directory further down", retryable=False)
