"""The tree of a YAML text: scalars, sequences and mappings with their exact place in the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec.structs import replace

from orchestrator.language.yaml.positions import source_offsets

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Sequence as ABCSequence

    from orchestrator.diagnostics import Position, Span
    from orchestrator.language.yaml.layout import TextLayout


LITERAL: Final = "literal"
"""The style of a scalar that is not in the file, and whose braces are plain text."""


_BITS: Final = 30
"""Offsets have fewer: a file has at most `limits.MAX_CHARACTERS`."""

_MASK: Final = (1 << _BITS) - 1


class _Placed:
    """A part of the text, from offset `start` up to `end`. Its position in the file is computed on demand.

    Both offsets are one number, `place`, as half of the memory of a large file would be its offsets.
    """

    __slots__ = ("layout", "place")

    place: int
    layout: TextLayout

    @property
    def start(self) -> int:
        """The offset of the first character."""
        return self.place >> _BITS

    @property
    def end(self) -> int:
        """The offset after the last character."""
        return self.place & _MASK

    @property
    def span(self) -> Span:
        """The place in the file."""
        return self.layout.span(self.start, self.end)


class Scalar(_Placed):
    """A single value. `text` is its decoded text, `value` its YAML 1.2 value: text, number, boolean or None.

    `style` is `""` for a plain scalar, else its opening character: a quote, `|` or `>`; or how it was made.
    """

    __slots__ = ("_offsets", "style", "text", "value")

    def __init__(self, value: Any, text: str, style: str, start: int, end: int, layout: TextLayout) -> None:
        self.value = value
        self.text = text
        self.style = style
        self.place = start << _BITS | end
        self.layout = layout
        self._offsets: ABCSequence[int] | None = None

    def __repr__(self) -> str:
        return f"Scalar({self.text!r})"

    def position(self, offset: int) -> Position:
        """Return the place in the file of the character at `offset` of `text`; `len(text)` is the place after it."""
        if not self.text:
            return self.layout.position(self.start)
        offset = min(max(offset, 0), len(self.text))
        if offset == len(self.text):
            return self.span_of(offset - 1, offset).end
        return self.layout.position(self._source(offset))

    def span_of(self, start: int, end: int) -> Span:
        """Return the span in the file of `text[start:end]`."""
        size = len(self.text)
        start = min(max(start, 0), size)
        end = min(max(end, start), size)
        if not size:
            return self.span
        if start == end:
            place = self.position(start)
            return replace(self.span, start=place, end=place)  # in the file of the scalar
        first = self._source(start)
        if not self._offsets:
            return self.span
        last = self._source(end - 1)
        width = escape_width(self.layout.text, last, self.style)
        return self.layout.exact_span(first, last).longer(width)

    def raw_offset(self, offset: int) -> int:
        """Return the offset in the layout's text of the character at `offset` of `text`."""
        return self._source(offset)

    def _source(self, offset: int) -> int:
        offsets = self._known_offsets()
        if not offsets:  # a scalar that is not in the file itself: a normalised short form
            return self.start
        return self.start + offsets[offset]

    def _known_offsets(self) -> ABCSequence[int]:
        if self._offsets is None:
            raw = self.layout.text[self.start : self.end]
            self._offsets = source_offsets(raw, self.style, self.text) or ()
        return self._offsets

    def made_of(self, parts: Iterable[tuple[str, int, int]]) -> Scalar:
        """Return a scalar whose text consists of parts, each with the start and end of its place in this scalar.

        A part of another length than its place stands for the whole place: it begins and ends as that does.
        """
        own = self._known_offsets()
        text = ""
        offsets: list[int] = []
        for part, start, end in parts:
            text += part
            if own:
                exact = len(part) == end - start
                offsets += own[start:end] if exact else [*[own[start]] * (len(part) - 1), own[end - 1]][-len(part) :]
        scalar = Scalar(text, text, self.style, self.start, self.end, self.layout)
        scalar._offsets = offsets
        return scalar


class Sequence(_Placed):
    """A list of nodes."""

    __slots__ = ("items",)

    def __init__(self, items: list[Node], start: int, end: int, layout: TextLayout) -> None:
        self.items = items
        self.place = start << _BITS | end
        self.layout = layout

    def __repr__(self) -> str:
        return f"Sequence({self.items!r})"

    def replaced(self, items: Iterable[Node]) -> Sequence:
        """Return a list at the same place with other items; itself if they are the same nodes."""
        new = list(items)
        if len(new) == len(self.items) and all(one is other for one, other in zip(new, self.items, strict=True)):
            return self
        return Sequence(new, self.start, self.end, self.layout)


class Entry:
    """One key of a mapping with its value."""

    __slots__ = ("key", "value")

    def __init__(self, key: Scalar, value: Node) -> None:
        self.key = key
        self.value = value


class Mapping(_Placed):
    """Keys and their values, in the order of the file. Keys are unique texts."""

    __slots__ = ("table",)

    def __init__(self, table: dict[str, Entry], start: int, end: int, layout: TextLayout) -> None:
        self.table = table
        self.place = start << _BITS | end
        self.layout = layout

    def __repr__(self) -> str:
        return f"Mapping({{{', '.join(f'{entry.key!r}: {entry.value!r}' for entry in self.entries)}}})"

    @property
    def entries(self) -> list[Entry]:
        """The keys with their values."""
        return list(self.table.values())

    def get(self, key: str) -> Node | None:
        """Return the value of a key, or None."""
        entry = self.table.get(key)
        return entry.value if entry else None

    def key(self, key: str) -> Scalar | None:
        """Return the key node of a key, or None."""
        entry = self.table.get(key)
        return entry.key if entry else None

    def replaced(self, entries: Iterable[Entry]) -> Mapping:
        """Return a mapping at the same place with other entries."""
        return Mapping({entry.key.text: entry for entry in entries}, self.start, self.end, self.layout)

    def without(self, keys: Iterable[str]) -> Mapping:
        """Return this mapping without some keys."""
        dropped = set(keys)
        table = {key: entry for key, entry in self.table.items() if key not in dropped}
        return Mapping(table, self.start, self.end, self.layout)


Node: TypeAlias = Scalar | Sequence | Mapping


def plain_data(node: Node) -> Any:
    """Return the JSON value of a node."""
    kind = type(node)
    if kind is Scalar:
        return node.value  # type: ignore[union-attr]  # `type() is` is twice as fast as isinstance, unknown to mypy
    if kind is Mapping:
        return {key: plain_data(entry.value) for key, entry in node.table.items()}  # type: ignore[union-attr]  # as above
    return [plain_data(item) for item in node.items]  # type: ignore[union-attr]  # as above


def text_at(node: _Placed, text: str, value: Any = None) -> Scalar:
    """Return a scalar that is not in the file itself, located at `node`: a normalised short form."""
    return Scalar(text if value is None else value, text, "synthetic", node.start, node.end, node.layout)


def literal(node: _Placed, value: Any) -> Node:
    """Return the node of a JSON value that is not in the file, located at `node`. It has no templates."""
    if isinstance(value, dict):
        table = {key: Entry(text_at(node, key), literal(node, item)) for key, item in value.items()}
        return Mapping(table, node.start, node.end, node.layout)
    if isinstance(value, list):
        return Sequence([literal(node, item) for item in value], node.start, node.end, node.layout)
    text = value if isinstance(value, str) else json.dumps(value)
    return Scalar(value, text, LITERAL, node.start, node.end, node.layout)


def escape_width(text: str, offset: int, style: str) -> int:
    """Return the number of characters in the file that encode the decoded character at `offset`."""
    if style == "'" and text.startswith("''", offset):
        return 2
    if style == '"' and text[offset : offset + 1] == "\\":
        return {"x": 4, "u": 6, "U": 10}.get(text[offset + 1 : offset + 2], 2)
    return 1
