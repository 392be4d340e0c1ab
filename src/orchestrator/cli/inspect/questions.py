"""`questions`: the open questions of runs, with the content to approve and the command that answers each."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.place import Place

if TYPE_CHECKING:
    from orchestrator.api.interfaces import AnyOrchestrator
    from orchestrator.journal.state.status import RunStatus

MOST_RUNS: Final = 200
"""Of how many runs the questions are listed, the newest first."""


@with_groups
def questions(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Only questions of this run. Default: all runs.")
    ] = None,
    json: common.JsonOption = False,
    *,
    place: Place,
) -> None:
    """List the open questions of runs.

    Each question is printed with the content to approve, and with the command that answers it.
    """
    from orchestrator.cli.terminal.output import emit, emit_json, moment, say
    from orchestrator.cli.terminal.prompts import open_questions, question_lines, questions_data

    with place.open() as orchestrator:
        asked = [
            (status, place.hints.about(orchestrator, status.run_id))
            for status in _asking(orchestrator, run)
            if open_questions(status)
        ]
    if json:
        emit_json(
            [{"run_id": status.run_id, **each} for status, hints in asked for each in questions_data(status, hints)]
        )
        return
    if not asked:
        say("no open questions")
    for number, (status, hints) in enumerate(asked):
        emit(
            "\n" * (number > 0) + f"run {status.run_id}: {status.name or status.pipeline}, {moment(status.created_at)}"
        )
        for step in open_questions(status):
            for line in question_lines(status.run_id, step.path, step.question or {}, hints):
                emit(f"  {line}")


def _asking(orchestrator: "AnyOrchestrator", run: str | None) -> "list[RunStatus]":
    """Return the runs that have open questions, newest first."""
    if run is not None:
        return [orchestrator.get_run(run).status()]
    return orchestrator.list_runs(asks=True, limit=MOST_RUNS)
