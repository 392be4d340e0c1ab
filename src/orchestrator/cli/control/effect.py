"""A command to a run that any process may execute: it is sent, and its effect is reported."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from orchestrator.api.interfaces import AnyRun
    from orchestrator.cli.options.place import Place
    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.journal.events import RunState
    from orchestrator.journal.state.status import RunStatus

PATIENCE: Final = 3.0
"""Seconds to wait for the run's owner to carry out the command."""


def commanded(
    run: str,
    command: "Callable[[AnyRun], None]",
    wanted: "RunState",
    unfinished: "Callable[[RunStatus, Hints], Iterable[str]]",
    *,
    json: bool,
    place: "Place",
) -> None:
    """Give a run a command, wait a little, and print whether it has the state that is wanted.

    `unfinished` describes a run that is on its way there: a sentence, and what else can be done.
    """
    from orchestrator.cli.terminal.output import emit_json, say

    with place.open() as orchestrator:
        handle = orchestrator.get_run(run)
        hints = place.hints.about(orchestrator, handle.id)
        command(handle)
        status = _settled(handle)
        if json:
            emit_json(status.to_dict())
        if status.state == wanted:
            say(f"run {handle.id} is {wanted}", "yellow")
            say(f"  continue with: {hints.command('resume', handle.id)}")
        elif status.ended:
            say(f"run {handle.id} has already {status.state}")
        else:
            said, *more = unfinished(status, hints)
            say(said, "yellow")
            for line in (*more, f"follow it with: {hints.command('status', handle.id, '--watch')}"):
                say(f"  {line}")


def _settled(run: "AnyRun") -> "RunStatus":
    try:
        return run.wait(timeout=PATIENCE)
    except TimeoutError:
        return run.status()
