"""`check`, `graph` and `schema`: read pipeline files without running them."""

import enum
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.place import Place
from orchestrator.cli.options.usage_errors import choice_metavar, choice_parser
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.diagnostics import Diagnostic
    from orchestrator.models.clients.fake import FakeModel

_TESTS: Final = ".test.yaml"
_RUN: Final = re.compile(r"[0-9][0-9a-hjkmnp-tv-z]{2,19}")


class ReportFormat(enum.StrEnum):
    """The output formats of `check`."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


class GraphFormat(enum.StrEnum):
    """The output formats of `graph`."""

    MERMAID = "mermaid"
    SVG = "svg"


def check(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Pipeline files and test files, directories of them, or patterns. Default: the current directory.",
            readable=False,
        ),
    ] = None,
    format: Annotated[
        ReportFormat,
        typer.Option(
            "--format",
            parser=choice_parser("--format", ReportFormat),
            metavar=choice_metavar(ReportFormat),
            help="How to print what was found.",
        ),
    ] = ReportFormat.TEXT,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as problems.")] = False,
    canonical: Annotated[
        bool, typer.Option("--canonical", help="Also warn of accepted spellings that are not the canonical ones.")
    ] = False,
    no_keys: Annotated[
        bool, typer.Option("--no-keys", help="Do not require provider keys or packages, as in CI.")
    ] = False,
    tools: common.ToolsOption = None,
    allow_path: common.AllowPathOption = None,
    allow_run: common.AllowRunOption = False,
    allow_host: common.AllowHostOption = None,
) -> None:
    """Validate pipeline files and report every problem. Nothing is run.

    Below a directory, YAML files with `steps:` are checked, and test files with the pipelines that they test.

    Exit code: 0 no errors, 1 errors found.
    """
    import sys

    from orchestrator import diagnostics as found
    from orchestrator.cli.options.files import select_pipelines
    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.cli.terminal.output import DONE, FAILED, emit, emit_json, say, use_colour

    line = Hints().line
    selection = select_pipelines(paths or [Path()])
    files = selection.files
    reported: list[found.Diagnostic] = []
    with common.open_orchestrator(
        tools=tools,
        allow_path=allow_path,
        allow_run=allow_run,
        allow_host=allow_host,
        models=_nobody() if no_keys else None,
    ) as orchestrator:
        for file in files:
            if file.name.endswith(_TESTS):
                reported += _of_tests(file, tools)
            else:
                reported += orchestrator.check(file, canonical=canonical).diagnostics
    if len(files) > 1:  # a file that several of them call is checked with each
        reported = list({(each.sort_key, each.message): each for each in reversed(reported)}.values())[::-1]
    problems = found.access_last(reported)
    ok = not any(problem.severity == "error" or strict for problem in problems)
    if json or format is ReportFormat.JSON:
        emit_json({**found.diagnostics_json(problems, render=line), "ok": ok})
    elif format is ReportFormat.SARIF:
        emit_json(found.to_sarif(problems, render=line))
    elif format is ReportFormat.GITHUB:
        if problems:
            emit(found.to_github(problems, render=line).rstrip("\n"))
    elif problems:
        emit(found.render_text(problems, color=use_colour(sys.stdout), render=line).rstrip("\n"))
    if format is ReportFormat.TEXT and not json and ok:
        say(f"{'1 file is' if len(files) == 1 else f'{len(files)} files are'} fine", "green")
    if selection.others and format is ReportFormat.TEXT and not json:
        count = len(selection.others)
        named = quoted_list(selection.others, most=3)
        say(f"{count} YAML file{'s' if count > 1 else ''} without `steps:` left out: {named}", "dim")
    raise typer.Exit(DONE if ok else FAILED)


def _nobody() -> "FakeModel":
    """Return a client that replaces all models, so that no key is needed."""
    from orchestrator.models.clients.fake import FakeModel

    return FakeModel(otherwise="fail")


def _of_tests(file: Path, tools: list[str] | None) -> "tuple[Diagnostic, ...]":
    """Return the diagnostics of a test file, and of the pipeline that it tests."""
    from orchestrator.testing.runner import Setting, load

    return load(file, Setting(tools=tuple(tools or ()))).diagnostics


@with_groups
def graph(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE|RUN", help="A pipeline's YAML file, or a run, to see its states.", readable=False),
    ],
    format: Annotated[
        GraphFormat,
        typer.Option(
            "--format",
            parser=choice_parser("--format", GraphFormat),
            metavar=choice_metavar(GraphFormat),
            help="How to draw.",
        ),
    ] = GraphFormat.MERMAID,
    json: Annotated[bool, typer.Option("--json", help="Print the steps and their dependencies as JSON.")] = False,
    tools: common.ToolsOption = None,
    allow_path: common.AllowPathOption = None,
    allow_run: common.AllowRunOption = False,
    allow_host: common.AllowHostOption = None,
    *,
    place: Place,
) -> None:
    """Draw the steps of a pipeline and their dependencies.

    For a run, given by its id or `last`, it also shows the state of each step.
    """
    from orchestrator.cli.terminal.output import emit, emit_json

    with place.open(
        tools=tools, allow_path=allow_path, allow_run=allow_run, allow_host=allow_host, models=_nobody()
    ) as orchestrator:
        if _is_run(file):
            handle = orchestrator.get_run(str(file))
            if json:
                from orchestrator.history.step_results import step_states

                record = handle.record()
                emit_json(_drawn(record.pipeline, record.plan) | {"states": step_states(handle.snapshot().steps)})
            else:
                emit(handle.graph(format.value).rstrip("\n"))
            return
        pipeline = orchestrator.compile(file)
        if json:
            emit_json(_drawn(pipeline.id, pipeline.to_dict()))
        else:
            emit(pipeline.graph(format.value).rstrip("\n"))


def _is_run(file: Path) -> bool:
    """Whether a word names a run, and not a pipeline's file."""
    word = str(file)
    return (word == "last" or _RUN.fullmatch(word) is not None) and not file.exists()


def _drawn(id: str, plan: "Mapping[str, Any]") -> dict[str, Any]:
    parts = ("steps", "error_handlers", "finally", "pipelines")
    return {"pipeline": id} | {part: plan[part] for part in parts if part in plan}


def schema(
    json: Annotated[bool, typer.Option("--json", help="The schema is JSON in any case.")] = False,
    tools: common.ToolsOption = None,
) -> None:
    """Print the JSON Schema of pipeline files, for editors.

    An editor uses it to complete and explain keys, tools, actions and parameters; with `--tools` also those of your
    own tools. Save it, and write as the first line of a pipeline file:
     # yaml-language-server: $schema=pipeline.schema.json
    """
    from orchestrator.cli.terminal.output import emit_json
    from orchestrator.language.reference.schema import json_schema
    from orchestrator.tools.call_schema import with_tools

    with common.open_orchestrator(tools=tools, models=_nobody()) as orchestrator:
        emit_json(with_tools(json_schema(), orchestrator.registry))
