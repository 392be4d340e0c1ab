"""The cache, the reasons and the upkeep of the store at the command line."""

from pathlib import Path

import pytest

from tests.cli.conftest import Project

SHOUT = """
id: shout
inputs: {text: a}
steps:
  - id: upper
    tool: text
    action: template
    cache: true
    parameters: {template: "{{ text | upper }}"}
  - id: never
    tool: text
    action: template
    condition: text == 'never'
    parameters: {template: "{{ upper }}"}
outputs: {upper: "{{ upper }}"}
"""


@pytest.fixture
def shout(tmp_path: Path) -> Project:
    (tmp_path / "shout.yaml").write_text(SHOUT)
    return Project(tmp_path, tools=None)


def why(project: Project, step: str = "upper") -> str:
    done = project("why", "last", step)
    assert done.code == 0, done.err
    return done.out


def test_it_is_said_of_each_run_why_a_step_ran_or_did_not(shout: Project) -> None:
    shout("run", "shout.yaml")
    first = shout("status", "last", "--json").json["run_id"]
    assert "the cache had no result for it" in why(shout)
    shout("run", "shout.yaml")
    out = why(shout)
    assert out.startswith("upper: succeeded\n  2")
    assert f"its result was taken from the cache: `upper` of run {first}, " in out
    shout("run", "shout.yaml", "-i", "text=b")
    assert "the parameter `template` changed since run" in why(shout)
    assert "never: skipped\n" in why(shout, "never")
    assert "its condition `text == 'never'` was false" in why(shout, "never")
    data = shout("why", "last", "upper", "--json").json
    assert data["compared"]["parts"] == ["parameters.template"]
    wrong = shout("why", "last", "uper")
    assert (wrong.code, wrong.out) == (2, "")
    assert "did you mean `upper`?" in wrong.err


def test_runs_leave_the_cache_out_or_make_results_anew(shout: Project) -> None:
    shout("run", "shout.yaml")
    shout("run", "shout.yaml", "--no-cache")
    assert "cache" not in why(shout)
    shout("run", "shout.yaml", "--refresh", "upper")
    assert "(`refresh`)" in why(shout)
    done = shout("run", "shout.yaml", "--refresh", "uper")
    assert done.code == 2
    assert "error[ORC809]: the pipeline `shout` has no step `uper`" in done.err


def test_a_store_tells_what_it_holds_and_drops_what_is_not_wanted(shout: Project) -> None:
    for _ in range(3):
        shout("run", "shout.yaml")
    stats = shout("store", "stats", "--json").json
    assert (stats["runs"], stats["cache_entries"]) == ({"succeeded": 3}, 1)
    assert "runs            3 (3 succeeded)" in shout("store", "stats").out
    assert shout("prune", "--keep", "1", "--dry-run").out.startswith("would remove 2 runs, 0 shared results")
    assert len(shout("runs", "--json").json) == 3
    assert shout("prune", "--keep", "1", "--json").json["runs"] == 2
    assert len(shout("runs", "--json").json) == 1
    assert shout("prune", "--older-than", "30d").out.startswith("removed 0 runs")
    assert shout("prune", "--older-than", "0s").out.startswith("removed 1 run, 1 shared result")


@pytest.mark.parametrize(
    ("words", "help"),
    [
        (["prune"], "orchestrator prune --older-than 30d --keep 100"),
        (["prune", "--older-than", "soon"], "--older-than 30d"),
        (["prune", "--keep", "-1"], "--keep 10"),
        (["store"], "write `orchestrator store stats`"),
        (["store", "stat"], "did you mean `orchestrator store stats`?"),
    ],
)
def test_what_was_not_said_well_is_not_done(shout: Project, words: list[str], help: str) -> None:
    shout("run", "shout.yaml")
    done = shout(*words)
    assert (done.code, done.out) == (2, "")
    assert "error[ORC902]" in done.err
    assert help in done.err
    assert len(shout("runs", "--json").json) == 1


def test_looking_into_a_store_that_is_not_there_makes_none(shout: Project) -> None:
    for words in (["store", "stats"], ["prune", "--keep", "1"], ["why", "last", "a"]):
        assert shout(*words).code in (1, 2)
    assert not (shout.directory / ".orchestrator").exists()


def test_a_pause_stops_running_steps_if_it_is_told_to(project: Project) -> None:
    with project.start("run", "hang.yaml", "--json") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("✓ first")
        run_id = project("status", "last", "--json").json["run_id"]
        project.until(run_id, lambda event: event["type"] == "step.started" and event["path"] == "forever")
        done = project("pause", "last", "--now")
        assert (done.code, process.wait(30)) == (0, 3)
    assert f"run {run_id} is paused" in done.err
    assert "a pause interrupted it; it will run again" in why(project, "forever")
