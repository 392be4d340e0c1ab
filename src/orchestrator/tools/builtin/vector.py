"""Search texts by meaning: cut documents into chunks, keep their vectors, find the nearest ones."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from orchestrator import codes
from orchestrator.errors import StepError, StepTimeout
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.functions.threads import run_in_thread
from orchestrator.tools.run_secrets import RunSecrets
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.protection import HOME
from orchestrator.tools.sandbox.refusal import Refusal
from orchestrator.tools.vectors.results import (
    CutDocument,
    CutDocuments,
    IndexedRecords,
    KnownCollections,
    NearRecord,
    NearRecords,
    RemovedRecords,
)

if TYPE_CHECKING:
    from orchestrator.tools.vectors.records import VectorStore
    from orchestrator.tools.vectors.service import VectorIndex, WrittenRecords

T = TypeVar("T")
FILE = "vectors.db"
"""The file of the collections, below `.orchestrator` of the project."""

_MOST_DOCUMENTS = 10_000

CollectionName = Annotated[str, "The name of the collection."]
DatabaseName = Annotated[
    str | None,
    "A PostgreSQL database with pgvector: the NAME of a table `[databases.NAME]` in orchestrator.toml; default: the "
    "file `.orchestrator/vectors.db` of the project.",
]
Vectors = Annotated[list[list[float]], "Their vectors, in the same order: the result of `embed`."]
MadeBy = Annotated[
    str | None,
    "The model that made the vectors, `{{ vectors.model }}`; with another one than the collection has, it is an error.",
]
MetricName = Annotated[
    Literal["cosine", "l2"] | None, "The distance of a new collection: `cosine` (default) or `l2`, the straight line."
]
Where = Annotated[
    dict[str, Any] | None,
    "Conditions on the metadata, all of which must be met: `{lang: de, year: {gte: 2020}, topic: {in: [a, b]}}`.",
]
Timeout = Annotated[float, "The timeout of the whole call, in seconds."]


def _reads(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    return _refusal(known, permissions, writes=False)


def _writes(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    return _refusal(known, permissions, writes=True)


def _refusal(known: Mapping[str, Any], permissions: Permissions, *, writes: bool) -> Refusal | None:
    name = known.get("database")
    if not isinstance(name, str):
        return None
    from orchestrator.tools.databases.settings import load_databases, unknown_database

    databases = load_databases(permissions.directory)
    if name not in databases:
        message, help = unknown_database(name, databases)
        return Refusal("database", message, advice=help)
    if writes and databases[name].read_only:
        advice = f"set `read_only = false` in `[databases.{name}]` of orchestrator.toml"
        return Refusal("database", f"the database `{name}` is read-only", advice=advice)
    return None


@tool(primary="chunks", requires="vectors", refusal=_reads)
async def chunk(
    documents: Annotated[
        list[dict[str, Any]], "The documents: each has an `id`, a `text` and, if you like, `metadata`, an object."
    ],
    context: ToolContext,
    collection: Annotated[
        str | None, "Leave out the chunks that this collection has already, so that they are not embedded again."
    ] = None,
    tokens: Annotated[int, "The size of a chunk in tokens, which are estimated: a token is 4 bytes of UTF-8."] = 400,
    overlap: Annotated[int, "How many tokens of the chunk before it a chunk begins with."] = 40,
    database: DatabaseName = None,
    timeout: Timeout = 60,  # noqa: ASYNC109 - the name that pipelines use
) -> CutDocuments:
    """Cut documents into chunks, between paragraphs, sentences or words.

    Example:
        - id: chunks
          tool: vector
          action: chunk
          parameters:
            collection: handbook
            documents:
              - {id: leave.md, text: "{{ text }}", metadata: {topic: leave}}
    """
    from orchestrator.tools.vectors.documents import MOST_TOKENS, cut

    if not 16 <= tokens <= MOST_TOKENS:
        raise _wrong(f"`tokens` cannot be {tokens:,}", f"use a number from 16 to {MOST_TOKENS:,}")
    if not 0 <= overlap <= tokens // 2:
        raise _wrong(f"`overlap` cannot be {overlap:,}", f"use a number from 0 to half of `tokens`, {tokens // 2:,}")
    given = _documents(documents)

    def work(index: "VectorIndex") -> CutDocuments:
        found = [each for document in given for each in cut(*document, tokens, overlap)]
        lengths = dict.fromkeys((document for document, _, _ in given), 0)
        for each in found:
            lengths[each.document] += 1
        kept = index.unchanged(collection, {each.id: each.hash for each in found}) if collection is not None else set()
        fresh = [each for each in found if each.id not in kept]
        chunks: list[CutDocument] = [
            {
                "id": each.id,
                "text": each.text,
                "metadata": dict(each.metadata),
                "document": each.document,
                "position": each.position,
            }
            for each in fresh
        ]
        texts = [each.text for each in fresh]
        return {
            "chunks": chunks,
            "texts": texts,
            "documents": lengths,
            "count": len(chunks),
            "unchanged": len(found) - len(fresh),
        }

    return await _in_index(context, database, timeout, work)


@tool(requires="vectors", refusal=_writes)
async def index(
    collection: CollectionName,
    chunks: Annotated[list[dict[str, Any]], "The chunks, as `chunk` returned them."],
    vectors: Vectors,
    documents: Annotated[dict[str, Any], "The `documents` that `chunk` returned: how many chunks each of them has."],
    context: ToolContext,
    model: MadeBy = None,
    metric: MetricName = None,
    database: DatabaseName = None,
    timeout: Timeout = 120,  # noqa: ASYNC109 - the name that pipelines use
) -> IndexedRecords:
    """Write the chunks of documents with their vectors, and remove the chunks that the documents no longer have.

    All of it is one transaction, and writing the same again changes nothing.

    Example:
        - id: indexed
          tool: vector
          action: index
          parameters:
            collection: handbook
            chunks: "{{ chunks }}"
            documents: "{{ chunks.documents }}"
            vectors: "{{ vectors }}"
            model: "{{ vectors.model }}"
    """

    def work(found: "VectorIndex") -> "WrittenRecords":
        return found.write(collection, chunks, vectors, metric=metric, model=model or "", lengths=documents)

    return _told(collection, await _in_index(context, database, timeout, work))


@tool(requires="vectors", refusal=_writes)
async def upsert(
    collection: CollectionName,
    records: Annotated[list[dict[str, Any]], "The records: each has an `id`, a `text` and `metadata`, an object."],
    vectors: Vectors,
    context: ToolContext,
    model: MadeBy = None,
    metric: MetricName = None,
    database: DatabaseName = None,
    timeout: Timeout = 120,  # noqa: ASYNC109 - the name that pipelines use
) -> IndexedRecords:
    """Write records with their vectors, replacing those with the same ids.

    A record whose text and metadata are there already is left as it is. All of it is one transaction.

    Example:
        - id: kept
          tool: vector
          action: upsert
          parameters:
            collection: tickets
            records: "{{ tickets }}"
            vectors: "{{ vectors }}"
    """

    def work(found: "VectorIndex") -> "WrittenRecords":
        return found.write(collection, records, vectors, metric=metric, model=model or "")

    return _told(collection, await _in_index(context, database, timeout, work))


@tool(primary="matches", requires="vectors", refusal=_reads)
async def query(
    collection: CollectionName,
    vector: Annotated[list[float], "The vector of the question: the result of `embed` for it."],
    context: ToolContext,
    limit: Annotated[int, "The maximum number of records, from 1 to 100."] = 5,
    where: Where = None,
    max_distance: Annotated[float | None, "Only records that are not farther away."] = None,
    model: MadeBy = None,
    database: DatabaseName = None,
    timeout: Timeout = 60,  # noqa: ASYNC109 - the name that pipelines use
) -> NearRecords:
    """Return the records whose vectors are nearest to a vector.

    `where` compares fields of the metadata by `eq`, `ne`, `gt`, `gte`, `lt`, `lte`, `in`, `not_in`, `contains` (of a
    list) and `exists`. All vectors that meet it are compared, so the result is exact.

    Example:
        - id: found
          tool: vector
          action: query
          parameters:
            collection: handbook
            vector: "{{ asked }}"
            limit: 4
            where: {topic: leave}
    """

    def work(found: "VectorIndex") -> NearRecords:
        kept, matches = found.query(
            collection, vector, where=where, limit=limit, max_distance=max_distance, model=model or ""
        )
        near: list[NearRecord] = [
            {
                "id": each.id,
                "text": each.text,
                "metadata": dict(each.metadata),
                "document": each.document,
                "distance": each.distance,
                "score": 1 - each.distance if kept.metric == "cosine" else 1 / (1 + each.distance),
            }
            for each in matches
        ]
        return {"matches": near, "count": len(near)}

    return await _in_index(context, database, timeout, work)


@tool(primary="count", requires="vectors", refusal=_writes)
async def delete(
    collection: CollectionName,
    context: ToolContext,
    ids: Annotated[list[str] | None, "Remove the records with these ids."] = None,
    documents: Annotated[list[str] | None, "Remove the chunks of these documents."] = None,
    where: Where = None,
    everything: Annotated[bool, "Remove the whole collection, if nothing else says what to remove."] = False,
    database: DatabaseName = None,
    timeout: Timeout = 60,  # noqa: ASYNC109 - the name that pipelines use
) -> RemovedRecords:
    """Remove records from a collection, or the collection.

    Example:
        - id: forgotten
          tool: vector
          action: delete
          parameters:
            collection: handbook
            documents: [leave.md]
    """
    limited = ids is not None or documents is not None or bool(where)
    if limited == everything or (ids is not None and documents is not None):
        help = "give one of `ids`, `documents`, `where`, or `everything: true` for the whole collection"
        raise _wrong("it is not clear what to remove", help)
    count = await _in_index(
        context,
        database,
        timeout,
        lambda found: found.delete(collection, ids=ids, documents=documents, where=where),
    )
    return {"count": count, "collection": collection}


@tool(primary="collections", requires="vectors", refusal=_reads)
async def collections(
    context: ToolContext,
    database: DatabaseName = None,
    timeout: Timeout = 60,  # noqa: ASYNC109 - the name that pipelines use
) -> KnownCollections:
    """List the collections.

    Example:
        - id: known
          tool: vector
          action: collections
    """
    store = _store(context, database, timeout)
    found = await _in_thread(store, timeout, store.collections)
    return {
        "collections": [
            {
                "name": each.name,
                "count": count,
                "dimensions": each.dimensions,
                "metric": each.metric,
                "model": each.model,
            }
            for each, count in found
        ]
    }


def _documents(documents: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    found: dict[str, tuple[str, str, dict[str, Any]]] = {}
    if len(documents) > _MOST_DOCUMENTS:
        help = f"give at most {_MOST_DOCUMENTS:,}: loop over parts of them"
        raise _wrong(f"there are {len(documents):,} documents", help)
    for number, each in enumerate(documents, 1):
        id, text, metadata = each.get("id"), each.get("text"), each.get("metadata") or {}
        if not isinstance(id, str) or not isinstance(text, str) or not isinstance(metadata, dict):
            help = "give each an `id` and a `text`, and an object as `metadata`"
            raise _wrong(f"document {number} has no `id` or no `text`, or its `metadata` are not an object", help)
        if each.keys() - {"id", "text", "metadata"}:
            unknown = sorted(each.keys() - {"id", "text", "metadata"})[0]
            help = "put other fields into `metadata`"
            raise _wrong(f"document {number} has the unknown field `{unknown}`", help)
        if id in found:
            raise _wrong(f"two documents have the id `{id}`", "give each a separate id, such as its path")
        found[id] = (id, text, metadata)
    return list(found.values())


def _told(collection: str, written: "WrittenRecords") -> IndexedRecords:
    return {
        "collection": collection,
        "added": written.added,
        "changed": written.changed,
        "unchanged": written.unchanged,
        "removed": written.removed,
        "dimensions": written.dimensions,
    }


async def _in_index(
    context: ToolContext, database: str | None, seconds: float, work: "Callable[[VectorIndex], T]"
) -> T:
    """Do work with the collections of a database in a thread; when it is cancelled, the statement is stopped."""
    from orchestrator.tools.vectors.service import VectorIndex

    store = _store(context, database, seconds)
    found = VectorIndex(store, context.service(RunSecrets))
    return await _in_thread(store, seconds, lambda: work(found))


async def _in_thread(store: "VectorStore", seconds: float, work: Callable[[], T]) -> T:
    try:
        async with asyncio.timeout(seconds):
            done: T = await run_in_thread(work)
            return done
    except TimeoutError:
        message = f"the vectors took longer than {seconds:g} s"
        raise StepTimeout(message, seconds=seconds, help="raise `timeout`") from None
    finally:
        store.interrupt()


def _store(context: ToolContext, name: str | None, seconds: float) -> "VectorStore":
    directory = context.permissions.directory
    if name is None:
        from orchestrator.tools.vectors.embedded_store import EmbeddedVectors

        return EmbeddedVectors(directory / HOME / FILE)
    from orchestrator.tools.databases.settings import load_databases, unknown_database
    from orchestrator.tools.vectors.postgresql_store import PostgresqlVectors

    databases = load_databases(directory)
    if name not in databases:
        message, help = unknown_database(name, databases)
        raise StepError(message, code=codes.DATABASE_FAILED, help=help, retryable=False)
    kind = databases[name].address().get_backend_name()
    if kind != "postgresql":
        help = "name a database of PostgreSQL, or leave out `database`, to keep the vectors in a file of the project"
        message = f"the database `{name}` is of the kind `{kind}`, which keeps no vectors"
        raise StepError(message, code=codes.DATABASE_FAILED, help=help, retryable=False)
    return PostgresqlVectors(databases[name], context.permissions, seconds)


def _wrong(message: str, help: str) -> StepError:
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)
