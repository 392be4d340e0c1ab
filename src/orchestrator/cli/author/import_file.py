"""`import`: write a file of another dialect in the canonical form."""

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import common
from orchestrator.cli.options.usage_errors import choice_metavar, choice_parser

if TYPE_CHECKING:
    from orchestrator.language.canonical_text import CanonicalText


class ImportDialect(enum.StrEnum):
    """The dialects that can be imported."""

    PY_ORC = "py-orc"


def import_(
    file: common.FileArgument,
    dialect: Annotated[
        ImportDialect,
        typer.Option(
            "--from",
            parser=choice_parser("--from", ImportDialect),
            metavar=choice_metavar(ImportDialect),
            help="The dialect of the file.",
        ),
    ] = ImportDialect.PY_ORC,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="Write the file here. Default: stdout.")
    ] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the file.")] = False,
    json: common.JsonOption = False,
    tools: common.ToolsOption = None,
) -> None:
    """Write a file of another dialect in the canonical form.

    Comments are kept, and what was changed is listed on stderr. Also writes the canonical spelling of a file that needs
    no import. What cannot be translated is left as it is: `orchestrator check` reports it.

    Exit code: 0; 1 if the file cannot be read as YAML.
    """
    from orchestrator.cli.options.model_source import only_one
    from orchestrator.cli.terminal.output import DONE, emit, emit_json
    from orchestrator.errors import CompilationError
    from orchestrator.language import read_document
    from orchestrator.language.canonical_text import canonical_text
    from orchestrator.models.clients.fake import FakeModel

    only_one({"--output": output, "--in-place": in_place})
    with common.open_orchestrator(tools=tools, models=FakeModel(otherwise="fail")) as orchestrator:
        is_known = orchestrator.registry.has
    document = read_document(Path(file), is_known=is_known)
    if document.root is None or document.partial:
        raise CompilationError(f"`{file}` cannot be read", diagnostics=document.diagnostics)
    found = canonical_text(document, is_known=is_known)
    target = Path(file) if in_place else output
    if target is not None:
        target.write_text(found.text, encoding="utf-8")
    if json:
        changes = [(each.span.start.line, each.written, each.canonical) for each in found.changes]
        listed = [dict(zip(("line", "written", "canonical"), change, strict=True)) for change in changes]
        emit_json({"text": found.text, "changes": listed})
    else:
        if target is None:
            emit(found.text, end="")
        _list(found, target)
    raise typer.Exit(DONE)


def _list(found: "CanonicalText", target: Path | None) -> None:
    from orchestrator.cli.terminal.output import say
    from orchestrator.text.words import shorten

    for change in found.changes:
        written, canonical = (" ".join(text.split()) for text in (change.written, change.canonical))
        say(f"line {change.span.start.line}: {shorten(written)} -> {shorten(canonical)}")
    count = len(found.changes)
    what = f"{count} change{'s' if count != 1 else ''}" if count else "nothing to change"
    say(f"{what}{f', written to {target}' if target is not None else ''}", "green")
