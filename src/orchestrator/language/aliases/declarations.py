"""The canonical form of the top level of a file, its inputs and outputs."""

from __future__ import annotations

import re

from msgspec import Struct

from orchestrator.language.aliases.canonical import (
    Canonical,
    Clash,
    change_value,
    listed,
    mapping_at,
    numbers_as_text,
    rename_keys,
    word_meaning,
)
from orchestrator.language.aliases.tables import ASK_KEYS, INPUT_KEYS, OUTPUT_KEYS, PIPELINE_KEYS, TYPE_WORDS
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

_EMPTY_WORDS = frozenset({"None", "none", "null"})


_NAME = re.compile(r"[^\W\d][\w-]*\Z")


def canonical_pipeline(node: Mapping) -> Canonical:
    """Return the canonical top level of a file."""
    renamed = rename_keys(node, PIPELINE_KEYS)
    entry = renamed.node.table.get("selection")
    if entry is not None and isinstance(entry.value, Mapping) and entry.value.table.keys() == {"strategy"}:
        entries = {**renamed.node.table, "selection": Entry(entry.key, entry.value.table["strategy"].value)}
        renamed = Canonical(Mapping(entries, node.start, node.end, node.layout), renamed.clashes)
    entries = dict(renamed.node.table)
    change_value(entries, "labels", listed)
    node = Mapping(entries, node.start, node.end, node.layout)
    return Canonical(numbers_as_text(node, ("version", "name", "description", "id")), renamed.clashes)


def canonical_input(value: Node) -> Canonical:
    """Return a canonical input from a default or a mapping. Null declares an input without a default."""
    if isinstance(value, Mapping):
        renamed = rename_keys(value, INPUT_KEYS)
        entries = dict(renamed.node.table)
        clashes = list(renamed.clashes)
        change_value(entries, "type", lambda node: word_meaning(node, TYPE_WORDS))
        change_value(entries, "items", lambda node: _part_spec(node, clashes))
        change_value(entries, "properties", lambda node: _part_specs(node, clashes))
        return Canonical(Mapping(entries, value.start, value.end, value.layout), tuple(clashes))
    if isinstance(value, Scalar) and (value.value is None or (not value.style and value.text in _EMPTY_WORDS)):
        return Canonical(mapping_at(value))
    return Canonical(mapping_at(value, default=value))


def _part_spec(value: Node, clashes: list[Clash]) -> Node:
    """Return the canonical declaration of items or of a property: a type name, or the keys of an input."""
    if isinstance(value, Mapping):
        canonical = canonical_input(value)
        clashes.extend(canonical.clashes)
        return canonical.node
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return mapping_at(value, type=word_meaning(value, TYPE_WORDS))
    return value


def _part_specs(value: Node, clashes: list[Clash]) -> Node:
    if not isinstance(value, Mapping):
        return value
    return value.replaced(Entry(entry.key, _part_spec(entry.value, clashes)) for entry in value.entries)


def canonical_question(node: Mapping) -> Canonical:
    """Return a canonical question, whose answer has the same keys as an input."""
    renamed = rename_keys(node, ASK_KEYS)
    clashes = list(renamed.clashes)
    entries = dict(renamed.node.table)
    change_value(entries, "type", lambda value: word_meaning(value, TYPE_WORDS))
    change_value(entries, "items", lambda value: _part_spec(value, clashes))
    change_value(entries, "properties", lambda value: _part_specs(value, clashes))
    if "questions" in entries and "prompt" not in entries:
        key = entries["questions"].key
        entries["prompt"] = Entry(text_at(key, "prompt"), text_at(key, ""))
    return Canonical(Mapping(entries, node.start, node.end, node.layout), tuple(clashes))


def canonical_output(value: Node) -> Canonical:
    """Return a canonical output from a template or a mapping."""
    if isinstance(value, Mapping):
        renamed = rename_keys(value, OUTPUT_KEYS)
        entries = dict(renamed.node.table)
        change_value(entries, "type", lambda node: word_meaning(node, TYPE_WORDS))
        return Canonical(Mapping(entries, value.start, value.end, value.layout), renamed.clashes)
    return Canonical(mapping_at(value, value=value))


class NamedEntries(Struct, frozen=True):
    """A section in list form as a mapping by name; `again` are duplicate names, `nameless` items without a name."""

    node: Mapping
    again: tuple[Clash, ...] = ()
    nameless: tuple[Node, ...] = ()


def entries_by_name(value: Sequence, *, outputs: bool = False) -> NamedEntries:
    """Return the list form of inputs or outputs as a mapping.

    Items are `- topic`, `- topic: value` or `- name: topic` with further keys.
    """
    entries: dict[str, Entry] = {}
    again = []
    nameless: list[Node] = []
    for item in value.items:
        found = _named(item, outputs=outputs)
        if not found:
            nameless.append(item)
        for key, node in found:
            if key.text in entries:
                again.append(Clash(key.text, entries[key.text].key, key))
            else:
                entries[key.text] = Entry(key, node)
    return NamedEntries(Mapping(entries, value.start, value.end, value.layout), tuple(again), tuple(nameless))


def _named(item: Node, *, outputs: bool) -> list[tuple[Scalar, Node]]:
    if isinstance(item, Scalar):
        if not isinstance(item.value, str):
            return []
        if not outputs:
            return [(item, Scalar(None, "", "synthetic", item.start, item.end, item.layout))]
        return [(item, text_at(item, f"{{{{ {item.value} }}}}"))] if _NAME.match(item.value) else []
    if not isinstance(item, Mapping):
        return []
    name = item.get("name") or item.get("id")
    if isinstance(name, Scalar) and isinstance(name.value, str):
        key = "name" if "name" in item.table else "id"
        return [(name, item.without([key]))]
    return [(entry.key, entry.value) for entry in item.entries]
