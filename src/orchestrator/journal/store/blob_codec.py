"""Large values, stored separately from the events: content-addressed and compressed."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

LIMIT = 16 * 1024
"""A value longer than this many characters of JSON is stored as a blob."""

ALWAYS_FROM = 256
"""The source and the plan are stored as blobs from this size, because many runs share them."""

_REMEMBERED = 1 << 20  # characters
_SHARED = frozenset({"source", "plan", "sources"})
_INLINE = frozenset({"error"})  # part of a run's status, which is read without blobs
_REFERENCE = frozenset({"$blob", "size"})

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(separators=(",", ":")).encode
_encode_quickly = msgspec.json.Encoder().encode
_SCALARS = frozenset({str, int, float, bool, type(None)})


class Blob(Struct, frozen=True):
    """One stored value: `hash` is the SHA-256 of its JSON, `size` that JSON's length in characters."""

    hash: str
    encoding: str  # "json" | "zlib"
    size: int
    content: bytes

    @classmethod
    def of(cls, text: str) -> Blob:
        """Make the blob of a value's JSON."""
        plain = text.encode()
        packed = zlib.compress(plain, 1)
        digest = hashlib.sha256(plain).hexdigest()
        if len(packed) < len(plain):
            return cls(digest, "zlib", len(text), packed)
        return cls(digest, "json", len(text), plain)

    @property
    def digest(self) -> bytes:
        """The hash as the store has it."""
        return bytes.fromhex(self.hash)

    @property
    def reference(self) -> str:
        """The JSON of the reference to the value in an event."""
        return f'{{"$blob":"{self.hash}","size":{self.size}}}'


def encode(value: Any) -> str:
    """Return JSON that every store can hold: UTF-8, with characters that UTF-8 cannot express escaped."""
    text = _encode(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _encode_ascii(value)
    return text


def _encode_scalars(data: Mapping[str, Any]) -> str:
    """Encode values without parts, as most events have, in a tenth of the time."""
    try:
        return _encode_quickly(data).decode()
    except UnicodeEncodeError:
        return _encode_ascii(data)


def storable(text: str) -> str:
    """Return text that every store can hold, for example a file name that is not valid UTF-8."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def encode_parts(data: Mapping[str, Any]) -> str | dict[str, str]:
    """Return the JSON of an event's data, or, if a value must be stored as a blob, the JSON of each value."""
    text = _encode_scalars(data) if _SCALARS.issuperset(map(type, data.values())) else encode(data)
    if len(text) <= ALWAYS_FROM and "$blob" not in text:
        return text
    if len(text) <= LIMIT and "$blob" not in text and _SHARED.isdisjoint(data):
        return text
    return {key: encode(value) for key, value in data.items()}


def split_blobs(parts: Mapping[str, str]) -> tuple[str, list[Blob]]:
    """Return the JSON of an event's data with references instead of large values, and the blobs."""
    blobs: list[Blob] = []
    fields: list[str] = []
    for key, text in parts.items():
        limit = ALWAYS_FROM if key in _SHARED else LIMIT
        value = text
        # A value that looks like a reference is stored as a blob too, so that it is read back unchanged.
        if (len(text) > limit and key not in _INLINE) or text.startswith('{"$blob":'):
            blob = _shared(text) if key in _SHARED and len(text) < _REMEMBERED else Blob.of(text)
            blobs.append(blob)
            value = blob.reference
        fields.append(f"{_encode(key)}:{value}")
    return "{" + ",".join(fields) + "}", blobs


@lru_cache(maxsize=16)
def _shared(text: str) -> Blob:
    """Make the blob of a source or a plan, which the next run is likely to share."""
    return Blob.of(text)


def blob_reference(value: Any) -> str | None:
    """Return the hash if `value` is a reference to a blob."""
    if isinstance(value, Mapping) and value.keys() == _REFERENCE:
        digest = value["$blob"]
        return digest if isinstance(digest, str) else None
    return None
