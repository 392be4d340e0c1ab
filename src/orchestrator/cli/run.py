"""`run` and `resume`: execute a run in this process and show it."""

from codecs import BOM_UTF8
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.api import Pipeline, Run
    from orchestrator.cli.execution import Showing


def run(
    file: options.FileArgument,
    input: options.InputOption = None,
    inputs: options.InputsOption = None,
    store: options.StoreOption = None,
    max_parallel: options.MaxParallelOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Run in the background; print the run's id.")] = False,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    tools: options.ToolsOption = None,
    allow_path: options.AllowPathOption = None,
    allow_run: options.AllowRunOption = False,
    allow_host: options.AllowHostOption = None,
    announce: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Check a pipeline, run it, and print its outputs.

    The outputs go to stdout as YAML, or with --json as one object with run_id, state, outputs and error.

    Exit code: 0 succeeded, 1 failed, 2 not started because the pipeline or an input is wrong, 3 paused,
    130 interrupted.
    """
    from orchestrator.cli.execution import Showing, reported, show_to_the_end
    from orchestrator.cli.inputs import read_inputs
    from orchestrator.cli.interrupts import counted_interrupts
    from orchestrator.cli.output import only_data

    showing = Showing(json=json, quiet=quiet, store=store)
    with (
        reported(showing),
        options.open_orchestrator(
            store=store,
            tools=tools,
            allow_path=allow_path,
            allow_run=allow_run,
            allow_host=allow_host,
            max_parallel=max_parallel,
        ) as orchestrator,
    ):
        pipeline = orchestrator.compile(file)
        values = read_inputs(pipeline, input or (), inputs)
        if detach:
            arguments = _arguments(file, store, max_parallel, tools, allow_path, allow_run, allow_host)
            raise typer.Exit(_detach(arguments, values, showing))
        if not quiet:
            _warn(pipeline)
        with only_data(), counted_interrupts() as interrupts:
            started = pipeline.start(values)
            if announce is not None:
                from orchestrator.cli.background import announce as announce_to

                announce_to(announce, started.id)
            title, paths = pipeline.name or pipeline.id, [step.id for step in pipeline.steps]
            code = show_to_the_end(started, showing, interrupts, title=title, paths=paths)
    raise typer.Exit(code)


def resume(
    run: options.RunArgument,
    input: options.SecretOption = None,
    inputs: options.SecretsOption = None,
    store: options.StoreOption = None,
    max_parallel: options.MaxParallelOption = None,
    json: options.JsonOption = False,
    quiet: options.QuietOption = False,
    tools: options.ToolsOption = None,
    allow_path: options.AllowPathOption = None,
    allow_run: options.AllowRunOption = False,
    allow_host: options.AllowHostOption = None,
) -> None:
    """Go on with a run that failed, was stopped, or crashed.

    Steps that had succeeded are not run again. The run keeps the text of the pipeline and the inputs that it began
    with: for a file that was changed since, start a new run.

    A run that is paused in another living process goes on there; otherwise it goes on here, shown as by `run`.
    Secret inputs are never stored, so they must be given again. Exit codes are those of `run`.
    """
    from orchestrator.cli.execution import Showing, reported, show_to_the_end
    from orchestrator.cli.inputs import read_file
    from orchestrator.cli.interrupts import counted_interrupts
    from orchestrator.cli.output import only_data, say

    showing = Showing(json=json, quiet=quiet, store=store)
    with (
        reported(showing),
        options.open_orchestrator(
            store=store,
            tools=tools,
            allow_path=allow_path,
            allow_run=allow_run,
            allow_host=allow_host,
            max_parallel=max_parallel,
        ) as orchestrator,
    ):
        values = read_file(inputs) if inputs else {}
        handle = orchestrator.get_run(run)
        values |= _given_again(handle, input or ())
        before = handle.status()
        with only_data(), counted_interrupts() as interrupts:
            orchestrator.resume(handle.id, inputs=values or None)
            if not quiet:
                _tell_of_change(handle)
            if before.state == "paused" and before.owner:
                say(f"run {handle.id} goes on where it was paused: {before.owner}")
                say(f"  follow it with: {options.command_for('status', handle.id, store)} --watch")
                raise typer.Exit(0)
            title = before.name or before.pipeline
            paths = list(handle.snapshot().steps)
            code = show_to_the_end(handle, showing, interrupts, title=title, paths=paths, since=before.last_seq)
    raise typer.Exit(code)


def _given_again(run: "Run", pairs: "Sequence[str]") -> dict[str, object]:
    """Read `-i` by the types that the run was created with."""
    from orchestrator.language.spec import InputSpec

    declared = next(run.events(follow=False)).data["plan"]["inputs"] if pairs else {}
    values: dict[str, object] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        try:
            values[name] = InputSpec.model_validate({"type": declared[name]["type"]}).parse_text(text)
        except (KeyError, ValueError):  # what is wrong is said when it is held against the recorded inputs
            values[name] = text
    return values


def _tell_of_change(run: "Run") -> None:
    """Say that the file of a run is not what it was, if so: the run goes on with the text that it began with."""
    import shlex

    from orchestrator.cli.output import printable, say

    created = next(run.events(follow=False)).data
    file = Path(created["directory"], created["source_name"])
    try:
        changed = file.is_file() and file.read_bytes().removeprefix(BOM_UTF8) != created["source"].encode()
    except (OSError, ValueError):  # whatever it is, it is no file to run anew
        return
    if changed:
        name = printable(created["source_name"])
        say(f"! {name} has changed since; this run keeps the text that it began with", "yellow")
        say(f"  for the new one: orchestrator run {shlex.quote(name)}")


def _warn(pipeline: "Pipeline") -> None:
    """Show the warnings of a pipeline that compiles."""
    import sys

    from orchestrator.cli.output import say, use_colour

    if pipeline.diagnostics:
        from orchestrator.diagnostics import render_text

        say(render_text(pipeline.diagnostics, color=use_colour(sys.stderr)).rstrip("\n"))


def _arguments(
    file: Path,
    store: str | None,
    max_parallel: int | None,
    tools: list[str] | None,
    allow_path: list[Path] | None,
    allow_run: bool,
    allow_host: list[str] | None,
) -> list[str]:
    """Return the command line that runs the same pipeline with the same options, without its inputs."""
    words = ["run", str(file)]
    given: dict[str, list[object]] = {
        "--store": [] if store is None else [store],
        "--max-parallel": [] if max_parallel is None else [max_parallel],
        "--tools": [*(tools or ())],
        "--allow-path": [*(allow_path or ())],
        "--allow-host": [*(allow_host or ())],
    }
    for option, values in given.items():
        for value in values:
            words += [option, str(value)]
    return [*words, "--allow-run"] if allow_run else words


def _detach(arguments: list[str], values: dict[str, object], showing: "Showing") -> int:
    """Start the run in a process of its own and print its id."""
    from orchestrator.cli.background import start_detached
    from orchestrator.cli.execution import run_object
    from orchestrator.cli.inputs import as_json
    from orchestrator.cli.output import DONE, emit, emit_json, say

    started = start_detached(arguments, as_json(values))
    if isinstance(started, int):
        return started
    run_id, log = started
    if showing.json:
        emit_json(run_object(run_id, "running", {}, None))
    else:
        emit(run_id)
    say(f"run {run_id} goes on in the background; its log is {log}")
    say(f"  follow it with: {options.command_for('status', run_id, showing.store)} --watch")
    return DONE
