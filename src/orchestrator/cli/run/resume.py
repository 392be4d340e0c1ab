"""`resume`, `retry`, `fork` and `answer`: go on with a run, in this process."""

import os
from codecs import BOM_UTF8
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.run_options import Here, executes

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.api import Changes, Orchestrator, Run
    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.journal.state.status import RunStatus

AnswerArgument = Annotated[
    str | None,
    typer.Argument(metavar="[VALUE]", help="The answer: yes or no to an approval, else of the type that is asked for."),
]


@executes
def resume(
    run: common.RunArgument,
    here: Here,
    with_: Annotated[
        Path | None, typer.Option("--with", metavar="FILE", help="Go on with this edited pipeline.", readable=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what --with would run again.")] = False,
    input: common.SecretOption = None,
    inputs: common.SecretsOption = None,
    replay: common.ReplayOption = None,
) -> None:
    """Go on with a run that failed, was stopped, or crashed.

    Steps that had succeeded are not run again. The run keeps the text of the pipeline and the inputs that it began
    with. With --with it goes on with an edited pipeline, also after it has succeeded: it is shown first which steps are
    kept, which run again, and why. -i also gives inputs that the run was created without.

    A run that is paused in another living process goes on there; otherwise it goes on here, shown as by `run`.
    Secret inputs are never stored, so they must be given again. Exit codes are those of `run`.
    """
    from orchestrator.cli.options.inputs import declared, read_inputs
    from orchestrator.cli.options.model_source import Answering
    from orchestrator.cli.run.foreground import reported
    from orchestrator.cli.terminal.output import emit_json, say
    from orchestrator.errors import ConfigurationError

    answering = Answering(None, replay, dry_run=False)
    with reported(here.showing), here.orchestrator(answering.client()) as orchestrator:
        if dry_run and with_ is None:
            raise ConfigurationError("`--dry-run` shows what `--with` would do", help="write `--with FILE --dry-run`")
        handle = orchestrator.get_run(run)
        hints = here.showing.about(orchestrator, handle.id).hints
        edited = None if with_ is None else orchestrator.compile_for(handle.id, with_)
        values = read_inputs(declared(handle) if edited is None else edited.inputs, input or (), inputs)
        answering.hide(declared(handle) if edited is None else edited.inputs, values)
        if edited is not None:
            changes = orchestrator.changes(handle.id, edited, inputs=values)
            if dry_run and here.json:
                emit_json(changes.to_dict())
            elif dry_run or not here.quiet:
                _show_changes(changes, as_data=dry_run)
            if dry_run:
                raise typer.Exit
        before = handle.status()

        def go_on() -> "Run":
            orchestrator.resume(handle.id, pipeline=edited, inputs=values or None)
            if not here.quiet and edited is None:
                _tell_of_change(handle, hints)
            if before.state == "paused" and before.owner and edited is None:
                say(f"run {handle.id} goes on where it was paused: {before.owner}")
                say(f"  follow it with: {hints.command('status', handle.id, '--watch')}")
                raise typer.Exit(0)
            return handle

        code = _shown(here, orchestrator, go_on, since=before.last_seq)
    answering.end(quiet=here.quiet)
    raise typer.Exit(code)


@executes
def retry(
    run: common.RunArgument,
    here: Here,
    step: Annotated[
        str, typer.Option("--step", metavar="PATH", help="The step: draft, translate[17], translate[17].draft.")
    ] = ...,  # type: ignore[assignment]  # it must be given
    input: common.SecretOption = None,
    inputs: common.SecretsOption = None,
    replay: common.ReplayOption = None,
) -> None:
    """Do one step again, and go on.

    All that depends on it is done again too. Works on any run that is not being executed, also on one that has
    succeeded. Items of loops are counted from 0.
    """
    from orchestrator.cli.options.inputs import declared, read_inputs
    from orchestrator.cli.options.model_source import Answering
    from orchestrator.cli.run.foreground import reported

    answering = Answering(None, replay, dry_run=False)
    with reported(here.showing), here.orchestrator(answering.client()) as orchestrator:
        handle = orchestrator.get_run(run)
        values = read_inputs(declared(handle), input or (), inputs)
        answering.hide(declared(handle), values)
        before = handle.status()
        code = _shown(
            here, orchestrator, lambda: orchestrator.retry(handle.id, step, inputs=values), since=before.last_seq
        )
    answering.end(quiet=here.quiet)
    raise typer.Exit(code)


@executes
def fork(
    run: common.RunArgument,
    here: Here,
    from_: Annotated[
        str,
        typer.Option("--from", metavar="STEP", help="The first step that is not shared, with all that depends on it."),
    ] = ...,  # type: ignore[assignment]  # it must be given
    input: common.InputOption = None,
    inputs: common.InputsOption = None,
    replay: common.ReplayOption = None,
) -> None:
    """Begin a new run with what another one has achieved.

    All is shared but a step and what depends on it. The other run may stand anywhere, and is left as it is.

    -i changes inputs of the new run, and gives secrets again.
    What is shared is not run again, even if it read an input that is another one now: it is said which.
    """
    from orchestrator.cli.options.inputs import declared, read_inputs
    from orchestrator.cli.options.model_source import Answering
    from orchestrator.cli.run.foreground import reported
    from orchestrator.cli.terminal.output import say

    answering = Answering(None, replay, dry_run=False)
    with reported(here.showing), here.orchestrator(answering.client()) as orchestrator:
        handle = orchestrator.get_run(run)
        values = read_inputs(declared(handle), input or (), inputs)
        answering.hide(declared(handle), values)

        def begin() -> "Run":
            begun = orchestrator.fork(handle.id, from_step=from_, inputs=values)
            if not here.quiet:
                say(f"run {begun.id} begins with what {handle.id} had achieved")
            return begun

        code = _shown(here, orchestrator, begin, since=None)
    answering.end(quiet=here.quiet)
    raise typer.Exit(code)


@executes
def answer(
    run: common.RunArgument,
    step: Annotated[str, typer.Argument(metavar="STEP", help="The path of the step that asks.")],
    here: Here,
    value: AnswerArgument = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="FILE", help="Read the answer from a file; `-` is stdin.")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Record the answer, and go on later.")] = False,
    input: common.SecretOption = None,
    inputs: common.SecretsOption = None,
    replay: common.ReplayOption = None,
) -> None:
    """Answer a question that a run asks, and go on.

    Approvals take yes or no, or an object with approved, content and comment. Everything else is read by the type that
    the question asks for. On a terminal, without a VALUE, the question is asked there.

    A run that a living process executes goes on there; otherwise it goes on here, shown as by `run`.
    """
    from orchestrator.cli.options.inputs import declared, read_inputs
    from orchestrator.cli.options.model_source import Answering
    from orchestrator.cli.run.foreground import reported
    from orchestrator.cli.terminal.output import DONE, emit_json, say
    from orchestrator.cli.terminal.prompts import open_questions

    answering = Answering(None, replay, dry_run=False)
    with reported(here.showing), here.orchestrator(answering.client()) as orchestrator:
        handle = orchestrator.get_run(run)
        values = read_inputs(declared(handle), input or (), inputs)
        answering.hide(declared(handle), values)
        hints = here.showing.about(orchestrator, handle.id).hints
        before = handle.status()
        left = before.owner or before.state == "paused" or no_wait
        if not left and any(each.path == step for each in open_questions(before)):
            orchestrator.check_resumable(handle.id, inputs=values)  # an answer is given once, so it must not be lost
        handle.answer(step, _answer(before, step, value, file, hints))
        if left:
            if here.json:
                emit_json(handle.status().to_dict())
            said = f"run {handle.id} has the answer to {step}"
            if before.owner and before.state != "paused":
                say(f"{said}, and goes on where it is executed: {before.owner}")
                say(f"  follow it with: {hints.command('status', handle.id, '--watch')}")
            else:
                say(f"{said}" + (", and is paused" if before.state == "paused" else ""))
                say(f"  continue with: {hints.command('resume', handle.id)}")
            raise typer.Exit(DONE)
        code = _shown(
            here, orchestrator, lambda: orchestrator.resume(handle.id, inputs=values or None), since=before.last_seq
        )
    answering.end(quiet=here.quiet)
    raise typer.Exit(code)


def _shown(here: Here, orchestrator: "Orchestrator", begin: "Callable[[], Run]", *, since: int | None) -> int:
    """Have a run go on here, show it to its end, and return the exit code. Events up to `since` are history.

    None: those that happened before the run was created, as it shares them with another one.
    """
    from orchestrator.cli.run.foreground import show_to_the_end
    from orchestrator.cli.terminal.interrupts import counted_interrupts
    from orchestrator.cli.terminal.output import only_data

    with only_data(), counted_interrupts() as interrupts:
        run = begin()
        record = run.record()
        if since is None:
            since = 1
            for event in run.events(after=1, follow=False):
                if event.at >= record.created_at:
                    break
                since = event.seq
        showing = here.showing.about(orchestrator, run.id)
        return show_to_the_end(run, showing, interrupts, title=record.name or record.pipeline, since=since)


def _answer(status: "RunStatus", path: str, value: str | None, file: str | None, hints: "Hints") -> object:
    """Return the answer as it was given, read by the type that the question asks for."""
    from orchestrator.cli.options.inputs import read_text
    from orchestrator.cli.terminal.prompts import answer_command, ask, can_ask, open_questions
    from orchestrator.errors import ConfigurationError
    from orchestrator.runtime.steps.answers import expected, parsed

    if value is not None and file is not None:
        raise ConfigurationError("the answer is given twice", help="give VALUE or `--file`")
    question = next((step.question for step in open_questions(status) if step.path == path), None)
    if file is not None:
        value = read_text(file, what="answer")
    if question is None:
        return value  # nobody asks, and that is what will be said
    if value is not None:
        return parsed(question, value.rstrip("\n") if file is not None else value)
    if can_ask():
        return ask(path, question)
    command = answer_command(status.run_id, path, question, hints)
    raise ConfigurationError(f"no answer to `{path}` is given", help=f"write `{command}`: {expected(question)}")


def _show_changes(changes: "Changes", *, as_data: bool) -> None:
    """Show what is kept and what runs again, and why: on stdout if that is all that was asked for."""
    from orchestrator.cli.terminal.output import emit, say, table

    words = {"keep": "kept", "run": "runs", "remove": "dropped"}
    rows = [
        (step.path, "runs again" if step.action == "run" and step.ran else words[step.action], step.reason)
        for step in changes.steps
    ]
    text = table(("step", "", "why"), rows)
    if as_data:
        emit(text)
    else:
        say(text)


def _tell_of_change(run: "Run", hints: "Hints") -> None:
    """Say that the file of a run is not what it was, if so: the run goes on with the text that it began with."""
    from orchestrator.cli.terminal.output import printable, say

    record = run.record()
    file = Path(record.directory, record.source_name)
    try:
        changed = file.is_file() and file.read_bytes().removeprefix(BOM_UTF8) != record.source_text.encode()
    except (OSError, ValueError):  # whatever it is, it is no file to run anew
        return
    if changed:
        name = os.path.relpath(file)
        say(f"! {printable(name)} has changed since; this run keeps the text that it began with", "yellow")
        say(f"  to resume it with the new one: {hints.command('resume', run.id, '--with', name)}")
