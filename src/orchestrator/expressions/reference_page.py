"""The reference page of filters, tests, functions and methods, from the tables that the engine itself uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.expressions import limits
from orchestrator.expressions.filters import FILTERS
from orchestrator.expressions.functions import FUNCTIONS
from orchestrator.expressions.methods import METHODS
from orchestrator.expressions.predicates import TESTS
from orchestrator.patterns.syntax import MAX_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.expressions.table import Entry

_INTRODUCTION = """# Filters, tests, functions, methods

Everything that can be called in a template. How templates work is told in [Expressions](../expressions.md).
Each example is run by a test; `→` shows the text that it gives.
"""

_SECTIONS = (
    ("Filters", "Written after a `|`: `{{ value | name(arguments) }}`.", "| ", FILTERS),
    ("Tests", "Written after `is` or `is not`: `{{ value is name }}`.", "is ", TESTS),
    ("Functions", "Written by themselves: `{{ name(arguments) }}`.", "", FUNCTIONS),
    (
        "Methods",
        "Written after a dot: `{{ value.name(arguments) }}`. Which there are depends on the value.",
        ".",
        METHODS,
    ),
)
_KINDS = {"string": "string", "array": "list", "object": "object"}


def reference_markdown() -> str:
    """The page `docs/reference/expressions.md`."""
    parts = [_INTRODUCTION]
    for title, how, sign, table in _SECTIONS:
        parts.append(f"## {title}\n\n{how}\n")
        parts.extend(_entry(entry, sign, title, table) for entry in table.values() if not entry.alias_of)
    parts.append(_bounds())
    return "\n".join(parts)


def _entry(entry: Entry, sign: str, title: str, table: Mapping[str, Entry]) -> str:
    signature = entry.signature or ("()" if title in ("Functions", "Methods") else "")
    aliases = [f"`{name}`" for name, other in table.items() if other.alias_of == entry.name]
    lines = [f"### `{sign}{entry.name}{signature}`", "", entry.summary]
    if title == "Methods":
        lines += ["", f"Of: {', '.join(_KINDS.get(kind, kind) for kind in entry.accepts)}."]
    if aliases:
        lines += ["", f"Also written {', '.join(aliases)}."]
    template, result = entry.example
    lines += ["", "```jinja", template, *(f"→ {line}" for line in result.split("\n")), "```", ""]
    return "\n".join(lines)


def _bounds() -> str:
    rows = (
        ("Characters of a template", limits.MAX_TEMPLATE),
        ("Levels of brackets and operators in an expression", limits.MAX_NESTING),
        ("Characters of a text that an evaluation makes", limits.MAX_TEXT),
        ("Items of a list that an evaluation makes", limits.MAX_ITEMS),
        ("Passes of all loops of one evaluation", limits.MAX_STEPS),
        ("Numbers of one `range`", limits.MAX_RANGE),
        ("Bits of a computed integer", limits.MAX_INTEGER_BITS),
        ("Levels of a nested value", limits.MAX_DEPTH),
        ("Characters of a regular expression", MAX_LENGTH),
        ("Seconds of processor time of the loops of one evaluation", int(limits.MAX_SECONDS)),
    )
    lines = [f"| {what} | {bound:,} |" for what, bound in rows]
    return "\n".join(["## Bounds", "", "| what | at most |", "| --- | ---: |", *lines, ""])
