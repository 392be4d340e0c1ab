"""Compares this project with a floor and with LangGraph, and prints a table in Markdown.

    python bench/run.py                       everything: about ten minutes
    python bench/run.py --only chain compile  some of it
    python bench/run.py --quick               small sizes, once: tests the benchmark

Every measurement has a separate process and directory; the contenders take turns; each waits until the machine is
quiet. The figures are medians, and best times where other programs disturb. They are also written to
`bench/results.json`, or to `--output`; figures that were not measured this time are kept.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import alone
import costs
import machine
import table
from jobs import JOBS

HERE = Path(__file__).resolve().parent
CONTENDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "floor": ("floor", {}),
    "orchestrator": ("own", {}),
    "langgraph": ("rival", {}),
    "langgraph-one-value": ("rival", {"one_value": True}),
}
"""The module of each contender, and the arguments of its `run`."""

COMPILED = (10, 100, 1_000, 10_000)
MAX_PARALLEL = 32
LIMIT = 600.0
"""The timeout of one measurement, in seconds."""

ENOUGH = 30.0
"""Seconds: a job that has taken this long in total is not measured a third time."""


def main(arguments: list[str] | None = None) -> int:
    """Run the measurements that the arguments select."""
    names = [*JOBS, *alone.MEASURED, "compile", "import"]
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, once, without waiting for quiet")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, default=names, help=", ".join(names))
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--repeat", type=int, default=5, help="how often each is measured (default: %(default)s)")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds to wait for a quiet machine, at most")
    parser.add_argument("--output", type=Path, default=HERE / "results.json", help="the JSON file")
    parser.add_argument("--directory", type=Path, help="where the databases are made (default: the temporary one)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(measure(json.loads(options.measure))))
        return 0
    if options.quick:
        options.repeat = 1
    contenders = [
        name for name in options.contenders if name != "langgraph" or find_spec("langgraph.checkpoint.sqlite")
    ]
    for missing in set(options.contenders) - set(contenders):
        print(f"{missing} is not installed and is left out; `make bench` installs it", file=sys.stderr)
    results: dict[str, Any] = {"jobs": {}, "alone": {}, "compile": {}, "import": {}}
    if options.output.exists():
        results |= json.loads(options.output.read_text(encoding="utf-8"))
    results["machine"] = machine.description()
    for name in options.only:
        if name == "compile":
            results["compile"] = compile_times(options)
        elif name in alone.MEASURED:
            results["alone"][name] = measured_alone(name, options)
        elif name == "import":
            times = costs.import_times(1 if options.quick else 15)
            results["import"] = {statement: {"seconds": median(found)} for statement, found in times.items()}
        else:
            results["jobs"][name] = compare(name, contenders, options)
        options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table.markdown(results))
    return 0


def compare(name: str, contenders: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Measure one job with all contenders, taking turns."""
    job = JOBS[name](options.quick)
    samples: dict[str, list[dict[str, Any]]] = {contender: [] for contender in contenders}
    for _ in range(options.repeat):
        for contender in contenders:
            if len(samples[contender]) < 2 or sum(sample["wall"] for sample in samples[contender]) < ENOUGH:
                order = {"job": name, "contender": contender, "quick": options.quick}
                samples[contender].append(in_new_process(order, options))
    return {
        "title": job.title,
        "steps": job.total,
        "critical_path": job.critical_path,
        "contenders": {contender: summary(found) for contender, found in samples.items()},
    }


def measured_alone(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure this project alone, in each size."""
    found = []
    for index, work in enumerate(alone.MEASURED[name](options.quick)):
        order = {"alone": name, "index": index, "quick": options.quick}
        samples: list[dict[str, Any]] = []
        while len(samples) < options.repeat and (len(samples) < 2 or sum(s["wall"] for s in samples) < ENOUGH):
            samples.append(in_new_process(order, options))
        found.append({"title": work.title, "unit": work.unit, "count": work.count, **summary(samples)})
    return found


def compile_times(options: argparse.Namespace) -> dict[str, Any]:
    """Measure the compile time of pipelines of several lengths."""
    lengths = (10, 20) if options.quick else COMPILED
    samples: dict[int, list[dict[str, Any]]] = {length: [] for length in lengths}
    for _ in range(options.repeat):
        for length in lengths:
            samples[length].append(in_new_process({"compile": length}, options))
    return {str(length): summary(found) for length, found in samples.items()}


def summary(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of several measurements, and the load of the machine."""
    first = {key: value for key, value in samples[0].items() if key not in ("wall", "cpu", "peak", "load")}
    return {
        "seconds": median(sample["wall"] for sample in samples),
        "best": min(sample["wall"] for sample in samples),
        "cpu": median(sample["cpu"] for sample in samples),
        "peak": median(sample["peak"] for sample in samples),
        "load": [sample["load"] for sample in samples],
        **first,
    }


def in_new_process(order: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Measure once, in a separate process."""
    if not options.quick:
        machine.wait_for_quiet(options.patience)
    load = machine.load()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        command = [sys.executable, __file__, "--measure", json.dumps({**order, "directory": directory})]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{order} could not be measured:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1]) | {"load": load}
    print(f"{order}: {found['wall']:.3f} s, load {load}", file=sys.stderr)
    return found


def measure(order: dict[str, Any]) -> dict[str, Any]:
    """Run one measurement in this process."""
    clock = machine.Clock()
    if "compile" in order:
        wanted = order["compile"]
        found = costs.compile_once(wanted, clock)
    elif "alone" in order:
        work = alone.MEASURED[order["alone"]](order["quick"])[order["index"]]
        wanted, found = work.count, work.run(work, Path(order["directory"]), clock)
    else:
        job = JOBS[order["job"]](order["quick"])
        wanted = job.total
        module, told = CONTENDERS[order["contender"]]
        found = import_module(module).run(job, Path(order["directory"]), clock, MAX_PARALLEL, **told)
    if found.pop("stored") != wanted:
        raise SystemExit("not all of the work was done")
    return {"wall": clock.wall, "cpu": clock.cpu, "before": clock.before, "peak": clock.peak, **found}


if __name__ == "__main__":
    sys.exit(main())
