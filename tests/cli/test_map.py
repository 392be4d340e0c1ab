"""`map`: a run for each row of a file, and everything about how it can be stopped, gone on with and got wrong."""

import json
import os
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.options.budgets import larger_budget, read_budget
from tests.cli.conftest import Done, Project
from tests.cli.test_terminal import terminal
from tests.ollama import Ollama

LENGTHS = """
id: lengths
inputs:
  word: {type: string}
  factor: {type: integer, default: 1}
steps:
  - id: upper
    tool: text
    action: template
    parameters: {template: "{{ word | upper }}"}
  - id: wait
    tool: sleep
    condition: word == 'slow'
    parameters: {seconds: 3600}
  - id: divided
    tool: text
    action: template
    dependencies: [wait]
    parameters: {template: "{{ 12 // factor }}"}
outputs:
  upper: "{{ upper }}"
  divided: "{{ divided | int }}"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "lengths.yaml").write_text(LENGTHS)
    return Project(tmp_path, tools=None)


def written(project: Project, name: str, *rows: Any) -> str:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (project.directory / name).write_text("\n".join(lines) + "\n")
    return name


def by_row(done: Done | list[Any]) -> dict[int, Any]:
    return {result["row"]: result for result in (done.lines if isinstance(done, Done) else done)}


def batch_of(err: str) -> str:
    return err.split()[1].rstrip(":")


def test_each_row_gives_a_line_with_its_number(project: Project) -> None:
    done = project("map", "lengths.yaml", written(project, "rows.jsonl", {"word": "a"}, "", {"word": "b", "factor": 3}))
    assert done.code == 0, done.err
    found = by_row(done)
    assert {row: result["outputs"] for row, result in found.items()} == {
        1: {"upper": "A", "divided": 12},
        2: {"upper": "B", "divided": 4},
    }
    assert {tuple(result) for result in found.values()} == {("row", "run_id", "state", "outputs", "error")}
    assert done.err.startswith("batch 1")
    assert "2 rows: 2 succeeded" in done.err


def test_a_row_of_csv_is_read_by_the_types_of_the_inputs(project: Project) -> None:
    rows = written(project, "rows.csv", "word,factor", '"a, b",3', "c,", '"d\nd",6')
    done = project("map", "lengths.yaml", rows, "--out", "out.jsonl", "--json")
    assert done.code == 0, done.err
    assert done.json == {"batch": batch_of(done.err), "rows": 3, "succeeded": 3}
    lines = (project.directory / "out.jsonl").read_text().splitlines()
    assert {row: result["outputs"] for row, result in by_row([json.loads(line) for line in lines]).items()} == {
        1: {"upper": "A, B", "divided": 4},
        2: {"upper": "C", "divided": 12},
        3: {"upper": "D\nD", "divided": 2},
    }


def test_rows_come_from_stdin_and_share_what_is_given_once(project: Project) -> None:
    done = project.process(
        "map", "lengths.yaml", "-", "-i", "factor=6", input='{"word": "a"}\n{"word": "b", "factor": 2}'
    )
    assert done.code == 0, done.err
    assert {row: result["outputs"]["divided"] for row, result in by_row(done).items()} == {1: 2, 2: 6}


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("r.jsonl", '{"word": "a", "factor": 0}', "division by zero"),
        ("r.jsonl", '{"wrod": "a"}', "did you mean `word`?"),
        ("r.jsonl", "word: a", "line 2 of `r.jsonl` is not JSON"),
        ("r.jsonl", "[1]", "line 2 of `r.jsonl` is not a JSON object"),
        ("r.jsonl", "[" * 100_000, "line 2 of `r.jsonl` is not JSON"),
        ("r.csv", "a", "line 2 of `r.csv` has 1 cell,"),
        ("r.csv", "a,x", "line 2 of `r.csv` is wrong: `factor` must be an integer"),
        ("r.csv", '"a"b,1', "line 2 of `r.csv` has text after a closing quote"),
    ],
)
def test_a_row_that_fails_is_reported_and_the_others_run(project: Project, name: str, row: str, words: str) -> None:
    first = '{"word": "x"}' if name.endswith("l") else "word,factor"
    last = '{"word": "y"}' if name.endswith("l") else "y,1"
    done = project("map", "lengths.yaml", written(project, name, first, row, last))
    assert done.code == 1
    found = by_row(done)
    bad = next(result for result in found.values() if result["state"] != "succeeded")
    assert words in bad["error"]["message"]
    assert bad["row"] == (2 if name.endswith("l") else 1)
    assert found[max(found)]["outputs"]["upper"] == "Y"
    assert f"✗ row {bad['row']} {bad['state']}" in done.err


def test_bytes_that_are_no_text_spoil_one_row(project: Project) -> None:
    for name, first, last in (("r.jsonl", b"", b'{"word": "y"}'), ("r.csv", b"word\n", b"y")):
        (project.directory / name).write_bytes(first + b"\xff\xfe\n" + last + b"\n")
        found = by_row(project("map", "lengths.yaml", name))
        assert [found[row]["state"] for row in (1, 2)] == ["invalid", "succeeded"]
        assert "is not UTF-8 text" in found[1]["error"]["message"]


def test_rows_of_other_delimiters_and_encodings_are_read(project: Project) -> None:
    rows = "word;factor\nGrüße;2\n\n"
    (project.directory / "r.csv").write_bytes(rows.encode("utf-16"))
    done = project("map", "lengths.yaml", "r.csv")
    assert by_row(done)[1]["state"] == "succeeded"
    assert "is read with a semicolon between its cells; `--delimiter ';'` says so" in done.err
    (project.directory / "r.csv").write_bytes(rows.encode("latin-1"))
    assert (
        "save it as UTF-8, or name its encoding" in by_row(project("map", "lengths.yaml", "r.csv"))[1]["error"]["help"]
    )
    done = project("map", "lengths.yaml", "r.csv", "--encoding", "latin-1", "--delimiter", ";")
    assert by_row(done)[1]["state"] == "succeeded"
    assert "is read with" not in done.err
    assert project("map", "lengths.yaml", "r.csv", "--encoding", "klingon").code == 2
    assert project("map", "lengths.yaml", "r.csv", "--delimiter", ";;").code == 2


def test_a_cell_of_a_row_may_be_large(project: Project) -> None:
    (project.directory / "r.csv").write_text(f"word\n{'x' * 200_000}\n")
    assert by_row(project("map", "lengths.yaml", "r.csv"))[1]["state"] == "succeeded"


def test_the_same_command_with_the_batch_goes_on_with_what_did_not_succeed(project: Project) -> None:
    rows = written(project, "rows.jsonl", {"word": "a"}, {"word": "b", "factor": 0})
    first = project("map", "lengths.yaml", rows, "--out", "out.jsonl")
    assert first.code == 1
    batch = batch_of(first.err)
    assert f"continue with: orchestrator map lengths.yaml rows.jsonl --batch {batch} --out out.jsonl" in first.err
    (project.directory / "lengths.yaml").write_text(LENGTHS.replace("12 // factor", "12 // (factor or 1)"))
    again = project("map", "lengths.yaml", rows, "--out", "out.jsonl", "--batch", batch)
    assert again.code == 0, again.err
    found = by_row([json.loads(line) for line in (project.directory / "out.jsonl").read_text().splitlines()])
    assert [found[row]["outputs"]["divided"] for row in (1, 2)] == [12, 12]
    assert len(project("runs", "--json").json) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_the_batch_so_that_it_can_go_on(project: Project, number: int) -> None:
    rows = written(project, "rows.jsonl", {"word": "slow"}, {"word": "a"}, {"word": "b"})
    with project.start("map", "lengths.yaml", rows) as process:
        assert process.stdout is not None
        done = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, ""), err
    assert "interrupted, 1 left; 2 rows: 2 succeeded" in err
    assert {result["row"] for result in done} == {2, 3}
    assert "continue with: orchestrator map lengths.yaml rows.jsonl --batch " in err
    states = {status["run_id"]: status["state"] for status in project("runs", "--json").json}
    assert sorted(states.values()) == ["interrupted", "succeeded", "succeeded"]
    slow = next(run_id for run_id, state in states.items() if state == "interrupted")
    with project.start("map", "lengths.yaml", rows, "--batch", batch_of(err)) as process:
        assert process.stdout is not None
        again = [json.loads(process.stdout.readline()) for _ in range(2)]
        project.until(slow, lambda event: event["type"] == "run.started" and event["data"]["resumed"])
        process.send_signal(number)
        process.communicate(timeout=30)
    assert {result["run_id"] for result in again} == {result["run_id"] for result in done}


def test_a_batch_that_was_killed_goes_on(project: Project) -> None:
    rows = written(project, "rows.jsonl", *({"word": "slow" if n == 4 else f"w{n}"} for n in range(8)))
    with project.start("map", "lengths.yaml", rows, "--max-parallel", "2") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        batch = batch_of(process.stderr.readline())
        for _ in range(5):
            process.stdout.readline()
        process.kill()
    (project.directory / "lengths.yaml").write_text(LENGTHS.replace("3600", "0"))
    done = project("map", "lengths.yaml", rows, "--batch", batch)
    assert done.code == 0, done.err
    assert sorted(by_row(done)) == list(range(1, 9))


@pytest.mark.parametrize(
    ("words", "code", "help"),
    [
        (["nofile.jsonl"], "ORC603", "give a file of JSON Lines or CSV"),
        (["rows.jsonl", "--out", "missing/out.jsonl"], "ORC603", "name a file in a writable directory"),
        (["rows.jsonl", "--out", "rows.jsonl"], "ORC603", "another file"),
        (["rows.jsonl", "--batch", "nightly"], "ORC817", "omit it to start a new batch"),
        (["rows.jsonl", "--refresh", "uper"], "ORC809", "did you mean `upper`?"),
        (["rows.jsonl", "-i", "factr=1"], "ORC602", ""),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_runs(
    project: Project, words: list[str], code: str, help: str
) -> None:
    written(project, "rows.jsonl", {"word": "a"})
    done = project("map", "lengths.yaml", *words)
    if code == "ORC602":  # an input that is unknown makes every row invalid
        assert (done.code, by_row(done)[1]["error"]["code"]) == (1, "ORC602")
        return
    assert (done.code, done.out) == (2, "")
    assert f"error[{code}]" in done.err
    assert help in done.err
    assert (project.directory / "rows.jsonl").read_text() == '{"word": "a"}\n'


def test_other_rows_than_before_are_refused(project: Project) -> None:
    first = project("map", "lengths.yaml", written(project, "rows.jsonl", {"word": "a"}))
    rows = written(project, "rows.jsonl", {"word": "z"})
    done = project("map", "lengths.yaml", rows, "--batch", batch_of(first.err))
    assert (done.code, done.out) == (2, "")
    assert "row 1 has changed since batch" in done.err


def test_who_stops_reading_the_results_ends_the_batch(project: Project) -> None:
    rows = written(project, "rows.jsonl", *({"word": f"w{n}"} for n in range(300)))
    with project.start("map", "lengths.yaml", rows, "--quiet", "--max-parallel", "2") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
    assert len(project("runs", "--json", "--limit", "1000").json) < 300


def test_results_come_while_rows_are_still_awaited(project: Project) -> None:
    os.mkfifo(project.directory / "pipe")
    with (
        project.start("map", "lengths.yaml", "pipe", "--max-parallel", "3") as process,
        (project.directory / "pipe").open("w") as rows,
    ):
        assert process.stdout is not None
        for number in range(4):
            print(json.dumps({"word": f"w{number}"}), file=rows, flush=True)
            assert json.loads(process.stdout.readline())["row"] == number + 1
        rows.close()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_a_terminal_shows_how_far_the_batch_is(project: Project) -> None:
    rows = written(project, "rows.jsonl", {"word": "a", "factor": 0}, {"word": "b"}, {"word": "slow"})
    with terminal(project, "map", "lengths.yaml", rows, "--out", "out.jsonl") as shown:
        shown.read_until("2 rows: 1 succeeded, 1 failed")
        assert "✗ row 1 failed" in shown.read_until("━")
        shown.interrupt()
        assert "stopping; press Ctrl-C again to stop immediately" in shown.read_until(None)
        shown.process.communicate(timeout=30)
    assert shown.process.returncode == 130


NAP = "steps: [{id: nap, action: sleep, parameters: {seconds: 0}}]\n"

ASKS = """
id: asks
inputs: {word: x}
steps:
  - id: a
    action: generate_text
    parameters: {model: ollama:llama3.2, prompt: "Say {{ word }}"}
outputs: {a: "{{ a }}"}
"""


def test_rows_that_a_budget_leaves_are_counted_and_the_command_that_is_printed_runs_them(
    project: Project, ollama: Ollama
) -> None:
    (project.directory / "asks.yaml").write_text(ASKS)
    rows = written(project, "rows.jsonl", *({"word": f"w{n}"} for n in range(9)))
    ran = project(
        "map", "asks.yaml", rows, "--out", "out.jsonl", "--max-parallel", "1", "--budget", "3requests", "--json"
    )
    assert ran.code == 1
    assert {name: ran.json[name] for name in ("rows", "succeeded", "failed", "pending", "requests")} == {
        "rows": 4,
        "succeeded": 3,
        "failed": 1,
        "pending": 5,
        "requests": 3,
    }
    assert ran.json["tokens"] > 0
    assert ran.err.count("✗ row") == 1
    assert "5 not started" in ran.err
    assert re.search(r"[0-9]+ tokens, \$0\.00", ran.err)
    assert len((project.directory / "out.jsonl").read_text().splitlines()) == 4
    (listed,) = project("batches", "--json").json
    assert {name: listed[name] for name in ("rows", "pending", "complete")} == {
        "rows": 4,
        "pending": 5,
        "complete": True,
    }
    assert "1 failed, 5 pending, 3 succeeded" in project("batches").out
    command = shlex.split(ran.err.rpartition("continue with: orchestrator ")[2])
    again = project(*command)
    assert again.code == 0, again.err
    assert "9 rows: 9 succeeded" in again.err
    assert project("batches", "--json").json[0]["pending"] == 0


@pytest.mark.parametrize(
    ("budget", "done", "left", "larger"),
    [
        (["3requests"], 4, 5, ["9requests"]),
        (["2usd", "1000tokens"], 10, 0, ["4usd", "2000tokens"]),
        (["0.03usd"], 3, 97, ["1.3usd"]),
        (["50000tokens"], 1, 999, ["63000000tokens"]),
        (["0usd"], 0, 3, ["1usd"]),
        (None, 1, 1, []),
    ],
)
def test_a_larger_budget_is_enough_for_the_rows_that_are_left(
    budget: list[str] | None, done: int, left: int, larger: list[str]
) -> None:
    found = larger_budget(budget, done=done, left=left)
    assert found == larger
    assert budget is None or read_budget(found) is not None


def test_batches_are_listed_and_their_runs_found(project: Project) -> None:
    rows = written(project, "rows.jsonl", {"word": "a"}, {"word": "bcd", "factor": 0})
    first = batch_of(project("map", "lengths.yaml", rows).err)
    second = batch_of(project("map", "lengths.yaml", rows).err)
    (project.directory / "greet.yaml").write_text(NAP)
    project("run", "greet.yaml")
    listed = project("batches", "--json").json
    assert [each["batch"] for each in listed] == [second, first]
    assert listed[0]["pipeline"] == "lengths"
    assert listed[0]["rows"] == 2
    assert sum(listed[0]["states"].values()) == 2
    shown = project("batches").out
    assert second in shown
    assert first not in project("batches", "--limit", "1").out
    assert len(project("runs", "--batch", first, "--json").json) == 2
    assert {each["pipeline"] for each in project("runs", "--pipeline", "greet", "--json").json} == {"greet"}
    assert len(project("runs", "--since", "1h", "--json").json) == 5
    assert project("runs", "--since", "2999-01-01", "--json").json == []
    assert project(
        "runs", "--since", "2020-01-01T00:00", "--pipeline", "lengths", "--state", "succeeded", "--json"
    ).json
    assert project("runs", "--since", "soon").code == 2
    assert project("runs", "--batch", "nightly").out == ""


def test_runs_are_found_by_their_labels(project: Project) -> None:
    (project.directory / "greet.yaml").write_text(NAP)
    for labels in ([], ["nightly"], ["nightly", 'a "b" 50%_']):
        words = [word for label in labels for word in ("--label", label)]
        assert project("run", "greet.yaml", *words).code == 0
    rows = written(project, "rows.jsonl", {"word": "nightly"})
    project("map", "lengths.yaml", rows, "--label", "batched")
    counts = {}
    for wanted in (["nightly"], ['a "b" 50%_'], ["nightly", 'a "b" 50%_'], ["batched"], ["nightl"], ["%"], ["greet"]):
        words = [word for label in wanted for word in ("--label", label)]
        counts[tuple(wanted)] = len(project("runs", "--json", *words).json)
    assert list(counts.values()) == [2, 1, 1, 1, 0, 0, 0], counts


def test_the_command_that_is_printed_has_the_inputs_that_rows_share(project: Project) -> None:
    rows = written(project, "rows.jsonl", {"word": "a"}, {"word": "b", "factor": 0})
    ran = project("map", "lengths.yaml", rows, "-i", "factor=6", "--max-parallel", "3", "--label", "x")
    assert ran.code == 1
    command = shlex.split(ran.err.rpartition("continue with: orchestrator ")[2])
    assert command[-6:] == ["-i", "factor=6", "--max-parallel", "3", "--label", "x"]
    again = project(*command)
    assert "1 succeeded, 1 failed" in again.err
