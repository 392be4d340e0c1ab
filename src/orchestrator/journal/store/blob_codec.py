"""Large values, stored separately from the events: content-addressed and compressed."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct

from orchestrator.journal.records import EventTooLarge
from orchestrator.text.json_pieces import PIECE

LIMIT: Final = 16 * 1024
"""A value longer than this many characters of JSON is stored as a blob."""

PARTS: Final = "$parts"
"""The only field of what is recorded for an object whose large fields are blobs: it has all fields."""

_REFERENCE = frozenset({"$blob", "size"})
_PARTS = frozenset({PARTS})
_LOOKALIKES = ('{"$blob":', f'{{"{PARTS}":')

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode_ascii = json.JSONEncoder(separators=(",", ":")).encode
_encode_quickly = msgspec.json.Encoder().encode
_SCALARS = frozenset({str, int, float, bool, type(None)})


class BlobReference(Struct, frozen=True):
    """Refers to a stored value: `hash` is the SHA-256 of its JSON, `size` that JSON's length in characters."""

    hash: str
    size: int

    @property
    def json(self) -> str:
        """The JSON of the reference in an event."""
        return f'{{"$blob":"{self.hash}","size":{self.size}}}'


class Blob(Struct, frozen=True):
    """One stored value, with what refers to it."""

    reference: BlobReference
    encoding: str  # "json" | "zlib"
    content: bytes

    @classmethod
    def of(cls, text: str) -> Blob:
        """Make the blob of a value's JSON."""
        plain = text.encode()
        packed = zlib.compress(plain, 1)
        reference = BlobReference(hashlib.sha256(plain).hexdigest(), len(text))
        return cls(reference, "zlib", packed) if len(packed) < len(plain) else cls(reference, "json", plain)

    @property
    def digest(self) -> bytes:
        """The hash as the store has it."""
        return bytes.fromhex(self.reference.hash)

    @classmethod
    def of_pieces(cls, pieces: Iterable[str], *, most: int | None = None) -> Blob:
        """Make the blob of a value's JSON, without having all of that in memory.

        Raises:
            EventTooLarge: It has more than `most` characters.
        """
        digest, packer = hashlib.sha256(), zlib.compressobj(1)
        packed: list[bytes] = []
        size = 0
        for text in _joined(pieces):
            size += len(text)
            if most is not None and size > most:
                raise EventTooLarge(size)
            plain = text.encode("utf-8", "backslashreplace")  # a lone surrogate is escaped as in JSON
            digest.update(plain)
            packed.append(packer.compress(plain))
        packed.append(packer.flush())
        return cls(BlobReference(digest.hexdigest(), size), "zlib", b"".join(packed))


def _joined(pieces: Iterable[str]) -> Iterator[str]:
    """Yield short pieces together."""
    some: list[str] = []
    size = 0
    for piece in pieces:
        some.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield "".join(some)
            some.clear()
            size = 0
    yield "".join(some)


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


def encode_fields(data: Mapping[str, Any]) -> str:
    """Return the JSON of an event's data; of values without parts, as most events have, in a tenth of the time."""
    if not _SCALARS.issuperset(map(type, data.values())):
        return encode(data)
    try:
        return _encode_quickly(data).decode()
    except UnicodeEncodeError:
        return _encode_ascii(data)


def storable(text: str) -> str:
    """Return text that every store can hold, for example a file name that is not valid UTF-8."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def looks_like_reference(text: str) -> bool:
    """Return whether JSON would be taken for a reference: it must be stored as a blob, to be read back unchanged."""
    return text.startswith(_LOOKALIKES)


def _is_reference(value: Mapping[str, Any]) -> bool:
    """Return whether a recorded value is a reference, by its fields and their order; its hash may be damaged."""
    return value.keys() == _REFERENCE and next(iter(value)) == "$blob"


def blob_references(value: Any) -> Iterator[str]:
    """Yield the hashes of the blobs that a recorded value refers to."""
    if not isinstance(value, Mapping):
        return
    if _is_reference(value):
        yield str(value["$blob"])
    elif value.keys() == _PARTS and isinstance(value[PARTS], Mapping):
        for part in value[PARTS].values():
            yield from blob_references(part)


def with_blobs(value: Any, contents: Mapping[str, Any]) -> Any:
    """Return a recorded value with references replaced by the contents of the blobs, by their hashes."""
    if not isinstance(value, Mapping):
        return value
    if _is_reference(value):
        return contents[str(value["$blob"])]
    if value.keys() == _PARTS and isinstance(value[PARTS], Mapping):
        return {key: with_blobs(part, contents) for key, part in value[PARTS].items()}
    return value
