"""Reports values from outside the file in Python code and SQL, where their content would run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.rules.outside_values import is_from_file
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar, Sequence

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import PlacedTemplate, SourceStep

CODE: Final = {
    "python.execute": ("code", "Python"),
    "data.sql": ("query", "SQL"),
    "data.filter": ("where", "SQL"),
    "data.select": ("columns", "SQL"),
    "data.aggregate": ("values", "SQL"),
    "sql.query": ("query", "SQL"),
    "sql.export": ("query", "SQL"),
    "sql.execute": ("statement", "SQL"),
}
"""The actions that run a parameter as code: the parameter, and the language."""

_PATH: Final = re.compile(r"(?:\w+\.)*(?P<last>[A-Za-z_]\w*)(?:\[\w+\])?(?:\s*\|.*)?", re.DOTALL)


def check_code(context: CompilationContext, step: SourceStep, action: str, places: list[PlacedTemplate]) -> None:
    """Report values from outside the file in the code of a step; `action` includes the name of the tool."""
    parameter, language = CODE[action]
    texts = {id(node) for node in _texts(child(step.spec.node, "parameters", parameter))}
    for place in places:
        if id(place.scalar) in texts and not place.template.problems:
            _check_text(context, step, place, language)


def _check_text(context: CompilationContext, step: SourceStep, place: PlacedTemplate, language: str) -> None:
    for start, end in place.template.code_injections(
        place.scope, lambda read: is_from_file(context, step, place.scope, read)
    ):
        written = place.template.text[start:end]
        context.diagnostics.add(
            codes.CODE_INJECTION,
            place.scalar.span_of(start, end),
            f"`{written}` comes from outside the file, and its content would run as {language}",
            label=f"runs as {language}",
            help=_help(written, language),
        )


def _texts(node: Node | None) -> list[Node]:
    """Return the texts of a parameter that are code: itself, or the values of a mapping or a list."""
    if isinstance(node, Mapping):
        return [entry.value for entry in node.entries]
    if isinstance(node, Sequence):
        return list(node.items)
    return [node] if isinstance(node, Scalar) else []


def _help(written: str, language: str) -> str:
    path = _PATH.fullmatch(written)
    name = path["last"] if path else "value"
    given = f'pass it as a value, `inputs: {{{name}: "{{{{ {written} }}}}"}}`'
    if language == "Python":
        return f'{given}, and read `inputs["{name}"]` in the code'
    return f"{given}, and write `:{name}` instead, without quotes; for a column name, use an input with an `enum`"
