"""Canonical mappings, with functions that rename keys, expand short forms and replace words.

Canonical nodes keep the places of what was written, so that diagnostics point there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class Clash(Struct, frozen=True):
    """Two spellings of the same key in one place."""

    canonical: str
    first: Scalar
    second: Scalar


class Canonical(Struct, frozen=True):
    """A mapping in canonical spelling, and the clashes that were found."""

    node: Mapping
    clashes: tuple[Clash, ...] = ()


def rename_keys(node: Mapping, table: dict[str, str]) -> Canonical:
    """Rename the keys of a mapping to their canonical names. Of two spellings, the first is kept."""
    if table.keys().isdisjoint(node.table):
        return Canonical(node)
    entries: dict[str, Entry] = {}
    clashes = []
    for entry in node.entries:
        name = table.get(entry.key.text, entry.key.text)
        if name in entries:
            clashes.append(Clash(name, entries[name].key, entry.key))
        else:
            entries[name] = Entry(renamed_key(entry.key, name), entry.value)
    return Canonical(Mapping(entries, node.start, node.end, node.layout), tuple(clashes))


def renamed_key(key: Scalar, name: str) -> Scalar:
    """Return the key with its canonical name, in the same place."""
    if key.text == name:
        return key
    return Spelled(name, name, "synthetic", key.start, key.end, key.layout, written_key(key))


class Spelled(Scalar):
    """A key in canonical spelling whose spelling in the file is `written`."""

    __slots__ = ("written",)

    def __init__(self, value: Any, text: str, style: str, start: int, end: int, layout: Any, written: str) -> None:
        super().__init__(value, text, style, start, end, layout)
        self.written = written


def written_key(key: Scalar) -> str:
    """Return the spelling of a key in the file."""
    return key.written if isinstance(key, Spelled) else key.text


def put_entry(entries: dict[str, Entry], name: str, entry: Entry, value: Node, clashes: list[Clash]) -> None:
    """Add a value under its canonical key, unless the key is present."""
    if name in entries:
        clashes.append(Clash(name, entries[name].key, entry.key))
    else:
        entries[name] = Entry(renamed_key(entry.key, name), value)


def change_value(entries: dict[str, Entry], name: str, by: Callable[[Node], Node]) -> None:
    """Convert the value of a key to its canonical form."""
    entry = entries.get(name)
    if entry is not None:
        value = by(entry.value)
        if value is not entry.value:
            entries[name] = Entry(entry.key, value)


def listed(value: Node) -> Node:
    """Return a list from one text, which may contain commas; null is an empty list."""
    if isinstance(value, Scalar) and (value.value is None or isinstance(value.value, str)):
        return Sequence([] if value.value is None else [value], value.start, value.end, value.layout)
    return value


def word_meaning(value: Node, words: dict[str, Any]) -> Node:
    """Return the meaning of a word, or the value itself."""
    if isinstance(value, Scalar) and isinstance(value.value, str) and value.value.lower() in words:
        meaning = words[value.value.lower()]
        return Scalar(meaning, value.text, "synthetic", value.start, value.end, value.layout)
    return value


def mapping_at(place: Node, /, **parts: Node) -> Mapping:
    """Return the mapping of a short form, in the same place."""
    entries = {name: Entry(text_at(place, name), part) for name, part in parts.items()}
    return Mapping(entries, place.start, place.end, place.layout)


def numbers_as_text(node: Mapping, keys: Collection[str]) -> Mapping:
    """Return the mapping with unquoted numbers as text for keys that need text: `version: 1.0`."""
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
