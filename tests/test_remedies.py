"""Remedies: each is data that goes to JSON and back, with a call in Python and a shell line."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

import orchestrator
from orchestrator.cli.app import COMMANDS, build
from orchestrator.cli.terminal.hints import Hints
from orchestrator.diagnostics import CODES
from orchestrator.errors import RunPaused
from orchestrator.remedies import (
    KINDS,
    AddToken,
    AddTools,
    AllowCommands,
    AllowHost,
    AllowPath,
    Answer,
    Cancel,
    Follow,
    GiveInput,
    GrantAgain,
    ImportPipeline,
    InstallExtra,
    ListFilters,
    ListModels,
    ListProblems,
    ListRuns,
    ListSessions,
    ListTools,
    ListTriggers,
    RecordAgain,
    Remedy,
    Replay,
    Resume,
    RetryStep,
    RunFile,
    RunInPlace,
    RunTests,
    ShowRun,
    ShowStatus,
    StartRun,
    StoreKey,
    TakeFreePort,
    UpdateLock,
    UpdateTest,
    WriteExample,
    advice,
    remedies_from,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(orchestrator.__file__).parent
RUN = "1kfm3v9rtq8d05xw2h7c"


def allowing(what: str) -> str:
    return f"orc.Orchestrator(permissions=orc.Permissions.load().extended({what}))"


CASES = {
    Resume(RUN): (f'orc.resume("{RUN}")', f"orchestrator resume {RUN}"),
    Resume(RUN, edited=True): (f'orc.resume("{RUN}", pipeline="FILE")', f"orchestrator resume {RUN} --with FILE"),
    Resume(RUN, budget="0.5usd"): (
        f'orc.resume("{RUN}", budget=orc.Budget(usd=0.5))',
        f"orchestrator resume {RUN} --budget 0.5usd",
    ),
    RetryStep(RUN, "l[2].a"): (f'orc.retry("{RUN}", "l[2].a")', f"orchestrator retry {RUN} --step 'l[2].a'"),
    Answer(RUN, "ok"): (f'orc.get_run("{RUN}").answer("ok", ...)', f"orchestrator answer {RUN} ok VALUE"),
    ShowRun(RUN): (f'orc.get_run("{RUN}").snapshot()', f"orchestrator show {RUN}"),
    ShowStatus(RUN): (f'orc.get_run("{RUN}").status()', f"orchestrator status {RUN}"),
    Follow(RUN): (f'orc.get_run("{RUN}").wait()', f"orchestrator status {RUN} --watch"),
    Cancel(RUN): (f'orc.get_run("{RUN}").cancel()', f"orchestrator cancel {RUN}"),
    ListRuns(): ("orc.list_runs()", "orchestrator runs"),
    StartRun(): ("orc.compile(FILE).run()", "orchestrator run FILE"),
    StartRun(record="a b"): (
        'orc.Orchestrator(models=orchestrator.testing.record("a b"))',
        "orchestrator run FILE --record 'a b'",
    ),
    GiveInput("topic"): ("topic=...", "--input topic=..."),
    GiveInput("main topic"): ('{"main topic": ...}', "--input 'main topic=...'"),
    GiveInput("topic", again=True): ('inputs={"topic": ...}', "--input topic=..."),
    GrantAgain(tools=("a.py", "b.py")): (
        'orc.Orchestrator(tools=["a.py", "b.py"])',
        "--tools a.py --tools b.py",
    ),
    GrantAgain(paths=("/a b",), hosts=("::1",), run=True): (
        allowing('paths=["/a b"], hosts=["::1"], run=True'),
        "--allow-path '/a b' --allow-host ::1 --allow-run",
    ),
    WriteExample(): ("orchestrator init", "orchestrator init"),
    ListProblems("a b.yaml"): ('orc.check("a b.yaml").diagnostics', "orchestrator check 'a b.yaml' --json"),
    RunFile("a b.yaml"): ('orc.compile("a b.yaml").run()', "orchestrator run 'a b.yaml'"),
    ImportPipeline("a.yaml"): ("orchestrator import a.yaml --from py-orc", "orchestrator import a.yaml --from py-orc"),
    RunTests("a.test.yaml"): ("orchestrator test a.test.yaml", "orchestrator test a.test.yaml"),
    UpdateLock("a b.yaml"): ('orc.Orchestrator().lock("a b.yaml")', "orchestrator lock 'a b.yaml'"),
    UpdateTest("a.test.yaml"): ("orchestrator test a.test.yaml --update", "orchestrator test a.test.yaml --update"),
    RecordAgain("make recordings"): ("make recordings", "make recordings"),
    RunInPlace(): ("orchestrator.testing.Setting(in_place=True)", "--in-place"),
    AddToken(): ("orchestrator tokens add NAME", "orchestrator tokens add NAME"),
    ListSessions(): ("orchestrator sessions list", "orchestrator sessions list"),
    TakeFreePort(): ("--port 0", "--port 0"),
    ListTools(): ("orchestrator tools", "orchestrator tools"),
    ListTriggers(): ("orchestrator triggers list", "orchestrator triggers list"),
    AddTools(): ("orc.Orchestrator(tools=[...])", "--tools MODULE"),
    ListFilters(): ("orchestrator filters", "orchestrator filters"),
    Replay(): ('orc.Orchestrator(models=orchestrator.testing.replay("DIR"))', "--replay DIR"),
    InstallExtra("mcp"): ('pip install "pyorchestrator[mcp]"', 'pip install "pyorchestrator[mcp]"'),
    StoreKey("openai"): ("orchestrator keys set openai", "orchestrator keys set openai"),
    ListModels(): ("orchestrator models", "orchestrator models"),
    ListModels("vision"): ("orchestrator models --capability vision", "orchestrator models --capability vision"),
    AllowPath("/a b"): (
        allowing('paths=["/a b"]'),
        "--allow-path '/a b'",
    ),
    AllowHost("::1"): (
        allowing('hosts=["::1"]'),
        "--allow-host ::1",
    ),
    AllowCommands(): (allowing("run=True"), "--allow-run"),
}


def test_every_kind_has_a_case() -> None:
    assert {type(remedy) for remedy in CASES} == set(KINDS.values())


@pytest.mark.parametrize("remedy", CASES)
def test_a_remedy_is_a_call_and_a_shell_line(remedy: Remedy) -> None:
    assert (remedy.call, Hints().line(remedy)) == CASES[remedy]


@pytest.mark.parametrize("remedy", CASES)
def test_a_remedy_goes_to_json_and_back(remedy: Remedy) -> None:
    assert remedies_from([remedy.to_dict(), {"kind": "of_a_later_version"}]) == (remedy,)


def test_a_shell_line_has_the_store_and_the_options_that_the_run_needs() -> None:
    hints = Hints("sqlite:///a.db", words=("--allow-run",))
    assert hints.line(Resume(RUN)) == f"orchestrator resume {RUN} --store sqlite:///a.db --allow-run"
    assert hints.line(ShowRun(RUN)) == f"orchestrator show {RUN} --store sqlite:///a.db"


COMMANDED = [remedy for remedy in CASES if remedy.words and not remedy.is_option]


@pytest.mark.parametrize("remedy", COMMANDED, ids=repr)
def test_the_command_accepts_the_shell_line_of_a_remedy(remedy: Remedy) -> None:
    first, *words = shlex.split(Hints("sqlite:///a.db").line(remedy))[1:]
    command = typer.main.get_command(build(only=first))
    assert isinstance(command, typer.core.TyperGroup)
    with command.commands[first].make_context(first, words) as context:
        assert context.params or words == []


def test_an_error_writes_its_remedies_after_its_help() -> None:
    assert advice("fix it", [Resume(RUN)]) == f'fix it; continue with: orc.resume("{RUN}")'
    assert advice(None, [Follow(RUN), Cancel(RUN)], Hints().line) == (
        f"follow it with: orchestrator status {RUN} --watch, or cancel it with: orchestrator cancel {RUN}"
    )
    error = RunPaused("paused", run_id=RUN, remedies=[Resume(RUN)])
    assert str(error) == f'paused [ORC807]\n  help: continue with: orc.resume("{RUN}")'
    assert error.to_dict()["remedies"] == [{"kind": "resume", "run_id": RUN}]


# --- no package but `cli` names commands

COMMAND = re.compile(rf"\borchestrator ({'|'.join(COMMANDS)})\b|(?<![\w-])--[a-z][a-z-]+")
NAMES_COMMANDS = {
    "remedies": "the one table of them",
    "language.reference.starter": "the first pipeline, a file for people",
    "compiler.auto.lock_file": "the first line of a lock says what wrote the file",
    "config.tables.run": "descriptions of settings, for the reference",
    "config.tables.serve": "descriptions of settings, for the reference",
    "diagnostics.code_table": "documentation; the helps in it are tested below",
    "expressions.builtins.reference_page": "documentation",
    "language.reference.kinds_page": "documentation",
    "language.reference.page": "documentation",
    "language.reference.py_orc_page": "documentation",
    "language.spec.pipeline": "descriptions of keys, for editors and the reference",
    "tools.browser.driver": "options of Chromium",
    "testing.plugin": "defines options of pytest",
}
"""The modules that may write commands or options, with the reason."""


def texts_of(source: str) -> Iterator[str]:
    """The strings of a module that are not docstrings."""
    tree = ast.parse(source)
    documentation = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation:
            yield node.value


def test_only_the_command_and_remedies_write_shell_lines() -> None:
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        module = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        texts = [text for text in texts_of(path.read_text("utf-8")) if COMMAND.search(text)]
        if texts and not module.startswith("cli."):
            found[module] = texts
    assert {module: texts for module, texts in found.items() if module not in NAMES_COMMANDS} == {}
    assert set(NAMES_COMMANDS) == set(found), "an exception is no longer needed"


def test_no_default_help_of_a_diagnostic_names_a_command() -> None:
    assert [code for code, entry in CODES.items() if COMMAND.search(entry.remedy or "")] == []
