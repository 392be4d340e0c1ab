"""Maps offsets in the text that was read to positions in the file, also after repairs."""

from __future__ import annotations

from bisect import bisect_right

from msgspec import Struct

from orchestrator.diagnostics import Position, Span
from orchestrator.text.lines import LINE_BREAK


class Edit(Struct, frozen=True, order=True):
    """A repair: the characters from `start` up to `end` are replaced by `replacement`."""

    start: int
    end: int
    replacement: str


class TextLayout:
    """Translates offsets (code points) in the text that was read into positions of the file.

    `text` is what was read: the text of the file with `edits` applied, which are in offsets of the file. `aliased`
    are the offsets of the nodes that aliases repeat.
    """

    __slots__ = ("_edits", "_original", "_places", "_shifts", "_starts", "aliased", "text")

    def __init__(self, original: str, edits: tuple[Edit, ...] = ()) -> None:
        self._original = original
        self._edits = tuple(sorted(edits))
        self._starts: list[int] | None = None
        self.aliased: set[int] = set()
        self._places: list[int] = []  # the start of each edit in `text`
        self._shifts = [0]  # the difference in length of `text` and the file before each edit, and at the end
        for edit in self._edits:
            self._places.append(edit.start + self._shifts[-1])
            self._shifts.append(self._shifts[-1] + len(edit.replacement) - (edit.end - edit.start))
        self.text = apply_edits(original, self._edits) if edits else original

    def original_offset(self, offset: int) -> int:
        """Return the offset in the file of an offset in `text`."""
        number = bisect_right(self._places, offset)
        if number == 0:
            return offset
        edit, place = self._edits[number - 1], self._places[number - 1]
        if offset < place + len(edit.replacement):
            return min(edit.start + offset - place, edit.end)
        return offset - self._shifts[number]

    def position(self, offset: int) -> Position:
        """Return the line and column in the file of an offset in `text`."""
        return self._position(self.original_offset(offset))

    def span(self, start: int, end: int) -> Span:
        """Return the span of `text[start:end]`, without white space at its end."""
        text = self.text
        end = max(start, min(end, len(text)))  # a missing node may end before it starts
        while end > start and text[end - 1] in " \t\r\n":
            end -= 1
        return self.exact_span(start, end)

    def exact_span(self, start: int, end: int) -> Span:
        """Return the span of `text[start:end]` with all its white space."""
        starts = self._starts or self._lines()
        start, end = self.original_offset(start), self.original_offset(end)
        line = bisect_right(starts, start)
        within = starts[line - 1] <= end and (line == len(starts) or end < starts[line])
        last = line if within else bisect_right(starts, end)
        return Span(Position(line, start - starts[line - 1] + 1), Position(last, end - starts[last - 1] + 1))

    def _position(self, offset: int) -> Position:
        starts = self._starts or self._lines()
        line = bisect_right(starts, offset)
        return Position(line, offset - starts[line - 1] + 1)

    def _lines(self) -> list[int]:
        self._starts = [0, *(match.end() for match in LINE_BREAK.finditer(self._original))]
        return self._starts


def apply_edits(text: str, edits: tuple[Edit, ...]) -> str:
    """Return the text with all edits made. They are sorted and do not overlap."""
    pieces = []
    done = 0
    for edit in edits:
        pieces += [text[done : edit.start], edit.replacement]
        done = edit.end
    return "".join([*pieces, text[done:]])
