"""Remedies: each is data that goes to JSON and back, with a call in Python and a shell line."""

from __future__ import annotations

import pytest

from orchestrator.cli.terminal.hints import Hints
from orchestrator.errors import RunPaused
from orchestrator.remedies import (
    KINDS,
    AllowCommands,
    AllowHost,
    AllowPath,
    Answer,
    Cancel,
    Follow,
    InstallExtra,
    ListModels,
    ListRuns,
    Remedy,
    Resume,
    RetryStep,
    ShowRun,
    ShowStatus,
    StartRun,
    StoreKey,
    advice,
    remedies_from,
)

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
    StartRun(record="a b"): ("orchestrator run FILE --record 'a b'", "orchestrator run FILE --record 'a b'"),
    InstallExtra("mcp"): ('pip install "pyorchestrator[mcp]"', 'pip install "pyorchestrator[mcp]"'),
    StoreKey("openai"): ("orchestrator keys set openai", "orchestrator keys set openai"),
    ListModels(): ("orchestrator models", "orchestrator models"),
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
    assert {type(remedy) for remedy in CASES} == set(KINDS)


@pytest.mark.parametrize("remedy", CASES)
def test_a_remedy_is_a_call_and_a_shell_line(remedy: Remedy) -> None:
    assert (remedy.call, Hints().line(remedy)) == CASES[remedy]


@pytest.mark.parametrize("remedy", CASES)
def test_a_remedy_goes_to_json_and_back(remedy: Remedy) -> None:
    assert remedies_from([remedy.to_dict(), {"kind": "of_a_later_version"}]) == (remedy,)


def test_a_shell_line_has_the_store_and_the_options_that_the_run_needs() -> None:
    hints = Hints("sqlite:///a.db", ("--allow-run",))
    assert hints.line(Resume(RUN)) == f"orchestrator resume {RUN} --store sqlite:///a.db --allow-run"
    assert hints.line(ShowRun(RUN)) == f"orchestrator show {RUN} --store sqlite:///a.db"


def test_an_error_writes_its_remedies_after_its_help() -> None:
    assert advice("fix it", [Resume(RUN)]) == f'fix it; continue with: orc.resume("{RUN}")'
    assert advice(None, [Follow(RUN), Cancel(RUN)], Hints().line) == (
        f"follow it with: orchestrator status {RUN} --watch, or cancel it with: orchestrator cancel {RUN}"
    )
    error = RunPaused("paused", run_id=RUN, remedies=[Resume(RUN)])
    assert str(error) == f'paused [ORC807]\n  help: continue with: orc.resume("{RUN}")'
    assert error.to_dict()["remedies"] == [{"kind": "resume", "run_id": RUN}]
