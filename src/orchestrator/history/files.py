"""The files that the steps of a run wrote, as they are recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from orchestrator.journal.step_payloads import StepFilePayload

if TYPE_CHECKING:
    from orchestrator.history.event_log import ResultSource
    from orchestrator.journal.payload import EventType

_EVENTS_AT_ONCE: Final = 500
_TYPES: Final[tuple[EventType, ...]] = ("step.file",)


class RecordedFile(Struct, frozen=True):
    """A file that a step wrote. `path` as recorded, `size` in bytes, `at` in seconds since the epoch.

    `digest` is the SHA-256 of its content if the step declares it in `produces`, else None.
    """

    path: str
    step: str
    attempt: int
    size: int
    at: float
    digest: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)


def files_of(store: ResultSource, run_id: str) -> list[RecordedFile]:
    """Return the files that a run wrote, in the order of their paths. Of one path, the newest counts."""
    found: dict[str, RecordedFile] = {}
    after = 0
    while batch := store.events(run_id, after=after, limit=_EVENTS_AT_ONCE, types=_TYPES):
        for event in batch:
            written = event.payload
            if isinstance(written, StepFilePayload):
                found[written.path] = RecordedFile(
                    written.path, event.path, event.attempt, written.size, event.at, written.digest
                )
        after = batch[-1].seq
    return [found[path] for path in sorted(found)]
