"""`why`: the reasons for which a step ran, ran again, was taken from the cache, was skipped, or waits."""

from typing import Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.place import Place


@with_groups
def why(
    run: common.RunArgument,
    step: Annotated[str, typer.Argument(metavar="STEP", help="The step's path, such as `fetch` or `translate[2]`.")],
    json: common.JsonOption = False,
    *,
    place: Place,
) -> None:
    """Explain why a step ran, was cached, was skipped, or waits."""
    from orchestrator.cli.terminal.output import emit, emit_json, moment, printable

    with place.open() as orchestrator:
        found = orchestrator.get_run(run).why(step)
    if json:
        emit_json(found.to_dict())
        return
    width = max(len(moment(reason.at)) for reason in found.reasons)
    lines = [f"{moment(reason.at):{width}}  {printable(reason.text)}" for reason in found.reasons]
    emit("\n".join([f"{found.path}: {found.state}", *(f"  {line.strip()}" for line in lines)]))
