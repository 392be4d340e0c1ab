"""`orchestrator.toml` is read whole before anything runs: what is wrong in it is told at once, and stops no run."""

import json
import subprocess
import sys

import pytest

import orchestrator as orc
from tests.cli.conftest import Project

WRONG = {
    "[allow]\nrnu = true": "unknown setting `allow.rnu`",
    "[budget]\nusd = -1": "`budget.usd` must be a number of at least 0",
    '[budget]\nperiod = "moth"': "`budget.period`: unknown period `moth`",
    '[limits]\nlongest_wait = "soon"': "`limits.longest_wait` is not a duration",
    "[limits.openai]\nrequests_per_minute = 0": "`limits.openai.requests_per_minute` must be an integer of at least 1",
    '[models."openai:gpt-5"]\nquality = 9': '`models."openai:gpt-5".quality` must be an integer from 1 to 5',
    '[servers.lab]\nbase_url = "lab"': "`servers.lab.base_url` must be the URL of a server",
    "[mcp.x]": "`mcp.x` must have either a `command` or a `url`",
    '[mcp.x]\ncommand = ["a"]\nurl = "https://a.example"': "`mcp.x` must have either a `command` or a `url`",
    '[mcp.x]\nurl = "ftp://x"': "`mcp.x.url` must be the URL of a server",
    "[budgets]\nusd = 1": "unknown setting `budgets`",
    "[map]\nmax_parallel = 0": "`map.max_parallel` must be an integer of at least 1",
    "[map]\nrows = 1": "unknown setting `map.rows`",
    "mcp = 1": "`mcp` is not a table",
}


@pytest.mark.parametrize("command", ["check", "run", "doctor"])
@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_setting_is_told_before_anything_runs_and_where_it_stands(
    project: Project, command: str, text: str
) -> None:
    (project.directory / "orchestrator.toml").write_text(text + "\n")
    done = project(command, *(["greet.yaml"] if command != "doctor" else []))
    assert done.code == (1 if command == "doctor" else 2)
    told = done.out + done.err
    assert WRONG[text] in told
    assert str(project.directory / "orchestrator.toml") in told
    assert not (project.directory / ".orchestrator").exists()


def test_the_problems_of_all_tables_are_reported_at_once(project: Project) -> None:
    file = project.directory / "orchestrator.toml"
    file.write_text("[run]\ncahce = true\ntimeuot = '1s'\n[models]\ndefalt = 'x'\n[budget]\nusd = -1\n")
    done = project("check", "greet.yaml")
    assert done.code == 2
    assert "4 settings are invalid:" in done.err
    for line in ("unknown setting `run.cahce`; did you mean `cache`?", "unknown setting `run.timeuot`"):
        assert line in done.err
    assert "unknown setting `models.defalt`; did you mean `default`?" in done.err
    assert "`budget.usd` must be a number of at least 0" in done.err


def test_what_reads_a_table_is_not_loaded_where_the_table_is_absent(project: Project) -> None:
    (project.directory / "orchestrator.toml").write_text("[allow]\nrun = false\n")
    code = """
import json, sys
import orchestrator as orc
with orc.Orchestrator(tools=["tools.py"]) as client:
    client.compile("greet.yaml")
print(json.dumps([name for name in sys.modules if name.startswith("orchestrator.")]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=project.directory, capture_output=True, check=True)
    loaded = set(json.loads(done.stdout))
    readers = {
        "orchestrator.models.limits",
        "orchestrator.models.calls.project_budget",
        "orchestrator.tools.mcp.settings",
    }
    assert not readers & loaded


def test_the_file_says_how_many_rows_run_at_once_and_the_option_goes_before_it(project: Project) -> None:
    (project.directory / "orchestrator.toml").write_text("[map]\nmax_parallel = 3\n")
    with orc.Orchestrator(directory=project.directory) as client:
        pipeline = client.compile("steps: [{id: a, tool: log, parameters: {message: hi}}]")
        assert pipeline._batch(None, None, None)._max_parallel == 3
        assert pipeline._batch(5, None, None)._max_parallel == 5
