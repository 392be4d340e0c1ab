"""`fork`: start a run that reuses the results of another one, in this process."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.control.resume import show_resumed
from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.run_options import RunOptions

if TYPE_CHECKING:
    from orchestrator.api.interfaces import AnyRun


@with_groups
def fork(
    run: common.RunArgument,
    options: RunOptions,
    from_: Annotated[
        str,
        typer.Option("--from", metavar="STEP", help="The first step that is not shared, with all that depends on it."),
    ] = ...,  # type: ignore[assignment]  # it must be given
    input: common.InputOption = None,
    inputs: common.InputsOption = None,
    replay: common.ReplayOption = None,
) -> None:
    """Start a new run that reuses the results of another one.

    All results are shared except those of a step and its dependents. The other run may be in any state, and does not
    change.

    -i changes inputs of the new run, and gives secrets again. Shared steps are not run again, even if they read an
    input that changed: a warning names them.
    """
    from orchestrator.cli.options.inputs import declared, read_inputs
    from orchestrator.cli.options.model_source import ModelOptions
    from orchestrator.cli.run.foreground import reported
    from orchestrator.cli.terminal.output import say

    model_source = ModelOptions(None, replay, dry_run=False)
    with reported(options.display), options.orchestrator(model_source, over_http=()) as orchestrator:
        handle = orchestrator.get_run(run)
        values = read_inputs(declared(handle), input or (), inputs)
        model_source.hide(declared(handle), values)

        def begin() -> "AnyRun":
            begun = orchestrator.fork(handle.id, from_step=from_, inputs=values)
            if not options.quiet:
                say(f"run {begun.id} reuses the results of {handle.id}")
            return begun

        code = show_resumed(options, orchestrator, begin, since=None)
    model_source.end(quiet=options.quiet)
    raise typer.Exit(code)
