"""What a shell is told that can stand next on a command line: runs, steps, files, codes, names."""

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.maintain.completion import PROGRAMS
from orchestrator.diagnostics import CODES
from tests.cli.conftest import Finished, Project


def complete(project: Project, line: str, *, program: str = "orc", shell: str = "bash") -> list[str]:
    """Ask the installed command as the script of a shell does; the line ends where the cursor is."""
    words = line.split(" ")
    more = {
        f"_{program.upper()}_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
    }
    done = subprocess.run(
        [Path(sys.executable).with_name(program)],
        cwd=project.directory,
        env=project.environment(**more),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@pytest.mark.parametrize("program", PROGRAMS)
def test_commands_are_completed_under_both_names(finished: Finished, program: str) -> None:
    assert complete(finished.project, f"{program} ch", program=program) == ["check"]


def test_runs_are_completed_the_newest_first(finished: Finished) -> None:
    ids = [status["run_id"] for status in finished.project("runs", "--json").json]
    assert complete(finished.project, "orc status ") == ["last", *ids]
    assert {"greet.yaml", *ids} <= {*complete(finished.project, "orc graph ")}  # a file, or a run
    assert complete(finished.project, f"orc show {ids[0][:6]}") == [each for each in ids if each.startswith(ids[0][:6])]
    assert complete(finished.project, "orc resume ") == ["last", ids[0]]  # the other has nothing left to do
    zsh = complete(finished.project, "orc status ", shell="zsh")
    assert any("broken, failed" in line for line in zsh)


def test_steps_are_completed_for_the_run_before_them(finished: Finished) -> None:
    failed, succeeded = (status["run_id"] for status in finished.project("runs", "--json").json)
    assert complete(finished.project, f"orc why {failed} ") == ["first", "second"]
    assert complete(finished.project, f"orc show {succeeded} --step t") == ["tried"]
    assert complete(finished.project, f"orc fork {succeeded} --from ") == ["hello", "again", "tried"]
    assert complete(finished.project, "orc retry last --step s") == ["second"]
    assert complete(finished.project, "orc why nothing-of-this-name ") == []


def test_questions_are_completed_for_answers(project: Project) -> None:
    (project.directory / "ask.yaml").write_text(
        "steps:\n  - {id: a, tool: log, parameters: {message: hi}}\n  - {id: many, ask: How many?}\n"
    )
    assert project("run", "ask.yaml", "--json").code == 3
    assert complete(project, "orc answer last ") == ["many"]
    assert complete(project, "orc run ask.yaml --refresh ") == ["a", "many"]


def test_files_of_pipelines_are_completed_at_any_depth(project: Project) -> None:
    for name in ("flows/deep/b.yml", "flows/a.yaml", "flows/.hidden/c.yaml", "flows/notes.txt"):
        (project.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (project.directory / name).write_text("steps: []\n")
    assert complete(project, "orc run fl") == ["flows/a.yaml", "flows/deep/b.yml"]
    assert complete(project, "orc check flows/d") == ["flows/deep/b.yml"]
    assert complete(project, "orc graph ./flows/a") == ["./flows/a.yaml"]
    assert complete(project, "orc resume last --with flows/a") == ["flows/a.yaml"]
    assert complete(project, "orc run greet.yaml --inputs fl") == []  # any file: the shell knows them


def test_codes_names_and_words_are_completed(finished: Finished) -> None:
    assert complete(finished.project, "orc explain ORC42") == [code for code in CODES if code.startswith("ORC42")]
    assert complete(finished.project, "orc tools http.g") == ["http.get"]
    assert complete(finished.project, "orc filters markdown") == ["markdown_table"]
    assert complete(finished.project, "orc keys set opena") == ["openai"]
    assert complete(finished.project, "orc check --format s") == ["sarif"]
    assert "waiting" in complete(finished.project, "orc runs --state ")


def test_nothing_is_made_and_no_error_is_shown_where_there_is_no_store(tmp_path: Path) -> None:
    assert complete(Project(tmp_path), "orc status ") == []
    (tmp_path / "orchestrator.toml").write_text("wrong")
    assert complete(Project(tmp_path), "orc status ") == []
    assert [path.name for path in tmp_path.iterdir()] == ["orchestrator.toml"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_installing_installs_it_for_both_names(tmp_path: Path, program: str) -> None:
    more = {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    command = [Path(sys.executable).with_name(program), "--install-completion", "bash"]
    done = subprocess.run(command, env=Project(tmp_path).environment(**more), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in PROGRAMS:
        script = (tmp_path / ".bash_completions" / f"{name}.sh").read_text()
        assert f"complete -o default -F _{name}_completion {name}" in script
