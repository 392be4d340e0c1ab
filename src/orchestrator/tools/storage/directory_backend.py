"""A directory of this machine as a store, below which no link leads elsewhere."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from msgspec.structs import replace

from orchestrator.tools.sandbox.paths import open_location, open_parent, path_status
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.sandbox.trees import file_kind, replacing, require_file, walk_tree
from orchestrator.tools.storage.backend import (
    CHUNK,
    ObjectContent,
    StoredObject,
    exists_already,
    not_found,
    storage_failure,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.errors import StepError
    from orchestrator.tools.sandbox.paths import Location
    from orchestrator.tools.sandbox.permissions import Access, Permissions
    from orchestrator.tools.storage.settings import StorageSetting


class DirectoryBackend:
    """A directory, of which the regular files are objects. What a run may not change in it, it cannot change here."""

    def __init__(self, store: StorageSetting, permissions: Permissions) -> None:
        self._setting = store
        root = permissions.directory / f"/{'/'.join(store.prefix)}"
        self._all = permissions.extended(paths=[root])
        self._inside = replace(permissions, directory=root, output_directory=None, allow_paths=())

    def _place(self, key: str, access: Access) -> Location:
        path = f"/{key}"
        checked = self._all.check_read(path) if access == "read" else self._all.check_write(path)
        place = checked or self._inside.locate(path, access=access)
        if isinstance(place, Refusal):
            raise place.error()
        return place

    def find(self, key: str) -> StoredObject | None:
        """Return an object without its content; None if it does not exist."""
        try:
            status = path_status(self._place(key, "read"))
        except NotADirectoryError:
            return None
        if status is None or file_kind(status.st_mode) != "file":
            return None
        return _object(key, status)

    def open(self, key: str) -> ObjectContent:
        """Return the content of a file, which may not be replaced meanwhile."""
        found = self.find(key)
        if found is None:
            raise not_found(self._setting, key)
        return ObjectContent(found, self._chunks(found))

    def _chunks(self, found: StoredObject) -> Iterator[bytes]:
        with os.fdopen(self._opened(found.key), "rb") as file:
            require_file(file.fileno(), found.key)
            if _object(found.key, os.fstat(file.fileno())) != found:
                raise storage_failure(
                    f"`{self._setting.shown(found.key)}` in the store `{self._setting.name}` was changed meanwhile",
                    "read it again",
                    retryable=True,
                )
            while piece := file.read(CHUNK):
                yield piece

    def write(self, key: str, body: bytes | BinaryIO, *, overwrite: bool, content_type: str | None) -> StoredObject:
        """Write a file, which replaces another one when it is complete."""
        try:
            with replacing(self._place(key, "write"), overwrite=overwrite) as file:
                if isinstance(body, bytes):
                    file.write(body)
                else:
                    shutil.copyfileobj(body, file, CHUNK)
                file.flush()
                size = os.fstat(file.fileno()).st_size
        except FileExistsError:
            raise exists_already(self._setting, key) from None
        except OSError as error:
            raise self._failure("write", key, error) from error
        return self.find(key) or StoredObject(key, size)

    def entries(self, prefix: str, *, recursive: bool) -> Iterator[StoredObject]:
        """Yield the files below a directory; without `recursive`, those in it, and its directories."""
        top = self._place(prefix, "read")
        try:
            for node in walk_tree(top, enter=lambda _: recursive):
                key = "/".join(filter(None, (prefix, *node.names)))
                if node.kind == "file":
                    yield _object(key, node.status)
                elif node.kind == "directory" and not recursive:
                    yield StoredObject(f"{key}/")
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self._failure("list", prefix, error) from error

    def copy(self, key: str, target: str) -> None:
        """Copy a file."""
        with os.fdopen(self._opened(key), "rb") as file:
            self.write(target, file, overwrite=True, content_type=None)

    def _opened(self, key: str) -> int:
        try:
            return open_location(self._place(key, "read"), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except (FileNotFoundError, NotADirectoryError):
            raise not_found(self._setting, key) from None
        except OSError as error:
            raise self._failure("read", key, error) from error

    def delete(self, key: str) -> None:
        """Delete a file; one that does not exist is no error."""
        place = self._place(key, "write")
        try:
            with open_parent(place) as (parent, name):
                os.unlink(name, dir_fd=parent)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self._failure("delete", key, error) from error

    def _failure(self, doing: str, key: str, error: OSError) -> StepError:
        reason = (error.strerror or str(error)).lower()
        return storage_failure(
            f"cannot {doing} `{self._setting.shown(key)}` in the store `{self._setting.name}`: {reason}"
        )


def _object(key: str, status: os.stat_result) -> StoredObject:
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return StoredObject(key, status.st_size, modified, f'"{status.st_mtime_ns:x}-{status.st_size:x}"')
