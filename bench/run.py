"""Compares this project with a floor, with DBOS and with LangGraph, and itself with its targets.

    python bench/run.py                       everything, in about half an hour; writes docs/benchmarks.md
    python bench/run.py --only chain compile  some of it; only prints
    python bench/run.py --quick               small sizes, once: tests the benchmark; only prints

Every measurement has a separate process, directory and database; rows that are compared take turns; each waits until
the machine is quiet. The figures are medians. A whole run also writes `bench/results.json` and the page.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import machine
from contenders import CONTENDERS, Server, left_out
from rows import Turns, groups, measured

import page

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "docs" / "benchmarks.md"


def main(arguments: list[str] | None = None) -> int:
    """Run the measurements that the arguments select."""
    names = list(groups(list(CONTENDERS)))
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, once, without waiting for quiet")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help=", ".join(names))
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), help="default: all that are installed")
    parser.add_argument("--repeat", type=int, default=5, help="how often each is measured, at most (default: 5)")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds to wait for a quiet machine, in total")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures of a run that is not a whole one")
    parser.add_argument("--directory", type=Path, help="where the databases are made (default: the temporary one)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure:
        print(json.dumps(measured(json.loads(options.measure))))
        return 0
    is_whole = not (options.quick or options.only or options.contenders)
    results = measure_all(options, options.only or names)
    texts = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    if is_whole:
        RESULTS.write_text(texts, encoding="utf-8")
        PAGE.write_text(page.with_figures(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    if options.output:
        options.output.write_text(texts, encoding="utf-8")
    print(page.figures(results))
    print()
    print(page.verdict(results))
    return 0


def measure_all(options: argparse.Namespace, names: list[str]) -> dict[str, Any]:
    """Measure the groups of these names, and return all that the page needs."""
    server = Server()
    wanted = options.contenders or list(CONTENDERS)
    try:
        if any(CONTENDERS[name].postgres for name in wanted):
            server.start()
        missing = left_out(wanted, server=server)
        for name, reason in missing.items():
            print(f"{name} is left out: {reason}", file=sys.stderr)
        machine.write_bytecode()
        quiet = machine.Quiet(0.0 if options.quick else options.patience)
        turns = Turns(1 if options.quick else options.repeat, quiet, options.directory, server)
        chosen = groups([name for name in wanted if name not in missing])
        measurements = {name: turns.take(chosen[name](options.quick)) for name in names}
        return {
            "machine": machine.description(server.version()),
            "sizes": "small" if options.quick else "whole",
            "left_out": missing,
            "groups": measurements,
        }
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
