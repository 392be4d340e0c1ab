"""The results of the tool `vector`."""

from typing import Annotated, Any, TypedDict


class CutDocument(TypedDict):
    """A chunk of a document."""

    id: Annotated[str, "The id of the document, `#`, and the position."]
    text: Annotated[str, "The text."]
    metadata: Annotated[dict[str, Any], "The metadata of the document."]
    document: Annotated[str, "The id of the document."]
    position: Annotated[int, "The position in the document, from 0."]


class CutDocuments(TypedDict):
    """The chunks of documents, and their texts to embed."""

    chunks: Annotated[list[CutDocument], "The chunks; without those that `collection` has already."]
    texts: Annotated[list[str], "The texts of the chunks, in the same order."]
    documents: Annotated[dict[str, Any], "The number of chunks of each document, also of those that were left out."]
    count: Annotated[int, "The number of chunks that were returned."]
    unchanged: Annotated[int, "The number of chunks that were left out, as the collection has them."]


class IndexedRecords(TypedDict):
    """What was written."""

    collection: Annotated[str, "The name of the collection."]
    added: Annotated[int, "The number of records that are new."]
    changed: Annotated[int, "The number of records that were replaced."]
    unchanged: Annotated[int, "The number of records that were there already."]
    removed: Annotated[int, "The number of chunks that were removed, as their documents became shorter."]
    dimensions: Annotated[int, "The length of the vectors of the collection."]


class NearRecord(TypedDict):
    """A record, and how near it is."""

    id: Annotated[str, "The id."]
    text: Annotated[str, "The text."]
    metadata: Annotated[dict[str, Any], "The metadata."]
    document: Annotated[str, "The id of the document that it is a chunk of, or an empty string."]
    distance: Annotated[float, "The distance to the vector of the query: 0 is the same."]
    score: Annotated[float, "The same as a number that grows with the similarity, at most 1."]


class NearRecords(TypedDict):
    """The nearest records, the nearest first."""

    matches: Annotated[list[NearRecord], "The records."]
    count: Annotated[int, "The number of records."]


class RemovedRecords(TypedDict):
    """How many records were removed."""

    count: Annotated[int, "The number of records that were removed."]
    collection: Annotated[str, "The name of the collection."]


class KnownCollection(TypedDict):
    """A collection."""

    name: Annotated[str, "The name."]
    count: Annotated[int, "The number of records."]
    dimensions: Annotated[int, "The length of the vectors."]
    metric: Annotated[str, "The distance: `cosine` or `l2`."]
    model: Annotated[str, "The model that made the vectors, or an empty string."]


class KnownCollections(TypedDict):
    """The collections by name."""

    collections: Annotated[list[KnownCollection], "The collections."]
