"""Lists over a store of many runs: the queries of `list_runs`, and the command `runs`, with the filters of each."""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from own import fails, noop
from startup import SCRIPT, process

import orchestrator as orc

PIPELINES = 10
"""Each has runs that succeeded and, one in ten, that failed; one run in a hundred is labelled `rare`."""

FILTERS: dict[str, dict[str, Any]] = {
    "the newest": {},
    "of one pipeline in ten": {"pipeline": "p7"},
    "that failed, one in ten": {"state": "failed"},
    "with a label, one in a hundred": {"labels": ["rare"]},
    "that failed, with a label": {"state": "failed", "labels": ["rare"]},
    "of a pipeline without runs": {"pipeline": "none"},
}
WORDS: dict[str, tuple[str, ...]] = {
    "`runs`": ("runs",),
    "`runs --state failed`": ("runs", "--state", "failed"),
}
ASKED = 20
"""How often each query is asked."""


def listed(wanted: dict[str, Any], work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """List 50 runs with a filter, many times."""
    with _client(store_of(directory, work.facts["runs"])) as client:
        client.list_runs(**wanted)
        clock.start()
        for _ in range(work.count):
            client.list_runs(**wanted)
        clock.stop()
    return {"stored": work.count}


def commanded(words: tuple[str, ...], work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Run a command on the store."""
    store = store_of(directory, work.facts["runs"])
    order = (SCRIPT, *words, "--store", f"sqlite:///{store}")
    process(order, directory)
    found = process(order, directory)
    return {"stored": 1, "wall": found["wall"], "cpu": found["cpu"]}


def lists(runs: int) -> list[tuple[str, str, int, Callable[..., dict[str, Any]], dict[str, Any]]]:
    """Return the measurements: title, unit, how many, the function, and the facts of each."""
    facts = {"runs": runs}
    return [
        *((f"50 runs of {runs:,}: {name}", "query", ASKED, partial(listed, by), facts) for name, by in FILTERS.items()),
        *((f"{name} with {runs:,} runs", "command", 1, partial(commanded, by), facts) for name, by in WORDS.items()),
    ]


def _client(store: Path) -> orc.Orchestrator:
    return orc.Orchestrator(store=f"sqlite:///{store}", tools=[noop, fails], directory=store.parent)


def store_of(directory: Path, count: int) -> Path:
    """Return the store that the measurements of a group share, made by the first of them."""
    store = directory.parent / "many.db"
    if not store.exists():
        made = directory / "many.db"
        with _client(made) as client:
            for number in range(PIPELINES):
                step = {"id": "a", "tool": "noop"}
                pipeline = client.compile({"id": f"p{number}", "steps": [step]})
                failing = client.compile({"id": f"p{number}", "steps": [step | {"tool": "fails"}]})
                for turn in range(10):
                    labels = ["rare"] if number == turn == 0 else []
                    (failing if turn == number else pipeline).with_options(labels=labels).start().wait()
        copy_runs(made, count)
        made.rename(store)
    return store


def copy_runs(path: Path, count: int) -> None:
    """Copy the runs of a store with other ids, without their events, until there are so many."""
    with sqlite3.connect(path) as store:
        store.row_factory = sqlite3.Row
        originals = [dict(row) for row in store.execute("SELECT * FROM runs ORDER BY key")]
        labels = {row["run"]: row["label"] for row in store.execute("SELECT run, label FROM labels")}
        last = originals[-1]["key"]
        copies, marked = [], []
        for number in range(count - len(originals)):
            run = originals[number % len(originals)]
            key, run_id = last + 1 + number, f"{run['run_id']}-{number}"
            snapshot = run["snapshot"].replace(run["run_id"], run_id)
            copies.append(tuple((run | {"key": key, "run_id": run_id, "snapshot": snapshot}).values()))
            if run["key"] in labels:
                marked.append((labels[run["key"]], key))
        store.executemany(f"INSERT INTO runs VALUES ({', '.join('?' * len(originals[0]))})", copies)
        store.executemany("INSERT INTO labels (label, run) VALUES (?, ?)", marked)
    store.close()
