"""`retry`: run a step of a run again, in this process."""

from typing import Annotated

import typer

from orchestrator.cli.control.resume import show_resumed
from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.run_options import RunOptions


@with_groups
def retry(
    run: common.RunArgument,
    options: RunOptions,
    step: Annotated[
        str, typer.Option("--step", metavar="PATH", help="The step: draft, translate[17], translate[17].draft.")
    ] = ...,  # type: ignore[assignment]  # it must be given
    input: common.SecretOption = None,
    inputs: common.SecretsOption = None,
    replay: common.ReplayOption = None,
) -> None:
    """Run one step again, and continue.

    All steps that depend on it run again, too. Works on any run that is not being executed, also on one that succeeded.
    Items of loops are counted from 0.
    """
    from orchestrator.cli.options.inputs import declared, read_inputs
    from orchestrator.cli.options.model_source import ModelOptions
    from orchestrator.cli.run.foreground import reported

    model_source = ModelOptions(None, replay, dry_run=False)
    with reported(options.display), options.orchestrator(model_source, over_http=()) as orchestrator:
        handle = orchestrator.get_run(run)
        values = read_inputs(declared(handle), input or (), inputs)
        model_source.hide(declared(handle), values)
        before = handle.status()
        code = show_resumed(
            options, orchestrator, lambda: orchestrator.retry(handle.id, step, inputs=values), since=before.last_seq
        )
    model_source.end(quiet=options.quiet)
    raise typer.Exit(code)
