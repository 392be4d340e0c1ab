"""Writes one page as a Word document. It does not import Orchestrator, and runs in a separate, limited process.

The page is one that `pages` made, so only its elements are known here. Nothing is loaded: pictures are in the page.
"""

from __future__ import annotations

import base64
import datetime
import io
from html.parser import HTMLParser
from typing import Any, Final

_MARKS: Final = ("strong", "em", "s", "code", "sup")
_DEEPEST: Final = 3
_SIZES: Final = {"A4": (210, 297), "A5": (148, 210), "letter": (215.9, 279.4), "legal": (215.9, 355.6)}
_MARGIN: Final = 22


class DocumentWriter(HTMLParser):
    """Adds the elements of a page to a document, in one pass."""

    def __init__(self, document: Any, width: int) -> None:
        super().__init__()
        self.document, self.width = document, width
        self.paragraph: Any = None
        self.open: list[str] = []
        self.lists: list[Any] = []  # the numbering of each open list; None for bullets
        self.link: Any = None
        self.rows: list[list[Any]] = []
        self.anchors: dict[str, str] = {}
        self.space = ""  # not written at the end of a block
        self.left_out = 0  # how many open elements are not written

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin an element."""
        given = {name: value or "" for name, value in attrs}
        if tag in ("head", "title") or given.get("class") == "footnote-backref":
            self.left_out += 1
        if self.left_out:
            return
        self._end_of_words(tag)
        if tag == "img":
            self._picture(given)
        elif tag == "br":
            self._run("\n")
        elif tag == "hr":
            self.document.add_paragraph("⁂").alignment = 1
        else:
            self.open.append(tag)
            self._begin(tag, given)

    def _begin(self, tag: str, given: dict[str, str]) -> None:
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            style = "Title" if "header" in self.open else f"Heading {tag[1:]}"
            self.paragraph = self.document.add_paragraph(style=style)
        elif tag in ("ul", "ol"):
            self.paragraph = None
            self.lists.append(self._numbering() if tag == "ol" and "nav" not in self.open else None)
        elif tag == "li":
            self.paragraph = self._item(given)
        elif tag in ("p", "figure", "pre", "figcaption"):
            if tag != "p" or self.paragraph is None or "li" not in self.open:
                self.paragraph = self._text_paragraph(tag, given)
        elif tag == "table":
            self.rows = []
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append((tag, given.get("style", ""), []))
        elif tag == "a":
            self.link = self._hyperlink(given.get("href", ""))
        if "id" in given and self.paragraph is not None:
            self._bookmark(given["id"])

    def handle_endtag(self, tag: str) -> None:
        """End an element."""
        if self.left_out:
            self.left_out -= tag in ("head", "title", "a")
            return
        self._end_of_words(tag)
        if tag in self.open:
            del self.open[len(self.open) - 1 - self.open[::-1].index(tag) :]
        if tag in ("ul", "ol"):
            self.lists.pop()
        if tag == "a":
            self.link = None
        if tag == "table":
            self._table()
        if tag in ("p", "li", "pre", "figure", "h1", "h2", "h3", "h4", "h5", "h6"):
            self.paragraph = None

    def handle_data(self, data: str) -> None:
        """Add text."""
        if self.left_out or (self.paragraph is None and not self._cell() and not data.strip()):
            return
        if "pre" in self.open:
            self._run(data.removesuffix("\n"))
        else:
            text = data.replace("\n", " ")
            kept = text.rstrip(" ")
            if kept:
                self._run(self.space + kept)
                self.space = ""
            self.space = " " if len(text) > len(kept) else self.space

    def _end_of_words(self, tag: str) -> None:
        """Write the space before an inline element with the formatting that it has; drop that before a block."""
        if self.space and tag in (*_MARKS, "a", "img"):
            self._run(self.space)
        self.space = ""

    def _cell(self) -> list[Any] | None:
        found: list[Any] | None = self.rows[-1][-1][2] if "td" in self.open or "th" in self.open else None
        return found

    def _run(self, text: str) -> None:
        marks: set[str] = {mark for mark in _MARKS if mark in self.open}
        if (cell := self._cell()) is not None:
            cell.append((text, marks))
            return
        if self.paragraph is None:
            self.paragraph = self._text_paragraph("p", {})
        add_run(self.paragraph, text, marks, self.link)

    def _text_paragraph(self, tag: str, given: dict[str, str]) -> Any:
        from docx.shared import Pt

        style = {"pre": "No Spacing", "figcaption": "Caption"}.get(tag)
        if "header" in self.open:
            style = "Subtitle"
        elif given.get("class") == "contents-title":
            style = "TOC Heading"
        elif "blockquote" in self.open:
            style = "Intense Quote"
        elif tag == "p" and self.lists:
            depth = min(len(self.lists), _DEEPEST)
            style = "List Continue" if depth == 1 else f"List Continue {depth}"
        paragraph = self.document.add_paragraph(style=style)
        if tag == "pre":
            paragraph.paragraph_format.space_after = Pt(10)
        if tag in ("figure", "figcaption"):
            paragraph.alignment = 1
        return paragraph

    def _item(self, given: dict[str, str]) -> Any:
        from docx.shared import Mm

        if "nav" in self.open:
            paragraph = self.document.add_paragraph(style="No Spacing")
            paragraph.paragraph_format.left_indent = Mm(7 * int(given.get("class", "depth-0")[-1]))
            return paragraph
        depth = min(len(self.lists), _DEEPEST)
        numbering = self.lists[-1]
        name = "List Number" if numbering is not None else "List Bullet"
        paragraph = self.document.add_paragraph(style=name if depth == 1 else f"{name} {depth}")
        if numbering is not None:
            properties = paragraph._p.get_or_add_pPr().get_or_add_numPr()
            properties.get_or_add_numId().val = numbering
            properties.get_or_add_ilvl().val = 0
        return paragraph

    def _numbering(self) -> int:
        """Return a numbering that begins at 1."""
        depth = min(len(self.lists) + 1, _DEEPEST)
        style = self.document.styles["List Number" if depth == 1 else f"List Number {depth}"]
        numbering = self.document.part.numbering_part.element
        used = style.element.pPr.numPr.numId.val
        made = numbering.add_num(numbering.num_having_numId(used).abstractNumId.val)
        made.add_lvlOverride(ilvl=0).add_startOverride(1)
        return int(made.numId)

    def _picture(self, given: dict[str, str]) -> None:
        if self.paragraph is None or self._cell() is not None:
            self._run(given.get("alt", ""))
            return
        content = base64.b64decode(given["src"].partition(",")[2])
        shape = self.paragraph.add_run().add_picture(io.BytesIO(content))
        if shape.width > self.width:
            shape.height = int(shape.height * self.width / shape.width)
            shape.width = self.width
        shape._inline.docPr.set("descr", given.get("alt", ""))
        for side in "TBLR":
            shape._inline.set(f"dist{side}", "0")  # LibreOffice's default shifts the picture

    def _table(self) -> None:
        if not self.rows:
            return
        table = self.document.add_table(rows=len(self.rows), cols=len(self.rows[0]), style="Table Grid")
        for row, cells in zip(table.rows, self.rows, strict=True):
            for place, (tag, style, runs) in zip(row.cells, cells, strict=False):
                paragraph = place.paragraphs[0]
                paragraph.alignment = {"text-align:right": 2, "text-align:center": 1}.get(style)
                for text, marks in runs:
                    add_run(paragraph, text, marks | {"strong"} if tag == "th" else marks, None)
        self.document.add_paragraph(style="No Spacing")
        self.rows = []

    def _hyperlink(self, address: str) -> Any:
        from docx.opc.constants import RELATIONSHIP_TYPE
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn

        if self.paragraph is None or self._cell() is not None:
            return None
        link = OxmlElement("w:hyperlink")
        if address.startswith("#"):
            link.set(qn("w:anchor"), self._name(address[1:]))
        elif address.lower().startswith(("http://", "https://", "mailto:")):
            kept = self.document.part.relate_to(address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True)
            link.set(qn("r:id"), kept)
        else:
            return None
        self.paragraph._p.append(link)
        return link

    def _bookmark(self, anchor: str) -> None:
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn

        for end in ("Start", "End"):
            mark = OxmlElement(f"w:bookmark{end}")
            name = self._name(anchor)
            mark.set(qn("w:id"), name[1:])
            if end == "Start":
                mark.set(qn("w:name"), name)
            self.paragraph._p.append(mark)

    def _name(self, anchor: str) -> str:
        """Return the name of a bookmark; Word limits their letters and lengths."""
        return self.anchors.setdefault(anchor, f"a{len(self.anchors) + 1}")


def add_run(paragraph: Any, text: str, marks: set[str], link: Any) -> None:
    """Add text with its formatting, as a part of a link if there is one."""
    from docx.shared import RGBColor

    run = paragraph.add_run("".join(letter for letter in text if letter.isprintable() or letter in "\n\t"))
    run.bold, run.italic = "strong" in marks or None, "em" in marks or None
    run.font.strike, run.font.superscript = "s" in marks or None, "sup" in marks or None
    if "code" in marks:
        run.font.name = "Consolas"
    if link is not None:
        run.font.color.rgb = RGBColor(0x1F, 0x4E, 0x79)
        run.font.underline = "sup" not in marks
        link.append(run._r)


def run_task(task: dict[str, Any]) -> dict[str, Any]:
    """Write the Word document."""
    import docx
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import Mm

    document = docx.Document()
    section = document.sections[0]
    width, height = _SIZES[task["paper"]]
    section.page_width, section.page_height = Mm(width), Mm(height)
    section.left_margin = section.right_margin = section.top_margin = section.bottom_margin = Mm(_MARGIN)
    about, now = document.core_properties, datetime.datetime.now(datetime.UTC)
    about.title, about.author, about.language = task["title"], task["author"] or "", task["language"]
    about.created, about.modified, about.comments = now, now, ""
    footer = section.footer.paragraphs[0]
    footer.alignment = 1
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), "PAGE")
    footer._p.append(field)
    writer = DocumentWriter(document, Mm(width - 2 * _MARGIN))
    writer.feed(task["page"])
    writer.close()
    document.save(task["target"])
    return {}
