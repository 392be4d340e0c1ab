"""`resume`: continue a run in this process."""

import os
from codecs import BOM_UTF8
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.run_options import RESUMING, RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.api.interfaces import AnyOrchestrator, AnyRun
    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.history.revision import Changes


@with_groups
def resume(
    run: common.RunArgument,
    options: RunOptions,
    with_: Annotated[
        Path | None, typer.Option("--with", metavar="FILE", help="Continue with this edited pipeline.", readable=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show which steps --with would run again.")] = False,
    input: common.SecretOption = None,
    inputs: common.SecretsOption = None,
    replay: common.ReplayOption = None,
) -> None:
    """Resume a run that failed, was stopped, or crashed.

    Steps that succeeded are not run again. The run keeps the pipeline and the inputs that it was started with. With
    --with it continues with an edited pipeline, even if it succeeded: the command first shows which steps are kept,
    which run again, and why. -i also gives inputs that the run was created without.

    A run that is paused in another live process continues there, and a submitted one when a worker takes it; any other
    one continues here, shown as by `run`.
    Secret inputs are never stored, so they must be given again. Exit codes are those of `run`.
    """
    from orchestrator.cli.options.inputs import declared, read_inputs
    from orchestrator.cli.options.model_source import ModelOptions
    from orchestrator.cli.run.foreground import reported
    from orchestrator.cli.terminal.output import emit_json, say
    from orchestrator.errors import ConfigurationError

    model_source = ModelOptions(None, replay, dry_run=False)
    with reported(options.display), options.orchestrator(model_source, over_http=RESUMING) as orchestrator:
        if dry_run and with_ is None:
            raise ConfigurationError("`--dry-run` shows what `--with` would do", help="write `--with FILE --dry-run`")
        handle = orchestrator.get_run(run)
        hints = options.display.about(orchestrator, handle.id).hints
        edited = None if with_ is None else orchestrator.compile_for(handle.id, with_)
        values = read_inputs(declared(handle) if edited is None else edited.inputs, input or (), inputs)
        model_source.hide(declared(handle) if edited is None else edited.inputs, values)
        if edited is not None:
            changes = orchestrator.changes(handle.id, edited, inputs=values)
            if dry_run and options.json:
                emit_json(changes.to_dict())
            elif dry_run or not options.quiet:
                _show_changes(changes, as_data=dry_run)
            if dry_run:
                raise typer.Exit
        before = handle.status()

        def go_on() -> "AnyRun":
            orchestrator.resume(handle.id, pipeline=edited, inputs=values or None)
            if not options.quiet and edited is None:
                _tell_of_change(handle, hints)
            left = before.state == "paused" and (before.owner or before.runs_on is not None)
            if left and edited is None:
                where = f"in its process: {before.owner}" if before.owner else "when a worker takes it"
                say(f"run {handle.id} continues {where}")
                say(f"  follow it with: {hints.command('status', handle.id, '--watch')}")
                raise typer.Exit(0)
            return handle

        code = show_resumed(options, orchestrator, go_on, since=before.last_seq)
    model_source.end(quiet=options.quiet)
    raise typer.Exit(code)


def show_resumed(
    options: RunOptions, orchestrator: "AnyOrchestrator", begin: "Callable[[], AnyRun]", *, since: int | None
) -> int:
    """Start or resume a run here, show it to its end, and return the exit code. Events up to `since` are history.

    None: events before the creation of the run are history, as a fork shares them with another run.
    """
    from orchestrator.cli.run.foreground import show_to_the_end
    from orchestrator.cli.run.started_runs import stay_for_started
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
        display = options.display.about(orchestrator, run.id)
        code = show_to_the_end(run, display, interrupts, title=record.name or record.pipeline, since=since)
        stay_for_started(orchestrator, run.id, options.display, interrupts)
        return code


def _show_changes(changes: "Changes", *, as_data: bool) -> None:
    """Print which steps are kept and which run again, and why; on stdout with `--dry-run`."""
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


def _tell_of_change(run: "AnyRun", hints: "Hints") -> None:
    """Warn if the file of a run has changed: the run continues with the version that it was started with."""
    from orchestrator.cli.terminal.output import printable, say

    record = run.record()
    file = Path(record.directory, record.source_name)
    try:
        changed = file.is_file() and file.read_bytes().removeprefix(BOM_UTF8) != record.source_text.encode()
    except (OSError, ValueError):  # it cannot be compared
        return
    if changed:
        name = os.path.relpath(file)
        say(f"! {printable(name)} has changed; this run keeps the version that it was started with", "yellow")
        say(f"  to continue with the new version: {hints.command('resume', run.id, '--with', name)}")
