"""`runs`, `status`, `events`, `show`, `check`, `graph`, `explain`, `tools`, `filters`, `schema`, `init`, `doctor`."""

import json
import os
import re
import subprocess

import pytest

from orchestrator.cli.app import COMMANDS
from orchestrator.cli.options.usage_errors import OTHER_WORDS
from orchestrator.cli.terminal.output import seconds
from orchestrator.diagnostics import CODES
from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.builtins.tests import TESTS
from tests.cli.conftest import Finished, Project


def test_runs_lists_the_newest_first_as_table_and_as_data(finished: Finished) -> None:
    table = finished.project("runs").out.splitlines()
    data = finished.project("runs", "--json").json
    assert [status["pipeline"] for status in data] == ["broken", "greet"]
    assert [line.split()[:3] for line in table[1:]] == [[s["run_id"], s["pipeline"], s["state"]] for s in data]
    assert [status["pipeline"] for status in finished.project("runs", "--state", "failed", "--json").json] == ["broken"]


def test_status_has_the_whole_status_as_data_and_the_way_on_as_text(finished: Finished) -> None:
    data = finished.project("status", "last", "--json").json
    assert (data["state"], data["total"], data["error"]["step"]) == ("failed", 2, "second")
    assert data["counts"] == {**dict.fromkeys(data["counts"], 0), "succeeded": 1, "failed": 1}
    text = finished.project("status", "last").out
    assert f"continue with: orchestrator resume {data['run_id']}" in text
    assert finished.project("status", "last", "--watch", "--json").code == 1


def test_events_are_gap_free_json_lines_and_can_begin_anywhere(finished: Finished) -> None:
    run_id = finished.succeeded.json["run_id"]
    events = finished.project("events", run_id, "--json", "--follow").lines
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert finished.project("events", run_id, "--json", "--after", "3").lines == events[3:]
    text = finished.project("events", run_id).out.splitlines()
    assert len(text) == len(events)


def test_a_prefix_names_a_run_and_an_unknown_one_is_a_usage_error(finished: Finished) -> None:
    run_id = finished.succeeded.json["run_id"]
    assert finished.project("status", run_id[:-1], "--json").json["run_id"] == run_id
    done = finished.project("show", "nosuchrun", "--json")
    assert (done.code, done.out) == (2, "")
    assert "error[ORC801]" in done.err


def test_show_has_outputs_steps_and_errors_in_every_form(finished: Finished) -> None:
    run_id = finished.succeeded.json["run_id"]
    text = finished.project("show", run_id).out
    assert "greeting: Hello, Ada!" in text
    assert [line.split()[:3] for line in text.splitlines() if line.startswith("tried")] == [["tried", "succeeded", "3"]]
    one = finished.project("show", run_id, "--step", "tried").out
    assert "attempts: 3, the last in " in one
    data = finished.project("show", run_id, "--json").json
    tried = data["steps"]["tried"]
    assert one.startswith(f"step tried: succeeded in {seconds(tried['ended_at'] - tried['started_at'])}\n")
    assert data["steps"]["tried"]["attempts"] == 3
    assert data["outputs"]["tries"] == 2
    assert "Hello, Ada!" in finished.project("report", run_id).out
    assert finished.project("show", run_id, "--step", "hello", "--json").json["output"] == "Hello, Ada!"
    unknown = finished.project("show", run_id, "--step", "helo")
    assert unknown.code == 2
    assert "did you mean `hello`" in unknown.err
    assert "not mended yet" in finished.project("show", "last").out


def test_check_exits_with_1_when_it_finds_errors_and_prints_them_in_every_form(project: Project) -> None:
    fine = project("check", "greet.yaml", "broken.yaml")
    assert (fine.code, fine.out, fine.err) == (0, "", "2 files are fine\n")
    text = project("check", "greet.yaml", "wrong.yaml", "missing.yaml")
    assert text.code == 1
    assert "error[ORC301]" in text.out
    assert "wrong.yaml:8:" in text.out
    assert "did you mean `topic`" in text.out
    assert "error[ORC100]" in text.out
    data = project("check", "wrong.yaml", "--format", "json")
    assert data.code == 1
    assert data.json["ok"] is False
    assert 8 in [problem["line"] for problem in data.json["diagnostics"]]
    assert data.out == project("check", "wrong.yaml", "--json").out
    assert project("check", "wrong.yaml", "--format", "github").out.count("::error file=wrong.yaml,line=8") == 1
    assert project("check", "wrong.yaml", "--format", "sarif").json["version"] == "2.1.0"
    assert project("check", "greet.yaml", "--format", "json").json == {"diagnostics": [], "ok": True}


PIPELINE = "steps:\n  - {id: a, tool: text, action: template, parameters: {template: hi}}\n"


@pytest.fixture
def flows(project: Project) -> Project:
    """A directory of pipelines, and of files that are none."""
    files = {
        "flows/a.yaml": PIPELINE,
        "flows/deep/b.yml": PIPELINE.replace("template: hi", "template: '{{ nobody }}'"),
        "flows/deep/b.test.yaml": "pipeline: b.yml\ncases:\n  - name: it works\n",
        "flows/.hidden/c.yaml": "steps: wrong",
        "flows/compose.yaml": "services: {}\n",
        "empty/other.yaml": "a: 1\n",
    }
    for name, text in files.items():
        (project.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (project.directory / name).write_text(text)
    return project


def test_check_takes_directories_and_tells_what_it_leaves_out(flows: Project) -> None:
    found = flows("check", "flows")
    assert found.code == 1
    assert found.out.count("flows/deep/b.yml:2:") == 1  # once, though a test file names it too
    assert "1 YAML file without `steps:` left out: `flows/compose.yaml`" in found.err
    assert ".hidden" not in found.out + found.err
    assert flows("check", "flows", "--json").err == ""
    nothing = flows("check", "empty")
    assert nothing.code == 2
    assert "the directory `empty` holds no pipeline" in nothing.err


def test_check_takes_patterns_as_test_does(flows: Project) -> None:
    assert flows("check", "flows/*a.yaml").err == "1 file is fine\n"
    assert "flows/deep/b.yml:2:" in flows("check", "flows/**/*.yml").out
    assert flows("check", str(flows.directory / "flows" / "a*")).err == "1 file is fine\n"
    assert "no file matches `flows/*.txt`" in flows("check", "flows/*.txt").err
    assert "flows/deep/b.yml:2:" in flows("test", "flows/**/*.test.yaml").out
    odd = flows.directory / "flows" / "[odd].yaml"
    odd.write_text(PIPELINE)  # what exists is no pattern
    assert flows("check", "flows/[odd].yaml").err == "1 file is fine\n"


def test_a_missing_key_comes_last_and_once_and_hides_no_other_problem(project: Project) -> None:
    model = "model: openai:gpt-5-mini"
    asking = f"  - {{id: a, prompt: '{{{{ nobody }}}}', {model}}}\n  - {{id: b, prompt: hi, {model}}}\n"
    for name in ("one.yaml", "two.yaml"):
        (project.directory / name).write_text(f"steps:\n{asking}  - {{id: c, tol: log}}\n")
    found = project("check", "one.yaml", "two.yaml", "--json").json["diagnostics"]
    assert [each["code"] for each in found] == ["ORC301", "ORC201", "ORC301", "ORC201", "ORC422"]
    text = project("check", "one.yaml", "two.yaml").out
    assert text.count("no API key for OpenAI") == 1
    assert "needed at `two.yaml:2` too" in text
    without = project("check", "one.yaml", "two.yaml", "--no-keys", "--json").json["diagnostics"]
    assert without == found[:-1]


def test_filters_lists_and_explains_what_expressions_can_call(project: Project) -> None:
    listed = project("filters").out
    for title in ("FILTER ", "TEST ", "FUNCTION ", "METHOD "):
        assert title in listed
    assert "markdown_table" in listed
    data = project("filters", "--json").json
    assert {each["name"] for each in data["filters"]} == FILTERS.keys()
    assert {each["name"] for each in data["tests"]} == TESTS.keys()
    one = project("filters", "join").out
    assert "| join(d='', attribute=none)" in one
    assert ".join(items)" in one
    assert "-> 1, 2, 3" in one
    assert "The same as `length`." in project("filters", "count").out


@pytest.mark.parametrize(
    ("name", "help"),
    [
        ("to_table", "write `value | markdown_table`"),
        ("uper", "did you mean `upper`?"),
        ("match", "regex_search"),
        ("enumerate", "loop.index0"),
        ("nonsense-of-mine", "functions with: orchestrator filters"),
    ],
)
def test_filters_answers_an_unknown_name_with_what_stands_for_it(project: Project, name: str, help: str) -> None:
    unknown = project("filters", name)
    assert unknown.code == 2
    assert help in unknown.err


def test_graph_draws_mermaid_svg_or_data(project: Project) -> None:
    assert project("graph", "greet.yaml").out.startswith("flowchart TD\n")
    assert project("graph", "greet.yaml", "--format", "svg").out.startswith("<svg ")
    steps = {step["id"]: step["dependencies"] for step in project("graph", "greet.yaml", "--json").json["steps"]}
    assert steps == {"hello": [], "again": ["hello"], "tried": []}
    assert project("graph", "wrong.yaml").code == 2


def test_explain_finds_codes_by_a_word_and_makes_none_up(project: Project) -> None:
    assert "ORC727 (budget exceeded)" in project("explain", "budget").err
    assert "did you mean" not in project("explain", "nonsense").err


def test_explain_knows_every_code_and_suggests_near_ones(project: Project) -> None:
    done = project("explain", "orc301")
    assert done.code == 0
    assert "ORC301" in done.out
    assert CODES["ORC301"].title in done.out
    assert project("explain", "301", "--json").json["code"] == "ORC301"
    unknown = project("explain", "ORC3O1")
    assert (unknown.code, unknown.out) == (2, "")
    assert "ORC301" in unknown.err


def test_tools_lists_built_in_and_own_tools_and_shows_one(project: Project) -> None:
    listed = project("tools").out
    assert "filesystem" in listed
    assert "flaky" in listed
    names = {tool["name"] for tool in project("tools", "--json").json}
    assert {"filesystem", "terminal", "http", "flaky"} <= names
    one = project("tools", "flaky")
    assert "Fail until the file holds two lines" in one.out
    assert "required" in one.out
    data = project("tools", "filesystem.read", "--json").json
    assert data["parameters"]["path"]["required"] is True
    unknown = project("tools", "filesistem")
    assert unknown.code == 2
    assert "did you mean `filesystem`" in unknown.err


def test_schema_prints_json(project: Project) -> None:
    assert project("schema").json["$schema"].startswith("https://json-schema.org/draft/2020-12")


def test_init_writes_a_pipeline_that_is_fine_and_runs_and_never_overwrites(project: Project) -> None:
    done = project("init", "new/first.yaml")
    assert (done.code, done.out) == (0, "new/first.yaml\n")
    before = (project.directory / "new" / "first.yaml").read_text()
    assert project("check", "new/first.yaml", "--strict").code == 0
    run = project("run", "new/first.yaml", "--json")
    assert run.code == 0, run.err
    assert run.json["outputs"]["count"] == 3
    assert (project.directory / "summary.txt").read_text() == run.json["outputs"]["summary"]
    again = project("init", "new/first.yaml")
    assert again.code == 2
    assert "already exists" in again.err
    assert "orchestrator init new/first-2.yaml" in again.err
    assert (project.directory / "new" / "first.yaml").read_text() == before


def test_doctor_says_how_things_are_and_how_to_fix_them(project: Project) -> None:
    fine = project("doctor", "--json")
    assert fine.code == 0, fine.out
    assert fine.json["ok"]
    assert not (project.directory / ".orchestrator").exists()
    (project.directory / "orchestrator.toml").write_text("[allow]\nrnu = true\n")
    (project.directory / "junk.db").write_bytes(b"not a database" * 100)
    done = project("doctor", "--json", "--store", "sqlite:///junk.db")
    assert done.code == 1
    failures = {f["subject"]: f for f in done.json["findings"] if f["verdict"] == "fail"}
    assert {"store", "orchestrator.toml"} <= set(failures)
    assert all(failure["fix"] for failure in failures.values())


def test_doctor_says_a_fault_of_the_configuration_once_and_goes_on(project: Project) -> None:
    (project.directory / "orchestrator.toml").write_text("[allow]\nrnu = true\n")
    findings = project("doctor", "--json", "--tools", "tools.py").json["findings"]
    assert [finding["subject"] for finding in findings if finding["verdict"] == "fail"] == ["orchestrator.toml"]
    assert "flaky" in next(finding["message"] for finding in findings if finding["subject"] == "tools")


def test_every_command_has_help_and_a_summary_that_fits_its_line(project: Project) -> None:
    overview = project("--help").out
    assert "..." not in overview.split("Run:")[1]
    for name in COMMANDS:
        assert f"\n  {name} " in overview
        help = project(name, "--help").out
        assert not re.search(r"<(path|str|list)|Path", help), help


@pytest.mark.parametrize("words", [["--help"], ["explain", "ORC301"], ["--version"]])
def test_nothing_heavy_is_loaded_before_it_is_needed(project: Project, words: list[str]) -> None:
    code = (
        "import sys\nfrom orchestrator.cli.app import run_command\n"
        f"run_command({words!r})\n"
        "heavy = {'sqlalchemy', 'rich', 'polars', 'httpx2', 'yaml', 'anyio'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    python = project.argv("check")[0]
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


_COMPILES = ("pydantic", "yaml", "orchestrator.compiler.compilation")
_EXECUTES = ("orchestrator.runtime.host.engine", "orchestrator.runtime.run.scheduler")


@pytest.mark.parametrize(
    ("words", "others"),
    [
        (["runs", "--limit", "3", "--state", "succeeded"], ["anyio", "rich", "wcwidth", "orchestrator.plan"]),
        (["status", "last"], ["anyio", "rich", "wcwidth", "orchestrator.plan"]),
        (["show", "last"], ["rich", "wcwidth"]),
        (["show", "last", "--json"], ["rich", "wcwidth"]),
    ],
)
def test_a_command_that_reads_runs_loads_nothing_that_compiles_or_executes(
    finished: Finished, words: list[str], others: list[str]
) -> None:
    refuse_modules(finished.project, words, *_COMPILES, *_EXECUTES, *others)


@pytest.mark.parametrize("words", [["pause", "last", "--now"], ["cancel", "last"]])
def test_a_command_to_a_run_loads_nothing_that_compiles_or_executes(project: Project, words: list[str]) -> None:
    (project.directory / "ask.yaml").write_text("steps: [{id: agree, approve: {title: Go on}}]\n")
    assert project("run", "ask.yaml", "--json").json["state"] == "waiting"
    refuse_modules(project, words, *_COMPILES, *_EXECUTES, "rich")


def refuse_modules(project: Project, words: list[str], *heavy: str) -> None:
    """Run a command in a process of its own, which must succeed without these modules."""
    code = (
        "import sys\nfrom orchestrator.cli.app import run_command\n"
        f"assert run_command({words!r}) == 0\n"
        f"heavy = {{*sys.modules}} & {{*{heavy!r}}}\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [project.argv("check")[0], "-c", code],
        cwd=project.directory,
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_a_reader_that_goes_away_is_no_error(finished: Finished) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        finished.project.argv("events", "last", "--json"),
        cwd=finished.project.directory,
        env=finished.project.environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("url", ["sqlite:///junk.db", "sqlite:///.", "mysql://x/y", "nonsense"])
def test_a_store_that_cannot_be_used_is_said_without_a_traceback(project: Project, url: str) -> None:
    (project.directory / "junk.db").write_bytes(b"not a database" * 100)
    done = project("runs", "--json", "--store", url)
    assert done.code in (1, 2)
    assert done.out == ""
    assert done.err.startswith("error[ORC")
    assert "help: " in done.err


def test_a_mistake_of_ours_is_a_short_report_with_its_details_in_a_file(project: Project) -> None:
    code = (
        "import orchestrator.cli.author.explain as e, sys\n"
        "def boom(*a, **k): raise LookupError('secret detail')\n"
        "e.page_of = boom\n"
        "from orchestrator.cli.app import run_command\n"
        "sys.exit(run_command(['explain', 'ORC301']))"
    )
    python = project.argv("check")[0]
    env = project.environment(TMPDIR=str(project.directory))
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 1
    assert "error[ORC999]" in done.stderr
    assert "secret detail" not in done.stderr
    (details,) = project.directory.glob("orchestrator-error-*.log")
    assert "secret detail" in details.read_text()
    shown = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, timeout=60, env={**env, "ORCHESTRATOR_DEBUG": "1"}
    )
    assert "Traceback" in shown.stderr
    assert json.dumps("secret detail")[1:-1] in shown.stderr


def test_a_number_too_large_for_any_store_means_the_end(finished: Finished) -> None:
    assert finished.project("events", "last", "--after", "9" * 20).out == ""
    assert len(finished.project("runs", "--limit", "9" * 20, "--json").json) == 2


HANDLED = """
id: handled
steps:
  - id: a
    action: filesystem.read
    parameters: {path: there.txt}
    on_error:
      - steps:
          - {id: fix, action: filesystem.read, parameters: {path: not-there-either.txt}}
  - id: each
    for_each: [1, 2, 3]
    dependencies: [a]
    steps:
      - {id: odd, action: text.template, condition: "item != 2", parameters: {template: "{{ item }}"}}
      - {id: n, tool: echo, parameters: {value: "{{ item }}"}}
"""


def test_a_picture_of_a_run_shows_its_states_and_nothing_stale_after_a_resume(project: Project) -> None:
    (project.directory / "handled.yaml").write_text(HANDLED)
    assert project("run", "handled.yaml").code == 1
    drawn = project("graph", "last").out
    assert "filesystem read · failed" in drawn
    (project.directory / "there.txt").write_text("now")
    assert project("resume", "last").code == 0
    shown, drawn = project("show", "last").out, project("graph", "last").out
    assert "pending" not in shown
    assert "on_error" not in shown
    assert "fix<br/><small>filesystem read</small>" in drawn
    assert "odd<br/><small>text template · 2 succeeded, 1 skipped</small>" in drawn
    assert "n<br/><small>echo · 3 succeeded</small>" in drawn
    assert 'class="box succeeded"' in project("graph", "last", "--format", "svg").out
    states = project("graph", "last", "--json").json["states"]
    assert states["each[*].n"] == {"succeeded": 3}
    assert project("graph", "1zzzz").code == 2


def test_qc_asks_a_model_only_when_it_is_told_to(finished: Finished) -> None:
    for option in (("--model", "auto"), ("--rubric", "It must be long.")):
        refused = finished.project("qc", "last", *option)
        assert (refused.code, "add `--judge`" in refused.err) == (2, True)
    assert "judgements" in finished.project("qc", "last", "--json").json


def test_each_command_reports_all_invalid_settings_once(project: Project):
    (project.directory / "orchestrator.toml").write_text('[allow]\nruns = true\n[run]\nmax = 1\n[budget]\nusd = "x"\n')
    (project.directory / "nap.yaml").write_text("steps: [{id: nap, sleep: 1ms}]\n")
    for words in (("run", "nap.yaml"), ("check", "nap.yaml"), ("doctor",)):
        done = project(*words)
        said = done.out + done.err
        for line in ("line 2: ", "line 4: ", "line 6: "):
            assert said.count(line) == 1, (words, said)


def test_what_other_tools_call_a_command_leads_to_ours(project: Project) -> None:
    assert {meant for meant in OTHER_WORDS.values() if not meant.startswith("-")} <= COMMANDS.keys()
    assert not OTHER_WORDS.keys() & COMMANDS.keys()
    for word, meant in (("list", "runs"), ("version", "--version"), ("validate", "check")):
        assert f"did you mean `orchestrator {meant}`?" in project(word).err
