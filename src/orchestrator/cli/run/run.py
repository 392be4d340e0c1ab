"""`run`: check a pipeline, execute a run of it in this process or in the background, and show it."""

import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import replace

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.run_options import RunOptions

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from orchestrator.api.interfaces import AnyPipeline
    from orchestrator.cli.run.foreground import RunDisplay
    from orchestrator.cli.run.redacted_log import RedactedLog


@with_groups
def run(
    file: common.FileArgument,
    options: RunOptions,
    input: common.InputOption = None,
    inputs: common.InputsOption = None,
    label: common.LabelOption = None,
    key: common.KeyOption = None,
    not_before: common.NotBeforeOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Run in the background; print the run's id.")] = False,
    record: Annotated[
        Path | None,
        typer.Option("--record", metavar="DIR", help="Record the answers of models, for `--replay` and tests."),
    ] = None,
    replay: common.ReplayOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Run nothing; print the steps, model calls and cost to expect.")
    ] = False,
    announce: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Check a pipeline, run it, and print its outputs.

    The outputs go to stdout as YAML, or with --json as one object with run_id, state, outputs and error.

    On a terminal you are prompted for answers to the run's questions. Without one, or with --json, the command exits
    when the run waits for an answer, and prints the command that answers it.

    Exit code: 0 succeeded, 1 failed, 2 not started because the pipeline or an input is invalid, 3 paused or waiting for
    an answer, 130 interrupted.
    """
    from orchestrator.cli.options.inputs import read_inputs
    from orchestrator.cli.options.model_source import ModelOptions, only_one
    from orchestrator.cli.run.foreground import reported, show_to_the_end
    from orchestrator.cli.run.started_runs import stay_for_started
    from orchestrator.cli.terminal.interrupts import counted_interrupts
    from orchestrator.cli.terminal.output import only_data

    only_one({"--record": record, "--replay": replay, "--dry-run": dry_run})
    model_source = ModelOptions(record, replay, dry_run=dry_run)
    same = " with the same inputs" if input or inputs else ""
    command = shlex.join(["orchestrator", "run", str(file), *model_source.words(), *options.words()])
    shown = replace(options.display, again=f"run it again{same}: {command}")
    with reported(shown), options.orchestrator(model_source) as orchestrator:
        pipeline = orchestrator.compile(file)
        values = read_inputs(pipeline.inputs, input or (), inputs)
        if dry_run:
            from orchestrator.cli.run.dry_run import tell

            tell(pipeline, values, json=options.json)
            raise typer.Exit
        if detach and not options.place.is_server:
            labels = [word for each in label or () for word in ("--label", each)]
            keyed = ["--key", key] if key is not None else []
            timed = ["--not-before", _iso(not_before)] if not_before is not None else []
            words = ["run", str(file), *labels, *keyed, *timed, *model_source.words(), *options.words()]
            raise typer.Exit(_detach(words, values, options.display))
        model_source.hide(pipeline.inputs, values)
        if not options.quiet:
            warn(pipeline)
        with _log(announce) as log, only_data(), counted_interrupts() as interrupts:
            started = pipeline.with_options(labels=label, key=key, not_before=not_before).start(values)
            if detach:
                raise typer.Exit(_tell_detached(started.id, options.display, "on the server"))
            if announce is not None:
                from orchestrator.cli.run.background import announce as announce_to

                announce_to(announce, started.id)
            if log is not None and (redactor := getattr(started, "redactor", None)) is not None:
                log.redact(redactor)
            display = shown.about(orchestrator, started.id)
            code = show_to_the_end(started, display, interrupts, title=pipeline.name or pipeline.id)
            stay_for_started(orchestrator, started.id, shown, interrupts)
        model_source.end(quiet=options.quiet)
    raise typer.Exit(code)


def _iso(moment: float) -> str:
    """Return a time as a command line has it."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(moment, UTC).isoformat()


def _log(announce: int | None) -> "AbstractContextManager[RedactedLog | None]":
    """Return the log writer of a detached run; None if a terminal or another program reads the output."""
    if announce is None:
        return nullcontext()
    from orchestrator.cli.run.redacted_log import redacted_log

    return redacted_log()


def warn(pipeline: "AnyPipeline") -> None:
    """Print the warnings of a pipeline, and how many values come from its lock."""
    import sys

    from orchestrator.cli.terminal.output import say, use_colour

    if pipeline.diagnostics:
        from orchestrator.cli.terminal.hints import Hints
        from orchestrator.diagnostics import render_text

        say(render_text(pipeline.diagnostics, color=use_colour(sys.stderr), render=Hints().line).rstrip("\n"))
    if pipeline.locked is not None:
        file, count = pipeline.locked
        say(f"{count} answer{' of a model is' if count == 1 else 's of models are'} taken from {file}", "dim")


def _detach(arguments: list[str], values: dict[str, object], display: "RunDisplay") -> int:
    """Start the run in a separate process and print its id."""
    from orchestrator.cli.options.inputs import as_json
    from orchestrator.cli.run.background import start_detached

    started = start_detached(arguments, as_json(values))
    if isinstance(started, int):
        return started
    run_id, log = started
    return _tell_detached(run_id, display, f"in the background; its log is {log}")


def _tell_detached(run_id: str, display: "RunDisplay", where: str) -> int:
    """Print the id of a run that continues without this command."""
    from orchestrator.cli.run.foreground import run_object
    from orchestrator.cli.terminal.output import DONE, emit, emit_json, say

    if display.json:
        emit_json(run_object(run_id, "running", {}, None))
    else:
        emit(run_id)
    say(f"run {run_id} continues {where}")
    say(f"  follow it with: {display.hints.command('status', run_id, '--watch')}")
    return DONE
