"""What the store keeps of runs; on both kinds of database."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import RunError, RunNotFound
from orchestrator.journal import Command, EventType, Journal, Owner, RunRecord, Store
from orchestrator.journal.store.blob_codec import LIMIT
from orchestrator.journal.store.event_columns import NUMBERS, name_of, number_of
from tests.journal.support import create, new_run, owner_elsewhere


def test_a_created_run_is_stored_with_everything_it_was_created_from(store: Store):
    new = new_run("one", name="Bericht über ☀")
    store.create_run(new, Owner.current())
    record = store.record("one")
    (first,) = store.events("one")
    assert record == RunRecord.of("one", first.at, new.payload)
    assert (record.plan, record.source_text, record.inputs) == (new.plan, new.source_text, new.inputs)
    assert (first.seq, first.type) == (1, "run.created")
    status = store.status("one")
    assert (status.state, status.total, status.pipeline, status.metadata) == (
        "running",
        10,
        "report",
        {"team": "energy"},
    )
    assert status.owner == str(Owner.current())


def test_a_run_id_is_taken_once(store: Store):
    create(store, "one")
    with pytest.raises(RunError) as caught:
        create(store, "one")
    assert caught.value.code == "ORC802"


def test_a_run_is_found_by_its_id_a_unique_beginning_or_last(store: Store):
    for run_id in ("01a-x", "01a-xy", "01b-z"):
        create(store, run_id)
    assert store.find("01a-x") == "01a-x"
    assert store.find("01b") == "01b-z"
    assert store.find("last") == "01b-z"
    with pytest.raises(RunNotFound, match="more than one") as caught:
        store.find("01a")
    assert caught.value.help == "give more of the id: 01a-xy, 01a-x"


@pytest.mark.parametrize("name", ["", "_", "%", "01A", "01c-z", "\0", "\ud800"])
def test_a_name_that_is_not_the_beginning_of_a_run_is_not_found(store: Store, name: str):
    create(store, "01b-z")
    with pytest.raises(RunNotFound) as caught:
        store.find(name)
    assert caught.value.code == "ORC801"


def test_a_wrong_id_gets_the_nearest_ones(store: Store):
    create(store, "20260101-kestrel")
    with pytest.raises(RunNotFound) as caught:
        store.status("20260101-kestral")
    assert caught.value.help == "did you mean 20260101-kestrel?"


def test_an_empty_store_suggests_how_to_start_a_run(store: Store):
    with pytest.raises(RunNotFound) as caught:
        store.find("last")
    assert [remedy.introduction for remedy in caught.value.remedies] == ["start one with"]
    assert store.list() == []


def test_runs_are_listed_newest_first_and_by_state(store: Store, journal: Journal):
    leases = [create(store, f"run-{number}") for number in range(5)]
    for number in (1, 3):
        run = journal.attach(leases[number])
        run.record("run.cancelled", data={"reason": "enough"})
        run.flush()
    store.release(leases[0])
    assert [s.run_id for s in store.list(limit=3)] == ["run-4", "run-3", "run-2"]
    assert [s.run_id for s in store.list("cancelled", limit=1)] == ["run-3"]
    assert [s.run_id for s in store.list("cancelled")] == ["run-3", "run-1"]
    assert [s.run_id for s in store.list("running")] == ["run-4", "run-2"]
    assert [s.run_id for s in store.list("interrupted", limit=1)] == ["run-0"]
    assert store.list("paused") == []


def test_events_are_read_in_pages_without_gaps(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    for number in range(25):
        run.record("step.log", "a", 1, {"level": "info", "message": str(number)})
    run.flush()
    seen, after = [], 0
    while page := store.events("one", after, limit=10):
        seen += page
        after = page[-1].seq
    assert [event.seq for event in seen] == list(range(1, 27))
    assert [event.data["message"] for event in seen[1:]] == [str(number) for number in range(25)]
    assert all(earlier.at <= later.at for earlier, later in pairwise(seen))


def test_a_status_read_elsewhere_equals_the_owners(store: Store, journal: Journal):
    run = journal.attach(create(store, "one", total=1000))
    run.record("run.started", data={"owner": "me", "resumed": False})
    for number in range(700):
        run.record("step.started", f"s{number}", 1)
        if number % 3:
            run.record("step.succeeded", f"s{number}", 1, {"output": "x" * 100, "duration": 0.1})
        run.flush() if number % 97 == 0 else None
        if number % 50 == 0:
            run.flush()
            assert store.status("one").counts == run.status().counts
    run.flush()
    mine, theirs = run.status(), store.status("one")
    assert mine.last_seq == theirs.last_seq
    assert mine.counts == theirs.counts
    assert [step.path for step in mine.active] == [step.path for step in theirs.active]


def test_a_run_with_an_expired_lease_is_interrupted(store: Store, journal: Journal):
    lease = store.create_run(new_run("one"), owner_elsewhere(), ttl=-1.0)
    assert (store.status("one").state, store.status("one").owner) == ("interrupted", None)
    store.renew(store.acquire("one", owner_elsewhere(8), ttl=60.0))
    assert store.status("one").state == "running"
    assert lease.fence == 1


def test_a_paused_run_without_an_owner_stays_paused(store: Store, journal: Journal):
    lease = create(store, "one")
    run = journal.attach(lease)
    run.record("run.paused", data={"by": "ann"})
    run.flush()
    store.release(lease)
    assert store.status("one").state == "paused"


def test_a_reader_is_woken_by_this_process(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    assert store.wait("one", after=1, timeout=0) is False
    found: list[bool] = []
    reader = threading.Thread(target=lambda: found.append(store.wait("one", after=1, timeout=30)))
    reader.start()
    run.record("run.started")
    run.flush()
    reader.join()
    assert found == [True]


def test_a_reader_notices_what_another_store_wrote(store: Store, url: str):
    create(store, "one")
    with Store.open(url) as other:
        waiting = threading.Thread(target=store.wait, args=("one", 1, 30))
        waiting.start()
        with Journal(other) as journal:
            store.database.clock()
            with store.database.write() as connection:
                connection.exec_driver_sql("UPDATE runs SET owner = NULL")
            run = journal.attach(other.acquire("one", Owner.current()))
            run.record("run.started")
            run.flush()
        waiting.join()
    assert store.wait("one", 1, 0)


def test_following_ends_with_the_run_and_can_be_rejoined(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    stream = store.follow("one")
    assert next(stream).type == "run.created"
    run.record("run.started")
    run.flush()
    assert next(stream).type == "run.started"
    run.record("step.skipped", "a")
    run.record("run.succeeded", data={"outputs": {}})
    run.flush()
    assert [event.type for event in stream] == ["step.skipped", "run.succeeded"]
    assert [event.seq for event in store.follow("one", after=2)] == [3, 4]
    assert list(store.follow("one", after=4)) == []


def test_many_readers_see_every_event_once_and_in_order(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    seen: list[list[int]] = []
    readers = [threading.Thread(target=lambda: seen.append([e.seq for e in store.follow("one")])) for _ in range(12)]
    for reader in readers:
        reader.start()
    for number in range(300):
        run.record("step.log", "a", 1, {"level": "info", "message": str(number)})
        if number % 20 == 0:
            run.flush()
    run.record("run.succeeded", data={"outputs": {}})
    run.flush()
    for reader in readers:
        reader.join()
    assert seen == [list(range(1, 303))] * 12


# --- commands


def test_commands_wait_until_they_are_acknowledged(store: Store):
    for run_id in ("one", "two", "three"):
        create(store, run_id)
    first = store.send("one", Command("pause", by="ann"))
    second = store.send("two", Command("cancel", {"reason": "enough ☂"}, by="bob"))
    store.send("three", Command("cancel"))
    assert store.commands(["one", "two"]) == [
        (first, "one", Command("pause", {}, "ann")),
        (second, "two", Command("cancel", {"reason": "enough ☂"}, "bob")),
    ]
    store.acknowledge([first])
    assert [number for number, _, _ in store.commands(["one", "two"])] == [second]


def test_the_number_of_an_acknowledged_command_does_not_come_back(store: Store):
    create(store, "one")
    first = store.send("one", Command("pause"))
    store.acknowledge([first])
    assert store.send("one", Command("pause")) > first


def test_a_command_for_an_unknown_run_is_refused(store: Store):
    with pytest.raises(RunNotFound):
        store.send("one", Command("pause"))


def test_every_type_of_event_that_is_recorded_has_a_number():
    assert set(NUMBERS) == set(get_args(EventType)) - {"step.partial"}
    assert len(set(NUMBERS.values())) == len(NUMBERS)
    assert all(name_of(number_of(name)) == name for name in NUMBERS)


def test_an_event_of_a_later_version_is_read_and_copied_under_its_number():
    assert name_of(99) == "unknown.99"
    assert number_of("unknown.99") == 99


# --- large values


def large(store: Store) -> int:
    with store.database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM blobs").scalar_one())


def test_a_large_output_is_stored_once_and_read_back(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    before = large(store)
    output = {"text": "solar ☀ " * LIMIT}
    for path in ("a", "b"):
        run.record("step.succeeded", path, 1, {"output": output, "duration": 1.0})
    run.flush()
    assert large(store) == before + 1
    event = store.events("one", after=1)[0]
    assert set(event.data["output"]["$parts"]["text"]) == {"$blob", "size"}
    assert store.resolve(event.data) == {"output": output, "duration": 1.0}
    assert store.resolve(event.data["output"]) == output
    assert [e.data["output"] for e in store.events("one", after=1, resolve=True)] == [output, output]


def test_runs_of_one_pipeline_share_its_source_and_plan(store: Store):
    create(store, "one")
    before = large(store)
    create(store, "two")
    assert large(store) == before == 2


def test_uses_of_blobs_can_be_counted_for_each_run(store: Store, journal: Journal):
    for run_id in ("one", "two"):
        run = journal.attach(create(store, run_id))
        run.record("step.succeeded", "a", 1, {"output": "x" * 2 * LIMIT})
        run.flush()
    with store.database.read() as connection:
        uses = connection.exec_driver_sql("SELECT count(*) FROM blob_uses GROUP BY blob").scalars().all()
    assert sorted(uses) == [2, 2, 2]  # the source, the plan and the output


def test_a_large_field_is_the_same_blob_at_any_depth(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    before = large(store)
    text, rows = "solar ☀ " * LIMIT, list(range(LIMIT))
    outputs = [text, {"text": text, "n": 1}, {"inner": {"rows": rows, "text": text}, "also": text}]
    for number, output in enumerate(outputs):
        run.record("step.succeeded", f"s{number}", 1, {"output": output})
    run.record("run.succeeded", "", 0, {"outputs": {"text": text, "rows": rows, "small": [1]}})
    run.flush()
    assert large(store) == before + 2
    read = [dict(event.data) for event in store.events("one", after=1, resolve=True)]
    assert read == [
        *({"output": output} for output in outputs),
        {"outputs": {"text": text, "rows": rows, "small": [1]}},
    ]


def test_an_object_of_many_fields_is_one_blob(store: Store, journal: Journal):
    run = journal.attach(create(store, "one"))
    before = large(store)
    output = {"text": "x" * 2 * LIMIT} | {f"key {number}": number for number in range(LIMIT)}
    run.record("step.succeeded", "a", 1, {"output": output})
    run.flush()
    assert large(store) == before + 1
    assert store.events("one", after=1, resolve=True)[0].data == {"output": output}


LOOKALIKES = [
    {"$blob": "0" * 64, "size": 3},
    {"size": 3, "$blob": "0" * 64},
    {"$blob": 5, "size": 3},
    {"$parts": {"a": 1}},
    {"$parts": {"a": {"$blob": "0" * 64, "size": 3}}},
    {"text": "x" * 2 * LIMIT, "like": {"$blob": "0" * 64, "size": 3}},
    {"text": "x" * 2 * LIMIT, "like": {"$parts": {"a": 1}}},
    {"text": "x" * 2 * LIMIT, "like": [{"$parts": {}}, {"$blob": "0" * 64, "size": 3}]},
]


@pytest.mark.parametrize("output", LOOKALIKES, ids=str)
def test_an_output_that_looks_like_a_reference_is_read_back_unchanged(store: Store, journal: Journal, output):
    run = journal.attach(create(store, "one"))
    run.record("step.succeeded", "a", 1, {"output": output})
    run.flush()
    assert store.events("one", after=1, resolve=True)[0].data == {"output": output}


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(), max_size=8), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(value=_json, times=st.sampled_from([1, 1, 2000]))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_value_is_read_back_unchanged(store: Store, journal: Journal, value, times):
    run = journal.attach(create(store))
    run.record("step.succeeded", "a", 1, {"output": [value] * times, "duration": 0.5})
    run.flush()
    (event,) = store.events(run.run_id, after=1, resolve=True)
    assert event.data == {"output": [value] * times, "duration": 0.5}


def test_names_that_no_database_can_hold_are_escaped(store: Store, journal: Journal):
    lease = create(store, "one", pipeline="caf\udce9", name="a\0b\ud800", source_name="\udcff.yaml")
    run = journal.attach(lease)
    run.record("step.started", "a\ud800", 1)
    run.flush()
    assert store.record("one").name == "a\0b\ud800"
    assert store.events("one", after=1)[0].path == "a\\ud800"


# --- the package


def test_the_database_toolkit_is_loaded_only_when_a_store_is_opened():
    program = (
        "import sys, orchestrator.journal as j; j.Event, j.Owner.current(), j.status_of\n"
        "assert 'sqlalchemy' not in sys.modules\n"
        "s = j.Store.open('sqlite://')\n"
        "assert 'sqlalchemy' in sys.modules and 'alembic' not in sys.modules\n"
        "assert 'sqlalchemy.dialects.postgresql' not in sys.modules\n"
        "s.close()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_a_store_without_a_path_is_removed_when_closed():
    store = Store.open("sqlite://")
    create(store, "one")
    assert store.find("last") == "one"
    path = Path(store.database.engine.url.database or "")
    store.close()

    assert not path.parent.exists()


def test_an_sqlite_store_survives_a_loss_of_power(tmp_path: Path):
    with Store.open(f"sqlite:///{tmp_path}/runs.db") as store, store.database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    with sqlite3.connect(tmp_path / "runs.db") as bare:
        assert bare.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    bare.close()


def test_a_connection_that_is_lent_while_the_store_closes_is_closed_when_it_comes_back(store: Store) -> None:
    with store.database.read() as connection:
        driver = connection.connection.dbapi_connection
        store.close()
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    with store.database.read() as later:
        another = later.connection.dbapi_connection
    for each in (driver, another):
        with pytest.raises(Exception, match="closed"):
            each.cursor()  # type: ignore[union-attr]
