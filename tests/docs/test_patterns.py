"""The page of workflow patterns shows the cases that are run, and has a case for every supported pattern."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guide" / "workflow-patterns.md"
CASES = sorted(
    path for path in (ROOT / "tests/conformance/runs/patterns").glob("*.yaml") if not path.name.endswith(".then.yaml")
)
SECTION = re.compile(r"^### (\d+)\. (.+?)\n(.*?)(?=^##|\Z)", re.DOTALL | re.MULTILINE)
ROW = re.compile(r"^\| (\d+) \| \*\*(.+?)\*\*: .* \| (yes|in part|no) \| (.*) \|$", re.MULTILINE)
BLOCK = re.compile(r"^```yaml[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = {int(number): (name, BLOCK.findall(text)) for number, name, text in SECTION.findall(TEXT)}
ROWS = {int(number): (name, written, how) for number, name, written, how in ROW.findall(TEXT)}


def number_of(case: Path) -> int:
    return int(case.name.removeprefix("wcp").partition("_")[0])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_pattern_is_shown_as_it_is_run(case: Path) -> None:
    files = sorted(case.with_suffix(".files").glob("*"))
    pipeline = case.read_text(encoding="utf-8").partition("\n")[2]
    assert SECTIONS[number_of(case)][1] == [*(file.read_text(encoding="utf-8") for file in files), pipeline]


def test_all_forty_three_patterns_are_on_the_page() -> None:
    named_with_others = {38: 37}
    assert sorted(ROWS.keys() | named_with_others.keys()) == list(range(1, 44))


def test_what_can_be_written_is_shown_and_nothing_else_is() -> None:
    shown_with_others = {42: 41}
    shown = {number for number, (_, written, _) in ROWS.items() if written != "no"} - shown_with_others.keys()
    assert shown == set(SECTIONS) == {number_of(case) for case in CASES}
    assert all(SECTIONS[number][0] == ROWS[number][0] for number in shown)


def test_the_twenty_of_the_first_paper_are_counted() -> None:
    written = [ROWS[number][1] for number in range(1, 21)]
    assert (written.count("yes"), written.count("in part"), written.count("no")) == (15, 3, 2)
