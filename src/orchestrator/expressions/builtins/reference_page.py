"""The reference page of filters, tests, functions and methods, generated from the tables that the engine uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from orchestrator.expressions import limits
from orchestrator.expressions.builtins.builtin import Builtin
from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.builtins.functions import FUNCTIONS
from orchestrator.expressions.builtins.methods import METHODS
from orchestrator.expressions.builtins.tests import TESTS
from orchestrator.patterns.syntax import MAX_LENGTH
from orchestrator.text.json_text import MAX_DIGITS

_INTRODUCTION = """# Filters, tests, functions, methods

Everything that a template can call. [Expressions](../expressions.md) describes how templates work.
A test runs each example; `→` shows its output. `orchestrator filters` lists them in a terminal, and
`orchestrator filters NAME` explains one, or names the equivalent of a filter of Jinja2, Ansible or Liquid.
"""


class BuiltinSection(Struct, frozen=True):
    """One of the tables: its title, the syntax of its entries, and the sign before their names."""

    title: str
    kind: str
    written: str
    form: str
    sign: str
    table: Mapping[str, Builtin]


SECTIONS: Final = (
    BuiltinSection("Filters", "filter", "after a `|`", "{{ value | name(arguments) }}", "| ", FILTERS),
    BuiltinSection("Tests", "test", "after `is` or `is not`", "{{ value is name }}", "is ", TESTS),
    BuiltinSection("Functions", "function", "as a call", "{{ name(arguments) }}", "", FUNCTIONS),
    BuiltinSection("Methods", "method", "after a dot", "{{ value.name(arguments) }}", ".", METHODS),
)
_KINDS = {"string": "string", "array": "list", "object": "object"}


def builtins_markdown() -> str:
    """Return the page `docs/reference/expressions.md`."""
    parts = [_INTRODUCTION]
    for section in SECTIONS:
        depends = " Each type has its own methods." if section.kind == "method" else ""
        parts.append(f"## {section.title}\n\nWritten {section.written}: `{section.form}`.{depends}\n")
        parts.extend(
            _entry(entry, section.sign, section.title, section.table)
            for entry in section.table.values()
            if not entry.alias_of
        )
    parts.append(_bounds())
    return "\n".join(parts)


def _entry(entry: Builtin, sign: str, title: str, table: Mapping[str, Builtin]) -> str:
    signature = entry.signature or ("()" if title in ("Functions", "Methods") else "")
    aliases = [f"`{name}`" for name, other in table.items() if other.alias_of == entry.name]
    lines = [f"### `{sign}{entry.name}{signature}`", "", entry.summary]
    if title == "Methods":
        lines += ["", f"Available on: {', '.join(_KINDS.get(kind, kind) for kind in entry.accepts)}."]
    if aliases:
        lines += ["", f"Aliases: {', '.join(aliases)}."]
    template, result = entry.example
    lines += ["", "```jinja", template, *(f"→ {line}" for line in result.split("\n")), "```", ""]
    return "\n".join(lines)


def _bounds() -> str:
    rows = (
        ("Characters in a template", limits.MAX_TEMPLATE),
        ("Nesting levels in an expression", limits.MAX_NESTING),
        ("Characters in a text created by an evaluation", limits.MAX_TEXT),
        ("Characters in the texts of a list or object that is only looked up, such as a result", limits.MAX_LOOKUP),
        ("Items in a list created by an evaluation", limits.MAX_ITEMS),
        ("Iterations of all loops in one evaluation", limits.MAX_STEPS),
        ("Numbers in one `range`", limits.MAX_RANGE),
        ("Numbers in the `range` of a `for_each`", limits.MAX_LOOP_RANGE),
        ("Digits in an integer", MAX_DIGITS),
        ("Nesting levels in a value", limits.MAX_DEPTH),
        ("Characters in a regular expression", MAX_LENGTH),
        ("CPU seconds for the loops of one evaluation", int(limits.MAX_SECONDS)),
    )
    lines = [f"| {what} | {bound:,} |" for what, bound in rows]
    return "\n".join(["## Limits", "", "| limit | maximum |", "| --- | ---: |", *lines, ""])
