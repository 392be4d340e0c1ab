"""A case runs in a temporary copy of the project's folder, and leaves the folder itself as it was."""

import errno
import json
import os
import select
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.errors import ConfigurationError
from orchestrator.remedies import RunInPlace
from orchestrator.testing import Outcome, Setting, load, run_cases, workspace
from orchestrator.tools import Permissions
from orchestrator.tools.default_tools import builtin_registry
from tests.ollama import Ollama

CHANGING = {
    ("archive", "create"),
    ("archive", "extract"),
    ("browser", "screenshot"),
    ("browser", "visit"),
    ("chart", "draw"),
    ("chart", "overview"),
    ("data", "write"),
    ("filesystem", "write"),
    ("filesystem", "append"),
    ("filesystem", "copy"),
    ("filesystem", "move"),
    ("filesystem", "delete"),
    ("http", "download"),
    ("mcp", "call"),
    ("mcp", "list"),
    ("python", "execute"),
    ("report", "docx"),
    ("report", "html"),
    ("report", "docx"),
    ("report", "pdf"),
    ("sql", "execute"),
    ("sql", "export"),
    ("storage", "copy"),
    ("storage", "delete"),
    ("storage", "download"),
    ("storage", "upload"),
    ("storage", "write"),
    ("terminal", "execute"),
    ("vector", "delete"),
    ("vector", "index"),
    ("vector", "upsert"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "above" / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "a.txt").write_text("original")
    return folder


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Copies are made below this directory, and have gone from there after each test."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    yield place
    assert list(place.glob("orchestrator-test-*")) == []


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else str(path.is_dir())
        for path in sorted(folder.rglob("*"))
    }


def outcomes(project: Path, steps: str, cases: str = "cases: [{models: fake}]", **setting: object) -> list[Outcome]:
    """Run the cases of a pipeline, which is written to the folder."""
    (project / "p.yaml").write_text(f"id: p\n{dedent(steps)}")
    (project / "p.test.yaml").write_text(dedent(cases))
    given = Setting(project, **setting)  # type: ignore[arg-type]
    file = load(project / "p.test.yaml", given)
    assert file.diagnostics == ()
    return list(run_cases([(file, case) for case in file.cases], given))


def passed(found: list[Outcome]) -> None:
    assert [(outcome.end, outcome.reasons) for outcome in found] == [("passed", ())] * len(found)


WRITING = """
    steps:
      - {id: new, action: filesystem.write, parameters: {path: new.txt, content: x}}
      - {id: seen, action: filesystem.glob, parameters: {pattern: "**/*.txt"}, dependencies: [new]}
      - {id: append, action: filesystem.append, parameters: {path: data/a.txt, content: "!"}, dependencies: [seen]}
      - {id: read, action: filesystem.read, parameters: {path: data/a.txt}, dependencies: [append]}
      - {id: gone, action: filesystem.delete, parameters: {path: data/a.txt}, dependencies: [read]}
    outputs: {text: "{{ read }}", seen: "{{ seen }}"}
"""


def test_what_a_case_writes_reaches_neither_the_project_nor_another_case(project: Path) -> None:
    (project / "p.yaml").touch()
    (project / "p.test.yaml").touch()
    before = tree(project)
    case = "{name: case %d, models: fake, expect: {outputs: {text: original!, seen: [data/a.txt, new.txt]}}}"
    passed(outcomes(project, WRITING, f"cases: [{', '.join(case % number for number in range(6))}]"))
    after = tree(project)
    assert after | {"p.yaml": "", "p.test.yaml": ""} == before


@pytest.mark.parametrize("where", ["setting", "file", "case"])
def test_in_place_a_case_changes_the_project(project: Path, where: str) -> None:
    steps = "steps: [{id: new, action: filesystem.write, parameters: {path: new.txt, content: x}}]"
    cases = {
        "setting": "cases: [{models: fake}]",
        "file": "in_place: true\ncases: [{models: fake}]",
        "case": "cases: [{models: fake, in_place: true}]",
    }
    passed(outcomes(project, steps, cases[where], in_place=where == "setting"))
    assert (project / "new.txt").read_text() == "x"


def test_a_case_may_differ_from_its_file_in_where_it_runs(project: Path) -> None:
    steps = "steps: [{id: new, action: filesystem.write, parameters: {path: new.txt, content: x}}]"
    passed(outcomes(project, steps, "in_place: true\ncases: [{models: fake, in_place: false}]"))
    assert not (project / "new.txt").exists()


def test_in_place_must_be_true_or_false(project: Path) -> None:
    (project / "p.yaml").write_text("steps: [{id: a, action: log.write, parameters: {message: x}}]")
    (project / "p.test.yaml").write_text("in_place: maybe\ncases: [{models: fake, in_place: 1}]")
    found = load(project / "p.test.yaml", Setting(project)).diagnostics
    assert [each.message for each in found] == [
        "`in_place` must be true or false, not the string `maybe`",
        "`in_place` must be true or false, not the integer `1`",
    ]


def test_links_lead_to_the_copy_and_hard_links_are_files(project: Path) -> None:
    (project / "relative").symlink_to("data")
    (project / "absolute").symlink_to(project / "data")
    (project / "round").symlink_to("../project/data")
    (project / "chain").symlink_to("absolute")
    os.link(project / "data" / "a.txt", project / "hard.txt")
    names = ["relative/a", "absolute/b", "round/c", "chain/d"]
    steps = "steps:\n" + "".join(
        f"  - {{id: s{number}, action: filesystem.write, parameters: {{path: {name}.txt, content: x}}}}\n"
        for number, name in enumerate([*names, "hard"])
    )
    passed(outcomes(project, steps))
    assert [path.name for path in (project / "data").iterdir()] == ["a.txt"]
    assert (project / "hard.txt").read_text() == (project / "data" / "a.txt").read_text() == "original"


@pytest.mark.parametrize("allowed", ["../shared", "..", "{above}/shared"])
def test_paths_that_leave_the_folder_lead_where_they_led(project: Path, allowed: str) -> None:
    above = project.parent
    (above / "shared").mkdir()
    (above / "shared" / "s.txt").write_text("shared")
    (project / "out").symlink_to("../shared")
    permissions = Permissions(project, allow_paths=(project / allowed.format(above=above),))
    steps = """
        steps:
          - {id: one, action: filesystem.read, parameters: {path: ../shared/s.txt}}
          - {id: two, action: filesystem.read, parameters: {path: out/s.txt}}
          - {id: new, action: filesystem.write, parameters: {path: new.txt, content: x}}
        outputs: {text: "{{ one }}, {{ two }}"}
    """
    cases = "cases: [{models: fake, expect: {outputs: {text: 'shared, shared'}}}]"
    passed(outcomes(project, steps, cases, permissions=permissions))
    assert not (project / "new.txt").exists()


def test_no_path_leads_back_to_the_folder_itself(project: Path) -> None:
    permissions = Permissions(project, allow_paths=(project.parent,))
    steps = f"""
        steps:
          - {{id: a, action: filesystem.write, parameters: {{path: ../project/new.txt, content: x}}}}
          - id: b
            action: filesystem.write
            parameters: {{path: "{project}/new.txt", content: x}}
            on_failure: continue
    """
    cases = "cases: [{models: fake, expect: {steps: {a: {state: succeeded}, b: {state: failed}}}}]"
    passed(outcomes(project, steps, cases, permissions=permissions))
    assert not (project / "new.txt").exists()


def test_outside_of_what_is_allowed_nothing_more_can_be_read(project: Path) -> None:
    (project.parent / "secret.txt").write_text("secret")
    (project / "out").symlink_to("../secret.txt")
    steps = """
        inputs: {path: {type: string}}
        steps:
          - {id: new, action: filesystem.write, parameters: {path: new.txt, content: x}}
          - {id: read, action: filesystem.read, parameters: {path: "{{ path }}"}}
    """
    cases = """
        cases:
          - {name: a, models: fake, inputs: {path: ../secret.txt}, expect: {error: {step: read, code: ORC703}}}
          - {name: b, models: fake, inputs: {path: out}, expect: {error: {step: read, code: ORC703}}}
    """
    passed(outcomes(project, steps, cases))


def test_the_configuration_and_the_code_of_tools_are_protected_in_the_copy_too(project: Path) -> None:
    (project / "orchestrator.toml").write_text('tools = ["own.py"]\n')
    (project / "own.py").write_text("from orchestrator import tool\n\n@tool\ndef own() -> int:\n    return 1\n")
    steps = """
        inputs: {path: {type: string}}
        steps:
          - {id: write, action: filesystem.write, parameters: {path: "{{ path }}", content: x}}
    """
    refused = "expect: {error: {step: write, message: {contains: belongs to Orchestrator}}}"
    cases = f"""
        cases:
          - {{name: a, models: fake, inputs: {{path: own.py}}, {refused}}}
          - {{name: b, models: fake, inputs: {{path: orchestrator.toml}}, {refused}}}
          - {{name: c, models: fake, inputs: {{path: .orchestrator/runs.db}}, {refused}}}
    """
    passed(outcomes(project, steps, cases))


def test_tools_are_loaded_once_from_the_folder_and_work_in_the_copy(project: Path) -> None:
    (project / "orchestrator.toml").write_text('tools = ["own.py"]\n')
    (project / "own.py").write_text(
        dedent(
            """
            from pathlib import Path

            from orchestrator import tool
            from orchestrator.tools import ToolContext

            with Path(__file__).with_name("loaded").open("a") as loaded:
                loaded.write("once")

            @tool
            def own(context: ToolContext) -> str:
                (context.directory / "made.txt").write_text("x")
                return (context.directory / "data" / "a.txt").read_text()
            """
        )
    )
    cases = "cases: [{name: a, models: fake, expect: {outputs: {o: original}}}, {name: b, models: fake}]"
    passed(outcomes(project, "steps: [{id: o, tool: own}]\noutputs: {o: '{{ o }}'}", cases))
    assert (project / "loaded").read_text() == "once"
    assert not (project / "made.txt").exists()


def test_pipelines_programs_and_files_of_inputs_are_found(project: Path) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "inner.yaml").write_text(
        "id: inner\nsteps: [{id: w, action: filesystem.write, parameters: {path: inner.txt, content: x}}]\n"
    )
    steps = """
        inputs: {file: {type: file, default: data/a.txt}}
        steps:
          - {id: inner, pipeline: sub/inner.yaml}
          - id: both
            action: terminal.execute
            parameters: {command: "cat inner.txt {{ file | quote }} > both; cat both"}
            dependencies: [inner]
          - {id: py, action: python.execute, parameters: {code: "open('py.txt', 'w').write('x')"}}
          - id: rows
            for_each: {file: data/a.txt}
            as: row
            steps: [{id: t, action: text.template, parameters: {template: "{{ row }}"}}]
        outputs: {both: "{{ both }}", rows: "{{ rows }}"}
    """
    cases = "cases: [{models: fake, expect: {outputs: {both: xoriginal, rows: [original]}}}]"
    passed(outcomes(project, steps, cases, permissions=Permissions(project, allow_run=True)))
    assert sorted(path.name for path in project.iterdir()) == ["data", "p.test.yaml", "p.yaml", "sub"]


def test_servers_of_tools_are_found_in_the_folder_and_work_in_the_copy(project: Path) -> None:
    pytest.importorskip("mcp")
    (project / "venv").mkdir()
    (project / "venv" / "pyvenv.cfg").touch()
    program = project / "venv" / "python"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    program.chmod(0o755)
    (project / "server.py").write_text(
        dedent(
            """
            from pathlib import Path

            from mcp.server.mcpserver import MCPServer

            server = MCPServer("own")

            @server.tool()
            def own() -> str:
                Path("made.txt").write_text("x")
                return Path("data/a.txt").read_text()

            server.run()
            """
        )
    )
    (project / "orchestrator.toml").write_text('[mcp.own]\ncommand = ["venv/python", "server.py"]\n')
    steps = """
        steps: [{id: call, action: mcp.call, parameters: {server: own, tool: own}}]
        outputs: {text: "{{ call }}"}
    """
    passed(outcomes(project, steps, "cases: [{models: fake, expect: {outputs: {text: original}}}]"))
    assert not (project / "made.txt").exists()


def test_recordings_are_read_from_the_folder_and_written_there(project: Path, ollama: Ollama) -> None:
    steps = """
        model: ollama:llama3.2
        steps:
          - {id: draft, prompt: Write about tides.}
          - {id: new, action: filesystem.write, parameters: {path: new.txt, content: "{{ draft }}"}}
    """
    passed(outcomes(project, steps, "cases: [{}]", update=True))
    assert len(list((project / "recordings").iterdir())) == 1
    passed(outcomes(project, steps, "cases: [{}]"))
    assert not (project / "new.txt").exists()


def test_caches_packages_and_the_store_are_left_out(project: Path) -> None:
    for name in (".git", ".orchestrator", "node_modules", "deep/node_modules", "deep/__pycache__", "env", "cache"):
        (project / name).mkdir(parents=True)
        (project / name / "file").touch()
    (project / "env" / "pyvenv.cfg").touch()
    (project / "cache" / "CACHEDIR.TAG").touch()
    (project / ".hidden").touch()
    (project / "script").touch()
    (project / "script").chmod(0o750)
    os.mkfifo(project / "pipe")
    with workspace.copied(project) as copy:
        found = sorted(str(path.relative_to(copy.directory)) for path in copy.directory.rglob("*"))
        assert stat.S_IMODE((copy.directory / "script").stat().st_mode) == 0o750
        assert (copy.directory / "data" / "a.txt").stat().st_mtime == (project / "data" / "a.txt").stat().st_mtime
    assert found == [".hidden", "data", "data/a.txt", "deep", "script"]


def test_small_copies_are_made_in_memory_if_there_is_room(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory"
    monkeypatch.setattr(workspace, "_SHARED_MEMORY", str(memory))
    monkeypatch.setattr(workspace, "_MIN_FREE", 0)

    def is_in_memory() -> bool:
        with workspace.copied(project) as copy:
            return copy.root.is_relative_to(memory)

    assert not is_in_memory()  # TMPDIR says where
    monkeypatch.delenv("TMPDIR")
    assert not is_in_memory()  # there is no such directory
    memory.mkdir()
    assert is_in_memory()
    assert list(memory.iterdir()) == []
    monkeypatch.setattr(workspace, "_MAX_IN_MEMORY", 3)
    assert not is_in_memory()


def test_directories_that_cannot_be_written_are_copied_and_removed(project: Path) -> None:
    (project / "data").chmod(0o555)
    try:
        with workspace.copied(project) as copy:
            assert stat.S_IMODE((copy.directory / "data").stat().st_mode) == 0o555
            assert (copy.directory / "data" / "a.txt").read_text() == "original"
    finally:
        (project / "data").chmod(0o755)


@pytest.mark.parametrize(("bound", "words"), [("MAX_FILES", "more than 2 files"), ("MAX_BYTES", "more than 0 MiB")])
def test_a_folder_that_is_too_large_is_refused_and_runs_in_place(
    project: Path, monkeypatch: pytest.MonkeyPatch, bound: str, words: str
) -> None:
    monkeypatch.setattr(workspace, bound, 2)
    steps = "steps: [{id: new, action: filesystem.write, parameters: {path: new.txt, content: x}}]"
    (outcome,) = outcomes(project, steps)
    assert outcome.end == "failed"
    assert words in outcome.reasons[0]
    assert "in_place=True" in outcome.reasons[0]
    assert not (project / "new.txt").exists()
    passed(outcomes(project, steps, in_place=True))


@pytest.mark.parametrize("at", ["_listed", "_copy_file", "TemporaryDirectory"])
def test_what_the_system_refuses_is_an_error_that_names_the_way_out(
    project: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(workspace, at, refuse)
    with pytest.raises(ConfigurationError, match="cannot be copied for a case: no space left on device") as found:
        workspace.copied(project).__enter__()
    assert found.value.remedies == (RunInPlace(),)


def test_a_case_whose_steps_change_no_files_needs_no_copy(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "MAX_FILES", 0)
    steps = """
        steps:
          - {id: read, action: filesystem.read, parameters: {path: data/a.txt}}
          - {id: draft, prompt: "{{ read }}", model: ollama:llama3.2}
          - {id: new, action: filesystem.write, parameters: {path: new.txt, content: x}}
    """
    passed(outcomes(project, steps, "cases: [{models: fake, stub: {new: new.txt}}]"))


def test_each_built_in_action_that_may_change_files_is_known_to() -> None:
    listed = {(tool, action) for tool, actions in workspace._READ_ONLY.items() for action in actions}
    actions = {(tool.name, action) for tool in builtin_registry() for action in tool.actions}
    assert actions - listed == CHANGING
    assert listed <= actions


def test_a_copy_inside_of_its_folder_does_not_copy_itself(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = project / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", str(place))
    passed(outcomes(project, WRITING, "cases: [{name: a, models: fake}, {name: b, models: fake}]"))
    assert list(place.iterdir()) == []
    assert (project / "data" / "a.txt").read_text() == "original"


@pytest.mark.skipif(os.name != "posix", reason="signals and named pipes of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_copies_are_removed_after_an_interrupt(project: Path, temporary: Path, number: signal.Signals) -> None:
    pipe = project.parent / "pipe"
    os.mkfifo(pipe)
    started = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    command = f"pwd > {pipe}; exec sleep 1000"
    (project / "p.yaml").write_text(
        f"id: p\nsteps:\n  - {{id: long, action: terminal.execute, parameters: {{command: {json.dumps(command)}}}}}\n"
    )
    (project / "p.test.yaml").write_text("cases: [{models: fake}]")
    (project / "orchestrator.toml").write_text("[allow]\nrun = true\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "test"], cwd=project, env={**os.environ, "TMPDIR": str(temporary)}
    )
    try:
        assert select.select([started], [], [], 120)[0]
        copy = Path(os.read(started, 10_000).decode().strip())
        assert copy.is_relative_to(temporary)
        assert copy.is_dir()
        process.send_signal(number)
        assert process.wait(120) == 130
        assert not copy.exists()
    finally:
        process.kill()
        process.wait()
        os.close(started)
