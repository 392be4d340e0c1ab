"""The journal of a server: the record and the events of its runs, read on access, as a store gives them.

What is computed from a journal, such as a result and its Markdown page, is so computed by the same code as for a store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from orchestrator.client.views import event_from, record_from, status_from
from orchestrator.journal.store.blob_codec import blob_references, with_blobs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from orchestrator.client.connection import Params, ServerConnection
    from orchestrator.journal import Event, EventType, RunRecord, RunStatus

MOST_EVENTS: Final = 500
MOST_OUTPUTS: Final = 200
"""How many events and outputs a server returns at once."""


class RemoteJournal:
    """Reads the journal of a server. Its methods are those of a store."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    def status(self, run_id: str) -> RunStatus:
        """Return the status of a run."""
        return status_from(self._get(run_path(run_id)))

    def record(self, run_id: str) -> RunRecord:
        """Return what a run was started from, or was last revised to."""
        return record_from(self._get(f"{run_path(run_id)}/record"))

    def events(
        self,
        run_id: str,
        after: int = 0,
        limit: int = 1000,
        *,
        resolve: bool = False,
        paths: Collection[str] | None = None,
        types: Collection[EventType] = (),
    ) -> list[Event]:
        """Return up to `limit` events after the one numbered `after`, in as many requests as that takes."""
        return self._connection.call(self.aevents(run_id, after, limit, resolve=resolve, paths=paths, types=types))

    async def aevents(
        self,
        run_id: str,
        after: int = 0,
        limit: int = MOST_EVENTS,
        *,
        resolve: bool = True,
        paths: Collection[str] | None = None,
        types: Collection[EventType] = (),
        within: Collection[str] | None = None,
    ) -> list[Event]:
        """As `events`, on the event loop of the connection. With `within`, only those of an outline."""
        filters: Params = [("references", "true")] * (not resolve)
        filters += [("path", path) for path in paths or ()] + [("type", each) for each in types]
        filters += [("outline", "true")] * (within is not None) + [("within", path) for path in within or ()]
        found: list[Event] = []
        while len(found) < limit:
            size = min(limit - len(found), MOST_EVENTS)
            params = [("after", str(after)), ("limit", str(size)), *filters]
            page = await self._connection.get(f"{run_path(run_id)}/events", params)
            found += map(event_from, page["events"])
            if len(page["events"]) < size:
                break
            after = found[-1].seq
        return found

    def values_at(self, run_id: str, seqs: Sequence[int]) -> list[Any]:
        """Return the outputs of the steps that ended with the events of these numbers."""
        found: list[Any] = []
        for start in range(0, len(seqs), MOST_OUTPUTS):
            params: Params = [("seq", str(seq)) for seq in seqs[start : start + MOST_OUTPUTS]]
            found += self._get(f"{run_path(run_id)}/outputs", params)["outputs"]
        return found

    def resolve(self, value: Any) -> Any:
        """Return the value with references replaced by large values: itself, or its fields if it is an event's data."""
        if wanted := set(blob_references(value)):
            return with_blobs(value, self._values(wanted))
        if isinstance(value, dict):
            wanted = {hash for field in value.values() for hash in blob_references(field)}
            found = self._values(wanted)
            return {key: with_blobs(field, found) for key, field in value.items()} if wanted else value
        return value

    # --- an outline: see `OutlineSource`

    def outline(self, run_id: str, after: int = 0, limit: int = 1000, *, within: Collection[str] = ()) -> list[Event]:
        """Return up to `limit` events that an outline of the run is made of."""
        return self._connection.call(self.aevents(run_id, after, limit, resolve=False, within=within))

    def failed_later_items(self, run_id: str) -> Iterator[str]:
        """Yield the paths of failed and cancelled steps and items that `outline` leaves out."""
        yield from self._get(f"{run_path(run_id)}/items")["failed"]

    def count_items(self, run_id: str, loop: str) -> dict[str, int]:
        """Count the items of a loop that have ended, by the types of their events."""
        counts: dict[str, int] = self._get(f"{run_path(run_id)}/items", [("loop", loop)])["ended"]
        return counts

    def _values(self, hashes: Collection[str]) -> Mapping[str, Any]:
        return {hash: self._get(f"/v1/values/{hash}")["value"] for hash in sorted(hashes)}

    def _get(self, path: str, params: Params | None = None) -> Any:
        return self._connection.call(self._connection.get(path, params))


def run_path(run_id: str) -> str:
    """Return the path of a run on a server."""
    return f"/v1/runs/{quote(run_id, safe='')}"
