"""`cancel`: end a run, whichever process executes it."""

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
def cancel(
    run: common.RunArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, which is recorded.")] = "",
    json: common.JsonOption = False,
    *,
    place: Place,
) -> None:
    """Cancel a run and its running steps; it can be resumed."""

    def unfinished(status: "RunStatus", hints: "Hints") -> "Iterator[str]":
        yield f"run {status.run_id} is being cancelled, and is still {status.state}"
        if status.compensating and status.owner is None:
            yield f"  the steps that had succeeded are undone by: {hints.command('resume', status.run_id)}"

    commanded(run, lambda handle: handle.cancel(reason=reason), "cancelled", unfinished, json=json, place=place)
