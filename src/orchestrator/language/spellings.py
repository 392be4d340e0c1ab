"""The one place where the accepted spellings of an idea become its canonical form, before anything is checked.

Three kinds: other names of a key (tables below), other words for a value, and short forms (`retry: 3`). The canonical
nodes keep the places of what was really written, so diagnostics point there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.language.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

PIPELINE_KEYS = {"parameters": "inputs", "params": "inputs", "vars": "variables", "constants": "variables"}

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
    "on_error": "on_failure",
}

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
            entries[name] = Entry(_renamed(entry.key, name), entry.value)
    return Canonical(Mapping(entries, node.start, node.end, node.layout), tuple(clashes))


def _renamed(key: Scalar, name: str) -> Scalar:
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
    return Canonical(_texts(renamed.node, ("version", "name", "description", "id")), renamed.clashes)


def step(node: Mapping, ids: Collection[str] = ()) -> Canonical:
    """One step. `ids` are those of all steps: a word such as `skip` that is a step's id means that step."""
    table = node.table
    if _PLAIN_STEP.issuperset(table):
        return Canonical(_texts(node, ("name", "description", "id")))
    renamed = rename(node, STEP_KEYS)
    clashes = list(renamed.clashes)
    entries = dict(renamed.node.table)
    for name in RETRY_COUNTS:
        if entry := entries.pop(name, None):
            _put(entries, "retry", entry, _attempts(entry.value), clashes)
    if entry := entries.pop("continue_on_error", None):
        value = entry.value
        if isinstance(value, Scalar) and isinstance(value.value, bool):
            _put(entries, "on_failure", entry, text_at(value, "continue" if value.value else "fail"), clashes)
        else:
            entries["continue_on_error"] = entry  # refused below as what it is: not true or false
    _change(entries, "dependencies", _names)
    _change(entries, "retry", retry)
    _change(entries, "on_failure", lambda value: on_failure(value, ids))
    result = Mapping(entries, node.start, node.end, node.layout)
    return Canonical(_texts(result, ("name", "description", "id")), tuple(clashes))


# The keys of a step whose value has one form only; a step with no others needs no work.
_PLAIN_STEP = frozenset(
    {
        "id",
        "name",
        "description",
        "tool",
        "action",
        "parameters",
        "condition",
        "timeout",
        "on_success",
        "on_false",
        "metadata",
    }
)


def _put(entries: dict[str, Entry], name: str, entry: Entry, value: Node, clashes: list[Clash]) -> None:
    if name in entries:
        clashes.append(Clash(name, entries[name].key, entry.key))
    else:
        entries[name] = Entry(_renamed(entry.key, name), value)


def _change(entries: dict[str, Entry], name: str, change: Callable[[Node], Node]) -> None:
    entry = entries.get(name)
    if entry is not None:
        value = change(entry.value)
        if value is not entry.value:
            entries[name] = Entry(entry.key, value)


def _attempts(value: Node) -> Node:
    if isinstance(value, Scalar) and isinstance(value.value, int) and not isinstance(value.value, bool):
        return Scalar(value.value + 1, value.text, "synthetic", value.start, value.end, value.layout)
    return value


def _names(value: Node) -> Node:
    """A list of names from one name, or several with commas between them; nothing is an empty list."""
    if not isinstance(value, Scalar):
        return value
    if value.value is None:
        return Sequence([], value.start, value.end, value.layout)
    if not isinstance(value.value, str):
        return value
    if "," not in value.text:
        return Sequence([value], value.start, value.end, value.layout)
    items: list[Node] = []
    place = 0
    for piece in value.text.split(","):
        name = piece.strip()
        if name:
            items.append(_part(value, name, place + piece.index(name)))
        place += len(piece) + 1
    return Sequence(items, value.start, value.end, value.layout)


def _part(value: Scalar, text: str, offset: int) -> Scalar:
    start = value.raw_offset(offset)
    return Scalar(text, text, "", start, start + len(text), value.layout)


def retry(value: Node) -> Node:
    """`retry: 3`, and the words of `backoff` and `jitter`."""
    if isinstance(value, Scalar):
        if value.value is None:
            return value
        return _made(value, max_attempts=value)
    if not isinstance(value, Mapping):
        return value
    entries = dict(rename(value, RETRY_KEYS).node.table)
    for name in RETRY_COUNTS:
        if (entry := entries.pop(name, None)) and "max_attempts" not in entries:
            entries["max_attempts"] = Entry(_renamed(entry.key, "max_attempts"), _attempts(entry.value))
    _change(entries, "backoff", lambda node: _word(node, BACKOFF_WORDS))
    _change(entries, "jitter", _jitter)
    _change(entries, "on", _names)
    return Mapping(entries, value.start, value.end, value.layout)


def _jitter(value: Node) -> Node:
    if isinstance(value, Scalar) and isinstance(value.value, bool):
        return Scalar(0.1 if value.value else 0.0, value.text, "synthetic", value.start, value.end, value.layout)
    return value


def _word(value: Node, words: dict[str, Any]) -> Node:
    if isinstance(value, Scalar) and isinstance(value.value, str) and value.value.lower() in words:
        meaning = words[value.value.lower()]
        return Scalar(meaning, value.text, "synthetic", value.start, value.end, value.layout)
    return value


def on_failure(value: Node, ids: Collection[str] = ()) -> Node:
    """`fail`, `continue`, a step's id, or `{value: ...}`."""
    if isinstance(value, Scalar):
        if not isinstance(value.value, str):
            return value
        word = value.value if value.value in ids else ON_FAILURE_WORDS.get(value.value, value.value)
        if word in ("fail", "continue"):
            return _made(value, kind=text_at(value, word))
        return _made(value, kind=text_at(value, "jump"), target=value)
    if not isinstance(value, Mapping):
        return value
    entries = dict(rename(value, {"jump": "target", "goto": "target", "default": "value"}).node.table)
    if "kind" not in entries and len(entries) == 1 and (name := next(iter(entries))) in ("value", "target"):
        kind = "value" if name == "value" else "jump"
        entries["kind"] = Entry(text_at(entries[name].key, "kind"), text_at(value, kind))
    return Mapping(entries, value.start, value.end, value.layout)


def defaults(node: Mapping) -> Canonical:
    """The section `defaults`."""
    renamed = rename(node, DEFAULTS_KEYS)
    clashes = list(renamed.clashes)
    entries = dict(renamed.node.table)
    for name in RETRY_COUNTS:
        if entry := entries.pop(name, None):
            _put(entries, "retry", entry, _attempts(entry.value), clashes)
    _change(entries, "retry", retry)
    return Canonical(Mapping(entries, node.start, node.end, node.layout), tuple(clashes))


def input_(value: Node) -> Canonical:
    """One input: a default, or a mapping of its properties. Null declares an input without a default."""
    if isinstance(value, Mapping):
        renamed = rename(value, INPUT_KEYS)
        entries = dict(renamed.node.table)
        clashes = list(renamed.clashes)
        _change(entries, "type", lambda node: _word(node, TYPE_WORDS))
        _change(entries, "items", lambda node: _part_spec(node, clashes))
        _change(entries, "properties", lambda node: _part_specs(node, clashes))
        return Canonical(Mapping(entries, value.start, value.end, value.layout), tuple(clashes))
    if isinstance(value, Scalar) and (value.value is None or (not value.style and value.text in _EMPTY_WORDS)):
        return Canonical(_made(value))
    return Canonical(_made(value, default=value))


def _part_spec(value: Node, clashes: list[Clash]) -> Node:
    """What stands below `items` or a property: a type's name, or the same keys as for an input."""
    if isinstance(value, Mapping):
        canonical = input_(value)
        clashes.extend(canonical.clashes)
        return canonical.node
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return _made(value, type=_word(value, TYPE_WORDS))
    return value


def _part_specs(value: Node, clashes: list[Clash]) -> Node:
    if not isinstance(value, Mapping):
        return value
    return value.replaced(Entry(entry.key, _part_spec(entry.value, clashes)) for entry in value.entries)


def output(value: Node) -> Canonical:
    """One output: a template, or a mapping of its properties."""
    if isinstance(value, Mapping):
        renamed = rename(value, OUTPUT_KEYS)
        entries = dict(renamed.node.table)
        _change(entries, "type", lambda node: _word(node, TYPE_WORDS))
        return Canonical(Mapping(entries, value.start, value.end, value.layout), renamed.clashes)
    return Canonical(_made(value, value=value))


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


def steps_of_mapping(value: Mapping) -> tuple[Sequence, tuple[Clash, ...]]:
    """Turn steps that are written as a mapping by id into a list of steps."""
    items: list[Node] = []
    clashes = []
    for entry in value.entries:
        node = entry.value
        if not isinstance(node, Mapping):
            items.append(node)
            continue
        if inner := node.key("id"):
            clashes.append(Clash("id", entry.key, inner))
        id_entry = Entry(text_at(entry.key, "id"), entry.key)
        rest = {key: inner_entry for key, inner_entry in node.table.items() if key != "id"}
        items.append(Mapping({"id": id_entry, **rest}, entry.key.start, node.end, node.layout))
    return Sequence(items, value.start, value.end, value.layout), tuple(clashes)


def _made(place: Node, **parts: Node) -> Mapping:
    """A mapping that stands for a short form, at its place."""
    entries = {name: Entry(text_at(place, name), part) for name, part in parts.items()}
    return Mapping(entries, place.start, place.end, place.layout)


def _texts(node: Mapping, keys: Collection[str]) -> Mapping:
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
