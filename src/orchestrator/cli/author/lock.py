"""`lock`: keep what models answered for the `<AUTO>` values of a file, so that its runs repeat it."""

from __future__ import annotations

import json as json_module
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from orchestrator.api.lock import LockedPlace, LockUpdate

_FROM = {"kept": "the lock", "recorded": "the run", "asked": "asked now"}


def lock(
    file: common.FileArgument,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", help="Take answers from this run. Default: the last of FILE that succeeded."
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only report whether the lock is up to date.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Discard the answers in the lock, and request them again.")
    ] = False,
    json: common.JsonOption = False,
    store: common.StoreOption = None,
    tools: common.ToolsOption = None,
    allow_path: common.AllowPathOption = None,
    allow_run: common.AllowRunOption = False,
    allow_host: common.AllowHostOption = None,
) -> None:
    """Keep the answers for <AUTO> values in FILE.lock.

    Answers in the lock are kept while their questions in the file are unchanged. Other answers are taken from a
    recorded run; questions without templates that the run does not have are asked now. Questions with templates have an
    answer
    for each rendered text: run the pipeline, then lock it. Questions that contain a secret are not locked.

    Exit code: 0; with --check 1 if an answer is missing or outdated; also 1 if no model answers.
    """
    from orchestrator.cli.options.model_source import only_one
    from orchestrator.cli.terminal.output import DONE, FAILED, emit_json, only_data

    only_one({"--check": check, "--run": run})
    only_one({"--check": check, "--fresh": fresh})
    with (
        only_data(),
        common.open_orchestrator(
            store=store, tools=tools, allow_path=allow_path, allow_run=allow_run, allow_host=allow_host
        ) as orchestrator,
    ):
        found = orchestrator.lock(file, run=run, fresh=fresh, check=check)
        if json:
            emit_json(found.to_dict())
        else:
            _tell(found, str(file), check=check)
    raise typer.Exit(FAILED if check and not found.up_to_date else DONE)


def _tell(found: LockUpdate, file: str, *, check: bool) -> None:
    from orchestrator.cli.terminal.output import emit, say, table

    if found.values:
        rows = [row for value in found.values for row in _rows(value)]
        emit(table(("VALUE", "ANSWER", "MODEL", "FROM"), rows))
    for at in found.removed:
        say(f"{at}: removed, no longer in the file")
    if found.spending:
        say(f"model calls: {found.spending}")
    if secret := [value.at for value in found.values if value.secret]:
        say(f"not locked, because it contains a secret (a model is called in each run): {', '.join(secret)}")
    command = f"orchestrator lock {shlex.quote(file)}"
    if check:
        if found.up_to_date:
            say(f"{found.path} is up to date", "green")
        else:
            say(f"{found.path} is not up to date: write it with `{command}`", "red")
        return
    if not found.values:
        say(f"{file} has no <AUTO> values")
    elif found.changed:
        say(f"wrote {found.path}", "green")
    else:
        say(f"{found.path} is unchanged")
    missing = [value.at for value in found.values if not value.answers and not value.secret]
    if missing:
        listed = ", ".join(missing)
        say(f"no answer yet for {listed}: the question is known only during a run", "yellow")
        say(f"  run it, then lock it again: orchestrator run {shlex.quote(file)} && {command}")


def _rows(value: LockedPlace) -> list[tuple[str, str, str, str]]:
    from orchestrator.cli.terminal.output import printable

    if not value.answers:
        return [(value.at, "", "", "has a secret" if value.secret else "nowhere")]
    return [
        (
            value.at if number == 0 else "",
            printable(shorten(json_module.dumps(answer.answer, ensure_ascii=False))),
            answer.model,
            _FROM[came],
        )
        for number, (answer, came) in enumerate(value.answers)
    ]
