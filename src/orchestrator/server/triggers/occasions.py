"""The instants of a schedule that are due: with its jitter, and what is made up for after no server ran."""

from __future__ import annotations

import hashlib
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.language.values.cron import instants, next_instants

if TYPE_CHECKING:
    from orchestrator.plan.triggers import Schedule

MOST_AT_ONCE: Final = 100
"""How many runs a schedule with `overlap: queue` starts at most for the time in which no server ran."""


class Occasions(Struct, frozen=True):
    """What is due. Times in seconds since the epoch.

    `due` are the instants to fire for, `missed` the newest that is not made up for, `handled_until` the newest of all.
    """

    due: tuple[float, ...] = ()
    missed: float | None = None
    handled_until: float | None = None


def occasions(trigger: str, schedule: Schedule, handled_until: float, now: float) -> Occasions:
    """Return what is due of a schedule whose instants were handled until a time."""
    earliest = now - schedule.catch_up - schedule.jitter
    missed = _only(schedule, handled_until, earliest) if earliest > handled_until else None
    kept = MOST_AT_ONCE if schedule.overlap == "queue" else 1
    due: deque[float] = deque(maxlen=kept)
    last = None if missed is None else earliest
    for moment in instants(schedule.cron, schedule.timezone, datetime.fromtimestamp(max(handled_until, earliest), UTC)):
        instant = moment.timestamp()
        start = instant + delay(trigger, schedule, instant)
        if start > now:
            break
        if now - start > schedule.catch_up:
            missed = instant
        else:
            if len(due) == kept:
                missed = due[0]
            due.append(instant)
        last = instant
    return Occasions(tuple(due), missed, last)


def _only(schedule: Schedule, after: float, until: float) -> float | None:
    """Return the first instant in a span of time, which stands for all of them; None if there is none."""
    found = next_instants(schedule.cron, schedule.timezone, after, 1)
    return found[0].timestamp() if found and found[0].timestamp() <= until else None


def next_start(trigger: str, schedule: Schedule, after: float) -> float | None:
    """Return when the next run of a schedule is started after a time; None if it has no further instant."""
    found = next_instants(schedule.cron, schedule.timezone, after, 1)
    if not found:
        return None
    instant = found[0].timestamp()
    return instant + delay(trigger, schedule, instant)


def delay(trigger: str, schedule: Schedule, instant: float) -> float:
    """Return how many seconds after an instant its run starts: the same on all servers."""
    if not schedule.jitter:
        return 0.0
    digest = hashlib.sha256(f"{trigger} {instant}".encode()).digest()
    return schedule.jitter * int.from_bytes(digest[:6]) / 2**48
