"""What models have cost, kept with each run so that sums over many runs are one query."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator.journal import Journal, RunJournal, Store
from orchestrator.models.budget import Spent
from tests.journal.support import create


def call(cost: float | None, tokens: int = 10, **more: Any) -> dict[str, Any]:
    usage = {"input": tokens, "output": 1, "cached": 0, "reasoning": 0, "requests": 1}
    return {"model": "openai:m", "usage": usage, "cost": cost, "error": None, **more}


def spend(run: RunJournal, *costs: float | None) -> None:
    for cost in costs:
        run.record("step.model", "a", 1, call(cost))
    run.flush()


def test_the_spending_of_a_run_includes_a_call_as_soon_as_it_is_durable(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    assert store.spent_since(0.0) == Spent()
    spend(run, 0.25, None)
    assert store.spent_since(0.0) == Spent(0.25, 22, 2)
    assert store.status("one").cost is None
    assert store.status("one").spending.known_cost == 0.25
    spend(run, 0.5)
    assert store.spent_since(0.0) == Spent(0.75, 33, 3)
    assert run.spent == Spent(0.75, 33, 3)


def test_a_resumed_run_knows_its_earlier_spending(store: Store):
    with Journal(store) as journal:
        lease = create(store, "one")
        spend(journal.attach(lease), 0.25)
        store.release(lease)
    with Journal(store) as journal:
        run = journal.attach(store.acquire("one", lease.owner))
        assert run.spent == Spent(0.25, 11, 1)
        spend(run, 0.25)
    assert store.spent_since(0.0) == Spent(0.5, 22, 2)


def test_the_spending_of_a_batch_includes_rows_that_were_started_again(store: Store, journal: Journal):
    for number, (batch, row) in enumerate([("b", 1), ("b", 1), ("b", 2), ("other", 1)]):
        spend(journal.attach(create(store, f"run{number}", batch=batch, row=row)), 0.25)
    assert store.spent_by_batch("b") == Spent(0.75, 33, 3)
    assert store.spent_by_batch("none") == Spent()


def test_spending_since_a_time_counts_only_later_calls_also_of_earlier_runs(store: Store, journal: Journal):
    long = journal.attach(create(store, "long"))
    spend(long, 0.25)
    spend(journal.attach(create(store, "done")), 0.25)
    since = time.time()
    spend(long, 0.5)
    spend(journal.attach(create(store, "new")), 1.0)
    assert store.spent_since(since) == Spent(1.5, 22, 2)
    assert store.spent_since(time.time() + 10) == Spent()


@pytest.mark.parametrize("message", ["short", "x" * 100_000])
def test_a_failed_call_counts_also_with_a_long_error(store: Store, journal: Journal, message: str):
    run = journal.attach(create(store, "one"))
    since = time.time()
    run.record("step.model", "a", 1, call(0.25, error={"code": "ORC723", "message": message}))
    run.flush()
    assert store.spent_since(since) == store.spent_since(0.0) == Spent(0.25, 11, 1)
    assert store.status("one").spending.calls == 1


DAY = 86_400


def ended(store: Store, journal: Journal, name: str, costs: list[float], days: int = 0) -> None:
    """A run that has ended; but for the last, its calls were made so many days before."""
    lease = create(store, name)
    run = journal.attach(lease)
    spend(run, *costs)
    run.record("run.succeeded", data={"outputs": {}})
    run.flush()
    run.detach()
    store.release(lease)
    with store.database.write() as connection:
        key = f"(SELECT key FROM runs WHERE run_id = '{name}')"
        last = f"(SELECT max(seq) FROM events WHERE type = 'step.model' AND run = {key})"
        connection.exec_driver_sql(f"UPDATE runs SET created_at = created_at - {days * DAY} WHERE run_id = '{name}'")
        connection.exec_driver_sql(f"UPDATE events SET at = at - {days * DAY} WHERE run = {key} AND seq < {last}")


def test_the_spending_of_pruned_runs_is_kept_by_day(store: Store, journal: Journal):
    days = [(time.time() // DAY - ago) * DAY for ago in (0, 1, 2)]
    ended(store, journal, "today", [0.25, 0.5])
    ended(store, journal, "long", [1.0, 2.0, 4.0], days=1)
    ended(store, journal, "free", [])
    before = [store.spent_since(day) for day in (*days, 0.0)]
    assert before == [Spent(4.75, 33, 3), *3 * [Spent(7.75, 55, 5)]]
    for keep in (2, 1, 0):
        assert store.prune(keep=keep).runs == 1
        assert [store.spent_since(day) for day in (*days, 0.0)] == before
    ended(store, journal, "next", [8.0])
    assert store.spent_since(days[0]) == Spent(12.75, 44, 4)
    store.prune(keep=0)
    assert store.spent_since(days[0]) == Spent(12.75, 44, 4)
    assert store.spent_since(days[0] + DAY) == Spent()


def test_runs_that_are_pruned_twice_at_once_are_counted_once(store: Store, journal: Journal):
    for number in range(50):
        ended(store, journal, f"run{number}", [0.25], days=number % 2)
    with ThreadPoolExecutor() as pool:
        pruned = [pool.submit(store.prune, keep=0) for _ in range(2)]
        while not all(each.done() for each in pruned):
            assert store.spent_since(0.0) == Spent(12.5, 550, 50)
    assert sum(each.result().runs for each in pruned) == 50
    assert store.spent_since(0.0) == Spent(12.5, 550, 50)
