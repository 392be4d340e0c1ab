"""Pieces of answers that models are just giving, for those who look on in this process. Nothing of it is recorded."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from orchestrator.journal import Event

if TYPE_CHECKING:
    from orchestrator.runtime.values.redaction import Redactor

MOST: Final = 100_000
"""Characters of one answer that are kept for somebody who does not come for them; what came first is dropped."""

_Key = tuple[str, int]


class Partials:
    """The pieces of one run. `show` is called on the run's event loop; where nobody looks on, it costs nothing."""

    def __init__(self, run_id: str, redactor: Redactor) -> None:
        self.run_id = run_id
        self._redactor = redactor
        self._lock = threading.Lock()
        self._listeners: frozenset[Listener] = frozenset()
        self._held: dict[_Key, str] = {}

    def listen(self) -> Listener:
        """Look on from now on. May be called from any thread."""
        listener = Listener(self)
        with self._lock:
            self._listeners |= {listener}
        return listener

    def leave(self, listener: Listener) -> None:
        """Look on no longer."""
        with self._lock:
            self._listeners -= {listener}

    def show(self, path: str, attempt: int, text: str) -> None:
        """Show a piece of an answer. What could be the beginning of a secret is held back until more has come."""
        if not self._listeners:
            self._held.clear()
            return
        if self._redactor:
            text = self._held.pop((path, attempt), "") + text
            safe = self._redactor.safe_length(text)
            if safe < len(text):
                self._held[path, attempt] = text[safe:]
            text = self._redactor.text(text[:safe])
        self._tell(path, attempt, text)

    def end(self, path: str, attempt: int) -> None:
        """Show what was held back: no more comes."""
        if self._held:
            self._tell(path, attempt, self._redactor.text(self._held.pop((path, attempt), "")))

    def _tell(self, path: str, attempt: int, text: str) -> None:
        if text:
            for listener in self._listeners:
                listener.hear(path, attempt, text)


class Listener:
    """Somebody who looks on, and takes what has come whenever it suits them."""

    def __init__(self, partials: Partials) -> None:
        self.partials = partials
        self._lock = threading.Lock()
        self._heard: dict[_Key, tuple[float, str]] = {}

    def hear(self, path: str, attempt: int, text: str) -> None:
        """Keep a piece until it is taken."""
        with self._lock:
            _, before = self._heard.pop((path, attempt), (0.0, ""))
            self._heard[path, attempt] = (time.time(), (before + text)[-MOST:])

    def take(self) -> list[Event]:
        """Return what has come since the last time, an event for each attempt of a step, the oldest first."""
        with self._lock:
            heard, self._heard = self._heard, {}
        return [
            Event(self.partials.run_id, 0, at, "step.partial", path, attempt, {"text": text})
            for (path, attempt), (at, text) in heard.items()
        ]

    def close(self) -> None:
        """Look on no longer."""
        self.partials.leave(self)


def in_order(recorded: list[Event], partial: list[Event]) -> list[Event]:
    """Put pieces of answers between recorded events, by their times: a step's come before its end."""
    if not partial:
        return recorded
    found: list[Event] = []
    waiting = iter(partial)
    piece = next(waiting, None)
    for event in recorded:
        while piece is not None and piece.at < event.at:
            found.append(piece)
            piece = next(waiting, None)
        found.append(event)
    return found + ([piece, *waiting] if piece is not None else [])
