"""Measures our expressions against Jinja2's own test suite: `python -m tests.expressions.jinja_suite [-v]`.

The suite is not part of this project. The script downloads the source distribution of the Jinja2 that is installed,
runs its tests with a recorder around `Template.render`, and has our engine render every template that was recorded with
the same values. It prints how many agree, how many differ by a rule that docs/expressions.md states, how many are
refused before a run or in it, and every template that we accept and that means something else: there should be none.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

import jinja2

from orchestrator.expressions import EvaluationError, Scope, parse_template
from tests.expressions.test_differential import JINJA, NOW, expected

LENIENT: Final = JINJA.overlay(undefined=jinja2.Undefined)
Verdict = Literal["agrees", "documented", "refused", "error", "differs"]

RECORDER: Final = """
import json, os
from jinja2 import environment as engine

OUT = open(os.environ["RECORDED"], "a", encoding="utf-8")
SOURCES, RENDER, FROM_STRING = {}, engine.Template.render, engine.Environment.from_string

def from_string(self, source, *args, **kwargs):
    template = FROM_STRING(self, source, *args, **kwargs)
    if isinstance(source, str):
        SOURCES[id(template)] = (template, source)
    return template

def render(self, *args, **kwargs):
    known = SOURCES.get(id(self))
    if known is not None and known[0] is self:
        try:
            values = json.loads(json.dumps(dict(*args, **kwargs), allow_nan=False))
        except Exception:
            values = None
        print(json.dumps({"source": known[1], "values": values}), file=OUT, flush=True)
    return RENDER(self, *args, **kwargs)

engine.Environment.from_string, engine.Template.render = from_string, render
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A template of the suite with its values, and the text that Jinja2 makes of it; None: it raises an error."""

    source: str
    values: dict[str, Any]
    text: str | None


def record(folder: Path) -> tuple[list[Recorded], int]:
    """Run the suite of the installed Jinja2 in `folder`.

    Return what can be compared, and the number of templates that cannot: their values are not JSON data.
    """
    name = f"jinja2=={version('jinja2')}"
    download = ["pip", "download", "-q", "--no-binary", ":all:", "--no-deps", "-d", str(folder), name]
    subprocess.run([sys.executable, "-m", *download], check=True, stderr=subprocess.DEVNULL)
    with tarfile.open(next(folder.glob("jinja2-*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    root = next(path for path in folder.glob("jinja2-*") if path.is_dir())
    (folder / "recorder.py").write_text(RECORDER, encoding="utf-8")
    found = folder / "recorded.jsonl"
    run = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "recorder",
        "-p",
        "no:xdist",
        "--continue-on-collection-errors",
        "tests",
    ]
    paths = {"PYTHONPATH": f"{folder}", "RECORDED": str(found), "PATH": "/usr/bin:/bin"}
    subprocess.run(run, cwd=root, env=paths, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    unique: dict[str, Recorded] = {}
    others: set[str] = set()
    for line in found.read_text("utf-8").splitlines():
        entry = json.loads(line)
        if entry["values"] is None:
            others.add(entry["source"])
        else:
            unique.setdefault(line, Recorded(entry["source"], entry["values"], _rendered(entry)))
    return list(unique.values()), len(others)


def _rendered(entry: dict[str, Any]) -> str | None:
    try:
        return jinja2.Environment(keep_trailing_newline=True).from_string(entry["source"]).render(entry["values"])
    except Exception:
        return None


def compare(case: Recorded) -> tuple[Verdict, str]:
    """Have our engine render a template; return how that compares, and our text or message."""
    template = parse_template(case.source)
    if template.problems:
        return "refused", f"{template.problems[0].code} {template.problems[0].message}"
    try:
        ours = template.render(Scope(case.values, NOW))
    except EvaluationError as error:
        return ("agrees" if case.text is None else "error"), error.message
    if ours == case.text:
        return "agrees", ours
    # Values are written as JSON, null is empty, line breaks stay: `expected` is Jinja2 with those rules. Undefined is
    # an error but for what asks about it, where it is as in Jinja2's own configuration.
    alike = (expected(case.source, case.values), expected(case.source, case.values, LENIENT))
    return ("documented" if ours.replace("\r\n", "\n") in alike else "differs"), ours


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-v", action="store_true", help="print every template that does not agree")
    verbose = parser.parse_args().v
    with tempfile.TemporaryDirectory() as folder:
        cases, left = record(Path(folder))
    counts: Counter[str] = Counter()
    for case in cases:
        verdict, said = compare(case)
        counts[verdict] += 1
        if verdict == "differs" or (verbose and verdict in ("refused", "error")):
            print(f"{verdict}: {case.source!r} {case.values!r}\n  Jinja2: {case.text!r}\n  ours:   {said!r}")
    print(f"{len(cases)} templates: {dict(counts)}; {left} have values that are not JSON data")


if __name__ == "__main__":
    main()
