"""What models have cost, kept with each run so that sums over many runs are one query."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from orchestrator.journal import Journal, RunJournal, Store
from orchestrator.journal.store.batch_insert import Appender, EventRow
from orchestrator.models.budget import Spent
from tests.journal.support import create, recorded

DAY = 86_400


class Days:
    """The clock of a test: noon of today, or some days ago."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._today = time.time() // DAY
        self._now = 0.0
        self.ago(0)
        monkeypatch.setattr(time, "time", lambda: self._now)

    def ago(self, days: int) -> None:
        self._now = self.start(days) + DAY / 2

    def start(self, ago: int) -> float:
        return (self._today - ago) * DAY


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> Days:
    return Days(monkeypatch)


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


def test_the_spending_since_a_day_includes_later_days_also_of_earlier_runs(store: Store, journal: Journal, days: Days):
    days.ago(1)
    long = journal.attach(create(store, "long"))
    spend(long, 0.25)
    spend(journal.attach(create(store, "done")), 0.25)
    days.ago(0)
    spend(long, 0.5)
    spend(journal.attach(create(store, "new")), 1.0)
    assert store.spent_since(days.start(0)) == Spent(1.5, 22, 2)
    assert store.spent_since(days.start(0) + 1) == Spent(1.5, 22, 2)
    assert store.spent_since(days.start(1)) == store.spent_since(0.0) == Spent(2.0, 44, 4)
    assert store.spent_since(days.start(-1)) == Spent()


def test_the_budget_of_a_project_reads_one_row_for_each_day(store: Store, journal: Journal, days: Days):
    for ago in (3, 2, 0):
        days.ago(ago)
        for number in range(3):
            spend(journal.attach(create(store, f"run-{ago}-{number}")), 0.25, 0.25)
    with store.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM spending").scalar_one() == 3
    with recorded(store.database) as statements:
        assert store.spent_since(days.start(2)) == Spent(3.0, 132, 12)
    assert [set(re.findall(r"\b(runs|events|spending)\b", each.text)) for each in statements] == [{"spending"}]


@pytest.mark.parametrize("message", ["short", "x" * 100_000])
def test_a_failed_call_counts_also_with_a_long_error(store: Store, journal: Journal, message: str):
    run = journal.attach(create(store, "one"))
    since = time.time()
    run.record("step.model", "a", 1, call(0.25, error={"code": "ORC723", "message": message}))
    run.flush()
    assert store.spent_since(since) == store.spent_since(0.0) == Spent(0.25, 11, 1)
    assert store.status("one").spending.calls == 1


def ended(store: Store, journal: Journal, name: str, *costs: float) -> None:
    """A run that has ended."""
    lease = create(store, name)
    run = journal.attach(lease)
    spend(run, *costs)
    run.record("run.succeeded", data={"outputs": {}})
    run.flush()
    run.detach()
    store.release(lease)


def test_pruned_runs_stay_in_the_spending_of_their_days(store: Store, journal: Journal, days: Days):
    days.ago(1)
    long = create(store, "long")
    run = journal.attach(long)
    spend(run, 1.0, 2.0)
    days.ago(0)
    spend(run, 4.0)
    run.record("run.succeeded", data={"outputs": {}})
    run.flush()
    run.detach()
    store.release(long)
    ended(store, journal, "today", 0.25, 0.5)
    ended(store, journal, "free")
    before = [store.spent_since(days.start(ago)) for ago in range(3)]
    assert before == [Spent(4.75, 33, 3), *2 * [Spent(7.75, 55, 5)]]
    assert store.prune(keep=0).runs == 3
    assert [store.spent_since(days.start(ago)) for ago in range(3)] == before
    ended(store, journal, "next", 8.0)
    assert store.spent_since(days.start(0)) == Spent(12.75, 44, 4)


def test_spending_that_is_written_twice_after_an_error_counts_once(store: Store):
    lease = create(store, "one")
    appender = Appender(store.database)
    amount = Spent(0.25, 11, 1)
    row = EventRow(lease, 2, time.time(), "step.model", "a", 1, "{}", spent=amount, call=amount)
    appender.append([row])
    appender._doubtful = True  # its outcome is unknown
    appender.append([row])
    appender.close()
    assert store.spent_since(0.0) == amount


def test_processes_that_spend_at_once_are_all_counted(store: Store, url: str):
    def work(number: int) -> None:
        with Store.open(url) as mine, Journal(mine) as journal:
            run = journal.attach(create(mine, f"run{number}"))
            for _ in range(20):
                spend(run, 0.25)

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, range(4)))
    assert store.spent_since(0.0) == Spent(20.0, 880, 80)
