"""What runs share: large values, results, a batch, and what a fork begins with; on both kinds of database."""

from __future__ import annotations

import time
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import RunError, RunNotFound
from orchestrator.journal import Event, Journal, Owner, Store, resume_state
from orchestrator.journal.records import BatchProgress, RowProblem
from orchestrator.journal.store.blob_codec import LIMIT
from tests.journal.support import create, new_run, owner_elsewhere

LARGE = "x" * 2 * LIMIT


# --- results


def test_a_result_is_found_by_its_key(store: Store):
    before = time.time()
    store.cache_put("k", "one", "loop[2].a", {"text": "☀", "n": [1, None]})
    found = store.cache_get("k", newer_than=None)
    assert found is not None
    assert (found.key, found.run_id, found.path, found.output) == (
        "k",
        "one",
        "loop[2].a",
        {"text": "☀", "n": [1, None]},
    )
    assert before <= found.at <= time.time()
    assert store.cache_get("other", newer_than=None) is None


def test_a_result_that_is_too_old_is_not_found(store: Store):
    store.cache_put("k", "one", "a", 1)
    assert store.cache_get("k", newer_than=time.time() - 60) is not None
    assert store.cache_get("k", newer_than=time.time() + 60) is None


@pytest.mark.parametrize("output", [LARGE, {"$blob": "0" * 64, "size": 3}, None])
def test_any_result_is_read_back_unchanged(store: Store, output):
    store.cache_put("k", "one", "a", output)
    found = store.cache_get("k")
    assert found is not None
    assert found.output == output


def test_the_newest_result_stays(store: Store):
    for number in range(3):
        store.cache_put("k", f"run-{number}", "a", [number, LARGE])
    found = store.cache_get("k")
    assert found is not None
    assert (found.run_id, found.output[0]) == ("run-2", 2)


def test_many_threads_put_results_under_one_key(store: Store):
    threads = [Thread(target=store.cache_put, args=("k", "one", "a", [n, LARGE])) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = store.cache_get("k")
    assert found is not None
    assert found.output[0] in range(8)


# --- batches


def test_the_rows_of_a_batch_are_listed_in_order_with_their_newest_runs(store: Store, journal: Journal):
    leases = {}
    for number, row in enumerate([3, 0, 1, 0, 3, 2]):
        leases[number] = create(store, f"run-{number}", batch="b", row=row)
    create(store, "other", batch="c", row=0)
    create(store, "alone")
    run = journal.attach(leases[3])
    run.record("run.succeeded", data={"outputs": {}})
    run.flush()
    store.release(leases[5])
    assert list(store.batch("b")) == [
        (0, "run-3", "succeeded"),
        (1, "run-2", "running"),
        (2, "run-5", "interrupted"),
        (3, "run-4", "running"),
    ]
    assert list(store.batch("no such batch")) == []
    assert (store.record("run-0").batch, store.record("run-0").row) == ("b", 3)


def test_a_batch_of_many_rows_is_read_in_pages(store: Store, monkeypatch):
    monkeypatch.setattr("orchestrator.journal.store.queries.batches._PAGE", 3)
    for row in (*range(8), 2, 2, 2, 7):
        create(store, batch="b", row=row)
    assert [row for row, _, _ in store.batch("b")] == list(range(8))


def test_rows_that_were_read_and_not_started_are_pending_until_the_batch_is_continued(store: Store):
    store.put_batch("b", "p", BatchProgress(0, 0, False))
    create(store, "one", batch="b", row=1)
    problem = RowProblem(3, "ORC601", "missing input `n`")
    store.put_batch("b", "p", BatchProgress(5, 1, False, [problem]))
    (stopped,) = store.batches()
    assert (stopped.rows, dict(stopped.states)) == (2, {"running": 1, "invalid": 1})
    assert (stopped.pending, stopped.complete, stopped.problems) == (3, False, (problem,))
    store.put_batch("b", "p", BatchProgress(2, 0, False))  # it is continued from the beginning
    assert store.batches() == [stopped]
    store.put_batch("b", "p", BatchProgress(4, 0, True))
    (whole,) = store.batches()
    assert (whole.rows, whole.pending, whole.complete, whole.problems) == (1, 3, True, ())
    assert whole.created_at == stopped.created_at


def test_the_newest_batches_are_listed_also_those_without_runs(store: Store):
    for name in ("b", "a", "c"):
        store.put_batch(name, "p", BatchProgress(1, 1, True))
    assert [each.batch for each in store.batches()] == ["c", "a", "b"]
    assert [each.batch for each in store.batches(1)] == ["c"]
    assert store.batches(1)[0].to_dict()["states"] == {"invalid": 1}
    assert (store.has_batch("a"), store.has_batch("d")) == (True, False)


def test_a_batch_is_removed_with_its_last_run(store: Store, journal: Journal):
    for row in (1, 2):
        store.put_batch("b", "p", BatchProgress(row, 0, row == 2))
        lease = create(store, f"run-{row}", batch="b", row=row)
        run = journal.attach(lease)
        run.record("run.cancelled", data={"reason": "", "by": ""})
        run.flush()
        store.release(lease)
    store.prune(keep=1)
    assert [(each.rows, each.pending) for each in store.batches()] == [(1, 1)]
    store.prune(keep=0)
    assert store.batches() == []


# --- forks


def test_a_fork_starts_with_events_of_another_run_and_shares_their_large_values(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    run.record("run.started", data={"owner": "me", "resumed": False})
    run.record("step.succeeded", "a", 1, {"output": LARGE, "duration": 1.0})
    run.record("step.succeeded", "b", 1, {"output": {"$blob": "0" * 64, "size": 1}, "duration": 1.0})
    run.record("step.succeeded", "c", 1, {"output": 3, "duration": 1.0})
    run.flush()
    kept = [event for event in store.events("one") if event.path in ("a", "b")]
    new = new_run("two", forked_from={"run_id": "one", "step": "c"})
    lease, state = store.begin_run(new, Owner.current(), copied=iter(kept))
    assert [(e.seq, e.type, e.path) for e in store.events("two")] == [
        (1, "run.created", ""),
        (2, "step.succeeded", "a"),
        (3, "step.succeeded", "b"),
    ]
    assert [e.at for e in store.events("two", after=1)] == [e.at for e in kept]
    assert store.values_at("two", [3, 2]) == [{"$blob": "0" * 64, "size": 1}, LARGE]
    assert (store.status("two").counts["succeeded"], state.succeeded) == (2, 2)
    assert store.record("two").forked_from == {"run_id": "one", "step": "c"}
    forked = journal.attach(lease, state)
    assert forked.record("run.started", data={"owner": "me", "resumed": False}).seq == 4
    forked.flush()
    with store.database.read() as connection:
        uses = connection.exec_driver_sql("SELECT count(*) FROM blob_uses GROUP BY blob").scalars().all()
    assert sorted(uses) == [2, 2, 2, 2]  # the source, the plan and two outputs


def test_a_fork_of_a_removed_run_is_refused_and_leaves_nothing(store: Store, journal: Journal):
    lease = create(store, "one")
    run = journal.attach(lease)
    run.record("step.succeeded", "a", 1, {"output": LARGE})
    run.record("run.cancelled")
    run.flush()
    store.release(lease)
    kept = store.events("one", after=1, limit=1)
    assert store.prune(keep=0).runs == 1
    new = new_run("two", forked_from={"run_id": "one", "step": "b"})
    with pytest.raises(RunNotFound) as caught:
        store.begin_run(new, Owner.current(), copied=kept)
    assert caught.value.run_id == "one"
    assert store.list() == []


def test_a_fork_needs_a_new_id(store: Store):
    create(store, "one")
    with pytest.raises(RunError) as caught:
        store.begin_run(new_run("one"), Owner.current(), copied=store.events("one")[1:])
    assert caught.value.code == "ORC802"


_values = st.sampled_from([1, None, [LARGE], {"$blob": "1" * 64, "size": 3}, "☀"])


@given(st.lists(st.tuples(st.sampled_from(["a", "loop[0]", "loop[1].b"]), _values), max_size=12))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_fork_of_a_fork_has_achieved_what_the_first_run_had(store: Store, journal: Journal, outputs):
    lease = create(store)
    run = journal.attach(lease)
    for path, output in outputs:
        run.record("step.succeeded", path, 1, {"output": output, "duration": 0.5})
    run.flush()
    before = run.run_id
    for _ in range(2):
        new = new_run()
        store.begin_run(new, Owner.current(), copied=store.events(before)[1:])
        before = new.run_id
    first, last = (store.events(name, after=1, resolve=True) for name in (run.run_id, before))
    assert [(e.seq, e.at, e.path, e.data) for e in first] == [(e.seq, e.at, e.path, e.data) for e in last]
    assert resume_state(first) == resume_state(last)


# --- revisions


def test_a_run_has_the_source_of_its_last_revision(store: Store, journal: Journal):
    run = journal.attach(create(store, "one", sources={"b.yaml": "steps: []"}))
    settled = {"succeeded": 0, "skipped": 0, "failed": 0}
    first = store.record("one")
    assert first.sources == {"b.yaml": "steps: []"}
    run.record("run.revised", data={"reason": "retry", "forget": [], "settled": settled})
    run.flush()
    assert store.record("one") == first
    for number in range(2):
        changes = {
            "source": f"# {number}\n" + "steps: []\n" * LIMIT,
            "source_name": "other.yaml",
            "plan": {"steps": [], "number": number},
            "digest": f"digest {number}",
            "sources": {},
            "steps": 4 + number,
        }
        run.record("run.revised", data={"reason": "with", "forget": [], "settled": settled} | changes)
    run.record("run.revised", data={"reason": "retry", "forget": [], "settled": settled})
    for number in range(300):
        run.record("step.log", "a", 1, {"level": "info", "message": str(number)})
    run.flush()
    record = store.record("one")
    assert (record.source_name, record.plan["number"], record.digest, record.total) == ("other.yaml", 1, "digest 1", 5)
    assert record.source_text.startswith("# 1\n")
    assert (record.inputs, record.created_at, record.sources) == (first.inputs, first.created_at, {})
    assert store.status("one").total == 5


# --- waiting


def test_a_large_question_is_part_of_every_status(store: Store, journal: Journal, url: str):
    lease = create(store, "one")
    run = journal.attach(lease)
    question = {"kind": "approve", "prompt": "Publish?", "content": LARGE, "editable": True}
    run.record("step.waiting", "ask", 1, {"reason": "human", "question": question})
    run.flush()
    assert store.status("one").active[0].question == question
    assert store.put_values(resume_state(store.events("one"))).steps["ask"].question == question
    run.record("step.answered", "ask", 0, {"value": {"approved": True, "content": LARGE}, "by": "ann"})
    for number in range(300):
        run.record("step.log", "ask", 1, {"level": "info", "message": str(number)})
    run.flush()
    with Store.open(url) as other:
        step = other.status("one").active[0]
        assert (step.path, step.question, step.answered) == ("ask", question, True)
        assert other.put_values(resume_state(other.events("one"))).steps["ask"].answer == {
            "approved": True,
            "content": LARGE,
        }


def test_a_run_that_waits_for_a_person_is_waiting_with_and_without_an_owner(store: Store, journal: Journal):
    ask = Event("", 0, 0.0, "step.waiting", "ask", 1, {"reason": "human", "question": {"kind": "ask"}})
    nap = Event("", 0, 0.0, "step.waiting", "nap", 1, {"reason": "time", "until": 5e9})
    for name, events in (("asks", [ask]), ("naps", [nap])):
        store.begin_run(new_run(name), owner_elsewhere(), copied=events)
    assert [(s.run_id, s.state) for s in store.list()] == [("naps", "running"), ("asks", "waiting")]
    assert [s.run_id for s in store.list("waiting")] == ["asks"]
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET owner = NULL, lease_until = NULL")
    assert [(s.run_id, s.state) for s in store.list()] == [("naps", "interrupted"), ("asks", "waiting")]
    assert [s.run_id for s in store.list("interrupted")] == ["naps"]


def test_a_run_that_was_active_a_moment_ago_is_not_reported_as_waiting(store: Store, journal: Journal):
    lease = create(store, "one")
    run = journal.attach(lease)
    run.record("step.waiting", "ask", 1, {"reason": "human", "question": {"kind": "ask"}})
    run.flush()
    assert store.status("one").state == "running"
    assert run.status().state == "waiting"
    store.release(lease)
    assert store.status("one").state == "waiting"
