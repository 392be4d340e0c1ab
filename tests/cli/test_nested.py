"""Looking at a run with steps within steps: `show`, `status`, `runs`, `events` and `graph`."""

import pytest

from tests.cli.conftest import Project, make_project

ROWS = """
id: rows
steps:
  - id: each
    for_each: {range: 40}
    as: n
    on_item_failure: continue
    collect: "{{ said }}"
    steps:
      - id: said
        tool: echo
        parameters: {value: "row {{ n }}"}
      - id: check
        condition: n == 17
        tool: broken
        dependencies: [said]
  - id: route
    switch: "{{ each.failed }}"
    cases:
      "0": [{id: fine, tool: echo, parameters: {value: fine}}]
    default: [{id: worse, tool: echo, parameters: {value: "{{ each.failed }} failed"}}]
  - id: publish
    dependencies: [route]
    approve: {title: "Publish?", content: "{{ route }}"}
"""


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a run that waits for an answer."""
    project = make_project(tmp_path_factory.mktemp("nested"))
    (project.directory / "rows.yaml").write_text(ROWS, encoding="utf-8")
    assert project("run", "rows.yaml", "--quiet").code == 3
    return project


def run_id(project: Project) -> str:
    return str(project("runs", "--json").json[0]["run_id"])


def test_show_has_a_loop_as_its_counts_its_first_items_and_those_that_failed(waiting: Project) -> None:
    lines = waiting("show", "last").out.splitlines()
    end = lines.index("", 3)
    table = [line.split()[:2] for line in lines[3:end]]
    items = [("succeeded", "succeeded", "skipped")] * 3 + [("failed", "succeeded", "failed")]
    assert table == [
        ["each", "succeeded"],
        *(
            [label, state]
            for index, states in zip((0, 1, 2, 17), items, strict=True)
            for label, state in zip((f"[{index}]", "said", "check"), states, strict=True)
        ),
        ["…", "36"],
        ["route", "succeeded"],
        ["worse", "succeeded"],
        ["publish", "waiting"],
    ]
    assert "40 items, 39 succeeded, 1 failed" in lines[3]
    assert lines[end - 1].endswith("asks: Publish?")
    assert "1 failed" in "\n".join(lines[end:])  # what is to be approved


def test_show_as_json_has_every_step_with_its_whole_output(waiting: Project) -> None:
    steps = waiting("show", "last", "--json").json["steps"]
    assert steps["each"]["output"] == [None if n == 17 else f"row {n}" for n in range(40)]
    assert steps["each"]["items"] == {"count": 40, "succeeded": 39, "failed": 1}
    assert len(steps) == 1 + 40 * 3 + 3
    assert list(steps)[:4] == ["each", "each[0]", "each[0].said", "each[0].check"]


def test_one_step_is_shown_by_its_path(waiting: Project) -> None:
    assert waiting("show", "last", "--step", "each[5].said").out.splitlines()[-1] == "  output: row 5"
    assert (
        "error[ORC701]: `broken` raised RuntimeError: not mended yet"
        in waiting("show", "last", "--step", "each[17].check").out
    )
    shown = waiting("show", "last", "--step", "publish").out
    assert f"answer with: orchestrator answer {run_id(waiting)} publish yes" in shown


def test_a_path_that_no_step_has_gets_the_nearest(waiting: Project) -> None:
    wrong = waiting("show", "last", "--step", "each[5].siad")
    assert wrong.code == 2
    assert "did you mean `each[5].said`?" in wrong.err


def test_a_waiting_run_is_waiting_wherever_it_is_named(waiting: Project) -> None:
    id = run_id(waiting)
    assert [run["run_id"] for run in waiting("runs", "--state", "waiting", "--json").json] == [id]
    text = waiting("status", id).out
    assert "state     waiting\n" in text
    assert "publish asks: Publish? (yes or no)\n" in text
    assert f"answer with: orchestrator answer {id} publish yes" in text
    (active,) = waiting("status", id, "--json").json["active"]
    assert active["question"]["prompt"] == "Publish?"


def test_watching_a_run_that_waits_ends_with_the_code_of_waiting(waiting: Project) -> None:
    assert waiting("status", "last", "--watch").code == 3


def test_events_say_which_items_failed_and_what_is_asked(waiting: Project) -> None:
    text = waiting("events", "last").out
    assert "each  kind=for_each  of=40" in text
    assert 'items={"count": 40, "succeeded": 39, "failed": 1}' in text
    assert '"prompt": "Publish?"' in text


def test_the_report_has_the_tree(waiting: Project) -> None:
    page = waiting("report", "last").out
    assert "| · · `check` | failed | 1 |" in page
    assert "| · … 36 more | | | | |" in page


def test_graph_draws_and_lists_what_is_within(waiting: Project) -> None:
    drawn = waiting("graph", "rows.yaml")
    assert 'subgraph s0["each<br/><small>for each n from 0 to below 40</small>"]' in drawn.out
    steps = waiting("graph", "rows.yaml", "--json").json["steps"]
    assert [(step["id"], step["kind"]) for step in steps] == [
        ("each", "for_each"),
        ("route", "switch"),
        ("publish", "approve"),
    ]
    assert [step["id"] for step in steps[0]["steps"]] == ["said", "check"]
