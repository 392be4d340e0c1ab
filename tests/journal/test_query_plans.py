"""No statement of the store searches all events or all runs: each finds its rows through an index."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from orchestrator.journal import Command, Journal, Owner, Store
from orchestrator.journal.records import BatchProgress, RunFilter, label_key
from orchestrator.journal.store.batch_insert import Appender
from orchestrator.journal.store.rate_limit_store import StoredRateUsage
from tests.journal.support import create, new_run, recorded

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from tests.journal.support import Statement


def use_everything(store: Store, journal: Journal) -> None:
    """Call every function of the store that has a statement, but for `stats`, which counts everything."""
    lease = create(store, "one", batch="b", row=1, options={label_key("l"): True})
    run = journal.attach(lease)
    run.record("step.started", "loop", 1, {"kind": "for_each", "of": 1, "done": 0, "failed": 0})
    run.record("step.succeeded", "loop[10]", 1, {"output": 1, "duration": 0.1})
    run.flush()
    store.put_batch("b", "p", BatchProgress(1, 0, True))
    store.has_batch("b")
    store.batches()
    list(store.batch("b"))
    for name in ("one", "o", "last"):
        store.find(name)
    store.status("one")
    for wanted in (
        RunFilter(),
        RunFilter("running"),
        RunFilter("failed"),
        RunFilter(batch="b"),
        RunFilter(single=True),
        RunFilter(labels=("l",)),
        RunFilter(since=1.0),
    ):
        store.list(wanted=wanted)
    store.labels(["one"])
    store.events("one")
    store.events("one", paths=["", "loop"])
    store.outline("one", within=["loop[10]"])
    list(store.failed_later_items("one"))
    store.count_items("one", "loop")
    store.values_at("one", [3])
    store.record("one")
    store.wait("one", 0, 0.0)
    store.spent_by_batch("b")
    store.spent_since(0.0)
    store.step_durations("p")
    store.cache_put("k", "one", "a", "x" * 50_000)
    store.cache_get("k", newer_than=0.0)
    store.send("one", Command("pause"))
    store.acknowledge([number for number, *_ in store.commands(["one"])])
    store.renew(lease)
    run.record("run.succeeded", data={"outputs": {}})
    run.flush()
    run.detach()
    store.release(lease)
    store.release(store.acquire("one", Owner.current()))
    forked, _ = store.begin_run(new_run("fork"), Owner.current(), copied=store.events("one")[1:2])
    store.release(forked)
    StoredRateUsage(store.database).change("p", lambda usage, now: None)
    store.prune(keep=5, older_than=time.time() - 60, dry_run=True)
    store.prune(keep=0, older_than=time.time() + 60)


def scans(connection: Connection, statement: Statement) -> list[str]:
    """Return the lines of a statement's plan that read a whole table of events or runs."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement.text}", statement.parameters).all()
        found = [row[3] for row in rows if re.match(r"SCAN (events|runs)\b", row[3])]
        if 'ORDER BY runs."key" DESC' in statement.text and "LIMIT" in statement.text:
            found = [line for line in found if line != "SCAN runs"]  # in the order of its key: it ends with the limit
        return found
    # Its planner prefers to read small tables as a whole: where that is discouraged, only what has no index is left.
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    rows = connection.exec_driver_sql(f"EXPLAIN {statement.text}", statement.parameters).all()
    return [row[0].strip() for row in rows if re.search(r"Seq Scan on (events|runs)\b", row[0])]


def test_no_statement_reads_all_events_or_runs(store: Store, journal: Journal):
    with recorded(store.database) as statements:
        use_everything(store, journal)
    asked = {each.text: each for each in statements if re.match("SELECT|UPDATE|DELETE|WITH", each.text)}
    about = [each for each in asked.values() if re.search(r"\b(events|runs)\b", each.text)]
    assert len(about) > 30
    with store.database.read() as connection:
        found = {each.text: lines for each in about if (lines := scans(connection, each))}
    assert found == {}


def test_the_hot_statements_find_their_rows_by_key(store: Store):
    texts = [text for text in vars(Appender(store.database)).values() if isinstance(text, str)]
    lookups = [text for text in texts if re.match("SELECT|UPDATE", text)]
    assert len(lookups) >= 6
    for text in lookups:
        table = re.search(r"(?:FROM|UPDATE) (\w+)", text)
        condition = re.search(r"WHERE (\w+)(?:=| BETWEEN)", text)
        assert table is not None
        assert condition is not None
        keys = {
            "runs": ("key", "run_id"),
            "events": ("id",),
            "blobs": ("hash",),
            "durations": ("pipeline",),
            "start_keys": ("key",),
        }
        assert condition[1] in keys[table[1]], text
