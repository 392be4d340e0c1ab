"""`pause` and `cancel`: take control of a run, whichever process executes it."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from orchestrator.cli.options import common
from orchestrator.cli.terminal.hints import Hints

if TYPE_CHECKING:
    from orchestrator.api import Run
    from orchestrator.journal.state.status import RunStatus

PATIENCE: Final = 3.0
"""Seconds to wait for the run's owner to carry out the command."""


def pause(
    run: common.RunArgument,
    now: Annotated[bool, typer.Option("--now", help="Also stop running steps; they run again on resume.")] = False,
    json: common.JsonOption = False,
    store: common.StoreOption = None,
) -> None:
    """Start no new steps of a run; running ones finish first."""
    from orchestrator.cli.terminal.output import emit_json, say

    with common.open_orchestrator(store=store) as orchestrator:
        handle = orchestrator.get_run(run)
        hints = Hints(store).about(orchestrator, handle.id)
        handle.pause(now=now)
        status = _settled(handle)
        if json:
            emit_json(status.to_dict())
        if status.state == "paused":
            say(f"run {handle.id} is paused", "yellow")
            say(f"  continue with: {hints.command('resume', handle.id)}")
        elif status.ended:
            say(f"run {handle.id} has already {status.state}")
        else:
            names = ", ".join(step.path for step in status.active[:5])
            say(f"run {handle.id} will pause when its running steps have finished: {names}", "yellow")
            if not now:
                say(f"  to stop them now: {hints.command('pause', handle.id, '--now')}")
            say(f"  follow it with: {hints.command('status', handle.id, '--watch')}")


def cancel(
    run: common.RunArgument,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="The reason, which is recorded.")] = "",
    json: common.JsonOption = False,
    store: common.StoreOption = None,
) -> None:
    """Cancel a run and its running steps; it can be resumed."""
    from orchestrator.cli.terminal.output import emit_json, say

    with common.open_orchestrator(store=store) as orchestrator:
        handle = orchestrator.get_run(run)
        hints = Hints(store).about(orchestrator, handle.id)
        handle.cancel(reason=reason)
        status = _settled(handle)
        if json:
            emit_json(status.to_dict())
        if status.state == "cancelled":
            say(f"run {handle.id} is cancelled", "yellow")
            say(f"  continue with: {hints.command('resume', handle.id)}")
        elif status.ended:
            say(f"run {handle.id} has already {status.state}")
        else:
            say(f"run {handle.id} is being cancelled, and is still {status.state}", "yellow")
            say(f"  follow it with: {hints.command('status', handle.id, '--watch')}")


def _settled(run: "Run") -> "RunStatus":
    try:
        return run.wait(timeout=PATIENCE)
    except TimeoutError:
        return run.status()
