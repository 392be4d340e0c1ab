"""Read, write and manage files in the directories that the run may access."""

import base64
import errno
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypedDict

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.content import NotText, decode_text, encoding_problem
from orchestrator.tools.builtin.access import (
    Mode,
    checks_paths,
    file_errors,
    file_mode,
    permitted_location,
    record_written,
)
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.sandbox import trees
from orchestrator.tools.sandbox.paths import Location, open_location, open_parent, path_status
from orchestrator.tools.sandbox.permissions import Access
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.sandbox.trees import Kind, TreeEntry, file_kind, replacing, require_file

_MAX_BYTES = 10_000_000

PathText = Annotated[str, "The path, relative to the working directory."]


def _check_encoding(encoding: str) -> None:
    if encoding != "base64" and encoding_problem(encoding) is not None:
        help = "use `utf-8`, `latin-1`, another encoding supported by Python, or `base64`"
        raise StepError(f"unknown encoding `{encoding}`", code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)


Encoding = Annotated[
    str,
    "The text encoding, such as `utf-8` or `latin-1`, or `base64` for binary data.",
    Checked(_check_encoding),
]


class ReadResult(TypedDict):
    """The content of the file."""

    content: Annotated[str, "The text of the file, or its bytes in base64 with `encoding: base64`."]
    path: Annotated[str, "The path, as given."]
    size: Annotated[int, "The size of the file in bytes."]


class WriteResult(TypedDict):
    """The path of the written file, and its size in bytes."""

    path: Annotated[str, "The path, as given."]
    size: Annotated[int, "The size of the file in bytes."]


class MoveResult(TypedDict):
    """The old and the new path."""

    path: Annotated[str, "The old path."]
    destination: Annotated[str, "The new path."]


class DeleteResult(TypedDict):
    """The deleted path; `deleted` is false if it did not exist."""

    path: Annotated[str, "The path, as given."]
    deleted: Annotated[bool, "Whether the path existed."]


class DirectoryEntry(TypedDict):
    """One entry of a directory. `size` is in bytes, `modified` in UTC as ISO 8601."""

    name: Annotated[str, "The name without the directory."]
    path: Annotated[str, "The path, including the listed directory."]
    type: Annotated[Kind, "The kind of the entry."]
    size: Annotated[int, "The size in bytes."]
    modified: Annotated[str, "The time of the last modification, in UTC as ISO 8601."]


class DirectoryListing(TypedDict):
    """The entries of a directory, sorted by name."""

    entries: Annotated[list[DirectoryEntry], "The entries, sorted by name."]
    count: Annotated[int, "The number of entries."]


class GlobResult(TypedDict):
    """The matching paths, sorted."""

    paths: Annotated[list[str], "The matching paths, sorted."]
    count: Annotated[int, "The number of paths."]


class ExistsResult(TypedDict):
    """Whether a path exists, and its kind."""

    exists: Annotated[bool, "Whether the path exists."]
    type: Annotated[Kind | None, "The kind of the entry, or null."]
    size: Annotated[int | None, "The size in bytes, or null."]


@tool(name="read", primary="content", refusal=checks_paths(path="read"), reads=("path",))
def read_file(
    path: PathText,
    context: ToolContext,
    encoding: Encoding = "utf-8",
    max_bytes: Annotated[int, "The maximum size of the file, in bytes."] = _MAX_BYTES,
) -> ReadResult:
    """Read a text file, or any file as base64.

    Example:
        - id: notes
          tool: filesystem
          action: read
          parameters:
            path: notes.txt
    """
    place = permitted_location(context, path, "read")
    with file_errors("read", path):
        data = _read_bytes(place, max_bytes)
    return {"content": decode_content(data, encoding, path), "path": path, "size": len(data)}


@tool(name="write", primary="path", refusal=checks_paths(path="write"))
def write_file(
    path: PathText,
    content: Annotated[str, "The text to write."],
    context: ToolContext,
    encoding: Encoding = "utf-8",
    overwrite: Annotated[bool, "Replace an existing file."] = True,
    mode: Mode = None,
) -> WriteResult:
    """Write a text file, or binary data given as base64. Missing directories are created.

    The file is replaced atomically: other programs see either the old or the new content.

    Example:
        - id: save
          tool: filesystem
          action: write
          parameters:
            path: output/report.md
            content: "{{ report }}"
    """
    place = permitted_location(context, path, "write")
    data, chosen = encode_content(content, encoding, path), file_mode(mode)
    with file_errors("write", path):
        write_bytes(place, data, mode=chosen, overwrite=overwrite)
    context.wrote(place.path)
    return {"path": path, "size": len(data)}


@tool(primary="path", refusal=checks_paths(path="write"))
def append(
    path: PathText,
    content: Annotated[str, "The text to append."],
    context: ToolContext,
    encoding: Encoding = "utf-8",
) -> WriteResult:
    """Append text to a file, which is created if it does not exist.

    Example:
        - id: note
          tool: filesystem
          action: append
          parameters:
            path: output/log.txt
            content: "{{ summary }}"
    """
    place = permitted_location(context, path, "write")
    data = encode_content(content, encoding, path)
    with file_errors("append to", path):
        with open_parent(place, create=True):
            pass
        size = _append(place, data)
    context.wrote(place.path)
    return {"path": path, "size": size}


@tool(primary="destination", refusal=checks_paths(path="read", destination="write"), reads=("path",))
def copy(
    path: PathText,
    destination: Annotated[str, "The path of the copy."],
    context: ToolContext,
    overwrite: Annotated[bool, "Replace an existing file."] = True,
) -> MoveResult:
    """Copy a file, or a directory with its contents. Symbolic links inside a directory stay links.

    Example:
        - id: backup
          tool: filesystem
          action: copy
          parameters:
            path: data.csv
            destination: backup/data.csv
    """
    source, target = permitted_location(context, path, "read"), permitted_location(context, destination, "write")
    with file_errors("copy", path):
        found = path_status(source)
        if found is not None and file_kind(found.st_mode) == "directory":
            if not overwrite and path_status(target) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), destination)
            trees.copy_tree(source, target, refuse_link=context.permissions.check_replace)
        else:
            trees.copy_file(source, target, overwrite=overwrite)
        record_written(context, target)
    return {"path": path, "destination": destination}


@tool(primary="destination", refusal=checks_paths(path="remove", destination="write"), reads=("path",))
def move(
    path: PathText,
    destination: Annotated[str, "The new path."],
    context: ToolContext,
    overwrite: Annotated[bool, "Replace an existing file."] = True,
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
    source, target = _unresolved(context, path, "remove"), permitted_location(context, destination, "write")
    refusal = context.permissions.check_replace(target)
    if refusal is not None:
        raise refusal.error()
    with file_errors("move", path):
        trees.move_entry(source, target, overwrite=overwrite)
        record_written(context, target)
    return {"path": path, "destination": destination}


@tool(primary="deleted", refusal=checks_paths(path="remove"))
def delete(
    path: PathText,
    context: ToolContext,
    recursive: Annotated[bool, "Delete a directory with its contents."] = False,
    missing_ok: Annotated[bool, "Do not fail if the path does not exist."] = False,
) -> DeleteResult:
    """Delete a file, a symbolic link (not its target), or a directory.

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
            trees.remove_entry(place, recursive=recursive)
        except FileNotFoundError:
            if not missing_ok:
                raise
            return {"path": path, "deleted": False}
    return {"path": path, "deleted": True}


@tool(name="list", primary="entries", refusal=checks_paths(path="read"))
def list_directory(
    context: ToolContext,
    path: PathText = ".",
    recursive: Annotated[bool, "Include subdirectories (links are not followed)."] = False,
    hidden: Annotated[bool, "Include names that start with a dot."] = False,
) -> DirectoryListing:
    """List a directory, sorted by name.

    Example:
        - id: inbox
          tool: filesystem
          action: list
          parameters:
            path: inbox
    """
    place = permitted_location(context, path, "read")
    with file_errors("list", path):
        nodes = trees.walk_tree(place, enter=lambda node: recursive and (hidden or not _is_hidden(node)))
        entries = [_entry(node) for node in nodes if hidden or not _is_hidden(node)]
    entries.sort(key=lambda entry: entry["path"])
    return {"entries": entries, "count": len(entries)}


def _check_pattern(pattern: str) -> None:
    parts = Path(pattern).parts
    if not parts or Path(pattern).is_absolute() or ".." in parts:
        raise StepError(
            f"`{pattern}` is not a pattern inside the directory",
            code=codes.INVALID_TOOL_INPUT,
            help="remove the leading `/` and every `..`; set the directory with `path`",
            retryable=False,
        )


PathPattern = Annotated[
    str,
    "A pattern such as `*.csv` or `**/*.md`; `**` matches directories, but not links.",
    Checked(_check_pattern),
]


@tool(primary="paths", refusal=checks_paths(path="read"))
def glob(
    pattern: PathPattern,
    context: ToolContext,
    path: Annotated[str, "The directory to search."] = ".",
) -> GlobResult:
    """Find the paths that match a pattern, sorted, within the permitted directories.

    Example:
        - id: pages
          tool: filesystem
          action: glob
          parameters:
            pattern: "docs/**/*.md"
    """
    place = permitted_location(context, path, "read")
    _check_pattern(pattern)
    parts = Path(pattern).parts
    permissions = context.permissions

    def follow(link: Location) -> Location | None:
        led = permissions.locate(link.path)
        return None if isinstance(led, Refusal) else led

    with file_errors("search", path):
        paths = sorted(
            _readable(place.child(*names).text)
            for names in trees.find_matches(place, parts, directories=pattern.endswith("/"), follow=follow)
        )
    return {"paths": paths, "count": len(paths)}


@tool(primary="exists", refusal=checks_paths(path="read"))
def exists(path: PathText, context: ToolContext) -> ExistsResult:
    """Check whether a file or directory exists.

    Example:
        - id: cached
          tool: filesystem
          action: exists
          parameters:
            path: cache/page.html
    """
    place = permitted_location(context, path, "read")
    with file_errors("check", path):
        found = path_status(place)
    if found is None:
        return {"exists": False, "type": None, "size": None}
    return {"exists": True, "type": file_kind(found.st_mode), "size": found.st_size}


def read_bytes(context: ToolContext, path: str, max_bytes: int) -> bytes:
    """Read a file for another tool, with the same checks and errors."""
    place = permitted_location(context, path, "read")
    with file_errors("read", path):
        return _read_bytes(place, max_bytes)


def write_bytes(place: Location, data: bytes, *, mode: int | None = None, overwrite: bool = True) -> None:
    """Replace a file atomically. It survives the end of this process, but not a power failure (without fsync)."""
    with replacing(place, mode=mode, overwrite=overwrite) as file:
        file.write(data)


def _append(place: Location, data: bytes) -> int:
    """Append to a file and return its size. One with several hard links is replaced, and the others stay unchanged."""
    waiting = getattr(os, "O_NONBLOCK", 0)
    descriptor = open_location(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT | waiting)
    with os.fdopen(descriptor, "ab") as file:
        require_file(descriptor, place.text)
        if os.fstat(descriptor).st_nlink <= 1:
            file.write(data)
            return file.tell()
    with os.fdopen(open_location(place, os.O_RDONLY | waiting), "rb") as old, replacing(place) as file:
        require_file(old.fileno(), place.text)
        shutil.copyfileobj(old, file)
        file.write(data)
        return file.tell()


def _read_bytes(place: Location, max_bytes: int) -> bytes:
    descriptor = open_location(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        size = require_file(descriptor, place.text)
        data = b"" if size > max_bytes else file.read(max_bytes + 1)
    if size > max_bytes or len(data) > max_bytes:
        raise StepError(
            f"`{place.text}` has {max(size, len(data)):,} bytes, more than the limit of {max_bytes:,}",
            code=codes.FILE_FAILED,
            help="increase `max_bytes`",
            retryable=False,
        )
    return data


def _unresolved(context: ToolContext, path: str, access: Access) -> Location:
    """Return the location of the name itself, without following a symbolic link."""
    permitted_location(context, path, access)
    text = Path(os.path.normpath(context.permissions.directory / path))
    parent = permitted_location(context, str(text.parent), "write")
    return Location(parent.root, (*parent.parts, text.name), path, parent.guard)


def decode_content(data: bytes, encoding: str, path: str) -> str:
    """Return the bytes of a file as text, or as base64."""
    _check_encoding(encoding)
    if encoding == "base64":
        return base64.b64encode(data).decode()
    try:
        return decode_text(data, encoding)
    except NotText as error:
        help = "set the right `encoding`, such as `latin-1` or `utf-16`, or `encoding: base64` for binary data"
        raise StepError(
            f"`{path}` cannot be read: {error}", code=codes.FILE_FAILED, help=help, retryable=False
        ) from error


def encode_content(content: str, encoding: str, path: str) -> bytes:
    """Return a text, or base64, as the bytes of a file."""
    _check_encoding(encoding)
    if encoding == "base64":
        try:
            return base64.b64decode(content, validate=True)
        except ValueError as error:
            raise StepError(
                f"`{path}`: the content is not valid base64", code=codes.INVALID_TOOL_INPUT, retryable=False
            ) from error
    try:
        return content.encode(encoding)
    except UnicodeError as error:
        character = repr(error.object[error.start]) if isinstance(error, UnicodeEncodeError) else "the text"
        message = f"`{path}`: {encoding} cannot encode {character}"
        raise StepError(
            message, code=codes.INVALID_TOOL_INPUT, help="use `encoding: utf-8`", retryable=False
        ) from error


def _is_hidden(node: TreeEntry) -> bool:
    return node.names[-1].startswith(".")


def _entry(node: TreeEntry) -> DirectoryEntry:
    return {
        "name": _readable(node.names[-1]),
        "path": _readable(node.place.text),
        "type": node.kind,
        "size": node.status.st_size,
        "modified": datetime.fromtimestamp(node.status.st_mtime, UTC).isoformat(timespec="seconds"),
    }


def _readable(name: str) -> str:
    """Return a name as valid Unicode: invalid bytes become replacement characters."""
    return os.fsencode(name).decode("utf-8", "replace")
