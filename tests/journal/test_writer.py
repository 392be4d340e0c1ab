"""How events become durable: grouped, in order, and with notified waiters; on both kinds of database."""

from __future__ import annotations

import asyncio
import threading

import pytest

from orchestrator.errors import LeaseLost, RunError, RunOwned, StoreError, StoreUnavailable
from orchestrator.journal import Journal, Owner, RunJournal, Store
from tests.journal.support import create, new_run, owner_elsewhere


def test_what_was_committed_is_in_the_store(store: Store, journal: Journal):
    async def work() -> None:
        run = journal.attach(create(store, "one"))
        run.record("run.started", data={"owner": "me", "resumed": False})
        event = run.record("step.succeeded", "a", 1, {"output": [1, 2], "duration": 0.5})
        assert (event.seq, run.last_seq) == (3, 3)
        await run.commit()
        assert [e.seq for e in store.events("one")] == [1, 2, 3]
        assert store.events("one")[-1] == event

    asyncio.run(work())


def test_an_event_is_a_copy_of_its_data(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    output = [1]
    run.record("step.succeeded", "a", 1, {"output": output})
    output.append(2)
    run.flush()
    assert store.events("one", after=1)[0].data["output"] == [1]


def test_data_that_is_not_json_is_refused_and_nothing_is_recorded(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    with pytest.raises(TypeError):
        run.record("step.succeeded", "a", 1, {"output": object()})
    run.record("step.started", "b", 1)
    run.flush()
    assert [(event.seq, event.path) for event in store.events("one", after=1)] == [(2, "b")]


def test_an_event_without_a_waiter_is_written_soon(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    for number in range(3):
        run.record("step.progress", "a", 1, {"fraction": number / 3})
        assert store.wait("one", after=1 + number, timeout=30)


def test_commits_of_many_runs_share_a_transaction(store: Store, journal: Journal):
    async def work() -> int:
        runs = [journal.attach(create(store, f"run-{number}")) for number in range(50)]
        before = journal.commits
        for _ in range(10):
            for run in runs:
                run.record("step.succeeded", "a", 1, {"output": 1})
            await asyncio.gather(*(run.commit() for run in runs))
        return journal.commits - before

    assert asyncio.run(work()) <= 100  # of 500
    assert all(len(store.events(f"run-{number}")) == 11 for number in range(50))


def test_a_commit_without_new_events_needs_no_transaction(store: Store, journal: Journal):
    async def work() -> None:
        run = journal.attach(create(store, "one"))
        run.record("run.started")
        await run.commit()
        before = journal.commits
        await run.commit()
        run.flush()
        assert journal.commits == before

    asyncio.run(work())


def test_several_event_loops_share_a_journal(store: Store, journal: Journal):
    def one_loop(number: int) -> None:
        async def work() -> None:
            run = journal.attach(create(store, f"run-{number}"))
            for step in range(50):
                run.record("step.succeeded", f"s{step}", 1, {"output": step})
                await run.commit()

        asyncio.run(work())

    threads = [threading.Thread(target=one_loop, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert [event.seq for event in store.events(f"run-{number}")] == list(range(1, 52))


def test_a_cancelled_commit_does_not_affect_others(store: Store, journal: Journal):
    async def work() -> None:
        run = journal.attach(create(store, "one"))
        run.record("step.started", "a", 1)
        waiting = asyncio.ensure_future(run.commit())
        await asyncio.sleep(0)
        waiting.cancel()
        run.record("step.succeeded", "a", 1)
        await run.commit()

    asyncio.run(work())
    assert len(store.events("one")) == 3


def test_an_event_loop_that_closes_during_a_commit_does_not_affect_others(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    loop = asyncio.new_event_loop()
    run.record("step.started", "a", 1)
    waiting = loop.create_task(run.commit())
    loop.call_soon(loop.stop)
    loop.run_forever()
    waiting.cancel()
    loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
    loop.close()
    run.record("step.succeeded", "a", 1)
    run.flush()
    assert len(store.events("one")) == 3


def test_attaching_again_continues_with_the_number_and_the_state(store: Store, journal: Journal):
    lease = create(store, "one")
    run = journal.attach(lease)
    for number in range(600):
        run.record("step.succeeded", f"s{number}", 1, {"output": number})
    run.flush()
    run.detach()
    again = journal.attach(lease)
    assert again.record("run.paused", data={"by": "ann"}).seq == 602
    again.flush()
    assert store.status("one").state == "paused"
    assert again.status().counts == store.status("one").counts


def test_a_reader_folds_few_events_of_a_long_run(store: Store, journal: Journal):
    run = journal.attach(create(store, "one", total=3000))
    for number in range(3000):
        run.record("step.succeeded", f"s{number}", 1, {"output": number})
    run.flush()
    with store.database.read() as connection:
        seq = connection.exec_driver_sql("SELECT snapshot_seq FROM runs").scalar_one()
    assert 3001 - seq < 256
    assert store.status("one").counts["succeeded"] == 3000


def test_snapshots_of_a_run_with_many_failures_stay_few(store: Store, journal: Journal):
    run = journal.attach(create(store, "one", total=5000))
    written = 0
    for number in range(5000):
        before = run._snapshots.seq
        run.record("step.failed", f"s{number}", 1, {"error": {"message": "no"}, "handled": "continue"})
        written += len(run.status().failures) if run._snapshots.seq != before else 0
    run.flush()
    assert written < 5 * 5000
    assert store.status("one").counts["failed"] == 5000


def test_closing_writes_what_is_left(store: Store):
    with Journal(store) as journal:
        run = journal.attach(create(store, "one"))
        run.record("step.started", "a", 1)
    assert len(store.events("one")) == 2


def test_after_the_store_failed_the_next_commit_writes_everything(store: Store, journal: Journal):
    """The table goes away and comes back: to the writer it is any failure of the database."""
    run = journal.attach(create(store, "one"))

    def rename(old: str, new: str) -> None:
        with store.database.write() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    async def work() -> None:
        run.record("step.started", "a", 1)
        await run.commit()
        rename("events", "gone")
        run.record("step.succeeded", "a", 1, {"output": 1})
        with pytest.raises(StoreUnavailable):
            await run.commit()
        run.record("step.started", "b", 1)
        with pytest.raises(StoreUnavailable):
            run.flush()
        assert journal.error is not None
        rename("gone", "events")
        await run.commit()
        assert journal.error is None

    asyncio.run(work())
    assert [(event.seq, event.path) for event in store.events("one", after=1)] == [(2, "a"), (3, "a"), (4, "b")]


# --- beginning and leaving


def test_runs_that_start_at_once_share_transactions_and_are_durable_when_started(
    store: Store, journal: Journal, url: str
):
    async def work() -> int:
        runs = await asyncio.gather(
            *(journal.begin(new_run(f"run-{n}", batch="b", row=n), Owner.current()) for n in range(50))
        )
        with Store.open(url) as other:
            assert len(other.list(limit=100)) == 50
            assert [row for row, _, _ in other.batch("b")] == list(range(50))
            assert other.record("run-7").plan == new_run().plan
            assert other.status("run-7").owner == str(Owner.current())
        for run in runs:
            assert run.last_seq == 1
            run.record("run.started", data={"owner": "me", "resumed": False})
        await asyncio.gather(*(run.commit() for run in runs))
        return journal.commits

    assert asyncio.run(work()) <= 10
    assert all(len(store.events(f"run-{number}")) == 2 for number in range(50))


def test_of_runs_that_start_at_once_with_one_id_one_starts(store: Store, journal: Journal):
    async def work() -> list[object]:
        beginnings = (journal.begin(new_run(name), Owner.current()) for name in ("one", "two", "one", "three"))
        return await asyncio.gather(*beginnings, return_exceptions=True)

    one, two, again, three = asyncio.run(work())
    assert isinstance(one, RunJournal)
    assert isinstance(again, RunError)
    assert again.code == "ORC802"
    for run, name in ((one, "one"), (two, "two"), (three, "three")):
        assert isinstance(run, RunJournal)
        run.record("run.started")
        run.flush()
        assert [event.seq for event in store.events(name)] == [1, 2]


def test_a_released_run_can_be_acquired_at_once_with_all_its_events(store: Store, journal: Journal):
    async def work() -> None:
        run = await journal.begin(new_run("one"), Owner.current())
        run.record("run.started", data={"owner": "me", "resumed": False})
        await run.commit()
        before = journal.commits
        run.record("run.cancelled")
        await run.leave()
        assert (journal.commits - before, run.left) == (1, True)
        await run.leave()
        lease = store.acquire("one", owner_elsewhere())
        assert lease.fence > run.lease.fence
        assert store.status("one").state == "cancelled"
        run.record("step.log", "a", 1, {"level": "info", "message": "too late"})
        with pytest.raises(LeaseLost):
            await run.commit()

    asyncio.run(work())
    assert [event.type for event in store.events("one")] == ["run.created", "run.started", "run.cancelled"]


def test_leaving_a_lost_run_does_not_release_it_from_its_new_owner(store: Store, journal: Journal):
    async def work() -> None:
        old = await journal.begin(new_run("one"), owner_elsewhere(), ttl=-1.0)
        lease = store.acquire("one", Owner.current())
        old.record("run.cancelled")
        with pytest.raises(LeaseLost):
            await old.leave()
        store.renew(lease)

    asyncio.run(work())
    assert len(store.events("one")) == 1


def test_a_run_can_start_and_be_left_only_while_the_store_works(store: Store, journal: Journal):
    def rename(old: str, new: str) -> None:
        with store.database.write() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")

    async def work() -> None:
        run = await journal.begin(new_run("one"), Owner.current())
        run.record("run.cancelled")
        rename("events", "gone")
        with pytest.raises(StoreUnavailable):
            await run.leave()
        with pytest.raises(StoreUnavailable):
            await journal.begin(new_run("two"), Owner.current())
        rename("gone", "events")
        with pytest.raises(RunOwned):
            store.acquire("one", Owner.current())
        await run.leave()
        store.acquire("one", Owner.current())
        await journal.begin(new_run("two"), Owner.current())

    asyncio.run(work())
    assert [event.type for event in store.events("one")] == ["run.created", "run.cancelled"]


def test_a_closed_journal_starts_no_run(store: Store):
    journal = Journal(store)
    journal.close()
    with pytest.raises(StoreError):
        asyncio.run(journal.begin(new_run("one"), Owner.current()))
    assert store.list() == []


def test_a_commit_after_the_journal_was_closed_raises(store: Store):
    journal = Journal(store)
    run = journal.attach(create(store, "one"))
    journal.close()
    run.record("step.started", "a", 1)
    with pytest.raises(StoreError, match="the journal is closed"):
        run.flush(timeout=20)

    async def leave() -> None:
        await asyncio.wait_for(run.leave(), 20)

    with pytest.raises(StoreError, match="the journal is closed"):
        asyncio.run(leave())
