"""The data of an event as they are stored: JSON in which large values are references to blobs.

A large value is one blob wherever it is recorded: as a step's result, in the result of what contains the step, in the
run's outputs. So the large fields of an object are separate blobs, at any depth of objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from msgspec import Struct

from orchestrator.journal.records import EventTooLarge
from orchestrator.journal.store.blob_codec import (
    LIMIT,
    PARTS,
    Blob,
    BlobReference,
    encode,
    encode_fields,
    looks_like_reference,
)
from orchestrator.paths import is_at_or_below
from orchestrator.text.json_pieces import LARGE, is_large, json_pieces, weight

ALWAYS_FROM: Final = 256
"""The source and the plan are stored as blobs from this size, because many runs share them."""

_REMEMBERED: Final = 1 << 20  # characters
_SHARED: Final = frozenset({"source", "plan", "sources"})
_INLINE: Final = frozenset({"error"})  # part of a run's status, which is read without blobs
_REFERENCE_SIZE: Final = 100

Part: TypeAlias = str | Blob | BlobReference | dict[str, "Part"]
"""One value: its JSON, its blob, a reference to a blob that was recorded before, or the parts of an object."""


class EncodedData(Struct, frozen=True):
    """The data of an event: its JSON, or if it has large values its parts. `size` is in characters of JSON.

    `values` are its large values, with the references to their blobs.
    """

    parts: str | Mapping[str, Part]
    size: int
    values: tuple[tuple[Any, BlobReference], ...] = ()


class KnownBlobs:
    """The large values of a run that are in use and were recorded before: they are not encoded again."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, BlobReference, str]] = {}

    def find(self, value: Any) -> BlobReference | None:
        """Return the reference to a value that was recorded; equal ones are not found. From any thread."""
        known = self._known.get(id(value))
        return known[1] if known is not None and known[0] is value else None

    def add(self, encoded: EncodedData, path: str) -> None:
        """Remember the values of an event of the step at a path. The outermost step that has a value counts."""
        for value, reference in encoded.values:
            known = self._known.get(id(value))
            if known is None or known[0] is not value or is_at_or_below(known[2], path):
                self._known[id(value)] = (value, reference, path)

    def forget(self, path: str) -> None:
        """Forget the values of the steps in a block that has ended: of an item of a loop, its own value too."""
        if not self._known:
            return
        is_item = path.endswith("]")
        over = [key for key, (_, _, at) in self._known.items() if is_at_or_below(at, path) and (is_item or at != path)]
        for key in over:
            del self._known[key]


NOTHING_KNOWN: Final = KnownBlobs()


def encode_data(
    data: Mapping[str, Any],
    *,
    known: KnownBlobs = NOTHING_KNOWN,
    most: int | None = None,
    large: bool | None = None,
) -> EncodedData:
    """Encode the data of an event, large values in pieces. Other threads can run meanwhile.

    `large` is whether one of them `is_large`, if that is known.

    Raises:
        EventTooLarge: They have more than `most` characters of JSON.
        TypeError, ValueError: They are not JSON data.
    """
    if is_large(data) if large is None else large:
        return _Encoder(known, most).encoded(data)
    text = encode_fields(data) if data else "{}"
    if most is not None and len(text) > most:
        raise EventTooLarge(len(text))
    most_inline = LIMIT if _SHARED.isdisjoint(data) else ALWAYS_FROM
    if len(text) <= most_inline and "$blob" not in text and PARTS not in text:
        return EncodedData(text, len(text))
    return _Encoder(known, most).encoded(data)


class _Encoder:
    def __init__(self, known: KnownBlobs, most: int | None) -> None:
        self._known = known
        self._most = most
        self._size = 0
        self._values: list[tuple[Any, BlobReference]] = []

    def encoded(self, data: Mapping[str, Any]) -> EncodedData:
        parts = {key: self._part(value, splits=key not in _SHARED | _INLINE) for key, value in data.items()}
        return EncodedData(parts, self._size, tuple(self._values))

    def _part(self, value: Any, *, splits: bool) -> Part:
        part = self._known.find(value) if splits else None
        if part is not None:
            self._values.append((value, part))
            return self._counted(part, part.size)
        if splits and type(value) is dict and _is_split(value):
            return {key: self._part(item, splits=True) for key, item in value.items()}
        if not splits or weight(value, LARGE) < LARGE:
            text = encode(value)
            return self._counted(text, len(text))
        left = None if self._most is None else self._most - self._size
        blob = Blob.of_pieces(json_pieces(value), most=left)
        self._values.append((value, blob.reference))
        return self._counted(blob, blob.reference.size)

    def _counted(self, part: Part, size: int) -> Part:
        self._size += size
        if self._most is not None and self._size > self._most:
            raise EventTooLarge(self._size)
        return part


def _is_split(fields: Mapping[str, Any]) -> bool:
    """Return whether the large fields of an object are separate blobs: if what remains of it is small."""
    rest, found = 2, False
    for key, value in fields.items():
        size = weight(value, LIMIT + 1)
        if size > LIMIT:
            size, found = _REFERENCE_SIZE, True
        rest += len(key) + 4 + size
        if rest > LIMIT:
            return False
    return found


def stored_form(parts: Mapping[str, Part]) -> tuple[str, list[Blob], list[BlobReference]]:
    """Return JSON with references instead of large values, the blobs, and all references."""
    blobs: list[Blob] = []
    references: list[BlobReference] = []

    def referred(reference: BlobReference) -> str:
        references.append(reference)
        return reference.json

    def stored(part: Part, key: str = "") -> str:
        if isinstance(part, BlobReference):
            return referred(part)
        if isinstance(part, dict):
            return f'{{"{PARTS}":{_object({name: stored(each) for name, each in part.items()})}}}'
        if isinstance(part, str):
            limit = ALWAYS_FROM if key in _SHARED else LIMIT
            if (len(part) <= limit or key in _INLINE) and not looks_like_reference(part):
                return part
            part = _shared(part) if key in _SHARED and len(part) < _REMEMBERED else Blob.of(part)
        blobs.append(part)
        return referred(part.reference)

    return _object({key: stored(part, key) for key, part in parts.items()}), blobs, references


def _object(fields: Mapping[str, str]) -> str:
    return "{" + ",".join(f"{encode(key)}:{text}" for key, text in fields.items()) + "}"


@lru_cache(maxsize=16)
def _shared(text: str) -> Blob:
    """Make the blob of a source or a plan, which the next run is likely to share."""
    return Blob.of(text)


def is_in_memory(parts: str | Mapping[str, Part]) -> bool:
    """Return whether `decoded` can return all values: none of them is a blob already."""
    return isinstance(parts, str) or not any(isinstance(part, Blob | BlobReference) for part in _leaves(parts))


def size_of(parts: str | Mapping[str, Part]) -> int:
    """Return the characters of JSON of data without blobs."""
    return len(parts) if isinstance(parts, str) else sum(len(part) for part in _leaves(parts) if isinstance(part, str))


def decoded(parts: str | Mapping[str, Part]) -> Any:
    """Return the values of data without blobs."""
    if isinstance(parts, Mapping):
        return {key: decoded(part) for key, part in parts.items()}  # type: ignore[arg-type]
    return json.loads(parts)


def _leaves(parts: Mapping[str, Part]) -> Iterator[Part]:
    for part in parts.values():
        if isinstance(part, dict):
            yield from _leaves(part)
        else:
            yield part
