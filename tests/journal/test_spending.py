"""What models have cost, kept with each run so that sums over many runs are one query."""

from __future__ import annotations

import time
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


def test_what_a_run_has_spent_is_known_as_soon_as_its_call_is_durable(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    assert store.spent_since(0.0) == Spent()
    spend(run, 0.25, None)
    assert store.spent_since(0.0) == Spent(0.25, 22, 2)
    assert store.status("one").cost is None
    assert store.status("one").spending.known_cost == 0.25
    spend(run, 0.5)
    assert store.spent_since(0.0) == Spent(0.75, 33, 3)
    assert run.spent == Spent(0.75, 33, 3)


def test_a_run_that_is_taken_up_knows_what_was_spent_before(store: Store):
    with Journal(store) as journal:
        lease = create(store, "one")
        spend(journal.attach(lease), 0.25)
        store.release(lease)
    with Journal(store) as journal:
        run = journal.attach(store.acquire("one", lease.owner))
        assert run.spent == Spent(0.25, 11, 1)
        spend(run, 0.25)
    assert store.spent_since(0.0) == Spent(0.5, 22, 2)


def test_a_batch_has_spent_what_all_its_runs_have_also_those_begun_anew(store: Store, journal: Journal):
    for number, (batch, row) in enumerate([("b", 1), ("b", 1), ("b", 2), ("other", 1)]):
        spend(journal.attach(create(store, f"run{number}", batch=batch, row=row)), 0.25)
    assert store.spent_by_batch("b") == Spent(0.75, 33, 3)
    assert store.spent_by_batch("none") == Spent()


def test_since_a_time_only_the_calls_after_it_count_also_of_runs_that_began_before(store: Store, journal: Journal):
    long = journal.attach(create(store, "long"))
    spend(long, 0.25)
    spend(journal.attach(create(store, "done")), 0.25)
    since = time.time()
    spend(long, 0.5)
    spend(journal.attach(create(store, "new")), 1.0)
    assert store.spent_since(since) == Spent(1.5, 22, 2)
    assert store.spent_since(time.time() + 10) == Spent()


@pytest.mark.parametrize("message", ["short", "x" * 100_000])
def test_a_call_that_failed_counts_however_long_its_error_is(store: Store, journal: Journal, message: str):
    run = journal.attach(create(store, "one"))
    since = time.time()
    run.record("step.model", "a", 1, call(0.25, error={"code": "ORC723", "message": message}))
    run.flush()
    assert store.spent_since(since) == store.spent_since(0.0) == Spent(0.25, 11, 1)
    assert store.status("one").spending.calls == 1
