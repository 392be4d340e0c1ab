"""Large stores: pruning next to a writer, what a writer waits then, and showing a loop of many items."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from own import noop

import orchestrator as orc
from orchestrator.cli.inspect.show import result_text
from orchestrator.cli.terminal.hints import Hints

STEPS = 20

OF_RUN = "id BETWEEN (?1 << 32) AND (?1 << 32) + 4294967295"
"""The condition of the events of a run, from its key."""


def client(directory: Path) -> orc.Orchestrator:
    """Return a client with a separate store."""
    return orc.Orchestrator(store=f"sqlite:///{directory / 'runs.db'}", tools=[noop], directory=directory)


def pruned(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Remove half of many runs while another process runs small ones: `latency` is the p95 of those, in seconds."""
    with client(directory) as one:
        one.compile({"id": "many", "steps": [{"id": f"s{n}", "tool": "noop"} for n in range(STEPS)]}).run()
    copy_runs(directory / "runs.db", 2 * work.count)
    alone = waits(directory, lambda: time.sleep(1.0))
    with client(directory) as one:
        gone: list[int] = []

        def prune() -> None:
            clock.start()
            gone.append(one.prune(keep=work.count).runs)
            clock.stop()

        contended = waits(directory, prune)
    # The run that was copied goes too, and so do those of the writers, which have ended.
    return {
        "stored": min(gone[0], work.count),
        "alone": _high(alone),
        "latency": _high(contended),
        "worst": max(contended),
    }


def shown(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Show a run with a loop of many items."""
    each = {"id": "each", "for_each": "{{ range(4) }}", "steps": [{"id": "a", "tool": "noop"}]}
    with client(directory) as one:
        one.compile({"id": "loop", "steps": [each]}).run()
    copy_items(directory / "runs.db", work.count)
    with client(directory) as one:
        clock.start()
        text = result_text(one.get_run("last").snapshot(), Hints(None))
        clock.stop()
    return {"stored": work.count if f"{work.count - 3} more" in text else 0}


def waits(directory: Path, meanwhile: Any) -> list[float]:
    """Return how long small runs of another process took while a function ran, in seconds."""
    stop = directory / "stop"
    stop.unlink(missing_ok=True)
    order = [sys.executable, __file__, str(directory), str(stop)]
    with subprocess.Popen(order, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()  # it has begun
        meanwhile()
        stop.touch()
        found: list[float] = json.loads(writer.stdout.readline())
    return found


def write(directory: Path, stop: Path) -> None:
    """Run one step again and again, with pauses of 5 ms, until a file exists."""
    with client(directory) as one:
        pipeline = one.compile({"id": "writer", "steps": [{"id": "a", "tool": "noop"}]})
        pipeline.run()
        print("ready", flush=True)
        found = []
        while not found or not stop.exists():
            began = time.perf_counter()
            pipeline.run()
            found.append(time.perf_counter() - began)
            time.sleep(0.005)
    print(json.dumps(found))


def copy_runs(path: Path, count: int) -> None:
    """Write so many copies of the newest run; recording them would take an hour."""
    with sqlite3.connect(path) as store:
        store.row_factory = sqlite3.Row
        run = dict(store.execute("SELECT * FROM runs ORDER BY key DESC LIMIT 1").fetchone())
        events = [tuple(row) for row in store.execute(f"SELECT * FROM events WHERE {OF_RUN}", (run["key"],))]
        uses = [row[0] for row in store.execute("SELECT blob FROM blob_uses WHERE run = ?", (run["key"],))]
        marks = ", ".join("?" * len(run))
        for number in range(1, count + 1):
            key = run["key"] + number
            store.execute(
                f"INSERT INTO runs VALUES ({marks})",
                tuple((run | {"key": key, "run_id": f"{run['run_id']}-{number}"}).values()),
            )
            store.executemany(
                "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", ((e[0] + (number << 32), *e[1:]) for e in events)
            )
            store.executemany("INSERT INTO blob_uses VALUES (?, ?)", ((key, blob) for blob in uses))
    store.close()


def copy_items(path: Path, count: int) -> None:
    """Give the loop of the newest run so many items, all like the first."""
    with sqlite3.connect(path) as store:
        key = store.execute("SELECT max(key) FROM runs").fetchone()[0]
        events = store.execute(f"SELECT * FROM events WHERE {OF_RUN} ORDER BY id", (key,)).fetchall()
        inside = [event for event in events if event[3].startswith("each[")]
        first = [event for event in inside if event[3].startswith("each[0]")]
        begin, end = events.index(inside[0]), events.index(inside[-1]) + 1

        def rows() -> Iterator[tuple[Any, ...]]:
            yield from events[:begin]
            for item in range(count):
                yield from ((*e[:3], e[3].replace("each[0]", f"each[{item}]"), *e[4:]) for e in first)
            for event in events[end:]:
                data = json.loads(event[5])
                if "items" in data:
                    data["items"] |= {"count": count, "succeeded": count}
                yield (*event[:5], json.dumps(data))

        store.execute(f"DELETE FROM events WHERE {OF_RUN}", (key,))
        numbered = (((key << 32) + seq, *row[1:]) for seq, row in enumerate(rows(), 1))
        store.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", numbered)
        last = store.execute("SELECT max(id) FROM events").fetchone()[0] - (key << 32)
        snapshot = json.loads(store.execute("SELECT snapshot FROM runs WHERE key = ?", (key,)).fetchone()[0])
        snapshot["last_seq"] = last
        store.execute("UPDATE runs SET snapshot = ?, snapshot_seq = ? WHERE key = ?", (json.dumps(snapshot), last, key))
    store.close()


def _high(seconds: list[float]) -> float:
    """Return the 95th percentile."""
    return sorted(seconds)[int(len(seconds) * 0.95)]


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
