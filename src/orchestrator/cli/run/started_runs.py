"""Runs that steps of a run have started in this process: it stays until they have ended, or until it is stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.api.orchestrator import Orchestrator
from orchestrator.cli.run.foreground import tell_end
from orchestrator.cli.terminal.output import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.api.interfaces import AnyOrchestrator
    from orchestrator.api.run import Run
    from orchestrator.cli.run.foreground import RunDisplay
    from orchestrator.cli.terminal.interrupts import Interrupts
    from orchestrator.journal import RunStatus

_LOOK_SECONDS: Final = 0.1


def stay_for_started(orchestrator: AnyOrchestrator, run_id: str, display: RunDisplay, interrupts: Interrupts) -> None:
    """Wait for the runs that the run started here, and those that they start. A server executes them by itself."""
    if not isinstance(orchestrator, Orchestrator):
        return
    for started in _started(orchestrator, run_id):
        shown = display.about(orchestrator, started)
        if interrupts.count:
            say(f"run {started}, which a step started, was interrupted", "yellow")
            say(f"  continue with: {shown.hints.command('resume', started)}")
            continue
        say(f"run {started}, which a step started, continues here until it ends; Ctrl-C leaves it", "dim")
        status = _waited_for(orchestrator.get_run(started), interrupts)
        if status is not None:
            tell_end(status, shown)
        else:
            say(f"  continue with: {shown.hints.command('resume', started)}")


def _waited_for(run: Run, interrupts: Interrupts) -> RunStatus | None:
    """Return the status of a run when it has ended or rests; None after a signal."""
    while not interrupts.count:
        try:
            return run.wait(timeout=_LOOK_SECONDS)
        except TimeoutError:
            continue
    return None


def _started(orchestrator: Orchestrator, run_id: str) -> Iterator[str]:
    """Yield each other run that this process executes, also those that begin meanwhile."""
    known = {run_id}
    while waiting := [other for other in orchestrator.backend.engine.run_ids if other not in known]:
        known.update(waiting)
        yield from waiting
