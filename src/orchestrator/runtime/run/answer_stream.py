"""Streaming of the answers that models are giving, to readers in this process. Nothing of it is recorded."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Final

from orchestrator.journal import Event
from orchestrator.journal.step_payloads import StepPartialPayload

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.runtime.values.redaction import Redactor

MAX_BUFFER: Final = 100_000
"""Characters of one answer that are kept for a subscriber that does not take them; the first ones are dropped."""

_Key = tuple[str, int]


class AnswerPublisher:
    """The answers of one run. `publish` is called on the run's event loop; without subscribers it costs nothing.

    `newest` returns the number of the run's newest event: readers receive a piece after what was recorded before it.
    """

    def __init__(self, run_id: str, redactor: Redactor, newest: Callable[[], int] = lambda: 0) -> None:
        self.run_id = run_id
        self.newest = newest
        self._redactor = redactor
        self._lock = threading.Lock()
        self._subscriptions: frozenset[AnswerSubscription] = frozenset()
        self._held: dict[_Key, str] = {}

    def subscribe(self, notify: Callable[[], None] = lambda: None) -> AnswerSubscription:
        """Receive deltas from now on. May be called from any thread. `notify` is called when there is one to take."""
        subscription = AnswerSubscription(self, notify)
        with self._lock:
            self._subscriptions |= {subscription}
        return subscription

    def unsubscribe(self, subscription: AnswerSubscription) -> None:
        """Receive no further deltas."""
        with self._lock:
            self._subscriptions -= {subscription}

    def publish(self, path: str, attempt: int, delta: str) -> None:
        """Publish a piece of an answer. What could be the beginning of a secret is held until more has come."""
        if not self._subscriptions:
            self._held.clear()
            return
        if self._redactor:
            delta = self._held.pop((path, attempt), "") + delta
            safe = self._redactor.safe_length(delta)
            if safe < len(delta):
                self._held[path, attempt] = delta[safe:]
            delta = self._redactor.text(delta[:safe])
        self._send(path, attempt, delta)

    def end(self, path: str, attempt: int) -> None:
        """Publish what was held: the answer is complete."""
        if self._held:
            self._send(path, attempt, self._redactor.text(self._held.pop((path, attempt), "")))

    def _send(self, path: str, attempt: int, delta: str) -> None:
        if delta:
            for subscription in self._subscriptions:
                subscription.add(path, attempt, delta)


class AnswerSubscription:
    """Buffers the deltas of a run until its reader takes them."""

    def __init__(self, publisher: AnswerPublisher, notify: Callable[[], None]) -> None:
        self.publisher = publisher
        self._notify = notify
        self._lock = threading.Lock()
        self._buffer: dict[_Key, tuple[float, str, int]] = {}

    def add(self, path: str, attempt: int, delta: str) -> None:
        """Keep a delta until it is taken."""
        with self._lock:
            first = not self._buffer
            _, before, after = self._buffer.pop((path, attempt), (0.0, "", None))
            after = self.publisher.newest() if after is None else after
            self._buffer[path, attempt] = (time.time(), (before + delta)[-MAX_BUFFER:], after)
        if first:
            self._notify()

    def take(self, passed: float = math.inf) -> list[Event]:
        """Return what has come since the last call, one event for each attempt of a step, the oldest first.

        What followed an event later than the one numbered `passed` is kept for a later call.
        """
        with self._lock:
            buffered = {key: kept[:2] for key, kept in self._buffer.items() if kept[2] <= passed}
            self._buffer = {key: kept for key, kept in self._buffer.items() if kept[2] > passed}
        return [
            Event.of(self.publisher.run_id, 0, at, StepPartialPayload(text=text), path, attempt)
            for (path, attempt), (at, text) in buffered.items()
        ]

    def close(self) -> None:
        """Receive no further deltas."""
        self.publisher.unsubscribe(self)


def merge_by_time(recorded: list[Event], deltas: list[Event]) -> list[Event]:
    """Put deltas between recorded events, by their times: those of a step come before its end."""
    if not deltas:
        return recorded
    merged: list[Event] = []
    waiting = iter(deltas)
    delta = next(waiting, None)
    for event in recorded:
        while delta is not None and delta.at < event.at:
            merged.append(delta)
            delta = next(waiting, None)
        merged.append(event)
    return merged + ([delta, *waiting] if delta is not None else [])
