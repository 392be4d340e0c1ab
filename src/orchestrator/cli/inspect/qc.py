"""`qc`: the problems of a result, found by rules and, with `--judge`, by a model."""

from typing import Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.place import Place
from orchestrator.errors import ConfigurationError


@with_groups
def qc(
    run: common.RunArgument,
    judge: Annotated[
        bool, typer.Option("--judge", help="Let a model judge the outputs: the one that the pipeline names, or `auto`.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="The model that judges. Needs --judge.")
    ] = None,
    rubric: Annotated[
        str, typer.Option("--rubric", metavar="TEXT", help="The criteria for the judge. Needs --judge.")
    ] = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown report.")] = False,
    json: common.JsonOption = False,
    *,
    place: Place,
) -> None:
    """Check the quality of a run's result.

    Rules find ignored failures, empty or truncated outputs, placeholders, answers that no language model gave, and
    more. With `--judge` a model also gives each output a score from 0 to 1.

    Exit code: 0 no problem was found, 1 at least one was found.
    """
    if (model or rubric) and not judge:
        given = "--model" if model else "--rubric"
        raise ConfigurationError(f"`{given}` applies only to a model's judgement", help="add `--judge`")
    from orchestrator.cli.terminal.output import DONE, FAILED, emit, emit_json, paint, printable

    with place.open() as orchestrator:
        found = orchestrator.get_run(run).snapshot().qc(judge=(model or True) if judge else False, rubric=rubric)
    if json:
        emit_json(found.to_dict())
    elif markdown:
        emit(found.to_markdown().rstrip("\n"))
    else:
        colours = {"problem": "red", "warning": "yellow", "note": "dim"}
        for finding in found.findings:
            where = f" {finding.where}:" if finding.where else ""
            help = f"; {finding.suggestion}" if finding.suggestion else ""
            emit(paint(finding.level, colours[finding.level]) + printable(f"{where} {finding.message}{help}"))
        for judgement in found.judgements:
            emit(printable(f"outputs.{judgement.output}: {judgement.score:.2f}  {judgement.reason}"))
            for suggestion in judgement.suggestions:
                emit(printable(f"  - {suggestion}"))
        if not found.findings and not found.judgements:
            emit("nothing was found")
        if found.spending:
            emit(f"judged by {found.model}: {found.spending}")
    raise typer.Exit(DONE if found.ok else FAILED)
