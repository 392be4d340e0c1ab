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
    check: Annotated[bool, typer.Option("--check", help="Only say whether the lock is up to date.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what the lock has, and ask again.")] = False,
    json: common.JsonOption = False,
    store: common.StoreOption = None,
    tools: common.ToolsOption = None,
    allow_path: common.AllowPathOption = None,
    allow_run: common.AllowRunOption = False,
    allow_host: common.AllowHostOption = None,
) -> None:
    """Keep the answers for <AUTO> values in FILE.lock.

    What the lock has stays, as long as the file asks the same. Other answers are taken from a recorded run; questions
    without templates that were not asked there are asked now. Those with templates have an answer for each text that
    came of them: run the pipeline, then lock it. One with a secret in it is not kept.

    Exit code: 0; with --check 1 if an answer is missing or the lock has others; 1 too if no model answers.
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
        say(f"{at}: not asked any more")
    if found.spending:
        say(f"models were asked: {found.spending}")
    if secret := [value.at for value in found.values if value.secret]:
        say(f"not locked, but asked in each run, as there is a secret in it: {', '.join(secret)}")
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
        say(f"{found.path} stays as it was")
    missing = [value.at for value in found.values if not value.answers and not value.secret]
    if missing:
        listed = ", ".join(missing)
        say(f"no answer is known yet for {listed}: what is asked there is known in a run", "yellow")
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
