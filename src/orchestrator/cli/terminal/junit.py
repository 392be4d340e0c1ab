"""The outcomes of test cases in the XML that JUnit began, and that servers of continuous integration read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

from orchestrator.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.testing.runner import Outcome


def write_junit(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the report.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    suites = ElementTree.Element("testsuites")
    for file in dict.fromkeys(str(outcome.file.path) for outcome in outcomes):
        of_file = [outcome for outcome in outcomes if str(outcome.file.path) == file]
        count = {
            "tests": len(of_file),
            "failures": sum(outcome.end == "failed" for outcome in of_file),
            "skipped": sum(outcome.end == "skipped" for outcome in of_file),
        }
        numbers = {name: str(number) for name, number in count.items()}
        suite = ElementTree.SubElement(suites, "testsuite", {"name": _plain(file), **numbers})
        for outcome in of_file:
            _add(suite, file, outcome)
    try:
        ElementTree.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"`{path}` cannot be written: {reason}", help="name another file") from error


def _add(suite: ElementTree.Element, file: str, outcome: Outcome) -> None:
    told = {"classname": _plain(file), "name": _plain(outcome.case.name), "time": f"{outcome.seconds:.3f}"}
    case = ElementTree.SubElement(suite, "testcase", told)
    if outcome.end != "passed":
        reasons = "\n".join(map(_plain, outcome.reasons))
        first = reasons.partition("\n")[0]
        kind = "failure" if outcome.end == "failed" else "skipped"
        ElementTree.SubElement(case, kind, {"message": first}).text = reasons


def _plain(text: str) -> str:
    """Return a text without control characters, which XML has no way to write."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t")
