"""Reads the Markdown of a report: its title, its sections, its figures, and its body as HTML without scripts."""

from __future__ import annotations

import re
import unicodedata
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_HEADING: Final = ("heading_open", "inline", "heading_close")
_CONTENTS_DEPTH: Final = 3


class ReportSection(Struct, frozen=True):
    """A heading below the title. `depth` starts at 0; `anchor` is the id of its element."""

    depth: int
    text: str
    anchor: str


class MarkdownReport(Struct):
    """A report as tokens, which `body` renders.

    `heading` is the HTML of the heading of level 1 with which it begins, or empty. `first` is the text of its first
    heading, or empty.
    """

    tokens: list[Token]
    heading: str
    first: str
    sections: list[ReportSection]

    @property
    def pictures(self) -> Iterator[Token]:
        """The tokens of its pictures."""
        for token in self.tokens:
            yield from (child for child in token.children or () if child.type == "image")

    def body(self) -> str:
        """Return its text as HTML, without the heading with which it begins."""
        parser = _parser()
        return str(parser.renderer.render(self.tokens, parser.options, {}))


def read_markdown(text: str) -> MarkdownReport:
    """Parse a text. HTML in it is escaped."""
    parser = _parser()
    environment: dict[str, object] = {}
    tokens = parser.parse(text, environment)
    headings = _add_anchors(tokens)
    _add_figures(tokens)
    heading = ""
    if tuple(token.type for token in tokens[:3]) == _HEADING and tokens[0].tag == "h1":
        heading = parser.renderer.render(tokens[1:2], parser.options, environment)
        del tokens[:3]
    first = headings[0][1] if headings else ""
    return MarkdownReport(tokens, heading, first, _sections(headings[1:] if heading else headings))


def contents_list(sections: Sequence[ReportSection], title: str) -> str:
    """Return a table of contents as HTML; empty without sections."""
    if not sections:
        return ""
    lines = "".join(
        f'<li class="depth-{section.depth}"><a href="#{escape(section.anchor)}">{escape(section.text)}</a></li>\n'
        for section in sections
    )
    return f'<nav class="contents">\n<p class="contents-title">{escape(title)}</p>\n<ol>\n{lines}</ol>\n</nav>\n'


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.use(footnote_plugin, inline=False)
    parser.add_render_rule("footnote_block_open", _footnotes_open)
    return parser


def _footnotes_open(*_: object) -> str:
    return '<section class="footnotes">\n<ol>\n'


def _add_anchors(tokens: Sequence[Token]) -> list[tuple[int, str, str]]:
    """Give each heading an id, and return their levels, texts and ids."""
    found: list[tuple[int, str, str]] = []
    taken: set[str] = set()
    counts: dict[str, int] = {}
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            text = _plain(inline.children or ())
            anchor = stem = _slug(text)
            while anchor in taken:
                counts[stem] = counts.get(stem, 1) + 1
                anchor = f"{stem}-{counts[stem]}"
            taken.add(anchor)
            opening.attrSet("id", anchor)
            found.append((int(opening.tag[1:]), text, anchor))
    return found


def _plain(tokens: Sequence[Token]) -> str:
    """Return the text of inline tokens without its formatting."""
    words = (" " if token.type in ("softbreak", "hardbreak") else token.content for token in tokens)
    return " ".join("".join(words).split())


def _slug(text: str) -> str:
    words = re.sub(r"[^\w\s-]", "", unicodedata.normalize("NFC", text).lower())
    return re.sub(r"[\s_]+", "-", words).strip("-") or "section"


def _sections(headings: Sequence[tuple[int, str, str]]) -> list[ReportSection]:
    top = min((level for level, _, _ in headings), default=1)
    return [
        ReportSection(level - top, text, anchor) for level, text, anchor in headings if level - top < _CONTENTS_DEPTH
    ]


def _add_figures(tokens: Sequence[Token]) -> None:
    """Turn each paragraph that is only a picture into a figure; its caption is the picture's title, or its text."""
    for opening, inline, closing in zip(tokens, tokens[1:], tokens[2:], strict=False):
        children = inline.children or []
        if opening.type == "paragraph_open" and len(children) == 1 and children[0].type == "image":
            opening.tag = closing.tag = "figure"
            opening.hidden = closing.hidden = False
            caption = str(children[0].attrs.pop("title", "") or children[0].content)
            if caption:
                inline.children = [
                    *children,
                    Token("figcaption_open", "figcaption", 1),
                    Token("text", "", 0, content=caption),
                    Token("figcaption_close", "figcaption", -1),
                ]
