"""`VectorIndex`: collections as steps use them. What they give is checked, and only what has changed is written."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.words import describe_value, plural, quoted_list, shorten
from orchestrator.tools.vectors import records as bounds
from orchestrator.tools.vectors.documents import content_hash
from orchestrator.tools.vectors.filters import read_conditions
from orchestrator.tools.vectors.records import VectorCollection, VectorRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.tools.run_secrets import RunSecrets
    from orchestrator.tools.vectors.records import Metric, VectorMatch, VectorStore

_LARGEST: Final = 3.4028234e38  # of a number of 32 bits


class WrittenRecords(Struct, frozen=True):
    """How many records a write has added, changed, found as they were, and removed."""

    added: int
    changed: int
    unchanged: int
    removed: int
    dimensions: int


class VectorIndex:
    """The collections of one database, for one call of a tool."""

    def __init__(self, store: VectorStore, secrets: RunSecrets) -> None:
        self._store = store
        self._secrets = secrets

    def write(
        self,
        name: str,
        given: Sequence[Mapping[str, Any]],
        vectors: Sequence[Sequence[float]],
        *,
        metric: Metric | None,
        model: str,
        lengths: Mapping[str, int] | None = None,
    ) -> WrittenRecords:
        """Write records with their vectors; those whose text and metadata are there already are left as they are."""
        _check_name("collection", name)
        if len(given) != len(vectors):
            raise _wrong(
                f"there are {plural(len(given), 'record')} and {plural(len(vectors), 'vector')}",
                "give one vector for each, in the same order: those that `embed` made of their texts",
            )
        if len(given) > bounds.MOST_AT_ONCE:
            help = f"write at most {bounds.MOST_AT_ONCE:,} at once: loop over parts of them"
            raise _wrong(f"there are {len(given):,} records", help)
        for document, length in (lengths or {}).items():
            _check_name("document", document)
            if type(length) is not int or length < 0:
                raise _wrong(f"`documents` has no number of chunks for `{document}`", "give what `chunk` returned")
        records = [
            _record(number, each, vector) for number, (each, vector) in enumerate(zip(given, vectors, strict=True), 1)
        ]
        twice = [id for id, count in Counter(each.id for each in records).items() if count > 1]
        if twice:
            raise _wrong(f"the id `{shorten(twice[0])}` is given twice", "give each record a separate id")
        self._secrets.refuse("a record", [[each.id, each.document, each.text, each.metadata] for each in records])
        found = self._store.find(name)
        if not records and found is None:
            return WrittenRecords(0, 0, 0, 0, 0)
        collection = found or VectorCollection(name, len(records[0].vector), metric or "cosine", model)
        if metric is not None and metric != collection.metric:
            raise _wrong(f"the collection `{name}` has the metric `{collection.metric}`, not `{metric}`", _ANOTHER)
        _check_model(collection, model)
        for each in records:
            _check_vector(collection, each.vector, f"the vector of `{shorten(each.id)}`")
        known = self._store.hashes(name, [each.id for each in records])
        changed = [each for each in records if known.get(each.id) != each.hash]
        added = sum(1 for each in changed if each.id not in known)
        if self._store.count(name) + added > bounds.MOST_RECORDS:
            help = "use several collections, or another vector database through its API"
            raise _wrong(f"the collection `{name}` would have more than {bounds.MOST_RECORDS:,} records", help)
        removed = self._store.write(collection, changed, lengths or {}) if changed or lengths else 0
        return WrittenRecords(added, len(changed) - added, len(records) - len(changed), removed, collection.dimensions)

    def query(
        self,
        name: str,
        vector: Sequence[float],
        *,
        where: Mapping[str, Any] | None,
        limit: int,
        max_distance: float | None,
        model: str,
    ) -> tuple[VectorCollection, Sequence[VectorMatch]]:
        """Return the collection and its nearest records."""
        if not 1 <= limit <= _MOST_MATCHES:
            raise _wrong(f"`limit` cannot be {limit:,}", f"use a number from 1 to {_MOST_MATCHES}")
        conditions = read_conditions(where)
        collection = self._existing(name)
        _check_model(collection, model)
        _check_vector(collection, vector, "the vector of the query")
        return collection, self._store.query(collection, vector, conditions, limit=limit, max_distance=max_distance)

    def delete(
        self,
        name: str,
        *,
        ids: Sequence[str] | None,
        documents: Sequence[str] | None,
        where: Mapping[str, Any] | None,
    ) -> int:
        """Remove records, or the whole collection if nothing says which; return how many there were."""
        _check_name("collection", name)
        return self._store.delete(name, ids=ids, documents=documents, conditions=read_conditions(where))

    def unchanged(self, name: str, hashes: Mapping[str, str]) -> set[str]:
        """Return those of the ids whose records the collection has with the same hashes."""
        _check_name("collection", name)
        if self._store.find(name) is None:
            return set()
        known = self._store.hashes(name, list(hashes))
        return {id for id, hash in hashes.items() if known.get(id) == hash}

    def _existing(self, name: str) -> VectorCollection:
        _check_name("collection", name)
        found = self._store.find(name)
        if found is None:
            names = [each.name for each, _ in self._store.collections()]
            help = (
                f"the collections are {quoted_list(names)}" if names else "write to it with `index` or `upsert` first"
            )
            raise _wrong(f"there is no collection `{name}`", help)
        return found


_MOST_MATCHES: Final = 100
_ANOTHER: Final = "use another collection, or delete this one and write it again"


def _record(number: int, given: Mapping[str, Any], vector: Sequence[float]) -> VectorRecord:
    where = f"record {number}"
    unknown = sorted(given.keys() - {"id", "text", "metadata", "hash", "document", "position"})
    if unknown:
        help = "a record has `id`, `text` and `metadata`; put other fields into `metadata`"
        raise _wrong(f"{where} has the unknown field `{shorten(unknown[0])}`", help)
    id, text, metadata = given.get("id"), given.get("text", ""), given.get("metadata")
    document, position = given.get("document", ""), given.get("position", 0)
    if not isinstance(id, str):
        raise _wrong(f"the `id` of {where} is {describe_value(id)}", "give each record an id: a text")
    _check_name(f"id of {where}", id)
    metadata = {} if metadata is None else metadata
    if not isinstance(text, str) or len(text) > bounds.LONGEST_TEXT:
        raise _wrong(
            f"the `text` of `{shorten(id)}` is not a text of at most {bounds.LONGEST_TEXT:,} characters",
            "cut it into chunks with `vector.chunk`",
        )
    if not isinstance(metadata, Mapping) or not isinstance(document, str) or type(position) is not int:
        raise _wrong(f"the `metadata` of `{shorten(id)}` is {describe_value(metadata)}", "write an object")
    content = f"{document}{text}{_strings(metadata)}"
    if "\0" in content or any("\ud800" <= sign <= "\udfff" for sign in content):
        raise _wrong(f"the record `{shorten(id)}` contains NUL or lone surrogates", "remove them")
    if len(content.encode()) - len(text.encode()) > bounds.LARGEST_METADATA:
        raise _wrong(
            f"the `metadata` of `{shorten(id)}` are larger than {bounds.LARGEST_METADATA:,} bytes", "keep them apart"
        )
    return VectorRecord(id, text, metadata, content_hash(text, metadata), vector, document, position)


def _strings(value: Any) -> str:
    """Return all names and values of metadata, one after the other."""
    if isinstance(value, Mapping):
        return "".join(f"{name} {_strings(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "".join(map(_strings, value))
    return f"{value} "


def _check_vector(collection: VectorCollection, vector: Sequence[float], what: str) -> None:
    if len(vector) != collection.dimensions:
        made = f", made by `{collection.model}`" if collection.model else ""
        raise _wrong(
            f"{what} has {plural(len(vector), 'dimension')}, and the collection `{collection.name}` has "
            f"{collection.dimensions:,}{made}",
            f"embed with the model that made the collection, or {_ANOTHER}",
        )
    if not 1 <= len(vector) <= bounds.MOST_DIMENSIONS:
        raise _wrong(f"{what} has {len(vector):,} dimensions", f"use 1 to {bounds.MOST_DIMENSIONS:,}")
    if not all(math.isfinite(each) and abs(each) <= _LARGEST for each in vector):
        raise _wrong(f"{what} has a number that does not fit into 32 bits", "check what made it")
    if collection.metric == "cosine" and not any(abs(each) > _SMALLEST for each in vector):
        raise _wrong(f"{what} is zero, and has no angle to others", "leave it out, or use `metric: l2`")


_SMALLEST: Final = 1e-18  # whose square is not 0 with 32 bits


def _check_model(collection: VectorCollection, model: str) -> None:
    if model and collection.model and model != collection.model:
        raise _wrong(
            f"the vectors of the collection `{collection.name}` were made by `{collection.model}`, not by `{model}`",
            f"embed with `{collection.model}`: vectors of different models cannot be compared; or {_ANOTHER}",
        )


def _check_name(what: str, text: str) -> None:
    if not text.strip():
        raise _wrong(f"the {what} is empty", "give it a name")
    if any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text):
        raise _wrong(f"the {what} {shorten(ascii(text))} contains control characters", "use letters, digits and signs")
    if (size := len(text.encode())) > bounds.LONGEST_ID:
        raise _wrong(f"the {what} `{shorten(text)}` has {size:,} bytes", f"use at most {bounds.LONGEST_ID}")


def _wrong(message: str, help: str) -> StepError:
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)
