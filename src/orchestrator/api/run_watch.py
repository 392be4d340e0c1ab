"""Watching a run as it is executed: its new events, the answers that models are streaming, and whether it rests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.runtime.run.answer_stream import merge_by_time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from orchestrator.journal import Event, RunStatus
    from orchestrator.runtime import Follower


class RunWatch:
    """Looks at a run now and then, on behalf of a display. Close it."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._answers = follower.answer_stream()

    def look(self, after: int, *, timeout: float) -> tuple[Iterable[Event], RunStatus | None]:
        """Wait at most `timeout` seconds; return the events after `after`, and the status if nothing more will happen.

        Pieces of answers, with the `seq` 0, are among the events.
        """
        status = self._settled(timeout)
        pieces = self._answers.take()
        events = self._follower.events(after, follow=False)
        return merge_by_time(list(events), pieces) if pieces else events, status

    def close(self) -> None:
        """Receive no further pieces of answers."""
        self._answers.close()

    def _settled(self, timeout: float) -> RunStatus | None:
        try:
            return self._follower.rest(timeout)[0]
        except TimeoutError:
            return None
