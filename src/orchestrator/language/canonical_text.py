"""Writes a file in the canonical form: comments, order and quotes of what does not change are kept.

ruamel.yaml reads the file with its comments. The canonical tree is laid over what it read: a part of the tree that
stands in the file is the object of ruamel at the same place, with its comments, and only the rest is made.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.errors import MissingExtra
from orchestrator.language.aliases.canonical import written_key
from orchestrator.language.aliases.canonical_keys import with_canonical_keys
from orchestrator.language.aliases.older_calls import IsKnown, nothing_known
from orchestrator.language.aliases.py_orc.rewriter import Rewriter
from orchestrator.language.spellings import Spelling, older_names, spellings_of
from orchestrator.language.yaml.nodes import Mapping, Node, Scalar

if TYPE_CHECKING:
    from orchestrator.language.document import Document
    from orchestrator.language.yaml.nodes import Sequence

_DASH: Final = re.compile(r"^( *)[\w\"'-]+:[ \t]*(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*( *)- ", re.MULTILINE)
_QUOTED: Final = re.compile(r"^[\[{&*!|>%@`\"'#,?:-]|: |\s#|:$|\{\{|\{%")
_WORDS: Final = frozenset({"", "null", "true", "false", "yes", "no", "on", "off", "~"})


class CanonicalText(Struct, frozen=True):
    """The text of a file in the canonical form, and what was changed."""

    text: str
    changes: list[Spelling]


def canonical_text(document: Document, *, is_known: IsKnown = nothing_known) -> CanonicalText:
    """Return a file in the canonical form. `is_known` tells the tools of the project, which keep their names.

    Raises:
        MissingExtra: ruamel.yaml is not installed.
    """
    changes = sorted([*spellings_of(document), *older_names(document)], key=lambda each: each.span.start)
    text = document.source.text
    if document.root is None or not changes:
        return CanonicalText(text, changes)
    try:
        from ruamel.yaml import YAML
    except ImportError as error:
        raise MissingExtra("writing a file with its comments requires ruamel.yaml", extra="import") from error
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    yaml.indent(mapping=2, **_indent_of_lists(text))
    loaded = yaml.load(text)
    root, calls = with_canonical_keys(document.root, is_known)
    if any(calls.fields.values()):
        root = Rewriter(root, calls.fields).run().root
    laid = _Overlay(loaded).laid(root)
    stream = io.StringIO()
    yaml.dump(laid, stream)
    return CanonicalText(stream.getvalue(), changes)


def _indent_of_lists(text: str) -> dict[str, int]:
    """Return how lists are indented: as the first list of the file is."""
    first = _DASH.search(text)
    indented = first is None or len(first[2]) > len(first[1])
    return {"sequence": 4, "offset": 2} if indented else {"sequence": 2, "offset": 0}


class _Overlay:
    """Lays a tree over the objects that ruamel.yaml has read from the same text."""

    def __init__(self, loaded: Any) -> None:
        self._containers: dict[tuple[int, int, type], Any] = {}
        self._scalars: dict[tuple[int, int], Any] = {}
        self._used: set[int] = set()
        self._collect(loaded)

    def _collect(self, loaded: Any) -> None:
        from ruamel.yaml.comments import CommentedMap, CommentedSeq

        pending, seen = [loaded], set()
        while pending:
            each = pending.pop()
            if id(each) in seen or not isinstance(each, CommentedMap | CommentedSeq):
                continue
            seen.add(id(each))
            is_map = isinstance(each, CommentedMap)
            self._containers[each.lc.line, each.lc.col, Mapping if is_map else list] = each
            places = each.lc.data or {}
            for key, value in list(each.items()) if isinstance(each, CommentedMap) else list(enumerate(each)):
                if isinstance(value, CommentedMap | CommentedSeq):
                    pending.append(value)
                elif key in places:
                    line, column = places[key][-2:]
                    self._scalars[line, column] = value

    def laid(self, node: Node) -> Any:
        """Return the object of a node: that of ruamel at its place, or a new one."""
        if isinstance(node, Mapping):
            return self._mapping(node)
        if isinstance(node, Scalar):
            return self._scalar(node)
        return self._sequence(node)

    def _taken(self, node: Mapping | Sequence) -> Any:
        start = node.span.start
        kind = Mapping if isinstance(node, Mapping) else list
        found = self._containers.get((start.line - 1, start.column - 1, kind))
        if found is None or id(found) in self._used:
            return None
        self._used.add(id(found))
        return found

    def _mapping(self, node: Mapping) -> Any:
        from ruamel.yaml.comments import CommentedMap

        written = {entry.key.text: written_key(entry.key) for entry in node.entries}
        found = self._taken(node)
        if found is not None and not any(name in found for name in written.values()):
            self._used.discard(id(found))
            found = None  # the mapping of a short form, at the same place
        if found is None:
            made = CommentedMap()
            for entry in node.entries:
                made[entry.key.text] = self.laid(entry.value)
            return made
        values = {entry.key.text: self.laid(entry.value) for entry in node.entries}
        own = _own_keys(found)
        merged = {key for key in found if key not in own}
        if list(values) == list(found) and all(written[key] == key for key in values):
            for key, value in values.items():
                if key in own and found[key] is not value:
                    found[key] = value
            return found
        comments = dict(found.ca.items)
        before: str | None = None
        kept: dict[str, Any] = {}
        by_written = {written[key]: key for key in values}
        for key in own:
            new = by_written.get(key)
            if new is not None:
                before = new
                if key in comments:
                    kept[new] = comments[key]
            elif key in comments and before is not None and before not in kept:
                kept[before] = comments[key]
        for key in own:
            del found[key]
        found.ca.items.clear()
        for key, value in values.items():
            if written[key] not in merged:
                found[key] = value
        found.ca.items.update(kept)
        return found

    def _sequence(self, node: Sequence) -> Any:
        from ruamel.yaml.comments import CommentedSeq

        found = self._taken(node)
        items = [self.laid(item) for item in node.items]
        if found is None:
            made = CommentedSeq(items)
            if all(isinstance(item, Scalar) for item in node.items):
                made.fa.set_flow_style()
            return made
        before = list(found)
        if len(before) == len(items) and all(new is old for new, old in zip(items, before, strict=True)):
            return found
        places = {id(item): number for number, item in enumerate(before)}
        comments = dict(found.ca.items)
        found.clear()
        found.ca.items.clear()
        for number, item in enumerate(items):
            found.append(item)
            old = places.get(id(item))
            if old is not None and old in comments:
                found.ca.items[number] = comments[old]
        return found

    def _scalar(self, node: Scalar) -> Any:
        from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString, SingleQuotedScalarString

        start = node.span.start
        found = self._scalars.get((start.line - 1, start.column - 1))
        if found is not None and (found == node.value or str(found) == node.text) and type(node.value) is not bool:
            return found
        value = node.value
        if not isinstance(value, str):
            return value
        if "\n" in value:
            return LiteralScalarString(value)
        if node.style == "'" and "'" not in value:
            return SingleQuotedScalarString(value)
        if node.style == '"' or _QUOTED.search(value) or value.lower() in _WORDS or _is_number(value):
            return DoubleQuotedScalarString(value)
        return value


def _own_keys(mapping: Any) -> list[Any]:
    """Return the keys that a mapping has itself, without those that it merges."""
    merged = {key for source in _merged(mapping) for key in source}
    given = mapping.lc.data or {}
    return [key for key in mapping if key in given or key not in merged]


def _merged(mapping: Any) -> list[Any]:
    merge = getattr(mapping, "merge", None) or []
    return [source[1] if isinstance(source, tuple) else source for source in merge]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
