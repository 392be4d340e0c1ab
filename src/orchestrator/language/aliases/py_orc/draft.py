"""A mapping that is being rewritten: keys are renamed, moved and removed, and each change is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.language.aliases.canonical import renamed_key, written_key
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, text_at

if TYPE_CHECKING:
    from collections.abc import Collection

    from orchestrator.language.aliases.py_orc.changes import DialectChanges


class Draft:
    """The entries of one mapping, in the order of the file."""

    def __init__(self, node: Mapping, changes: DialectChanges) -> None:
        self.node = node
        self.table = dict(node.table)
        self.changes = changes

    def value(self, name: str) -> Node | None:
        """Return the value of a key, or None."""
        entry = self.table.get(name)
        return entry.value if entry is not None else None

    def plain(self, name: str) -> Any:
        """Return the plain value of a key if it is a scalar, else None."""
        value = self.value(name)
        return value.value if isinstance(value, Scalar) else None

    def rename(self, old: str, new: str) -> None:
        """Rename a key, in its place; two spellings stay as they are, and are reported as such later."""
        if old not in self.table or new in self.table:
            return
        entry = self.table[old]
        self.changes.add(entry.key, f"{written_key(entry.key)}:", f"{new}:")
        renamed = Entry(renamed_key(entry.key, new), entry.value)
        self.table = {
            (new if name == old else name): (renamed if name == old else each) for name, each in self.table.items()
        }

    def rename_all(self, table: dict[str, str]) -> None:
        """Rename all keys that a table has."""
        for old in [name for name in self.table if name in table]:
            self.rename(old, table[old])

    def without_hyphens(self, known: Collection[str]) -> None:
        """Rename keys such as `on-error` that have an underscore here."""
        for old in [name for name in self.table if "-" in name]:
            if old.replace("-", "_") in known:
                self.rename(old, old.replace("-", "_"))

    def drop(self, name: str, instead: str = "") -> Entry:
        """Remove a key, and record what stands for it."""
        entry = self.table.pop(name)
        self.changes.add(entry.key, f"{written_key(entry.key)}:", instead)
        return entry

    def set(self, name: str, value: Node, place: Node) -> None:
        """Set the value of a key; a new key is located at `place`."""
        entry = self.table.get(name)
        key = entry.key if entry is not None else text_at(place, name)
        self.table[name] = Entry(key, value)

    def insert(self, name: str, value: Node, *, before: str) -> None:
        """Add a key before another one."""
        place = self.table[before].key
        rest = {key: self.table.pop(key) for key in list(self.table)[list(self.table).index(before) :]}
        self.table |= {name: Entry(text_at(place, name), value), **rest}

    def into_metadata(self, name: str) -> None:
        """Move a key below `metadata`."""
        entry = self.table.pop(name)
        held = self.table.get("metadata")
        inner = held.value if held is not None else None
        if held is not None and not isinstance(inner, Mapping):
            self.table[name] = entry
            return
        self.changes.add(entry.key, f"{written_key(entry.key)}:", f"metadata: {{{entry.key.text}: ...}}")
        table = {**(inner.table if isinstance(inner, Mapping) else {}), entry.key.text: entry}
        place = inner if isinstance(inner, Mapping) else entry.value
        self.set("metadata", Mapping(table, place.start, place.end, place.layout), entry.key)

    def mapping(self) -> Mapping:
        """Return the mapping, or the one that was given if nothing is different."""
        given = self.node.table
        if len(given) == len(self.table) and all(given.get(name) is each for name, each in self.table.items()):
            return self.node
        return Mapping(self.table, self.node.start, self.node.end, self.node.layout)
