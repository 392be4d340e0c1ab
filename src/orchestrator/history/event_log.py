"""The events of a run as a sequence, read from a store in pages or held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, overload, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.journal import Event, RunRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from orchestrator.journal import RunStatus
    from orchestrator.journal.events import EventType

EVENTS_AT_ONCE: Final = 500


class EventSource(Protocol):
    """What steps are read from: a store, or the events of one run in memory."""

    def record(self, run_id: str) -> RunRecord:
        """Return what a run was created from."""

    def events(self, run_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return up to `limit` events after the one numbered `after`."""

    def values_at(self, run_id: str, seqs: Sequence[int]) -> list[Any]:
        """Return the outputs of the steps that ended with the events of these numbers."""

    def resolve(self, value: Any) -> Any:
        """Return the value with references to blobs replaced by their content."""


class ResultSource(EventSource, Protocol):
    """What a result is read from: a store, or a server. Large values in events are references."""

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
        """Return up to `limit` events after the one numbered `after`; only those of some steps or types, if given."""


@runtime_checkable
class OutlineSource(EventSource, Protocol):
    """A source that leaves out events without reading them: a store."""

    def status(self, run_id: str) -> RunStatus:
        """Return the status of a run."""

    def outline(self, run_id: str, after: int = 0, limit: int = 1000, *, within: Collection[str] = ()) -> list[Event]:
        """Return up to `limit` events that an outline of the run is made of."""

    def failed_later_items(self, run_id: str) -> Iterator[str]:
        """Yield the paths of failed and cancelled steps and items that `outline` leaves out."""

    def count_items(self, run_id: str, loop: str) -> dict[str, int]:
        """Count the items of a loop that have ended, by the types of their events."""


class EventsInMemory(Struct, frozen=True):
    """An `EventSource` of one run: all of its events, with large values in place."""

    run: RunRecord
    log: Sequence[Event]

    def record(self, run_id: str) -> RunRecord:
        """Return what the run was created from."""
        return self.run

    def events(self, run_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return up to `limit` events after the one numbered `after`."""
        return list(self.log[after : after + limit])

    def values_at(self, run_id: str, seqs: Sequence[int]) -> list[Any]:
        """Return the outputs of the steps that ended with the events of these numbers."""
        found = [self.log[seq - 1].data for seq in seqs]
        return [data.get("output", data.get("value")) for data in found]

    def resolve(self, value: Any) -> Any:
        """Return the value, which is in place."""
        return value


class RunEvents(Sequence[Event]):
    """The events of a run up to one of them, read in pages on access; large values are read for one event at a time."""

    def __init__(self, store: ResultSource, run_id: str, last_seq: int, *, resolve: bool = True) -> None:
        """Without `resolve`, large values are references."""
        self._store = store
        self._run_id = run_id
        self._last_seq = last_seq
        self._resolve = resolve
        self._page: list[Event] = []

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        seq = range(1, self._last_seq + 1)[index]
        if not self._page or not self._page[0].seq <= seq <= self._page[-1].seq:
            after = (seq - 1) // EVENTS_AT_ONCE * EVENTS_AT_ONCE
            self._page = self._store.events(self._run_id, after=after, limit=EVENTS_AT_ONCE)
        event = self._page[seq - self._page[0].seq]
        return replace(event, data=self._store.resolve(event.data)) if self._resolve else event

    def __len__(self) -> int:
        return self._last_seq

    @property
    def without_values(self) -> RunEvents:
        """The same events, with references to large values."""
        return RunEvents(self._store, self._run_id, self._last_seq, resolve=False)

    def of_types(self, types: Collection[EventType]) -> Iterator[Event]:
        """Yield the events of some types, with references to large values; others are not read."""
        after = 0
        while found := self._store.events(self._run_id, after=after, limit=EVENTS_AT_ONCE, types=types):
            for event in found:
                if event.seq > self._last_seq:
                    return
                yield event
            after = found[-1].seq


def events_of_types(log: Sequence[Event], types: Collection[EventType]) -> Iterator[Event]:
    """Yield the events of some types; of a log in a store, no others are read."""
    if isinstance(log, RunEvents):
        return log.of_types(types)
    return (event for event in log if event.type in types)
