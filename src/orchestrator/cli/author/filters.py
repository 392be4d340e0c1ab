"""`filters`: the filters, tests, functions and methods of expressions."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator import codes
from orchestrator.cli.options import common
from orchestrator.remedies import ListFilters

if TYPE_CHECKING:
    from orchestrator.expressions.builtins.builtin import Builtin


def filters(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One filter, test, function or method, in detail.")
    ] = None,
    json: common.JsonOption = False,
) -> None:
    """List and explain the filters and tests of expressions.

    With a name, one of them is explained; a name from Jinja2, Ansible or Liquid is answered with what to write instead.
    """
    from orchestrator.cli.terminal.output import emit, emit_json, table
    from orchestrator.expressions.builtins.reference_page import SECTIONS

    if name is not None:
        found = list(_entries(name.strip().lstrip("|.").strip()))
        if not found:
            raise _unknown(name)
        if json:
            emit_json([entry_object(kind, entry) for kind, entry in found])
        else:
            emit("\n\n".join(_described(sign, entry) for sign, entry in _signed(found)))
        return
    if json:
        emit_json(
            {
                section.title.lower(): [entry_object(section.kind, entry) for entry in section.table.values()]
                for section in SECTIONS
            }
        )
        return
    for section in SECTIONS:
        rows = [(entry.name, entry.summary) for entry in section.table.values() if not entry.alias_of]
        emit(table((section.kind.upper(), f"WRITTEN {section.written}"), rows) + "\n")


def entry_object(kind: str, entry: "Builtin") -> dict[str, Any]:
    """Return a filter, test, function or method as JSON data."""
    template, result = entry.example
    return {
        "kind": kind,
        "name": entry.name,
        "signature": entry.signature,
        "summary": entry.summary,
        "accepts": list(entry.accepts),
        "example": {"template": template, "result": result},
        **({"alias_of": entry.alias_of} if entry.alias_of else {}),
    }


def _tables() -> Mapping[str, tuple[str, Mapping[str, "Builtin"]]]:
    from orchestrator.expressions.builtins.reference_page import SECTIONS

    return {section.kind: (section.sign, section.table) for section in SECTIONS}


def _entries(name: str) -> Iterator[tuple[str, "Builtin"]]:
    """Yield what has this name, with its kind."""
    for kind, (_, entries) in _tables().items():
        if name in entries:
            yield kind, entries[name]


def _signed(found: list[tuple[str, "Builtin"]]) -> Iterator[tuple[str, "Builtin"]]:
    tables = _tables()
    for kind, entry in found:
        yield tables[kind][0], entry


def _described(sign: str, entry: "Builtin") -> str:
    brackets = entry.signature or ("()" if sign in ("", ".") else "")
    template, result = entry.example
    lines = [f"{sign}{entry.name}{brackets}", f"  {entry.summary}"]
    if entry.alias_of:
        lines.append(f"  The same as `{entry.alias_of}`.")
    if entry.accepts:
        lines.append(f"  Works on: {', '.join(kind for kind in entry.accepts if kind != 'boolean')}")
    return "\n".join([*lines, "", f"  {template}", *(f"  -> {line}" for line in result.split("\n"))])


def _unknown(name: str) -> Exception:
    """Return the error for an unknown name, with the equivalent to use."""
    from orchestrator.errors import OrchestratorError
    from orchestrator.expressions import parse_expression
    from orchestrator.expressions.builtins.equivalents import FUNCTION_EQUIVALENTS, METHOD_EQUIVALENTS, TEST_EQUIVALENTS

    word = name.strip().lstrip("|.").strip()
    form, code = f"value | {word}", codes.UNKNOWN_FILTER
    if word in TEST_EQUIVALENTS:
        form, code = f"value is {word}", codes.UNKNOWN_TEST
    elif word in FUNCTION_EQUIVALENTS or word in METHOD_EQUIVALENTS:
        form, code = (f"{word}(value)" if word in FUNCTION_EQUIVALENTS else f"value.{word}()"), codes.UNKNOWN_FUNCTION
    problems = parse_expression(form).problems if word.isidentifier() else ()
    found = next((problem for problem in problems if problem.help or problem.remedies), None)
    help, remedies = (found.help, found.remedies) if found else (None, (ListFilters(),))
    message = f"unknown filter, test, function or method `{name}`"
    return OrchestratorError(message, code=code, help=help, remedies=remedies)
