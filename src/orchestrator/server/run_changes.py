"""How the runs of the store change, for all pages that list them: one look at the store serves every reader."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from orchestrator.journal.feeds.run_heads import run_heads
from orchestrator.journal.store.queries.listed_runs import moving_keys, newest_key

if TYPE_CHECKING:
    from orchestrator.journal.records import RunFilter
    from orchestrator.journal.state.status import RunStatus
    from orchestrator.journal.store.queries.listed_runs import ListedRun
    from orchestrator.journal.store.store import Store

KEPT: Final = 10_000
"""Of how many runs the newest change is kept. A reader that is further behind reloads its list."""

MOST_MOVING: Final = 2_000
"""How many runs of other processes are followed, the newest ones."""

LOOK_SECONDS: Final = 0.5
"""Seconds between two looks at the runs of other processes while the store changes."""

OWNER_SECONDS: Final = 2.0
"""Seconds between two looks whether the owners of runs are alive."""

SETTLING_SECONDS: Final = 0.3
"""When a run that asks a person is looked at again: until then it may still do something else."""


class RunChange(Struct):
    """The newest change of a run. `number` counts the changes of all runs.

    `left` has, for states that the run is in no more, the number of the change by which it left them; `others` is that
    number for states that are not listed: 0, or the number of the first change that was seen. `asked` is the number of
    the change by which the last question of the run was answered.
    """

    number: int
    run: ListedRun
    left: dict[str, int] = field(default_factory=dict)
    others: int = 0
    asked: int = 0
    block: bytes | None = None
    """As it is sent, once it was."""

    def concerns(self, wanted: RunFilter, after: int) -> bool:
        """Whether a list with this filter, last brought up to date with the change `after`, shows the run or did."""
        status = self.run.status
        if wanted.state not in (None, status.state) and self.left.get(wanted.state, self.others) <= after:
            return False
        if wanted.asks and not status.asks and self.asked <= after:
            return False
        if wanted.since is not None and status.created_at < wanted.since:
            return False
        if wanted.until is not None and status.created_at >= wanted.until:
            return False
        return (
            wanted.pipeline in (None, status.pipeline)
            and wanted.batch in (None, self.run.batch)
            and not (wanted.single and self.run.batch is not None)
            and self.run.labels.issuperset(wanted.labels)
            and self._contains(wanted.text)
        )

    def _contains(self, text: str) -> bool:
        status = self.run.status
        return (
            not text
            or text.lower() in status.pipeline.lower()
            or status.run_id.startswith(text)
            or text in self.run.labels
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as a stream sends it."""
        status = self.run.status
        return {
            "run_id": status.run_id,
            "state": status.state,
            "progress": status.progress,
            "seq": status.last_seq,
            "pipeline": status.pipeline,
            "name": status.name,
            "batch": self.run.batch,
            "labels": sorted(self.run.labels),
            "counts": dict(status.counts),
            "created_at": status.created_at,
            "started_at": status.started_at,
            "ended_at": status.ended_at,
            "known_cost": status.spending.known_cost,
        }


class RunChanges:
    """The newest change of each run that has changed lately. One thread at a time looks; any thread reads.

    Intermediate changes of a run are replaced by later ones, so that the memory that it takes, and what a slow reader
    has yet to receive, depend on the number of runs alone.
    """

    def __init__(self, store: Store) -> None:
        self.epoch = secrets.token_hex(4)
        """Differs between servers, and after a restart: the numbers of another one mean nothing here."""
        self.number = 0
        """The number of the newest change."""
        self._store = store
        self._lock = threading.Lock()
        self._watch = store.feeds.watch()
        self._changes: OrderedDict[int, RunChange] = OrderedDict()
        self._dropped = 0
        self._marks: dict[int, tuple[Any, ...]] = {}
        self._newest = newest_key(store.database)
        self._moved()  # what is so now is no change
        self._again: dict[int, float] = {}
        self._unsure = False
        self._look_at = self._owners_at = time.monotonic()

    async def wait(self) -> None:
        """Wait until there may be something new."""
        due = min([self._owners_at, *([self._look_at] if self._unsure else ()), *self._again.values()])
        await self._watch.wait_async(max(0.0, due - time.monotonic()))

    def look(self) -> None:
        """Take what has changed since the last look.

        Raises:
            StoreError: The store cannot be read. The next look finds the changes.
        """
        now = time.monotonic()
        keys, unsure = self._watch.take()
        self._unsure = self._unsure or unsure
        due = {key for key, moment in self._again.items() if moment <= now}
        try:
            if now >= self._owners_at or (self._unsure and now >= self._look_at):
                keys |= self._moved()
                self._look_at, self._owners_at, self._unsure = now + LOOK_SECONDS, now + OWNER_SECONDS, False
            found = {run.key: run for run in self._store.listed(sorted(keys | due))}
        except BaseException:
            self._watch.note(keys)
            raise
        for key in due:
            del self._again[key]
        with self._lock:
            for key in sorted(keys | due):
                self._put(key, found.get(key), now)

    def since(self, after: int) -> list[RunChange] | None:
        """Return the changes after the one numbered `after`, oldest first; of each run only the newest.

        None: some of them are not known any more.
        """
        with self._lock:
            if not self._dropped <= after <= self.number:
                return None
            newer = []
            for change in reversed(self._changes.values()):
                if change.number <= after:
                    break
                newer.append(change)
        newer.reverse()
        return newer

    def _put(self, key: int, run: ListedRun | None, now: float) -> None:
        if run is None:  # it was removed
            return
        known, status = self._changes.get(key), run.status
        if status.state == "running" and any(step.question is not None for step in status.active):
            self._again[key] = now + SETTLING_SECONDS
        self._newest = max(self._newest, key)
        if known is not None and _facts(known.run.status) == _facts(status):
            return
        self.number += 1
        left, others = ({}, self.number) if known is None else (known.left, known.others)
        if known is not None and known.run.status.state != status.state:
            left = {**left, known.run.status.state: self.number}
        had_question = known is None or known.run.status.asks
        asked = self.number if had_question and not status.asks else 0 if known is None else known.asked
        self._changes[key] = RunChange(self.number, run, left, others, asked)
        self._changes.move_to_end(key)
        while len(self._changes) > KEPT:
            self._dropped = self._changes.popitem(last=False)[1].number

    def _moved(self) -> set[int]:
        """Return the runs of other processes that differ from how they were at the last look."""
        store = self._store
        unended, created = moving_keys(store.database, self._newest, MOST_MOVING)
        self._newest = max([self._newest, *created])
        foreign = [key for key in {*unended, *created, *self._marks} if not store.feeds.is_mine(key)]
        heads = dict(run_heads(store.database, sorted(foreign)))
        marks = {}
        dead: dict[Any, bool] = {}
        for key, head in heads.items():
            owner = head.holder()
            if owner not in dead:
                dead[owner] = owner is not None and owner.is_dead()
            marks[key] = (*head.mark, dead[owner])
        moved = {key for key in foreign if self._marks.get(key) != marks.get(key)}
        still = set(unended)
        self._marks = {key: mark for key, mark in marks.items() if key in still}
        return moved


def _facts(status: RunStatus) -> tuple[Any, ...]:
    """Return what makes a difference to a list."""
    return status.state, status.last_seq, status.progress
