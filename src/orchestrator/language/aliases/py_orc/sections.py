"""The top of a file: inputs under two names, and keys that have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.py_orc import words
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, plain_data

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.draft import Draft

_INPUTS: Final = ("inputs", "parameters", "params")


def rewrite_sections(top: Draft) -> None:
    """Join `inputs` and `parameters`, and keep what has no effect as metadata."""
    _join_inputs(top)
    for name in [name for name in top.table if name in words.INERT or name.startswith(("x-", "x_"))]:
        entry = top.table[name]
        top.into_metadata(name)
        if name not in top.table:
            top.changes.inert.append(entry)


def _join_inputs(top: Draft) -> None:
    sections = [name for name in _INPUTS if name in top.table]
    if len(sections) < 2:
        return
    joined: dict[str, Entry] = {}
    for name in sections:
        found = _by_name(top.value(name))
        if found is None:
            return
        for key, entry in found.items():
            both = _joined(joined[key].value, entry.value) if key in joined else entry.value
            if both is None:
                top.changes.contradictions.append((joined[key].key, entry.key))
                continue
            joined[key] = Entry(joined[key].key if key in joined else entry.key, both)
    first, *rest = sections
    for name in rest:
        top.drop(name, f"{first}:")
    top.rename(first, "inputs")
    value = top.table["inputs"].value
    top.set("inputs", Mapping(joined, value.start, value.end, value.layout), value)


def _by_name(value: Node | None) -> dict[str, Entry] | None:
    if isinstance(value, Mapping):
        return value.table
    if isinstance(value, Scalar) and value.value is None:
        return {}
    if not isinstance(value, Sequence):
        return None
    found: dict[str, Entry] = {}
    for item in value.items:
        name = item.get("name") if isinstance(item, Mapping) else item
        if not isinstance(name, Scalar):
            return None
        rest = (
            item.without(["name"])
            if isinstance(item, Mapping)
            else Scalar(None, "", "synthetic", name.start, name.end, name.layout)
        )
        found[name.text] = Entry(name, rest)
    return found


def _joined(one: Node, other: Node) -> Node | None:
    """Return two declarations of one input as one; None if they contradict each other."""
    if plain_data(one) == plain_data(other):
        return one
    first, second = _declaration(one), _declaration(other)
    for key in first.keys() & second.keys():
        if plain_data(first[key].value) != plain_data(second[key].value):
            return None
    return Mapping({**first, **second}, one.start, one.end, one.layout)


def _declaration(value: Node) -> dict[str, Entry]:
    """Return the keys of a declaration; a plain value is a default."""
    from orchestrator.language.aliases.canonical import mapping_at

    if isinstance(value, Mapping):
        return value.table
    if isinstance(value, Scalar) and value.value is None:
        return {}
    return mapping_at(value, default=value).table
