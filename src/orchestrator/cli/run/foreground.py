"""Shows a run that this process executes to its end, prompts for answers, and prints the outputs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator import codes
from orchestrator.cli.terminal.hints import Hints
from orchestrator.cli.terminal.live import follow, view_of
from orchestrator.cli.terminal.output import (
    DONE,
    FAILED,
    INTERRUPTED,
    LINES,
    PAUSED,
    emit_json,
    emit_yaml,
    exit_code,
    printable,
    report,
    say,
    seconds,
)
from orchestrator.cli.terminal.progress import Board
from orchestrator.cli.terminal.prompts import QuestionPrompts, open_questions, questions_data, tell_questions
from orchestrator.errors import CompilationError, LeaseLost, OrchestratorError, RunError, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.api.interfaces import AnyOrchestrator, AnyRun
    from orchestrator.cli.terminal.interrupts import Interrupts
    from orchestrator.history.result import Result
    from orchestrator.journal.state.status import RunStatus


class RunDisplay(Struct, frozen=True):
    """How to show a run, and the options of the commands that are suggested."""

    json: bool = False
    quiet: bool = False
    hints: Hints = field(default_factory=Hints)
    again: str = ""
    """What to do if the record of a run is lost: a text that ends with a command."""

    def about(self, orchestrator: AnyOrchestrator, run_id: str) -> RunDisplay:
        """Return the same for one run, with the options that it needs again."""
        return replace(self, hints=self.hints.about(orchestrator, run_id))


class ReportedExit(typer.Exit):
    """The exit after an error that has been reported."""


@contextmanager
def reported(display: RunDisplay) -> Iterator[None]:
    """Report an error of a run that could not start or continue, with `--json` also as data, and exit."""
    try:
        yield
    except OrchestratorError as error:
        if isinstance(error.__context__, ReportedExit):  # the store fails again when it is closed
            raise error.__context__ from error
        if display.json:
            emit_json(run_object(getattr(error, "run_id", None), None, {}, error_object(error, display.hints)))
        report(error, display.hints)
        if isinstance(error, StoreUnavailable) and error.removed:
            _tell_again(display)
        raise typer.Exit(exit_code(error)) from error


def error_object(error: OrchestratorError, hints: Hints) -> dict[str, Any]:
    """Return an error as JSON data; that of a wrong pipeline has all its diagnostics."""
    data = {**error.to_dict(), "help": hints.advice(error.help, error.remedies) or None}
    if isinstance(error, CompilationError):
        from orchestrator.diagnostics import diagnostics_json

        data["diagnostics"] = diagnostics_json(error.diagnostics, render=hints.line)["diagnostics"]
    return data


def run_object(run_id: str | None, state: str | None, outputs: Any, error: Any, **more: Any) -> dict[str, Any]:
    """Return the one object that `run --json` prints."""
    return {"run_id": run_id, "state": state, "outputs": outputs, "error": error, **more}


def show_to_the_end(run: AnyRun, display: RunDisplay, interrupts: Interrupts, *, title: str, since: int = 0) -> int:
    """Follow a run that this process executes, print its outputs, and return the exit code.

    On a terminal its questions are prompted for. Elsewhere the run is left waiting.
    """
    board = Board.of(step["id"] for step in run.record().plan["steps"])
    asking = None if display.json else QuestionPrompts(run, interrupts)

    def leaves(seen: RunStatus) -> bool:
        """Whether to prompt for an answer, or to leave a run that only waits, even if a question has a deadline."""
        if asking is None or asking.gave_up:
            goes_on = any(step.waiting_until is not None and step.question is None for step in seen.active)
            return seen.state == "waiting" and not goes_on and not interrupts.count
        return bool(asking.new(seen))

    try:
        while True:
            with view_of(
                board,
                title,
                quiet=display.quiet,
                hints=display.hints,
                answered_here=lambda: asking is not None and not asking.gave_up,
            ) as view:
                status = follow(
                    run,
                    board,
                    view,
                    since=since,
                    between=lambda: interrupts.cancel(run),
                    leave=leaves,
                )
            if status.state == "waiting" and interrupts.count and not interrupts.told:
                interrupts.cancel(run)
                continue
            if asking is None or not (questions := asking.new(status)):
                break
            asking.ask(questions)
    except StoreError as error:
        _tell_given_up(run, error, display)
        raise ReportedExit(exit_code(error)) from error
    result = None if status.state in ("paused", "waiting", "interrupted") else ended_result(run)
    if display.json:
        outputs = dict(result.outputs) if result else {}
        more = {"questions": questions_data(status, display.hints)} if status.state == "waiting" else {}
        emit_json(run_object(run.id, status.state, outputs, result.error if result else status.error, **more))
    elif result and result.outputs:
        emit_yaml(result.outputs)
    if status.state == "failed" and os.environ.get("ORCHESTRATOR_DEBUG"):
        _tell_traceback(run, str((status.error or {}).get("step")))
    tell_end(status, display, by=interrupts.by if interrupts.count else None)
    return end_code(status, interrupted=interrupts.count > 0)


def _tell_given_up(run: AnyRun, error: StoreError, display: RunDisplay) -> None:
    """Report that this process had to stop a run because its store failed, and how to continue."""
    if display.json:
        emit_json(run_object(run.id, None, {}, error_object(error, display.hints)))
    report(error, display.hints)
    if isinstance(error, StoreUnavailable) and error.removed:
        _tell_again(display)
    elif not isinstance(error, LeaseLost):
        say(f"  fix the problem, then continue with: {display.hints.command('resume', run.id)}")


def _tell_again(display: RunDisplay) -> None:
    """Report what to do after a store was removed: its runs cannot be resumed."""
    if display.again:
        say(f"  {display.again}")


def _tell_traceback(run: AnyRun, step: str) -> None:
    """Show where the tool of a step failed, as the record has it: without secrets."""
    for each in run.tracebacks(step)[-1:]:
        say(printable(each.text, keep=LINES))


def ended_result(run: AnyRun) -> Result:
    """Return the result of a run that has ended, however it ended."""
    try:
        return run.result()
    except RunError as error:
        result: Result | None = getattr(error, "result", None)
        if result is None:
            raise
        return result


def tell_end(status: RunStatus, display: RunDisplay, *, by: str | None = None) -> None:
    """Report on stderr how a run ended, `by` which signal if it was stopped here, and the command that resumes it."""
    run_id, took = status.run_id, seconds(status.elapsed)
    resume = display.hints.command("resume", run_id)
    spent = f"; {status.spending}" if status.spending else ""
    if status.state == "succeeded":
        count = len(status.failures)
        continued = f"; it continued despite {'a failure' if count == 1 else f'{count} failures'}" if count else ""
        say(f"run {run_id} succeeded in {took}{continued}{spent}", "green")
        return
    if status.state == "failed":
        error = dict(status.error or {})
        where = f" in step `{error['step']}`" if error.get("step") else ""
        attempt = error.get("attempt") or 0
        where += f", attempt {attempt}" if attempt > 1 else ""
        on_purpose = status.failed_on_purpose
        say(f"run {run_id} failed{' on purpose' if on_purpose else ''}{where}{spent}", "red")
        say(f"error[{error.get('code', codes.RUN_FAILED)}]: {printable(str(error.get('message', '')), keep=LINES)}")
        help = display.hints.advice_of(error)
        if help:
            say(f"  help: {printable(help, keep=LINES)}")
        if error.get("code") == codes.TOOL_FAILED and error.get("type") != "StepError":
            say(f"  see the traceback: {display.hints.command('show', run_id, '--traceback')}")
        if not on_purpose and not any(each.get("kind") == "resume" for each in error.get("remedies") or ()):
            say(f"  fix the problem, then continue with: {resume}")
    elif status.state == "cancelled":
        why = f": {printable(status.reason)}" if status.reason else ""
        say(f"run {run_id} cancelled" + (f" by {by}" if by else why) + spent, "yellow")
        say(f"  continue with: {resume}")
    elif status.state == "waiting" and (questions := len(open_questions(status))):
        say(f"run {run_id} waits for {'an answer' if questions == 1 else f'{questions} answers'}", "yellow")
        tell_questions(status, display.hints)
    elif status.state == "paused":
        say(f"run {run_id} is paused{spent}", "yellow")
        say(f"  continue with: {resume}")
    else:
        say(f"run {run_id} was interrupted{spent}", "yellow")
        say(f"  continue with: {resume}")


def end_code(status: RunStatus, *, interrupted: bool = False) -> int:
    """Return the exit code for the status of a run."""
    if interrupted and status.state != "succeeded":
        return INTERRUPTED
    return {"succeeded": DONE, "paused": PAUSED, "waiting": PAUSED, "running": PAUSED}.get(status.state, FAILED)
