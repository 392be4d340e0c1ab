"""`report`: a run as one file to keep or to send."""

import sys
from typing import Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.place import Place


@with_groups
def report(
    run: common.RunArgument,
    html: Annotated[
        bool, typer.Option("--html", help="Print one HTML file, with graph and timeline, instead of Markdown.")
    ] = False,
    *,
    place: Place,
) -> None:
    """Print a report of a run, to keep or to send.

    It has the outputs, the error, the steps and their cost; in Markdown also the log. As HTML it is one file:
    orchestrator report last --html > report.html
    """
    from orchestrator.cli.terminal.output import emit, printable

    with place.open() as orchestrator:
        handle = orchestrator.get_run(run)
        page = (handle.report() if html else handle.snapshot().to_markdown()).rstrip("\n")
    emit(printable(page, keep="\n\t") if sys.stdout.isatty() else page)
