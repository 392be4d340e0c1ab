"""Object stores over the network, by obstore. Importing this module loads it."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, S3Store

from orchestrator.text.words import shorten
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
    from orchestrator.tools.storage.settings import StorageSetting

_CONNECT: Final = timedelta(seconds=10)
_REQUEST: Final = timedelta(seconds=120)
"""The time of one request, which transfers at most a few pieces of a large object."""

_RETRIES: Final[Any] = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}
_LARGEST_SINGLE: Final = 64 << 20
"""Bytes that are sent in one request. More are sent in parts, which become visible together."""

_CODE: Final = re.compile(r"<Code>([^<]{1,100})</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]{1,500})</Message>")
_STATUS: Final = re.compile(r"non-2xx status code: (\d{3} [A-Za-z -]*)")


class ObjectBackend:
    """A bucket of S3 or of what speaks its protocol, of Google Cloud Storage, or a container of Azure."""

    def __init__(self, store: StorageSetting) -> None:
        self._setting = store
        self._secrets = [
            value for each in (store.key_env, store.secret_env, store.token_env) if (value := store.secret(each))
        ]
        with self._errors("open", ""):
            self._store = _opened(store)

    def find(self, key: str) -> StoredObject | None:
        """Return an object without its content; None if it does not exist."""
        with self._errors("find", key):
            try:
                return _object(obstore.head(self._store, key))
            except FileNotFoundError:
                return None

    def open(self, key: str) -> ObjectContent:
        """Return the content of an object, read in pieces of which each must be of the same version."""
        found = self.find(key)
        if found is None:
            raise not_found(self._setting, key)
        return ObjectContent(found, self._chunks(found))

    def _chunks(self, found: StoredObject) -> Iterator[bytes]:
        for start in range(0, found.size, CHUNK):
            options: Any = {"range": (start, min(start + CHUNK, found.size))}
            if found.etag is not None:
                options["if_match"] = found.etag
            with self._errors("read", found.key):
                try:
                    piece = bytes(obstore.get(self._store, found.key, options=options).bytes())
                except FileNotFoundError:
                    raise not_found(self._setting, found.key) from None
            yield piece

    def write(self, key: str, body: bytes | BinaryIO, *, overwrite: bool, content_type: str | None) -> StoredObject:
        """Write an object as a whole or not at all, and return it."""
        size = len(body) if isinstance(body, bytes) else os.fstat(body.fileno()).st_size
        if not overwrite and size > _LARGEST_SINGLE:
            raise storage_failure(
                f"`{self._setting.shown(key)}` has {size:,} bytes, and "
                f"with `overwrite: false` at most {_LARGEST_SINGLE:,} can be written",
                "set `overwrite: true`, and write to a key that no other step uses",
            )
        attributes: Any = {"Content-Type": content_type} if content_type is not None else None
        with self._errors("write", key):
            try:
                done = obstore.put(
                    self._store,
                    key,
                    body,
                    attributes=attributes,
                    mode="overwrite" if overwrite else "create",
                    use_multipart=size > _LARGEST_SINGLE,
                    chunk_size=CHUNK,
                    max_concurrency=4,
                )
            except AlreadyExistsError:
                raise exists_already(self._setting, key) from None
            except FileNotFoundError as error:
                raise self._failure("write", key, error) from None
        return StoredObject(key, size, None, done["e_tag"])

    def entries(self, prefix: str, *, recursive: bool) -> Iterator[StoredObject]:
        """Yield the objects below a key; without `recursive`, those directly below it and the next parts of keys."""
        with self._errors("list", prefix):
            if recursive:
                for batch in obstore.list(self._store, prefix or None, chunk_size=1_000):
                    yield from map(_object, batch)
                return
            found = obstore.list_with_delimiter(self._store, prefix or None)
            yield from (StoredObject(f"{each.removesuffix('/')}/") for each in found["common_prefixes"])
            yield from map(_object, found["objects"])

    def copy(self, key: str, target: str) -> None:
        """Copy an object within the store, without transferring it."""
        with self._errors("copy", key):
            try:
                obstore.copy(self._store, key, target)
            except FileNotFoundError:
                raise not_found(self._setting, key) from None

    def delete(self, key: str) -> None:
        """Delete an object; one that does not exist is no error."""
        with self._errors("delete", key):
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                return

    @contextmanager
    def _errors(self, doing: str, key: str) -> Iterator[None]:
        """Turn errors of the library into step errors, which show no secret."""
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise self._failure(doing, key, error) from None  # its text has the request

    def _failure(self, doing: str, key: str, error: Exception) -> StepError:
        name = self._setting.shown(key)
        what = f"`{name}` in " if name else ""
        message = f"cannot {doing} {what}the store `{self._setting.name}`: {self._reason(error)}"
        match error:
            case PermissionDeniedError() | UnauthenticatedError():
                return storage_failure(message, "check the credentials of the store, and what they permit")
            case PreconditionError():
                return storage_failure(message, "the object was changed meanwhile: read it again", retryable=True)
            case FileNotFoundError() | ValueError():
                return storage_failure(message, "check `url` and `region` of the store in orchestrator.toml")
            case _:
                refused = _STATUS.search(str(error))
                busy = refused is None or refused[1][:3] in ("408", "429") or refused[1].startswith("5")
                help = "check `url` and `endpoint` of the store in orchestrator.toml"
                return storage_failure(message, help, retryable=busy)

    def _reason(self, error: Exception) -> str:
        text = str(error).partition("\n\nDebug source")[0]
        parts = [found[1] for found in (_CODE.search(text), _MESSAGE.search(text)) if found is not None]
        if not parts:
            status = _STATUS.search(text)
            parts = [status[1].strip()] if status is not None else [text.rpartition(" - ")[2] or text]
        reason = ": ".join(parts)
        for secret in self._secrets:
            reason = reason.replace(secret, "***")
        return shorten(reason, 300)


def _opened(store: StorageSetting) -> Any:
    config: dict[str, Any] = {"endpoint": store.endpoint, "skip_signature": store.anonymous or None}
    options: Any = {"connect_timeout": _CONNECT, "timeout": _REQUEST}
    if (store.endpoint or "").startswith("http://"):
        options["allow_http"] = True
    secret, token = store.secret(store.secret_env), store.secret(store.token_env)
    match store.scheme:
        case "s3":
            config |= {"region": store.region, "access_key_id": store.secret(store.key_env)}
            config |= {"secret_access_key": secret, "session_token": token}
            kind: Any = S3Store
        case "gs":
            config |= {"base_url": config.pop("endpoint"), "service_account_key": secret}
            kind = GCSStore
        case _:
            config |= {"account_name": store.account, "account_key": secret, "sas_key": token}
            kind = AzureStore
    given = {name: value for name, value in config.items() if value is not None}
    return kind(store.container, config=given, client_options=options, retry_config=_RETRIES)


def _object(meta: Any) -> StoredObject:
    return StoredObject(meta["path"], meta["size"], meta["last_modified"], meta["e_tag"])
