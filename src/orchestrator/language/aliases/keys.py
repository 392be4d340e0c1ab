"""The one place where the accepted spellings of an idea become its canonical form, before anything is checked.

Three kinds: other names of a key (tables below), other words for a value, and short forms (`retry: 3`). The canonical
nodes keep the places of what was really written, so diagnostics point there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

PIPELINE_KEYS = {
    "parameters": "inputs",
    "params": "inputs",
    "vars": "variables",
    "constants": "variables",
    "on_error": "error_handlers",
    "global_error_handlers": "error_handlers",
    "default_model": "model",
    "orchestrator": "judge_model",
}

STEP_KEYS = {
    "depends_on": "dependencies",
    "depends": "dependencies",
    "needs": "dependencies",
    "if": "condition",
    "when": "condition",
    "params": "parameters",
    "args": "parameters",
    "arguments": "parameters",
    "with": "parameters",
    "timeout_seconds": "timeout",
    "foreach": "for_each",
    "loop_over": "for_each",
    "loop_var": "as",
    "loop_variable": "as",
    "item_name": "as",
    "max_concurrency": "max_parallel",
    "concurrency": "max_parallel",
    "on_item_error": "on_item_failure",
    "max_loop_iterations": "max_iterations",
    "otherwise": "default",
    "sub_pipeline": "pipeline",
}

ASK_KEYS = {
    "question": "prompt",
    "message": "prompt",
    "options": "choices",
    "enum": "choices",
    "min": "minimum",
    "max": "maximum",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
}

APPROVE_KEYS = {"prompt": "title", "question": "title", "message": "title", "editable": "allow_editing"}

HANDLER_KEYS = {
    "error_type": "error_types",
    "errors": "error_types",
    "error_pattern": "error_patterns",
    "patterns": "error_patterns",
    "fallback": "fallback_value",
    "handler_action": "action",
}

CHECK_KEYS = {"expressions": "that", "expression": "that"}

RETRY_KEYS = {
    "attempts": "max_attempts",
    "initial_delay": "delay",
    "backoff_factor": "backoff",
    "retry_on": "on",
}

INPUT_KEYS = {
    "min": "minimum",
    "max": "maximum",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
    "choices": "enum",
    "options": "enum",
    "env": "default_from_env",
    "desc": "description",
}

OUTPUT_KEYS = {"desc": "description", "from": "value"}

DEFAULTS_KEYS = {"timeout_seconds": "timeout"}

ATTEMPTS = "max_attempts"
"""A number of attempts in all: `max_attempts: 2` in a step is `retry: 2`."""

RETRY_COUNTS = ("max_retries", "retries", "retry_count")
"""Numbers of attempts after the first one: `max_retries: 2` is `retry: 3`."""

TYPE_WORDS = {
    **dict.fromkeys(("str", "text"), "string"),
    "int": "integer",
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    "bool": "boolean",
    "list": "array",
    **dict.fromkeys(("dict", "map", "mapping"), "object"),
    "path": "file",
}

ON_FAILURE_WORDS = {"stop": "fail", "abort": "fail", "ignore": "continue", "skip": "continue"}

BACKOFF_WORDS = {"exponential": 2.0, "fixed": 1.0, "constant": 1.0, "none": 1.0}

_EMPTY_WORDS = frozenset({"None", "none", "null"})
_NAME = re.compile(r"[^\W\d][\w-]*\Z")


@dataclass(frozen=True, slots=True)
class Clash:
    """Two spellings of one thing in one place."""

    canonical: str
    first: Scalar
    second: Scalar


@dataclass(frozen=True, slots=True)
class Canonical:
    """A mapping in canonical spelling, and the clashes that were found on the way."""

    node: Mapping
    clashes: tuple[Clash, ...] = ()


def rename(node: Mapping, table: dict[str, str]) -> Canonical:
    """Give each key its canonical name. Of two spellings of one thing the first one stays."""
    if table.keys().isdisjoint(node.table):
        return Canonical(node)
    entries: dict[str, Entry] = {}
    clashes = []
    for entry in node.entries:
        name = table.get(entry.key.text, entry.key.text)
        if name in entries:
            clashes.append(Clash(name, entries[name].key, entry.key))
        else:
            entries[name] = Entry(renamed(entry.key, name), entry.value)
    return Canonical(Mapping(entries, node.start, node.end, node.layout), tuple(clashes))


def renamed(key: Scalar, name: str) -> Scalar:
    """The key under its canonical name, where it stands."""
    if key.text == name:
        return key
    return Spelled(name, name, "synthetic", key.start, key.end, key.layout, key.text)


class Spelled(Scalar):
    """A key in canonical spelling that the file spells otherwise, as `written`."""

    __slots__ = ("written",)

    def __init__(self, value: Any, text: str, style: str, start: int, end: int, layout: Any, written: str) -> None:
        super().__init__(value, text, style, start, end, layout)
        self.written = written


def written(key: Scalar) -> str:
    """Return the spelling of a key in the file."""
    return key.written if isinstance(key, Spelled) else key.text


def pipeline(node: Mapping) -> Canonical:
    """The top level."""
    renamed = rename(node, PIPELINE_KEYS)
    entry = renamed.node.table.get("selection")
    if entry is not None and isinstance(entry.value, Mapping) and entry.value.table.keys() == {"strategy"}:
        entries = {**renamed.node.table, "selection": Entry(entry.key, entry.value.table["strategy"].value)}
        renamed = Canonical(Mapping(entries, node.start, node.end, node.layout), renamed.clashes)
    return Canonical(texts(renamed.node, ("version", "name", "description", "id")), renamed.clashes)


def put(entries: dict[str, Entry], name: str, entry: Entry, value: Node, clashes: list[Clash]) -> None:
    """Enter a value under its canonical key, unless that is there already."""
    if name in entries:
        clashes.append(Clash(name, entries[name].key, entry.key))
    else:
        entries[name] = Entry(renamed(entry.key, name), value)


def change(entries: dict[str, Entry], name: str, by: Callable[[Node], Node]) -> None:
    """Give the value of a key its canonical form."""
    entry = entries.get(name)
    if entry is not None:
        value = by(entry.value)
        if value is not entry.value:
            entries[name] = Entry(entry.key, value)


def word(value: Node, words: dict[str, Any]) -> Node:
    """The meaning of a word, if it is one of these."""
    if isinstance(value, Scalar) and isinstance(value.value, str) and value.value.lower() in words:
        meaning = words[value.value.lower()]
        return Scalar(meaning, value.text, "synthetic", value.start, value.end, value.layout)
    return value


def input_(value: Node) -> Canonical:
    """One input: a default, or a mapping of its properties. Null declares an input without a default."""
    if isinstance(value, Mapping):
        renamed = rename(value, INPUT_KEYS)
        entries = dict(renamed.node.table)
        clashes = list(renamed.clashes)
        change(entries, "type", lambda node: word(node, TYPE_WORDS))
        change(entries, "items", lambda node: _part_spec(node, clashes))
        change(entries, "properties", lambda node: _part_specs(node, clashes))
        return Canonical(Mapping(entries, value.start, value.end, value.layout), tuple(clashes))
    if isinstance(value, Scalar) and (value.value is None or (not value.style and value.text in _EMPTY_WORDS)):
        return Canonical(made(value))
    return Canonical(made(value, default=value))


def _part_spec(value: Node, clashes: list[Clash]) -> Node:
    """What stands below `items` or a property: a type's name, or the same keys as for an input."""
    if isinstance(value, Mapping):
        canonical = input_(value)
        clashes.extend(canonical.clashes)
        return canonical.node
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return made(value, type=word(value, TYPE_WORDS))
    return value


def _part_specs(value: Node, clashes: list[Clash]) -> Node:
    if not isinstance(value, Mapping):
        return value
    return value.replaced(Entry(entry.key, _part_spec(entry.value, clashes)) for entry in value.entries)


def question(node: Mapping) -> Canonical:
    """What is asked of a person, with what an input can say about its values."""
    renamed = rename(node, ASK_KEYS)
    clashes = list(renamed.clashes)
    entries = dict(renamed.node.table)
    change(entries, "type", lambda value: word(value, TYPE_WORDS))
    change(entries, "items", lambda value: _part_spec(value, clashes))
    change(entries, "properties", lambda value: _part_specs(value, clashes))
    return Canonical(Mapping(entries, node.start, node.end, node.layout), tuple(clashes))


def output(value: Node) -> Canonical:
    """One output: a template, or a mapping of its properties."""
    if isinstance(value, Mapping):
        renamed = rename(value, OUTPUT_KEYS)
        entries = dict(renamed.node.table)
        change(entries, "type", lambda node: word(node, TYPE_WORDS))
        return Canonical(Mapping(entries, value.start, value.end, value.layout), renamed.clashes)
    return Canonical(made(value, value=value))


@dataclass(frozen=True, slots=True)
class Listed:
    """A section in list form as a mapping by name; `again` are the names that came twice, `nameless` the odd items."""

    node: Mapping
    again: tuple[Clash, ...] = ()
    nameless: tuple[Node, ...] = ()


def by_name(value: Sequence, *, outputs: bool = False) -> Listed:
    """Turn the list form of inputs or outputs into a mapping.

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
    return Listed(Mapping(entries, value.start, value.end, value.layout), tuple(again), tuple(nameless))


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


def made(place: Node, /, **parts: Node) -> Mapping:
    """A mapping that stands for a short form, at its place."""
    entries = {name: Entry(text_at(place, name), part) for name, part in parts.items()}
    return Mapping(entries, place.start, place.end, place.layout)


def texts(node: Mapping, keys: Collection[str]) -> Mapping:
    """Read unquoted numbers as the text that they are written as, where only text makes sense: `version: 1.0`."""
    changed: dict[str, Entry] | None = None
    for name in keys:
        entry = node.table.get(name)
        if entry is None:
            continue
        value = entry.value
        if isinstance(value, Scalar) and isinstance(value.value, int | float) and not isinstance(value.value, bool):
            changed = changed or dict(node.table)
            text = Scalar(value.text, value.text, value.style, value.start, value.end, value.layout)
            changed[name] = Entry(entry.key, text)
    return node if changed is None else Mapping(changed, node.start, node.end, node.layout)
