"""`pause`: start no new steps of a run, whichever process executes it."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.control.effect import commanded
from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.place import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.journal.state.status import RunStatus


@with_groups
def pause(
    run: common.RunArgument,
    now: Annotated[bool, typer.Option("--now", help="Also stop running steps; they run again on resume.")] = False,
    json: common.JsonOption = False,
    *,
    place: Place,
) -> None:
    """Start no new steps of a run; running ones finish first."""

    def unfinished(status: "RunStatus", hints: "Hints") -> "Iterator[str]":
        names = ", ".join(step.path for step in status.active[:5])
        yield f"run {status.run_id} will pause when its running steps have finished: {names}"
        if not now:
            yield f"to stop them now: {hints.command('pause', status.run_id, '--now')}"

    commanded(run, lambda handle: handle.pause(now=now), "paused", unfinished, json=json, place=place)
