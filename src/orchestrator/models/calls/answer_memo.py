"""Answers on the way to that of a step are kept, so that a step that is begun again asks for none of them twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from orchestrator.models.recordings.format import Outcome, Scrub, digest_of, outcome_data, restored, unchanged

if TYPE_CHECKING:
    from orchestrator.models.messages import Embeddings, ModelReply

Describe: TypeAlias = Callable[[Scrub], Mapping[str, Any]]
"""Describes a request without its secrets, as `models.recordings.format` does."""

Entry: TypeAlias = tuple[str, Mapping[str, Any]]
"""The digest of a request, and as JSON data what was answered to it."""


class Kept(Struct, frozen=True):
    """An answer that was given before, and what it cost then in USD; None where that is not known."""

    outcome: Outcome
    cost: float | None


class KeptAnswers:
    """What was answered on the way to the answer of one step.

    Each is found by the digest of its request, so a changed request is sent again.
    """

    def __init__(self, found: Mapping[str, Mapping[str, Any]], scrub: Scrub) -> None:
        """`found` has `{reply, cost}` by digests. `scrub` takes secrets out: nothing with one in it is kept."""
        self._found = found
        self._scrub = scrub

    def digest(self, describe: Describe) -> str | None:
        """Return what the answer to a request is kept by; None for one that has a secret, which could be guessed."""
        described = describe(unchanged)
        return digest_of(described) if describe(self._scrub) == described else None

    def find(self, digest: str | None) -> Kept | None:
        """Return the answer that was given to a request, if one is kept."""
        entry = self._found.get(digest) if digest is not None else None
        if entry is None:
            return None
        cost = entry["cost"]
        return Kept(restored(entry["reply"]), None if isinstance(cost, str) else cost)  # it may look like a secret

    def entry(self, digest: str | None, outcome: ModelReply | Embeddings) -> Entry | None:
        """Return what is to be recorded of an answer; None where it must not be kept."""
        if digest is None:
            return None
        reply = outcome_data(outcome)
        return (digest, reply) if self._scrub(digest) == digest and self._scrub(reply) == reply else None
