"""Read, write and list objects of S3, Google Cloud, Azure and directories: the stores under `[storage]`."""

import os
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal, TypedDict, cast

from orchestrator.tools.builtin.access import checks_paths, file_errors, permitted_location
from orchestrator.tools.builtin.filesystem import Encoding, decode_content, encode_content
from orchestrator.tools.builtin.stored import (
    backend_for,
    bounded_chunks,
    media_type,
    read_stored,
    stored_place,
)
from orchestrator.tools.contract import RefusalCheck, ToolContext
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.sandbox.paths import open_location
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.sandbox.trees import replacing, require_file

if TYPE_CHECKING:
    from orchestrator.tools.storage.backend import StoredObject
    from orchestrator.tools.storage.settings import StoredPlace

_MAX_BYTES = 10_000_000
_MAX_FILE = 5_000_000_000
_MOST_ENTRIES = 100_000

Url = Annotated[
    str,
    "The address: `s3://bucket/key`, `gs://`, `az://`, `file:///directory/name`, or `storage://NAME/key` with the name "
    "of a store.",
]


class StoredEntry(TypedDict):
    """An object of a store, or the part of keys below which there are some."""

    url: Annotated[str, "The address, in the form of the one that was given."]
    name: Annotated[str, "The key after the listed one."]
    type: Annotated[Literal["object", "prefix"], "A `prefix` stands for the objects below it."]
    size: Annotated[int | None, "The size in bytes; null for a prefix."]
    modified: Annotated[str | None, "The time of the last modification, in UTC as ISO 8601; null for a prefix."]


class StoredListing(TypedDict):
    """The objects below a key."""

    entries: Annotated[list[StoredEntry], "The objects and prefixes, sorted by name."]
    count: Annotated[int, "Their number."]


class StoredText(TypedDict):
    """An object with its content."""

    content: Annotated[str, "The text, or the bytes in base64 with `encoding: base64`."]
    url: Annotated[str, "The address, as given."]
    size: Annotated[int, "The size in bytes."]
    etag: Annotated[str | None, "What the store calls this version of the object, or null."]


class StoredResult(TypedDict):
    """An object that was written."""

    url: Annotated[str, "The address, as given."]
    size: Annotated[int, "The size in bytes."]
    etag: Annotated[str | None, "What the store calls this version of the object, or null."]


class StoredStatus(TypedDict):
    """Whether an object exists, and what it is."""

    exists: Annotated[bool, "Whether the object exists."]
    size: Annotated[int | None, "The size in bytes, or null."]
    modified: Annotated[str | None, "The time of the last modification, in UTC as ISO 8601, or null."]
    etag: Annotated[str | None, "What the store calls this version of the object, or null."]


class DownloadedObject(TypedDict):
    """The file that was written."""

    path: Annotated[str, "The path of the written file, as given."]
    url: Annotated[str, "The address, as given."]
    size: Annotated[int, "The size in bytes."]


class DeletedObject(TypedDict):
    """The deleted object; `deleted` is false if it did not exist."""

    url: Annotated[str, "The address, as given."]
    deleted: Annotated[bool, "Whether the object existed."]


def _stored(**accesses: Literal["read", "write"]) -> RefusalCheck:
    """Return a `refusal` for parameters that are addresses, and never paths."""

    def refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
        from orchestrator.tools.storage.settings import place_of

        for name, access in accesses.items():
            url = known.get(name)
            place = (
                place_of(url, permissions, writes=access == "write", parameter=name) if isinstance(url, str) else None
            )
            if isinstance(place, Refusal):
                return place
        return None

    return refusal


def _lists(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    from orchestrator.tools.storage.settings import place_of

    url = known.get("url")
    if not isinstance(url, str):
        return None
    place = place_of(url, permissions, writes=False, folder=True, parameter="url")
    return place if isinstance(place, Refusal) else None


def _downloads(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    return _stored(url="read")(known, permissions) or checks_paths(path="write")(known, permissions)


def _uploads(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    return checks_paths(path="read")(known, permissions) or _stored(url="write")(known, permissions)


@tool(name="read", primary="content", refusal=_stored(url="read"))
def read_object(
    url: Url,
    context: ToolContext,
    encoding: Encoding = "utf-8",
    max_bytes: Annotated[int, "The maximum size of the object, in bytes."] = _MAX_BYTES,
) -> StoredText:
    """Read an object as text, or as base64.

    Example:
        - id: notes
          tool: storage
          action: read
          parameters:
            url: s3://acme-reports/monthly/notes.txt
    """
    data, found = read_stored(context, url, max_bytes)
    return {"content": decode_content(data, encoding, url), "url": url, "size": len(data), "etag": found.etag}


@tool(name="write", primary="url", refusal=_stored(url="write"))
def write_object(
    url: Url,
    content: Annotated[str, "The text to write."],
    context: ToolContext,
    encoding: Encoding = "utf-8",
    overwrite: Annotated[bool, "Replace an existing object; otherwise it is an error, also between two runs."] = True,
    content_type: Annotated[str | None, "The media type; default: by the name."] = None,
) -> StoredResult:
    """Write an object from text, or from base64. Others see either the old or the new one.

    Example:
        - id: save
          tool: storage
          action: write
          parameters:
            url: storage://reports/summary.md
            content: "{{ summary }}"
    """
    data = encode_content(content, encoding, url)
    place = stored_place(context, url, writes=True)
    backend = backend_for(context, place)
    done = backend.write(place.path, data, overwrite=overwrite, content_type=content_type or media_type(url))
    return {"url": url, "size": len(data), "etag": done.etag}


@tool(name="list", primary="entries", refusal=_lists)
def list_objects(
    url: Annotated[str, "The address below which objects are listed: a store, or a part of it."],
    context: ToolContext,
    recursive: Annotated[bool, "List all objects below it, and no prefixes."] = False,
    max_entries: Annotated[int, "The maximum number of entries; more are an error."] = 10_000,
) -> StoredListing:
    """List the objects below an address.

    Example:
        - id: reports
          tool: storage
          action: list
          parameters:
            url: s3://acme-reports/monthly
            recursive: true
    """
    from orchestrator.tools.storage.backend import storage_failure

    place = stored_place(context, url, writes=False, folder=True)
    most = min(max_entries, _MOST_ENTRIES)
    found: list[StoredObject] = []
    for entry in backend_for(context, place).entries(place.path, recursive=recursive):
        if len(found) == most:
            help = "list a deeper part of it" if most == _MOST_ENTRIES else "raise `max_entries`, or list a deeper part"
            raise storage_failure(f"there are more than {most:,} objects below `{url}`", help)
        found.append(entry)
    entries = [_entry(entry, place) for entry in sorted(found, key=lambda each: each.key)]
    return {"entries": entries, "count": len(entries)}


@tool(primary="exists", refusal=_stored(url="read"))
def exists(url: Url, context: ToolContext) -> StoredStatus:
    """Tell whether an object exists, and its size.

    Example:
        - id: done
          tool: storage
          action: exists
          parameters:
            url: storage://reports/2026-01.csv
    """
    place = stored_place(context, url, writes=False)
    found = backend_for(context, place).find(place.path)
    if found is None:
        return {"exists": False, "size": None, "modified": None, "etag": None}
    return {"exists": True, "size": found.size, "modified": _time(found), "etag": found.etag}


@tool(primary="path", refusal=_downloads)
def download(
    url: Url,
    path: Annotated[str, "The path of the file to write."],
    context: ToolContext,
    max_bytes: Annotated[int, "The maximum size of the object, in bytes."] = _MAX_FILE,
) -> DownloadedObject:
    """Save an object in a file, which is replaced when it is complete.

    Example:
        - id: sales
          tool: storage
          action: download
          parameters:
            url: gs://acme-sales/2026.parquet
            path: data/2026.parquet
    """
    place = stored_place(context, url, writes=False)
    target = permitted_location(context, path, "write")
    content = backend_for(context, place).open(place.path)
    chunks = bounded_chunks(content.chunks, content.object.size, max_bytes, url)
    size = 0
    with file_errors("write", path), replacing(target) as file:
        for piece in chunks:
            file.write(piece)
            size += len(piece)
            context.progress(size / max(content.object.size, 1), f"{size:,} bytes")
    context.wrote(target.path)
    return {"path": path, "url": url, "size": size}


@tool(primary="url", refusal=_uploads, reads=("path",))
def upload(
    path: Annotated[str, "The path of the file."],
    url: Url,
    context: ToolContext,
    overwrite: Annotated[bool, "Replace an existing object; otherwise it is an error."] = True,
    max_bytes: Annotated[int, "The maximum size of the file, in bytes."] = _MAX_FILE,
    content_type: Annotated[str | None, "The media type; default: by the name."] = None,
) -> StoredResult:
    """Save a file as an object. A large one is sent in parts, and others see it when it is complete.

    Example:
        - id: published
          tool: storage
          action: upload
          parameters:
            path: output/report.pdf
            url: storage://reports/2026-01.pdf
    """
    source = permitted_location(context, path, "read")
    place = stored_place(context, url, writes=True)
    backend = backend_for(context, place)
    with file_errors("read", path):
        descriptor = open_location(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        with file_errors("read", path):
            size = require_file(descriptor, path)
        list(bounded_chunks(iter(()), size, max_bytes, path))
        kind = content_type or media_type(url)
        done = backend.write(place.path, cast("BinaryIO", file), overwrite=overwrite, content_type=kind)
    return {"url": url, "size": done.size, "etag": done.etag}


@tool(name="copy", primary="url", refusal=_stored(url="read", destination="write"))
def copy_object(
    url: Url,
    destination: Annotated[str, "The address of the copy, also in another store."],
    context: ToolContext,
    max_bytes: Annotated[int, "The maximum size of the object, in bytes."] = _MAX_FILE,
) -> StoredResult:
    """Copy an object, within a store without transferring it. An existing object is replaced.

    Example:
        - id: archived
          tool: storage
          action: copy
          parameters:
            url: storage://inbox/order.json
            destination: storage://archive/order.json
    """
    place, target = stored_place(context, url, writes=False), stored_place(context, destination, writes=True)
    source, sink = backend_for(context, place), backend_for(context, target)
    if place.store == target.store:
        source.copy(place.path, target.path)
    else:
        content = source.open(place.path)
        with tempfile.TemporaryFile() as file:
            for piece in bounded_chunks(content.chunks, content.object.size, max_bytes, url):
                file.write(piece)
                context.progress(file.tell() / max(content.object.size, 1), f"{file.tell():,} bytes")
            file.seek(0)
            sink.write(target.path, cast("BinaryIO", file), overwrite=True, content_type=media_type(destination))
    done = sink.find(target.path)
    return {"url": destination, "size": done.size if done else 0, "etag": done.etag if done else None}


@tool(name="delete", primary="deleted", refusal=_stored(url="write"))
def delete_object(url: Url, context: ToolContext) -> DeletedObject:
    """Delete an object. One that does not exist is no error.

    Example:
        - id: removed
          tool: storage
          action: delete
          parameters:
            url: storage://inbox/order.json
    """
    place = stored_place(context, url, writes=True)
    backend = backend_for(context, place)
    found = backend.find(place.path)
    if found is not None:
        backend.delete(place.path)
    return {"url": url, "deleted": found is not None}


def _entry(entry: "StoredObject", place: "StoredPlace") -> StoredEntry:
    below = len(place.path) + 1 if place.path else 0
    name = entry.key[below:]
    folder = entry.key.endswith("/")
    return {
        "url": f"{place.url.removesuffix('/')}/{name}",
        "name": name,
        "type": "prefix" if folder else "object",
        "size": None if folder else entry.size,
        "modified": _time(entry),
    }


def _time(entry: "StoredObject") -> str | None:
    return entry.modified.isoformat(timespec="seconds") if entry.modified is not None else None
