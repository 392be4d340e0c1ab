"""What is measured: the rows of each group, and how rows of one group take turns, each time in a fresh process."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import alone
import compilation
import machine
import startup
from contenders import CONTENDERS, Server
from jobs import JOBS

RUN = Path(__file__).with_name("run.py")
LIMIT = 600.0
"""The timeout of one measurement, in seconds."""

LEAST = 3
ENOUGH = 5.0
LONG = 30.0
"""A row is measured at least `LEAST` times, unless it has taken `LONG` seconds in total; not more than that after
`ENOUGH` seconds in total."""

COMPILED = (10, 100, 1_000, 10_000)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: `count` of its `unit`, measured as `order` says."""

    name: str
    order: Mapping[str, Any]
    unit: str
    count: int
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turns:
    """How measurements are made: how often at most, how patiently, and where."""

    repeat: int
    quiet: machine.Quiet
    directory: Path | None
    server: Server

    def take(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Measure rows in turn until each has its samples, and return their summaries."""
        samples: dict[str, list[dict[str, Any]]] = {row.name: [] for row in rows}
        with tempfile.TemporaryDirectory(dir=self.directory, prefix="bench-") as directory:
            while due := [row for row in rows if self._is_due(samples[row.name])]:
                for row in due:
                    samples[row.name].append(self._measure(row, Path(directory)))
        return {
            row.name: {"unit": row.unit, "count": row.count, **row.facts, **summary(samples[row.name])} for row in rows
        }

    def _is_due(self, samples: Sequence[Mapping[str, Any]]) -> bool:
        taken = sum(sample["wall"] for sample in samples)
        return len(samples) < self.repeat and taken < LONG and (len(samples) < LEAST or taken < ENOUGH)

    def _measure(self, row: Row, group: Path) -> dict[str, Any]:
        self.quiet.wait()
        load = machine.load()
        with ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(dir=group))
            postgres = None
            if row.order.get("contender") and CONTENDERS[row.order["contender"]].postgres:
                postgres = stack.enter_context(self.server.database())
            order = json.dumps({**row.order, "directory": directory, "postgres": postgres})
            command = [sys.executable, str(RUN), "--measure", order]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=LIMIT, check=False, env=machine.environment()
            )
        if done.returncode != 0:
            raise SystemExit(f"{row.order} could not be measured:\n{done.stderr}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) | {"load": load}
        print(f"{row.name}: {found['wall']:.3f} s, load {load}", file=sys.stderr)
        return found


def summary(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure of several measurements, the worst of `worst`, and the loads of the machine."""
    figures: dict[str, Any] = {}
    for name, value in samples[0].items():
        found = [sample[name] for sample in samples]
        if name in ("load", "worst", "without_bytecode"):
            figures[name] = found if name == "load" else max(found)
        else:
            figures[name] = median(found) if isinstance(value, int | float) else value
    return {"samples": len(samples), **figures}


def job_rows(name: str, quick: bool, contenders: Sequence[str]) -> list[Row]:
    """Return a row for each contender that runs the job."""
    job = JOBS[name](quick)
    facts = {"title": job.title, "critical_path": job.critical_path}
    return [
        Row(contender, {"job": name, "contender": contender, "quick": quick}, "step", job.total, facts)
        for contender in contenders
        if job.effects or CONTENDERS[contender].module in ("floor", "own")
    ]


def alone_rows(name: str, quick: bool) -> list[Row]:
    """Return a row for each measurement of this project alone in a group."""
    return [
        Row(work.title, {"alone": name, "index": index, "quick": quick}, work.unit, work.count, work.facts)
        for index, work in enumerate(alone.MEASURED[name](quick))
    ]


def compiled_rows(quick: bool) -> list[Row]:
    """Return a row for each length of a pipeline."""
    return [Row(f"{n:,} steps", {"compile": n}, "step", n) for n in ((10, 20) if quick else COMPILED)]


def started_rows(quick: bool) -> list[Row]:
    """Return a row for each command and import in a fresh process."""
    return [Row(name, {"start": name, "quick": quick}, "process", 1) for name in startup.starts()]


def groups(contenders: Sequence[str]) -> dict[str, Callable[[bool], list[Row]]]:
    """Return all groups of rows by name; each returns its rows, small ones that only test the benchmark if asked."""
    found: dict[str, Callable[[bool], list[Row]]] = {}
    for name in JOBS:
        found[name] = lambda quick, name=name: job_rows(name, quick, contenders)  # type: ignore[misc]
    for name in alone.MEASURED:
        found[name] = lambda quick, name=name: alone_rows(name, quick)  # type: ignore[misc]
    return {**found, "compile": compiled_rows, "start": started_rows}


def measured(order: dict[str, Any]) -> dict[str, Any]:
    """Carry out one measurement in this process."""
    clock = machine.Clock()
    directory = Path(order["directory"])
    if "start" in order:
        wanted, found = 1, startup.started(order["start"], directory, quick=order["quick"])
    elif "compile" in order:
        wanted, found = order["compile"], compilation.compile_once(order["compile"], clock)
    elif "alone" in order:
        work = alone.MEASURED[order["alone"]](order["quick"])[order["index"]]
        wanted, found = work.count, work.run(work, directory, clock)
    else:
        wanted, found = jobs_measured(order, directory, clock)
    if found.pop("stored") != wanted:
        raise SystemExit("not all of the work was done")
    times = {"wall": clock.wall, "cpu": clock.cpu, "before": clock.before, "peak": clock.peak}
    return {**times, "without_bytecode": machine.modules_without_bytecode(), **found}


def jobs_measured(order: Mapping[str, Any], directory: Path, clock: machine.Clock) -> tuple[int, dict[str, Any]]:
    """Run a job with a contender; return how many steps must be stored, and what was found."""
    from importlib import import_module

    job, contender = JOBS[order["job"]](order["quick"]), CONTENDERS[order["contender"]]
    run = import_module(contender.module).run
    return job.total, run(job, directory, order["postgres"], clock, MAX_PARALLEL, **contender.arguments)


MAX_PARALLEL = 32
"""How many steps of a run execute at once."""
