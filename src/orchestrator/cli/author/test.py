"""`test`: run `*.test.yaml` files, and report the result of each case."""

from __future__ import annotations

from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.usage_errors import whole_number
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from orchestrator.diagnostics import Diagnostic
    from orchestrator.testing.runner import Outcome

_MARKS: Final = {"passed": ("ok", "green"), "failed": ("FAIL", "red"), "skipped": ("skip", "yellow")}


def test(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH", help="Test files, directories of them, or patterns. Default: the current directory."
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option("-k", metavar="TEXT", help="Only cases with this text in their file's or own name.")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Call the models, and replace the recordings that cases replay.")
    ] = False,
    jobs: Annotated[
        int,
        typer.Option("--jobs", parser=whole_number("--jobs", least=1), metavar="N", help="Run N cases at once."),
    ] = 4,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Run the cases in the project's directory instead of temporary copies of it."),
    ] = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Also write a report in JUnit XML.")
    ] = None,
    json: common.JsonOption = False,
    tools: common.ToolsOption = None,
    allow_path: common.AllowPathOption = None,
    allow_run: common.AllowRunOption = False,
    allow_host: common.AllowHostOption = None,
) -> None:
    """Run the cases of *.test.yaml files without calling models.

    Models are replaced by recordings, or by the answers in the test file.

    Each case is a run in its own store, with the permissions of the project.

    It runs in a temporary copy of the project's directory if its steps may change files.

    Exit code: 0 all cases passed or were skipped, 1 some failed, 2 a file is invalid or none was found.
    """
    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.cli.terminal.output import DONE, FAILED, USAGE, emit_json, only_data
    from orchestrator.diagnostics import diagnostics_json
    from orchestrator.testing.runner import forget_unused, run_cases

    setting = _setting(update, in_place, tools, common.permissions(allow_path, allow_run, allow_host))
    cases, problems = _found(paths or [Path()], only, setting)
    outcomes = []
    with only_data(), _stopping(run_cases(cases, setting, jobs=jobs)) as running:
        for file, group in groupby(running, key=lambda outcome: outcome.file.path):
            for number, outcome in enumerate(group):
                outcomes.append(outcome)
                if not json:
                    _tell(outcome, heading=str(file) if number == 0 else "")
    counts = {end: sum(outcome.end == end for outcome in outcomes) for end in _MARKS}
    wrong = any(problem.severity == "error" for problem in problems)
    if update and not (only or wrong or counts["failed"]):
        forget_unused(outcomes)
    if junit is not None:
        from orchestrator.cli.terminal.junit import write_junit

        write_junit(junit, outcomes)
    if json:
        report = {"cases": [_data(outcome) for outcome in outcomes], **counts}
        emit_json({**report, **diagnostics_json(problems, render=Hints().line), "ok": not (wrong or counts["failed"])})
    else:
        _tell_end(outcomes, problems, counts)
    raise typer.Exit(USAGE if wrong or not outcomes else FAILED if counts["failed"] else DONE)


@contextmanager
def _stopping(running: Generator[Outcome]) -> Iterator[Iterator[Outcome]]:
    """End the cases in good order on Ctrl-C or SIGTERM: what they have started, and their copies, go with them."""
    from orchestrator.cli.terminal.interrupts import counted_interrupts, interrupt

    with counted_interrupts() as interrupts, closing(running), interrupts.calling(interrupt):
        yield running


def _setting(update: bool, in_place: bool, tools: list[str] | None, permissions: Any) -> Any:
    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.testing.runner import Setting

    return Setting(
        tools=tuple(tools or ()), permissions=permissions, update=update, in_place=in_place, render=Hints().line
    )


def _found(paths: Sequence[Path], only: str | None, setting: Any) -> tuple[list[Any], list[Diagnostic]]:
    """Read the test files; return the cases of valid files, and the diagnostics."""
    from orchestrator.cli.options.files import expand
    from orchestrator.testing.files import find_files
    from orchestrator.testing.runner import load

    cases: list[Any] = []
    problems: list[Diagnostic] = []
    for path in find_files(expand(paths)):
        file = load(path, setting)
        problems += file.diagnostics
        if not any(problem.severity == "error" for problem in file.diagnostics):
            cases += [(file, case) for case in file.cases if only is None or only in f"{path}::{case.name}"]
    return cases, problems


def _tell(outcome: Outcome, *, heading: str) -> None:
    import sys

    from orchestrator.cli.terminal.output import LINES, emit, paint, printable, seconds

    mark, style = _MARKS[outcome.end]
    if heading:
        emit(printable(heading))
    mark = paint(f"{mark:4}", style, stream=sys.__stdout__)
    emit(f"  {mark}  {printable(outcome.case.name)}  {seconds(outcome.seconds)}")
    for reason in outcome.reasons:
        for line in printable(reason, keep=LINES).splitlines():
            emit(f"        {line}")


def _tell_end(outcomes: Sequence[Outcome], problems: Sequence[Diagnostic], counts: dict[str, int]) -> None:
    import sys

    from orchestrator.cli.terminal.output import emit, say, use_colour

    if problems:
        from orchestrator.cli.terminal.hints import Hints
        from orchestrator.diagnostics import render_text

        emit(render_text(problems, color=use_colour(sys.stdout), render=Hints().line).rstrip("\n"))
    if not outcomes and not problems:
        say("no case was run: test files are named `NAME.test.yaml` and have a list of `cases`", "yellow")
    if not outcomes:
        return
    told = ", ".join(f"{count} {end}" for end, count in counts.items() if count)
    say(
        f"{plural(len(outcomes), 'case')}: {told}",
        "red" if counts["failed"] else "green",
    )


def _data(outcome: Outcome) -> dict[str, Any]:
    return {
        "file": str(outcome.file.path),
        "line": outcome.case.line,
        "case": outcome.case.name,
        "models": outcome.case.models.kind,
        "state": outcome.end,
        "reasons": list(outcome.reasons),
        "seconds": round(outcome.seconds, 3),
    }
