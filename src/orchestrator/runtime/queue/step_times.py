"""How long the steps of a pipeline take: as its last runs measured, and as this one does."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct, field

from orchestrator.paths import any_item

MOST_STEPS: Final = 1_000
"""Steps whose durations are kept for later runs: those that take longest. Of the others, the mean is kept."""

Seconds = Annotated[float, Meta(ge=0)]


class PastDurations(Struct, frozen=True):
    """What earlier runs measured: the seconds of steps by their paths, with `[*]` for items, and `usual` ones."""

    seconds: Mapping[str, Seconds] = field(default_factory=dict)
    usual: Seconds = 1.0


class StepTimes:
    """The durations of the steps of a run, and of the same steps in earlier runs.

    A run whose steps never had to wait for slots neither reads the earlier ones nor leaves its own.
    """

    def __init__(self, recorded: str | None = None) -> None:
        """`recorded` is what an earlier run left."""
        self._recorded = recorded
        self._past: PastDurations | None = None
        self._seconds: dict[str, float] = {}
        self._items: dict[str, tuple[float, int]] = {}

    @property
    def past(self) -> PastDurations:
        """What earlier runs measured. Asking for it means that steps wait for slots."""
        if self._past is None:
            try:
                self._past = msgspec.json.decode(self._recorded or "{}", type=PastDurations)
            except (msgspec.DecodeError, UnicodeError):  # only the order of steps depends on it
                self._past = PastDurations()
        return self._past

    def note(self, path: str, seconds: float) -> None:
        """Take the duration of a step that has succeeded."""
        if "[" in path:
            path = any_item(path)
            total, count = self._items.get(path, (0.0, 0))
            self._items[path] = total + seconds, count + 1
        else:
            self._seconds[path] = seconds

    def left_for_later(self) -> str | None:
        """Return what later runs read: the mean with what was known before. None: no step had to wait."""
        if self._past is None:
            return None
        known = self._past.seconds
        means = {path: total / count for path, (total, count) in self._items.items()}
        found = {path: (known.get(path, new) + new) / 2 for path, new in (self._seconds | means).items()}
        longest = dict(heapq.nlargest(MOST_STEPS, found.items(), key=lambda item: item[1]))
        others = [seconds for path, seconds in found.items() if path not in longest] or list(found.values())
        usual = sum(others) / len(others) if others else 1.0
        rounded = {path: float(f"{seconds:.4g}") for path, seconds in longest.items()}
        return msgspec.json.encode(PastDurations(rounded, usual)).decode()
