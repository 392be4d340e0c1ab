"""The text of a prompt that is in files: one text, each of whose characters has its place in one of the files."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.diagnostics import Position, Source, SourceSpan, Span
from orchestrator.language.yaml.layout import TextLayout
from orchestrator.language.yaml.nodes import Scalar

if TYPE_CHECKING:
    from collections.abc import Sequence

_STYLE: Final = "file"
"""The style of a scalar that is the text of a file: each character is written as it is."""


class PromptPart(Struct, frozen=True):
    """A part of a file: `text` begins at `offset` in its source."""

    source: Source
    text: str
    offset: int


class PromptLayout(TextLayout):
    """Places in the text that the parts make together. There is at least one part."""

    __slots__ = ("_begins", "_layouts", "_parts")

    def __init__(self, parts: Sequence[PromptPart]) -> None:
        super().__init__("".join(part.text for part in parts))
        self._parts = tuple(parts)
        self._layouts: dict[int, TextLayout] = {}
        self._begins: list[int] = []
        begin = 0
        for part in parts:
            self._begins.append(begin)
            begin += len(part.text)

    def exact_span(self, start: int, end: int) -> Span:
        """Return the span of `text[start:end]` in the file where it begins, up to the end of that part."""
        number = max(bisect_right(self._begins, start) - 1, 0)
        part, begin = self._parts[number], self._begins[number]
        layout = self._layouts.get(id(part.source))
        if layout is None:
            layout = self._layouts[id(part.source)] = TextLayout(part.source.text)
        last = min(max(end - begin, start - begin), len(part.text))
        span = layout.exact_span(part.offset + start - begin, part.offset + last)
        return SourceSpan(span.start, span.end, part.source)

    def position(self, offset: int) -> Position:
        """Return the line and column of an offset, in the file that it is in."""
        return self.exact_span(offset, offset).start


def prompt_scalar(parts: Sequence[PromptPart]) -> Scalar:
    """Return the node of a prompt that consists of these parts."""
    layout = PromptLayout(parts)
    return Scalar(layout.text, layout.text, _STYLE, 0, len(layout.text), layout)
