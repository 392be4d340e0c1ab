"""Removing what is no longer wanted, and saying what there is; on both kinds of database."""

from __future__ import annotations

import os
import time
from itertools import count
from threading import Event as Signal
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import RunNotFound
from orchestrator.journal import Command, EventType, Journal, Owner, Store
from orchestrator.journal.records import RunFilter, label_key
from orchestrator.journal.store import retention
from orchestrator.journal.store.blob_codec import LIMIT
from orchestrator.journal.store.event_columns import event_id, last_id
from orchestrator.journal.store.queries import event_pages
from orchestrator.journal.turns import PAUSE_SECONDS, Portion, Turns
from tests.journal.support import Statement, create, new_run, recorded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENDS: dict[str, EventType] = {"succeeded": "run.succeeded", "failed": "run.failed", "cancelled": "run.cancelled"}


def large(text: str) -> str:
    return text * 2 * LIMIT


def end(store: Store, journal: Journal, name: str, state: str = "succeeded", output: Any = 1, **new: Any) -> None:
    """A run that has ended."""
    lease = create(store, name, **new)
    run = journal.attach(lease)
    run.record("step.succeeded", "a", 1, {"output": output, "duration": 1.0})
    run.record(ENDS[state], data={"outputs": {}} if state == "succeeded" else {})
    run.flush()
    run.detach()
    store.release(lease)


def age(store: Store, name: str, seconds: float) -> None:
    """Make a run look older."""
    key = f"(SELECT key FROM runs WHERE run_id = '{name}')"
    run = f"id BETWEEN {event_id(1, 0)} * {key} AND {event_id(1, 0)} * {key} + {last_id(0)}"
    with store.database.write() as connection:
        connection.exec_driver_sql(f"UPDATE events SET at = at - {seconds} WHERE {run}")
        connection.exec_driver_sql(f"UPDATE runs SET created_at = created_at - {seconds} WHERE run_id = '{name}'")


def rows(store: Store, table: str) -> int:
    with store.database.read() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def test_runs_that_ended_long_ago_are_removed_with_everything_of_theirs(store: Store, journal: Journal):
    for state in ENDS:
        end(store, journal, f"old-{state}", state, output=large(state))
        store.send(f"old-{state}", Command("cancel"))
        age(store, f"old-{state}", 3600)
    end(store, journal, "new", output=large("n"))
    pruned = store.prune(older_than=time.time() - 60)
    assert (pruned.runs, pruned.blobs) == (3, 3)
    assert pruned.bytes > 0
    assert [s.run_id for s in store.list()] == ["new"]
    assert store.events("new", after=1, resolve=True)[0].data["output"] == large("n")
    assert (rows(store, "commands"), rows(store, "events")) == (0, 3)
    for look in (store.status, store.record, store.events):
        with pytest.raises(RunNotFound):
            look("old-failed")
    assert store.prune(older_than=time.time() - 60) == store.prune(keep=1)


def test_runs_that_have_not_ended_or_are_executed_stay(store: Store, journal: Journal):
    create(store, "running")
    for name in ("paused", "left"):
        lease = create(store, name)
        run = journal.attach(lease)
        run.record("run.paused" if name == "paused" else "run.started")
        run.flush()
        store.release(lease)
    end(store, journal, "resumed", "failed")
    store.acquire("resumed", Owner.current())
    end(store, journal, "ended")
    for name in ("running", "paused", "left", "resumed", "ended"):
        age(store, name, 3600)
    assert store.prune(older_than=time.time(), keep=0).runs == 1
    assert {s.run_id for s in store.list()} == {"running", "paused", "left", "resumed"}


def test_the_last_runs_are_kept_at_any_age(store: Store, journal: Journal):
    begun = time.time()
    for number in range(6):
        end(store, journal, f"run-{number}")
        age(store, f"run-{number}", 100_000 if number == 5 else 1000 * (10 - number))
    assert store.prune(older_than=begun - 500, keep=4).runs == 2
    assert [s.run_id for s in store.list()] == ["run-4", "run-3", "run-2", "run-1"]
    assert store.prune(older_than=begun - 9_500, keep=0).runs == 0
    assert store.prune(keep=3).runs == 1
    assert [s.run_id for s in store.list()] == ["run-4", "run-3", "run-2"]
    assert store.prune().runs == 0


@pytest.mark.parametrize("older_than", [None, 60.0])
@pytest.mark.parametrize("keep", [None, 0, 2, 9])
def test_a_dry_run_reports_what_would_be_removed(
    store: Store, journal: Journal, older_than: float | None, keep: int | None
):
    for number, text in enumerate("aabbcd"):
        end(store, journal, f"run-{number}", output=large(text))
        age(store, f"run-{number}", 1000 if number < 4 else 0)
    store.cache_put("k", "run-0", "a", large("a"))
    store.acquire("run-1", Owner.current())
    limits: dict[str, Any] = {"older_than": older_than and time.time() - older_than, "keep": keep}
    said = store.prune(**limits, dry_run=True)
    assert rows(store, "runs") == 6
    assert store.prune(**limits) == said


def test_a_large_value_is_removed_with_its_last_reference(store: Store, journal: Journal):
    shared, alone = large("s"), large("a")
    end(store, journal, "one", output=shared)
    end(store, journal, "two", output=shared)
    end(store, journal, "three", output=alone)
    store.cache_put("k", "three", "a", alone)
    plan_and_source = 2
    assert rows(store, "blobs") == plan_and_source + 2
    assert store.prune(keep=2).blobs == 0
    store.prune(keep=0)
    assert rows(store, "blobs") == 1
    found = store.cache_get("k")
    assert found is not None
    assert (found.run_id, found.output) == ("three", alone)
    assert store.prune(older_than=time.time() + 60).cache_entries == 1
    assert rows(store, "blobs") == 0
    assert store.cache_get("k") is None


def test_old_cached_results_are_removed(store: Store):
    store.cache_put("old", "one", "a", 1)
    middle = time.time()
    store.cache_put("new", "one", "a", 2)
    assert store.prune(older_than=middle).cache_entries == 1
    assert store.cache_get("old") is None
    assert store.cache_get("new") is not None
    assert store.prune(keep=0).cache_entries == 0


def test_an_sqlite_file_shrinks_when_runs_are_removed(tmp_path: Path):
    path = tmp_path / "runs.db"
    with Store.open(f"sqlite:///{path}") as store, Journal(store) as journal:
        for number in range(60):
            end(store, journal, f"run-{number}", output=os.urandom(20_000).hex())
        full = store.stats()
        assert full.free_bytes == 0
        store.prune(keep=2)
        left = store.stats()
        assert left.free_bytes == 0
        assert left.size_bytes < full.size_bytes / 5
        assert path.stat().st_size == left.size_bytes


def test_stats_report_the_content_of_the_store(store: Store, journal: Journal):
    assert store.stats().runs == {}
    assert (store.stats().events, store.stats().oldest) == (0, None)
    end(store, journal, "one", output=large("x"))
    end(store, journal, "two", "failed")
    age(store, "one", 3600)
    create(store, "three")
    store.release(create(store, "four"))
    store.cache_put("k", "one", "a", 1)
    stats = store.stats()
    assert stats.runs == {"succeeded": 1, "failed": 1, "running": 1, "interrupted": 1}
    assert (stats.events, stats.blobs, stats.cache_entries) == (3 + 3 + 1 + 1, 3, 1)
    assert 0 < stats.blob_bytes < stats.size_bytes
    assert stats.oldest is not None
    assert stats.newest is not None
    assert stats.oldest < time.time() - 3500 < stats.newest


_runs = st.lists(
    st.tuples(
        st.sampled_from(["succeeded", "failed", "cancelled", "running", "owned"]),
        st.integers(0, 3),  # which value it has
        st.integers(0, 5),  # its age in hours
    ),
    max_size=8,
)


@given(_runs, st.lists(st.integers(0, 3), max_size=2), st.none() | st.integers(0, 6), st.none() | st.integers(0, 4))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_the_selected_runs_are_removed_and_the_rest_is_complete(
    store: Store, journal: Journal, specs, cached, hours, keep
):
    with store.database.write() as connection:
        for table in ("blob_uses", "cache", "blobs", "events", "runs"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    names = count()
    made = []
    for state, value, old in specs:
        name = f"r{next(names)}"
        if state in ENDS:
            end(store, journal, name, state, output=large(f"{value}"))
        else:
            run = journal.attach(lease := create(store, name))
            run.record("step.succeeded", "a", 1, {"output": large(f"{value}")})
            run.flush()
            if state == "running":
                store.release(lease)
        age(store, name, 3600 * old)
        made.append((name, state, value, old))
    for value in cached:
        store.cache_put(f"k{value}", "r", "a", large(f"{value}"))
    store.prune(older_than=None if hours is None else time.time() - 3600 * hours + 1800, keep=keep)
    # By end, the newest first; of the same age, the one made last.
    ended = sorted((m for m in made if m[1] in ENDS), key=lambda m: (m[3], -made.index(m)))
    gone = set()
    if hours is not None or keep is not None:
        gone = {m[0] for place, m in enumerate(ended) if place >= (keep or 0) and (hours is None or m[3] >= hours)}
    left = [m for m in made if m[0] not in gone]
    assert {s.run_id for s in store.list()} == {m[0] for m in left}
    for name, _, value, _ in left:
        assert store.events(name, after=1, limit=1, resolve=True)[0].data["output"] == large(f"{value}")
        assert store.record(name).plan == new_run().plan
    kept_results = set() if hours == 0 else set(cached)
    assert rows(store, "cache") == len(kept_results)
    assert rows(store, "blobs") == len({m[2] for m in left} | kept_results) + 2 * bool(left)


class Interrupted(Exception):
    """A process that ends at this place."""


def fill(store: Store, journal: Journal, name: str, events: int, values: int = 0) -> None:
    """A run that has ended after so many events and large values."""
    lease = create(store, name, batch="b", row=1, options={label_key("l"): True})
    run = journal.attach(lease)
    for number in range(events - 2):
        run.record("step.progress", "a", 1, {"message": large(str(number)) if number < values else "x"})
    run.record("run.succeeded", data={"outputs": {}})
    run.flush()
    run.detach()
    store.release(lease)


def removals(statements: list[Statement], table: str) -> list[int]:
    """How many rows of a table each transaction removed, where it removed any."""
    found, count = [], 0
    for each in statements:
        if each.text == "COMMIT":
            found += [count] if count else []
            count = 0
        elif each.text.startswith(f"DELETE FROM {table} "):
            count += each.changed
    return found


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "EVENTS_AT_ONCE", 50)
    monkeypatch.setattr(retention, "RUNS_AT_ONCE", 3)
    monkeypatch.setattr(retention, "ENTRIES_AT_ONCE", 4)


@pytest.mark.usefixtures("small_portions")
def test_everything_is_removed_in_short_transactions(store: Store, journal: Journal):
    fill(store, journal, "long", 320, values=11)
    for number in range(8):
        fill(store, journal, f"short-{number}", 4)
    for number in range(9):
        store.cache_put(f"k{number}", "r", "a", number)
    with recorded(store.database) as statements:
        assert store.prune(keep=0, older_than=time.time() + 60).runs == 9
    for table, most, all_of_them in (
        ("events", 50, 320 + 8 * 4),
        ("runs", 3, 9),
        ("blob_uses", 3 * 2 + 4, 11 + 9 * 2),
        ("cache", 4, 9),
        ("blobs", 4, 11 + 2),
    ):
        found = removals(statements, table)
        assert max(found) <= most, table
        assert sum(found) == all_of_them, table
        assert rows(store, table) == 0
    assert store.batches() == []


@pytest.mark.usefixtures("small_portions")
def test_a_long_run_is_gone_at_once_and_leaves_no_gap_to_those_who_read_it(
    store: Store, journal: Journal, url: str, monkeypatch: pytest.MonkeyPatch
):
    fill(store, journal, "one", 120)
    fill(store, journal, "other", 3)
    with Store.open(url) as reader:
        assert len(reader.events("one")) == 120  # it knows the number of the run
        waits = count()

        def wait(_: Turns) -> None:
            if next(waits) == 3:
                raise Interrupted

        with monkeypatch.context() as patch:
            patch.setattr(Turns, "wait", wait)
            with pytest.raises(Interrupted):
                store.prune(keep=1)
        left = [event.seq for event in reader.events("one")]
        assert 0 < len(left) < 120
        assert left == list(range(1, len(left) + 1))
        assert [status.run_id for status in reader.list()] == ["other"]
        assert reader.list(wanted=RunFilter(labels=("l",)))[0].run_id == "other"
        assert [run_id for _, run_id, _ in reader.batch("b")] == ["other"]
        assert reader.find("last") == "other"
        assert reader.stats().runs == {"succeeded": 1}
        for look in (reader.status, reader.record, reader.find, lambda run_id: list(reader.follow(run_id))):
            with pytest.raises(RunNotFound):
                look("one")
        with pytest.raises(RunNotFound):
            reader.acquire("one", Owner.current())
        assert store.prune().runs == 0
        assert (rows(store, "runs"), rows(store, "events"), rows(store, "blob_uses")) == (1, 3, 2)


def test_a_database_with_one_writer_rests_between_the_transactions():
    slept: list[float] = []
    turns, portion = Turns(pauses=True), Portion(10, 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", slept.append)
        patch.setattr(time, "monotonic", lambda: 100.0)
        turns.wait()
        assert slept == []
        for seconds in (0.001, 0.001, 0.001, 0.2, 0.025):
            turns.took(seconds, portion)
            turns.wait()
        assert slept == pytest.approx([PAUSE_SECONDS] * 3 + [0.2, PAUSE_SECONDS])
        assert portion.size == 20
        slept.clear()
        alone = Turns(pauses=False)
        alone.took(0.2, portion)
        alone.wait()
        assert slept == []


def test_pruning_does_not_disturb_concurrent_writers(store: Store, url: str):
    """Runs that begin, share large values, are forked and end, and results that are put: while all that ended goes."""
    stop, problems = Signal(), []

    def guard(work) -> Thread:
        def loop() -> None:
            try:
                while not stop.is_set():
                    work()
            except BaseException as error:
                problems.append(error)
                raise

        thread = Thread(target=loop)
        thread.start()
        return thread

    with Store.open(url) as mine, Store.open(url) as theirs, Journal(mine) as journal:
        names, ended = count(), []

        def run_once() -> None:
            name = f"r{next(names)}"
            lease = create(mine, name)
            run = journal.attach(lease)
            run.record("step.succeeded", "a", 1, {"output": large("the same")})
            run.flush()
            assert mine.events(name, after=1, resolve=True)[0].data["output"] == large("the same")
            assert mine.record(name).plan == new_run().plan
            fork = new_run(f"{name}-fork")
            forked, _ = mine.begin_run(fork, Owner.current(), copied=mine.events(name)[1:])
            assert mine.values_at(fork.run_id, [2]) == [large("the same")]
            run.record("run.cancelled")
            run.flush()
            run.detach()
            mine.release(lease)
            again = journal.attach(forked)
            again.record("run.cancelled")
            again.flush()
            again.detach()
            mine.release(forked)
            ended.append(name)

        def put() -> None:
            theirs.cache_put("k", "r", "a", large("the same"))
            found = theirs.cache_get("k")
            assert found is None or found.output == large("the same")

        threads = [guard(run_once), guard(put)]
        pruned = 0
        while (pruned < 25 or len(ended) < 2) and not problems:
            store.prune(older_than=time.time() + 60, keep=0)
            pruned += 1
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []
    store.prune(older_than=time.time() + 60, keep=0)
    assert (rows(store, "blobs"), rows(store, "runs"), rows(store, "blob_uses")) == (0, 0, 0)


@pytest.mark.parametrize(
    ("step", "read"),
    [
        ("resolve_all_blobs", lambda store: store.values_at("r", [2])),
        ("resolve_all_blobs", lambda store: store.events("r", after=1, resolve=True)),
        ("folds", lambda store: store.record("r")),
    ],
)
def test_reading_a_run_while_it_is_removed_raises_run_not_found(
    store: Store, journal: Journal, monkeypatch: pytest.MonkeyPatch, step: str, read: Callable[[Store], object]
):
    end(store, journal, "r", output=large("r"))
    go_on = getattr(event_pages, step)

    def gone_by_then(*arguments: Any) -> Any:
        monkeypatch.undo()
        store.prune(keep=0)
        return go_on(*arguments)

    monkeypatch.setattr(event_pages, step, gone_by_then)
    with pytest.raises(RunNotFound):
        read(store)
