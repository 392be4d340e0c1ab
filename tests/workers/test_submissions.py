"""Which runs a worker may take from the store, and when."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import LeaseLost
from orchestrator.journal import Command, Journal, Owner, Store
from orchestrator.journal.store.submissions import Submissions
from orchestrator.journal.store.tables import runs
from orchestrator.journal.worker_records import QueueLength
from tests.journal.support import new_run, owner_elsewhere

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

MINE = Owner.current()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        yield store


def submit(store: Store, name: str, *, runs_on: Collection[str] = (), **options: Any) -> None:
    import asyncio

    async def main() -> None:
        with Journal(store) as journal:
            await journal.submit(new_run(name, options={"runs_on": list(runs_on), **options}))

    asyncio.run(main())


def claim(
    store: Store, limit: int = 10, *, labels: Collection[str] = (), owner: Owner = MINE, kind: str = "k"
) -> list[str]:
    return [each.lease.run_id for each in store.submissions.claim(owner, labels=labels, kind=kind, limit=limit)]


def expire(store: Store, name: str) -> None:
    """Have the lease of a run expire."""
    with store.database.write() as connection:
        connection.execute(runs.update().where(runs.c.run_id == name).values(lease_until=1.0))


def test_runs_are_taken_by_priority_and_then_in_the_order_of_their_submission(store: Store) -> None:
    for name, priority in (("low", -5), ("first", 0), ("second", 0), ("high", 9)):
        submit(store, name, priority=priority)
    assert claim(store, 3) == ["high", "first", "second"]
    assert claim(store) == ["low"]
    assert claim(store) == []


def test_a_run_is_not_taken_before_its_time(store: Store) -> None:
    submit(store, "later", not_before=2.0**36)
    submit(store, "now", not_before=5.0)
    assert claim(store) == ["now"]
    assert store.status("later").state == "queued"


LABELS = ("cpu", "eu", "gpu")
NUMBERS = count()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    demanded=st.lists(st.sets(st.sampled_from(LABELS)), min_size=1, max_size=5),
    offered=st.sets(st.sampled_from(LABELS)),
)
def test_a_worker_takes_the_runs_that_demand_none_but_its_labels(
    store: Store, demanded: list[set[str]], offered: set[str]
) -> None:
    claim(store, 1_000, labels=LABELS)  # those of other examples
    names = {f"run-{next(NUMBERS)}": labels for labels in demanded}
    for name, labels in names.items():
        submit(store, name, runs_on=labels)
    assert claim(store, 1_000, labels=offered) == [name for name, labels in names.items() if labels <= offered]
    left = [labels for labels in names.values() if not labels <= offered]
    assert sum(each.runs for each in store.submissions.lengths()) == len(left)
    claim(store, 1_000, labels=LABELS)


def test_what_waits_is_counted_by_its_labels(store: Store) -> None:
    for name, labels in (("a", ()), ("b", ("gpu",)), ("c", ("gpu",))):
        submit(store, name, runs_on=labels)
    oldest = [store.status(name).created_at for name in ("a", "b")]
    assert store.submissions.lengths() == [QueueLength((), 1, oldest[0]), QueueLength(("gpu",), 2, oldest[1])]
    claim(store)
    assert [each.labels for each in store.submissions.lengths()] == [("gpu",)]


def test_a_run_whose_lease_has_expired_is_taken_over_and_its_owner_cannot_come_back(store: Store) -> None:
    submit(store, "run")
    (stopped,) = store.submissions.claim(owner_elsewhere(), labels=(), kind="k", limit=1)
    assert claim(store) == []
    expire(store, "run")
    (taken,) = store.submissions.claim(MINE, labels=(), kind="k", limit=1)
    assert (taken.lease.run_id, stopped.takeovers, taken.takeovers) == ("run", 0, 1)
    with pytest.raises(LeaseLost):
        store.renew(stopped.lease)


def test_the_run_of_a_process_of_this_machine_that_has_ended_is_taken_at_once(store: Store) -> None:
    submit(store, "run")
    ended = Owner(MINE.host, 2**22 + 1, "1", "", MINE.machine)  # no process has such a number
    assert claim(store, owner=ended) == ["run"]
    assert Submissions(store.database).claim(
        MINE, labels=(), kind="k", limit=1
    )  # as another process, which has not looked


def test_takeovers_are_counted_from_when_the_run_last_achieved_something(store: Store) -> None:
    submit(store, "run")
    counts = []
    for number in range(5):
        (taken,) = store.submissions.claim(owner_elsewhere(number), labels=(), kind="k", limit=1)
        counts.append(taken.takeovers)
        if number == 2:
            with Journal(store) as journal:
                recorded = journal.attach(taken.lease)
                recorded.record("step.succeeded", "a", 1, {"output": 1})
                recorded.flush()
        expire(store, "run")
    assert counts == [0, 1, 2, 1, 2]


def test_a_run_that_was_released_is_no_takeover(store: Store) -> None:
    submit(store, "run")
    for _ in range(3):
        (taken,) = store.submissions.claim(MINE, labels=(), kind="k", limit=1)
        assert taken.takeovers == 0
        store.release(taken.lease)


def test_workers_of_a_kind_leave_alone_what_one_of_them_has_refused(store: Store) -> None:
    submit(store, "run")
    (taken,) = store.submissions.claim(MINE, labels=(), kind="old", limit=1)
    store.release(taken.lease)
    store.submissions.refuse(taken.lease, kind="old", worker="box:7", reason="it has no tool `x`")
    assert claim(store, kind="old") == []
    assert store.status("run").waiting_on == ("another worker: box:7 cannot execute it: it has no tool `x`",)
    assert claim(store, kind="new") == ["run"]


def test_a_run_sleeps_until_its_time_or_until_a_command_comes(store: Store) -> None:
    submit(store, "run")
    (taken,) = store.submissions.claim(MINE, labels=(), kind="k", limit=1)
    assert store.submissions.sleep(taken.lease)
    with Journal(store) as journal:  # as a worker leaves it
        journal.attach(taken.lease).detach()
    with store.database.write() as connection:
        connection.execute(runs.update().values(owner=None, lease_until=None, fence=runs.c.fence + 1))
    assert claim(store) == []
    store.send("run", Command("cancel", {}, "ada"))
    (again,) = store.submissions.claim(MINE, labels=(), kind="k", limit=1)
    assert again.lease.run_id == "run"


def test_a_run_with_a_command_on_its_way_does_not_sleep(store: Store) -> None:
    submit(store, "run")
    (taken,) = store.submissions.claim(MINE, labels=(), kind="k", limit=1)
    number = store.send("run", Command("answer", {"path": "q", "value": 1}, "ada"))
    assert not store.submissions.sleep(taken.lease)
    store.acknowledge([number])
    assert store.submissions.sleep(taken.lease)
    store.acknowledge([store.send("run", Command("answer", {"path": "q", "value": 1}, "ada"))])
    assert not store.submissions.sleep(taken.lease)  # it was taken from the table, and may not be recorded yet


def test_a_run_whose_worker_ended_before_it_slept_is_taken_over(store: Store) -> None:
    submit(store, "run")
    (taken,) = store.submissions.claim(owner_elsewhere(), labels=(), kind="k", limit=1)
    assert store.submissions.sleep(taken.lease)
    expire(store, "run")
    assert claim(store) == ["run"]
