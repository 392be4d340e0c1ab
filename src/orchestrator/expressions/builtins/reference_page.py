"""The reference page of filters, tests, functions and methods, from the tables that the engine itself uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.expressions.builtins.builtin import Builtin
from orchestrator.expressions.builtins.filters import FILTERS
from orchestrator.expressions.builtins.functions import FUNCTIONS
from orchestrator.expressions.builtins.methods import METHODS
from orchestrator.expressions.builtins.tests import TESTS
from orchestrator.expressions.syntax import limits
from orchestrator.patterns.syntax import MAX_LENGTH

_INTRODUCTION = """# Filters, tests, functions, methods

Everything that can be called in a template. How templates work is told in [Expressions](../expressions.md).
Each example is run by a test; `→` shows the text that it gives. `orchestrator filters` lists them in a terminal, and
`orchestrator filters NAME` explains one, or says what stands for one that Jinja2, Ansible or Liquid have.
"""


@dataclass(frozen=True, slots=True)
class BuiltinSection:
    """One of the tables: what its entries are called, how they are written, and the sign before their names."""

    title: str
    kind: str
    written: str
    form: str
    sign: str
    table: Mapping[str, Builtin]


SECTIONS: Final = (
    BuiltinSection("Filters", "filter", "after a `|`", "{{ value | name(arguments) }}", "| ", FILTERS),
    BuiltinSection("Tests", "test", "after `is` or `is not`", "{{ value is name }}", "is ", TESTS),
    BuiltinSection("Functions", "function", "by themselves", "{{ name(arguments) }}", "", FUNCTIONS),
    BuiltinSection("Methods", "method", "after a dot", "{{ value.name(arguments) }}", ".", METHODS),
)
_KINDS = {"string": "string", "array": "list", "object": "object"}


def builtins_markdown() -> str:
    """The page `docs/reference/expressions.md`."""
    parts = [_INTRODUCTION]
    for section in SECTIONS:
        depends = " Which there are depends on the value." if section.kind == "method" else ""
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
        ("Numbers in the `range` of a `for_each`", limits.MAX_LOOP_RANGE),
        ("Bits of a computed integer", limits.MAX_INTEGER_BITS),
        ("Levels of a nested value", limits.MAX_DEPTH),
        ("Characters of a regular expression", MAX_LENGTH),
        ("Seconds of processor time of the loops of one evaluation", int(limits.MAX_SECONDS)),
    )
    lines = [f"| {what} | {bound:,} |" for what, bound in rows]
    return "\n".join(["## Bounds", "", "| what | at most |", "| --- | ---: |", *lines, ""])
