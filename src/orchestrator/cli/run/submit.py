"""`submit`: leave a run to a worker."""

from typing import Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.run_options import RunOptions
from orchestrator.cli.options.usage_errors import whole_number


@with_groups
def submit(
    file: common.FileArgument,
    options: RunOptions,
    input: common.InputOption = None,
    inputs: common.InputsOption = None,
    label: common.LabelOption = None,
    on: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="LABEL", help="Only a worker with this label may execute the run. Repeatable."),
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(
            "--priority",
            parser=whole_number("--priority", least=-100, most=100),
            metavar="N",
            help="From -100 to 100: workers take runs with a higher one first. Default: 0",
        ),
    ] = None,
    key: common.KeyOption = None,
    not_before: common.NotBeforeOption = None,
) -> None:
    """Check a pipeline, and leave a run of it to a worker.

    The id of the run is printed. `orchestrator worker` executes it, on this machine or another one that shares the
    store. Its paths start in this directory there too.
    """
    from orchestrator.cli.options.inputs import read_inputs
    from orchestrator.cli.run.foreground import reported, run_object
    from orchestrator.cli.run.run import warn
    from orchestrator.cli.terminal.output import emit, emit_json, say

    with reported(options.display), options.orchestrator() as orchestrator:
        pipeline = orchestrator.compile(file)
        values = read_inputs(pipeline.inputs, input or (), inputs)
        if not options.quiet:
            warn(pipeline)
        run = pipeline.with_options(labels=label, key=key, not_before=not_before, priority=priority, runs_on=on).submit(
            values
        )
        status = run.status()
        hints = options.display.hints
        if options.json:
            emit_json(run_object(run.id, status.state, {}, None))
        else:
            emit(run.id)
        if not options.quiet:
            say(f"run {run.id} waits for {', '.join(status.waiting_on) or 'nothing any more'}")
            say(f"  follow it with: {hints.command('status', run.id, '--watch')}")
            say(f"  execute it with: {hints.command('worker')}")
