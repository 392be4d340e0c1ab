"""Puts the parts of a report together as one HTML page, for browsers or for paper."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.tools.reports.markdown import MarkdownReport

Theme: TypeAlias = Literal["plain", "report"]
PaperSize: TypeAlias = Literal["A4", "A5", "letter", "legal"]

_CONTENTS: Final[Mapping[str, str]] = {
    "da": "Indhold",
    "de": "Inhalt",
    "en": "Contents",
    "es": "Índice",
    "fi": "Sisällys",
    "fr": "Sommaire",
    "it": "Indice",
    "ja": "目次",
    "nl": "Inhoud",
    "pl": "Spis treści",
    "pt": "Índice",
    "sv": "Innehåll",
    "zh": "目录",
}
_SCREEN: Final = """<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; img-src https: data:">
"""


class Appearance(Struct, frozen=True):
    """What is around the text of a report, and how it looks. `css` follows the rules of the theme."""

    title: str | None = None
    author: str | None = None
    date: str | None = None
    language: str = "en"
    theme: Theme = "plain"
    contents: bool = False
    css: str = ""


def report_title(report: MarkdownReport, appearance: Appearance) -> str:
    """Return the title: as given, else the first heading."""
    return appearance.title if appearance.title is not None else report.first or "Report"


def screen_page(report: MarkdownReport, appearance: Appearance) -> str:
    """Return the page for browsers, with its styles, in light and dark mode."""
    css = f"{_style('base')}{_style(f'{appearance.theme}-screen')}{appearance.css}".replace("</", "<\\/")
    return _page(report, appearance, f"{_SCREEN}<style>\n{css}</style>\n")


def paper_page(report: MarkdownReport, appearance: Appearance) -> str:
    """Return the page to print, without styles."""
    return _page(report, appearance, "")


def paper_styles(appearance: Appearance, size: PaperSize) -> list[str]:
    """Return the style sheets to print the page with."""
    page = f"@page {{ size: {size}; }}\n"
    return [page, *map(_style, ("base", "paper", f"{appearance.theme}-paper")), appearance.css]


def _page(report: MarkdownReport, appearance: Appearance, head: str) -> str:
    title = report_title(report, appearance)
    language = appearance.language
    author = f'<meta name="author" content="{escape(appearance.author)}">\n' if appearance.author else ""
    contents = ""
    if appearance.contents:
        from orchestrator.tools.reports.markdown import contents_list

        word = _CONTENTS.get(language.partition("-")[0].lower(), _CONTENTS["en"])
        contents = contents_list(report.sections, word)
    return (
        f'<!DOCTYPE html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">\n{author}'
        f"{head}<title>{escape(title)}</title>\n</head>\n<body>\n"
        f"{_opening(report, appearance)}{contents}<main>\n{report.body()}</main>\n</body>\n</html>\n"
    )


def _opening(report: MarkdownReport, appearance: Appearance) -> str:
    """Return the block with the title, which the text begins with or which was given, the author and the date."""
    heading = report.heading or (escape(appearance.title) if appearance.title else "")
    lines = [f"<h1>{heading}</h1>"] if heading else []
    below = (("author", appearance.author), ("date", appearance.date))
    lines += [f'<p class="{name}">{escape(text)}</p>' for name, text in below if text]
    return "<header>\n{}\n</header>\n".format("\n".join(lines)) if lines else ""


@cache
def _style(name: str) -> str:
    return (Path(__file__).parent / "themes" / f"{name}.css").read_text(encoding="utf-8")
