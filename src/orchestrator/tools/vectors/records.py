"""What a collection holds, and what is needed of the database that keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from orchestrator.tools.vectors.filters import MetadataCondition

Metric = Literal["cosine", "l2"]
"""How far two vectors are apart: by their angle, or by the straight line between them."""

MOST_DIMENSIONS: Final = 8_192
MOST_AT_ONCE: Final = 10_000
"""The most records of one call."""

MOST_RECORDS: Final = 1_000_000
"""The most records of a collection: each query reads all of them."""

LONGEST_TEXT: Final = 100_000
"""In characters."""

LARGEST_METADATA: Final = 20_000
"""In bytes of JSON."""

LONGEST_ID: Final = 500
"""In bytes of UTF-8."""


class VectorRecord(Struct, frozen=True):
    """A text with its vector. `hash` is that of text and metadata; `position` is the place in the document, from 0."""

    id: str
    text: str
    metadata: Mapping[str, Any]
    hash: str
    vector: Sequence[float]
    document: str = ""
    position: int = 0


class VectorCollection(Struct, frozen=True):
    """A collection: the length of its vectors, their metric, and the model that made them, if it is known."""

    name: str
    dimensions: int
    metric: Metric
    model: str = ""


class VectorMatch(Struct, frozen=True):
    """A record that a query has found, and how far it is from the vector of the query."""

    id: str
    text: str
    metadata: Mapping[str, Any]
    document: str
    distance: float


class VectorStore(Protocol):
    """Keeps collections. Its methods block; errors of the database are `StepError`."""

    def collections(self) -> Sequence[tuple[VectorCollection, int]]:
        """Return the collections by name, each with the number of its records."""

    def find(self, name: str) -> VectorCollection | None:
        """Return a collection; None if there is none."""

    def count(self, name: str) -> int:
        """Return the number of records of a collection."""

    def hashes(self, name: str, ids: Sequence[str]) -> Mapping[str, str]:
        """Return the hashes of those of the records that a collection has."""

    def write(self, collection: VectorCollection, records: Sequence[VectorRecord], lengths: Mapping[str, int]) -> int:
        """Write records, replacing those with the same ids, in one transaction; a collection is created if missing.

        Of each document in `lengths`, records at that position and after it are removed; return how many.
        """

    def query(
        self,
        collection: VectorCollection,
        vector: Sequence[float],
        conditions: Sequence[MetadataCondition],
        *,
        limit: int,
        max_distance: float | None,
    ) -> Sequence[VectorMatch]:
        """Return the nearest records whose metadata meet the conditions, the nearest first."""

    def delete(
        self,
        name: str,
        *,
        ids: Sequence[str] | None,
        documents: Sequence[str] | None,
        conditions: Sequence[MetadataCondition],
    ) -> int:
        """Remove the records with these ids, of these documents, and that meet the conditions; return how many.

        Without any of these, the whole collection is removed.
        """

    def interrupt(self) -> None:
        """Stop what is being done, from any thread."""
