"""Reading runs along: every event once and in order, wherever it is written, and nothing asked for an idle run."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from orchestrator.errors import StoreUnavailable
from orchestrator.journal import Command, Journal, Owner, Store
from orchestrator.journal.dialects.change_signal import ChangeSignal
from orchestrator.journal.feeds import event_feed
from orchestrator.journal.feeds.event_feed import MAX_CHARACTERS, MAX_EVENTS, EventFeed
from orchestrator.journal.feeds.run_heads import run_heads
from orchestrator.journal.records import RunFilter
from orchestrator.journal.store.chunks import AT_ONCE
from tests.journal.support import create, event, new_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.journal import Event, RunJournal

PATIENCE = 60.0
"""Seconds after which a test that waits for something gives up."""

WRITER = """
import sys
from orchestrator.journal import Journal, Owner, Store
with Store.open(sys.argv[1]) as store, Journal(store) as journal:
    run = journal.attach(store.acquire("one", Owner.current()))
    for number in range(400):
        run.record("step.log", "a", 1, {"level": "info", "message": str(number)})
        if number % 7 == 0:
            run.flush()
        if number == 200:
            print("half", flush=True)
            sys.stdin.readline()
    run.record("run.succeeded", data={"outputs": {}})
    run.flush()
"""


class Statements:
    """Counts the statements of a store, by thread; the commits of its journal are not among them."""

    def __init__(self, store: Store) -> None:
        self.by_thread: dict[str, int] = {}
        self.parameters = 0
        sa.event.listen(store.database.engine, "before_cursor_execute", self._note)

    @property
    def total(self) -> int:
        return sum(self.by_thread.values())

    def _note(self, _c: object, _k: object, _s: str, parameters: Any, _x: object, many: bool) -> None:
        name = threading.current_thread().name
        self.by_thread[name] = self.by_thread.get(name, 0) + 1
        if not many:
            self.parameters = max(self.parameters, len(parameters))


def follow(store: Store, after: int = 0) -> list[int]:
    return [event.seq for event in store.follow("one", after, resolve=True)]


async def follow_async(store: Store, after: int = 0) -> list[int]:
    """As `follow`, on an event loop."""
    reader, found = store.reader("one"), [after]
    while True:
        seen = reader.version()
        batch = reader.read(found[-1])
        found += [event.seq for event in batch]
        if batch and batch[-1].type == "run.succeeded":
            return found[1:]
        if not batch:
            await reader.wait_async(seen)


def in_threads(*functions: Callable[[], list[int]]) -> Callable[[], list[list[int]]]:
    """Start functions in threads; call the result to join them and to get what they returned."""
    found: list[list[int]] = []
    threads = [threading.Thread(target=lambda each=each: found.append(each())) for each in functions]
    for thread in threads:
        thread.start()

    def join() -> list[list[int]]:
        for thread in threads:
            thread.join(PATIENCE)
        return found

    return join


def write(run: RunJournal, chance: random.Random, count: int) -> None:
    """Record events of many sizes, a few in each commit."""
    for number in range(count):
        size = chance.choice([1, 10, 100, 1_000, 30_000])
        run.record("step.succeeded", f"s{number}", 1, {"output": "x" * size, "duration": 0.1})
        if chance.random() < 0.3:
            run.flush()


@pytest.mark.parametrize("seed", range(3))
def test_readers_of_any_kind_get_every_event_once_and_in_order(store: Store, journal: Journal, url: str, seed: int):
    chance = random.Random(seed)
    run = journal.attach(create(store, "one"))
    with Store.open(url) as other:
        readers = [lambda: follow(store), lambda: follow(other), lambda: asyncio.run(follow_async(store))] * 2
        early = in_threads(*readers)
        write(run, chance, 150)
        late = in_threads(*readers, lambda: follow(store, 100), lambda: asyncio.run(follow_async(other, 149)))
        write(run, chance, 150)
        run.record("run.succeeded", data={"outputs": {}})
        run.flush()
        everything = list(range(1, 303))
        assert early() == [everything] * 6
        assert sorted(late(), key=len) == [everything[149:], everything[100:], *[everything] * 6]


def test_shared_events_are_those_of_the_store(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    reader = store.reader("one")
    write(run, random.Random(5), 20)
    looks_like_a_reference = {"output": {"$blob": "0" * 64, "size": 3}, "naïve": "☀\ud800\0"}
    run.record("step.succeeded", "\ud800", 2, looks_like_a_reference)
    run.flush()
    shared = reader.shared(1)
    assert shared is not None
    assert len(shared) == 21
    assert shared == store.events("one", after=1, resolve=True)
    assert shared[0] is (reader.shared(1) or [])[0]


def test_readers_follow_another_process(store: Store, url: str):
    store.release(create(store, "one"))
    readers = [lambda: follow(store), lambda: asyncio.run(follow_async(store))]
    early = in_threads(*readers)
    words = [sys.executable, "-c", WRITER, url]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        late = in_threads(*readers)
        process.communicate("go on\n", timeout=PATIENCE)
    assert early() + late() == [list(range(1, 403))] * 4


class Unsteady(ChangeSignal):
    """A signal whose connection breaks again and again."""

    breaks = 0

    def __init__(self, signal: ChangeSignal) -> None:
        self._signal = signal
        self._left = 3
        self.longest = signal.longest

    def watch(self, *, on: bool) -> None:
        self._signal.watch(on=on)

    def changed(self) -> set[int] | None:
        self._left -= 1
        if not self._left:
            Unsteady.breaks += 1
            raise StoreUnavailable("the connection is lost", url="")
        return self._signal.changed()

    def close(self) -> None:
        self._signal.close()


def test_no_event_is_lost_when_the_connection_breaks(store: Store, url: str, monkeypatch: pytest.MonkeyPatch):
    with Store.open(url) as other, Journal(other) as journal:
        run = journal.attach(create(other, "one"))
        connect = store.database.change_signal
        monkeypatch.setattr(store.database, "change_signal", lambda: Unsteady(connect()))
        before = Unsteady.breaks
        readers = in_threads(lambda: follow(store), lambda: asyncio.run(follow_async(store)))
        reader, seq = store.reader("one"), 1
        while Unsteady.breaks < before + 3:
            seen = reader.version()
            run.record("step.log", "a", 1, {"level": "info", "message": "still here"})
            run.flush()
            seq += 1
            while not reader.read(seq - 1):
                assert reader.wait(seen, PATIENCE)
                seen = reader.version()
        run.record("run.succeeded", data={"outputs": {}})
        run.flush()
        assert readers() == [list(range(1, seq + 2))] * 2


def test_commits_of_other_runs_do_not_concern_the_readers_of_an_idle_one(store: Store, journal: Journal):
    journal.attach(create(store, "idle"))
    busy = journal.attach(create(store, "busy"))
    readers = [store.reader("idle") for _ in range(100)]
    seen = [reader.version() for reader in readers]
    statements = Statements(store)
    for _ in range(200):
        busy.record("step.log", "a", 1, {"level": "info", "message": "x"})
        busy.flush()
    assert [reader.version() for reader in readers] == seen
    assert statements.total == 0


def test_a_wake_costs_the_same_number_of_statements_for_any_number_of_readers(store: Store, url: str):
    with Store.open(url) as other, Journal(other) as journal:
        run = journal.attach(create(other, "one"))
        readers = [store.reader("one") for _ in range(100)]
        first = readers[0].version()
        if first[0] == 0:  # before its first look
            assert readers[0].wait(first, PATIENCE)
        after = 1
        for _ in range(3):
            seen = [reader.version() for reader in readers]
            statements = Statements(store)
            run.record("step.log", "a", 1, {"level": "info", "message": "x"})
            run.flush()
            for reader, version in zip(readers, seen, strict=True):
                assert reader.wait(version, PATIENCE)
                assert [event.seq for event in reader.shared(after) or []] == [after + 1]
            after += 1
            assert statements.total <= 4
            assert set(statements.by_thread) == {"orchestrator-feeds"}


def test_a_run_that_is_executed_here_is_not_polled(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    readers = [store.reader("one") for _ in range(10)]
    seen = readers[0].version()
    statements = Statements(store)
    run.record("run.paused", data={"by": "ann"})
    run.flush()
    for reader in readers:
        assert reader.wait(seen, PATIENCE)
        assert [event.type for event in reader.shared(1) or []] == ["run.paused"]
    assert statements.total == 0
    assert "orchestrator-feeds" not in statements.by_thread


def test_a_reader_learns_that_a_run_was_released(store: Store, url: str):
    with Store.open(url) as other:
        lease = create(other, "one")
        reader = store.reader("one")
        first = reader.version()
        if first[0] == 0:
            assert reader.wait(first, PATIENCE)
        seen = reader.version()
        other.release(lease)
        assert reader.wait(seen, PATIENCE)
        assert store.status("one").state == "interrupted"


def test_a_reader_learns_that_the_owner_has_died(store: Store, url: str):
    words = "import sys\nfrom orchestrator.journal import Owner, Store\n"
    words += "Store.open(sys.argv[1]).acquire('one', Owner.current(), ttl=600)\nprint('taken', flush=True)\ninput()"
    store.release(create(store, "one"))
    with subprocess.Popen(
        [sys.executable, "-c", words, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        reader = store.reader("one")
        seen = reader.version()
        assert store.status("one").state == "running"
        process.kill()
        process.wait()
    while store.status("one").state == "running" or reader.version() == seen:
        assert reader.wait(seen, PATIENCE)
        seen = (-1, -1) if store.status("one").state == "interrupted" else reader.version()
    assert store.status("one").state == "interrupted"


def test_a_run_without_readers_has_no_feed(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    reader = store.reader("one")
    assert len(store.feeds._feeds) == 1
    del reader
    run.record("run.started")
    run.flush()
    assert len(store.feeds._feeds) == 0


@pytest.mark.parametrize("kind", [follow, lambda store: asyncio.run(follow_async(store))], ids=["thread", "task"])
def test_a_reader_of_a_closed_store_looks_for_itself(url: str, kind: Callable[[Store], list[int]]):
    with Store.open(url) as other, Journal(other) as journal:
        run = journal.attach(create(other, "one"))
        with Store.open(url) as store:
            pass
        reader = in_threads(lambda: kind(store))
        run.record("run.succeeded", data={"outputs": {}})
        run.flush()
        assert reader() == [[1, 2]]
        assert store.feeds._thread is None


# --- the feed of one run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    monkeypatch.setattr(event_feed.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def scheduled() -> list[float]:
    return []


@pytest.fixture
def feed(scheduled: list[float]) -> EventFeed:
    return EventFeed("r", 1, lambda _feed, due: scheduled.append(due))


def log(seq: int, size: int = 1) -> Event:
    return event(seq, "step.log", "a", 1, level="info", message="x" * size)


def test_a_busy_run_wakes_its_readers_at_a_pace(feed: EventFeed, clock: list[float], scheduled: list[float]):
    feed.announce()
    assert feed.version() == (1, 1)  # the first news at once
    for _ in range(50):
        feed.announce()
    assert feed.version() == (1, 51)
    assert scheduled == [pytest.approx(100.0 + event_feed.PACE)]
    clock[0] = scheduled[0]
    feed.publish()
    feed.publish()
    assert feed.version() == (2, 51)
    feed.announce(urgent=True)
    assert feed.version() == (3, 52)


def test_what_is_not_recorded_does_not_change_the_run(feed: EventFeed, clock: list[float]):
    feed.announce(changed=False, pace=0.1)
    assert feed.version() == (1, 0)


@pytest.mark.parametrize("size", [1, 1000, MAX_CHARACTERS + 1])
def test_a_feed_keeps_the_newest_events_within_its_limits(feed: EventFeed, size: int):
    count = 3 * MAX_EVENTS
    for seq in range(1, count + 1):
        feed.push([log(seq, size)])
    kept = len(feed._events)
    assert kept <= MAX_EVENTS
    assert sum(feed._sizes) == feed._characters <= MAX_CHARACTERS
    assert feed.read(count - kept - 1, 10) is None
    assert feed.read(count, 10) == []
    assert feed.read(count + 1, 10) is None
    assert [each.seq for each in feed.read(count - kept, count) or []] == list(range(count - kept + 1, count + 1))


def test_a_gap_is_read_from_the_store(feed: EventFeed):
    feed.push([log(1), log(2)])
    feed.push([log(2), log(3)])
    assert [each.seq for each in feed.read(0, 10) or []] == [1, 2, 3]
    feed.push([log(7)])
    assert feed.read(3, 10) is None
    assert [each.seq for each in feed.read(6, 10) or []] == [7]
    feed.advance(9)
    assert feed.read(7, 10) is None
    assert feed.read(9, 10) == []
    feed.advance(8)
    assert feed.read(9, 10) == []


# --- statements do not grow with their arguments


def test_no_statement_grows_with_its_arguments(store: Store, journal: Journal):
    async def begin() -> None:
        labels = {f"label:label-{number}": True for number in range(1_100)}
        runs = await asyncio.gather(
            *(
                journal.begin(new_run(f"run-{n:04d}", options=labels if n == 7 else {}), Owner.current())
                for n in range(1_100)
            )
        )
        first = runs[0]
        for number in range(1_100):
            first.record("step.succeeded", f"s{number}", 1, {"output": number, "duration": 0.1})
        await first.commit()

    asyncio.run(begin())
    everything = [f"run-{n:04d}" for n in range(1_100)]
    statements = Statements(store)
    assert [status.run_id for status in store.list(limit=1_000)] == everything[:99:-1]
    assert len(store.list(limit=10**9)) == 1_100
    paths = [f"s{number}" for number in range(1_100)]
    found = store.events("run-0000", limit=1_050, paths=paths)
    assert [each.seq for each in found] == list(range(2, 1_052))
    assert store.values_at("run-0000", range(2, 1_102)) == list(range(1_100))
    numbers = [store.send("run-0000", Command("pause", {}, "ann")) for _ in range(600)]
    assert len(store.commands(everything)) == 600
    store.acknowledge(numbers)
    assert store.commands(everything) == []
    readers = [store.reader(run_id) for run_id in everything]
    assert len(dict(run_heads(store.database, [reader._feed.key for reader in readers]))) == 1_100
    assert statements.parameters <= 2 * AT_ONCE + 10
    wanted = RunFilter(labels=tuple(f"label-{number}" for number in range(1_100)))
    assert [status.run_id for status in store.list(wanted=wanted)] == ["run-0007"]
    assert store.list(wanted=RunFilter(labels=("label-1", "another"))) == []


def test_paced_news_arrive_although_nothing_else_happens(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    reader = store.reader("one")
    for number in range(20):
        seen = reader.version()
        run.record("step.log", "a", 1, {"level": "info", "message": "x"})
        run.flush()
        while len(reader.shared(1) or []) <= number or reader.version() == seen:
            assert reader.wait(seen, PATIENCE)
