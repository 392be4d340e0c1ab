"""Reports from Markdown: pages, PDF files and Word documents, read back as a reader would."""

from __future__ import annotations

import builtins
import io
import struct
import zlib
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import docx
import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import codes
from orchestrator.errors import PermissionDenied, StepError, StepTimeout
from orchestrator.tools.reports import conversion, docx_driver, pdf_driver
from orchestrator.tools.reports.markdown import read_markdown
from orchestrator.tools.reports.pages import Appearance, paper_page, screen_page
from orchestrator.tools.reports.pictures import leave_out_pictures
from tests.tools.web_server import Server, server

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.support import Workplace

__all__ = ["server"]

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"

TEXT = """# Tides & currents

## Summary

The sea rises[^1] and **falls**. See the [method](#the-method).

| harbour | m |
| - | -: |
| Brest | 5.9 |

## The method

![A wave](wave.png "A wave at Brest")

### Details

More.

## The method

[^1]: Twice a day.
"""


def png() -> bytes:
    """A red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


@pytest.fixture
def workplace(workplace: Workplace) -> Workplace:
    (workplace.directory / "wave.png").write_bytes(png())
    return workplace


def pages(path: Path) -> list[str]:
    """The text of each page."""
    document = pypdfium2.PdfDocument(path)
    try:
        return [page.get_textpage().get_text_bounded() for page in document]
    finally:
        document.close()


class Elements(HTMLParser):
    """The elements of a page, and everything that could load or run something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_page_has_nothing_that_runs(workplace: Workplace) -> None:
    markdown = "# Results & more\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))\n\n|a|b|\n|-|-|\n|1|2|\n"
    done = workplace("report.html", markdown=markdown, path="out/report.html")
    assert done["title"] == "Results & more"
    assert "<title>Results &amp; more</title>" in done["html"]
    assert "<td>1</td>" in done["html"]
    assert "<script" not in done["html"]
    assert 'href="javascript' not in done["html"]
    assert (workplace.directory / "out" / "report.html").read_text() == done["html"]
    with pytest.raises(PermissionDenied):
        workplace("report.html", markdown="x", path="../report.html")


PIECES = st.sampled_from(
    [
        *("<script>", "</style>", "<img src=x onerror=a>", "# ", "\n", "\n\n", "[^1]", "[^1]: ", "![", "](", ")", '"'),
        *("javascript:a", "data:text/html,x", "data:image/svg+xml,<svg>", "file:///etc/passwd", "`", "|", "- ", "*"),
        *("<!--", "-->", "&lt;script&gt;", "<https://a.example>", "[a]: javascript:b", "> ", "    ", "a"),
    ]
)


@given(st.lists(PIECES, max_size=25).map("".join), st.lists(PIECES, max_size=4).map("".join))
def test_no_text_adds_elements_or_addresses_that_run_or_load_files(text: str, other: str) -> None:
    appearance = Appearance(other, other, other, other, "report", contents=True, css=other)
    for tag, attributes in Elements(screen_page(read_markdown(text), appearance)).found:
        assert tag not in {"script", "iframe", "object", "embed", "link", "base", "form", "svg", "video"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("href", "src"):
            scheme = (attributes.get(name) or "").strip().lower().partition(":")[0]
            assert scheme not in {"javascript", "vbscript", "file"}
            assert not (attributes.get(name) or "").startswith(("data:text", "data:image/svg"))


def test_the_title_is_that_with_which_the_text_begins_else_the_given_one(workplace: Workplace) -> None:
    def heading(**parameters: Any) -> tuple[str, int]:
        done = workplace("report.html", **parameters)
        return done["title"], done["html"].count("<h1")

    assert heading(markdown="# A *b*\n\n# C") == ("A b", 2)
    assert heading(markdown="# A", title="B") == ("B", 1)
    assert heading(markdown="text\n\n## C", title="<b>") == ("<b>", 1)
    assert heading(markdown="text\n\n## C") == ("C", 0)
    assert heading(markdown="text") == ("Report", 0)


def test_a_page_has_contents_figures_and_footnotes(workplace: Workplace) -> None:
    page = workplace(
        "report.html", markdown=TEXT, contents=True, theme="report", language="de", author="Ada", date="1.12.2026"
    )["html"]
    elements = Elements(page).found
    anchors = {attributes["id"] for _, attributes in elements if "id" in attributes}
    assert {"summary", "the-method", "details", "the-method-2"} <= anchors
    links = [attributes["href"] or "" for tag, attributes in elements if tag == "a"]
    assert links[:4] == ["#summary", "#the-method", "#details", "#the-method-2"]
    assert {link.removeprefix("#") for link in links} <= anchors
    assert ">Inhalt<" in page
    assert '<html lang="de">' in page
    assert '<p class="author">Ada</p>\n<p class="date">1.12.2026</p>' in page
    assert "<figcaption>A wave at Brest</figcaption>" in page
    (picture,) = [attributes["src"] for tag, attributes in elements if tag == "img"]
    assert (picture or "").startswith("data:image/png;base64,")
    assert "Twice a day." in page.partition('<section class="footnotes">')[2]


@pytest.mark.parametrize("theme", ["plain", "report"])
def test_a_pdf_has_pages_contents_bookmarks_and_metadata(theme: str, workplace: Workplace) -> None:
    done = workplace("report.pdf", markdown=TEXT, path="out/a.pdf", theme=theme, contents=True, author="Ada Lovelace")
    path = workplace.directory / "out" / "a.pdf"
    assert done == {
        "path": "out/a.pdf",
        "title": "Tides & currents",
        "pages": 1 if theme == "plain" else 3,
        "size": path.stat().st_size,
    }
    assert workplace.context.written == [path]
    assert workplace.context.lines == []
    texts = pages(path)
    assert len(texts) == done["pages"]
    assert "Tides & currents" in texts[0]
    assert "Ada Lovelace" in texts[0]
    assert "Brest 5.9" in texts[-1]
    assert f"{len(texts)} / {len(texts)}" in texts[-1]
    (line,) = [line for text in texts for line in text.splitlines() if line.startswith("Summary .")]
    assert line.rpartition(".")[2].strip() == str(len(texts))
    document = pypdfium2.PdfDocument(path)
    assert document.get_metadata_dict()["Title"] == "Tides & currents"
    assert document.get_metadata_dict()["Author"] == "Ada Lovelace"
    assert [each.get_title() for each in document.get_toc()][:3] == ["Tides & currents", "Summary", "The method"]
    assert document.is_tagged()
    kinds = [each.type for page in document for each in page.get_objects(max_depth=5)]
    assert kinds.count(pypdfium2.raw.FPDF_PAGEOBJ_IMAGE) == 1
    document.close()


def test_the_same_text_is_the_same_file(workplace: Workplace) -> None:
    for name in ("a.pdf", "b.pdf"):
        workplace("report.pdf", markdown=TEXT, path=name)
    assert (workplace.directory / "a.pdf").read_bytes() == (workplace.directory / "b.pdf").read_bytes()


def test_the_size_of_the_pages_and_rules_of_css_are_chosen(workplace: Workplace) -> None:
    workplace(
        "report.pdf", markdown="a\n\nb", path="a.pdf", theme="plain", paper="letter", css="p { break-after: page }"
    )
    document = pypdfium2.PdfDocument(workplace.directory / "a.pdf")
    assert [document.get_page_size(number) for number in range(len(document))] == [(612, 792)] * 2
    document.close()
    assert "p { color: red }" in workplace("report.html", markdown="a", css="p { color: red }")["html"]


def test_a_rule_that_is_wrong_is_said_in_the_log(workplace: Workplace) -> None:
    workplace("report.pdf", markdown="[a](#nowhere)", path="a.pdf", css="p { colour: red }")
    assert [level for level, _ in workplace.context.lines] == ["warning", "warning"]
    assert "colour" in workplace.context.lines[0][1]
    assert "nowhere" in workplace.context.lines[1][1]


@pytest.mark.parametrize("action", ["html", "pdf", "docx"])
def test_pictures_are_permitted_files(action: str, workplace: Workplace) -> None:
    (workplace.directory.parent / "secret.png").write_bytes(png())
    (workplace.directory / "link.png").symlink_to(workplace.directory.parent / "secret.png")
    for path in ("../secret.png", "link.png", "%2e%2e/secret.png", "/etc/hostname"):
        with pytest.raises(PermissionDenied):
            workplace(f"report.{action}", markdown=f"![a]({path})", path="out")
    (workplace.directory / "text.png").write_text("secret")
    with pytest.raises(StepError, match=r"`text.png` is not a picture"):
        workplace(f"report.{action}", markdown="![a](text.png)", path="out")
    with pytest.raises(StepError, match=r"cannot read `none.png`: no such file"):
        workplace(f"report.{action}", markdown="![a](none.png)", path="out")
    assert not (workplace.directory / "out").exists()


def test_a_pdf_loads_nothing_from_the_network_or_from_files(server: Server, workplace: Workplace) -> None:
    secret = workplace.directory.parent / "secret.png"
    secret.write_bytes(png())
    server.answers(png(), Content_Type="image/png")
    elsewhere = (server.url, secret.as_uri(), str(secret))
    images = "".join(f'<image href="{each}/a.png" width="9" height="9"/>' for each in elsewhere)
    (workplace.directory / "a.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><style>@import "{server.url}/b.css";</style>'
        f"{images}<script>alert(1)</script></svg>"
    )
    css = "".join(
        f'@import "{each}/c.css"; @font-face {{ font-family: a; src: url({each}) }} '
        f"p {{ background: url({each}); font-family: a }} li::before {{ content: url({each}) }} "
        for each in elsewhere
    )
    workplace("report.pdf", markdown=f"a ![svg](a.svg) ![the remote]({server.url}/d.png)\n\n- b", path="a.pdf", css=css)
    assert server.asked == []
    document = pypdfium2.PdfDocument(workplace.directory / "a.pdf")
    kinds = [each.type for page in document for each in page.get_objects(max_depth=5)]
    document.close()
    assert pypdfium2.raw.FPDF_PAGEOBJ_IMAGE not in kinds
    assert "the remote" in pages(workplace.directory / "a.pdf")[0]
    assert any(f"{server.url}/d.png is not loaded" in line for _, line in workplace.context.lines)


def test_a_word_document_has_the_styles_of_word(workplace: Workplace) -> None:
    markdown = (
        TEXT + "\n1. a\n\n   more\n2. b\n    - c\n    - d\n\nThen:\n\n1. e\n\n```\nx = 1\ny = 2\n```\n\n> quoted\n"
    )
    done = workplace("report.docx", markdown=markdown, path="out/a.docx", contents=True, author="Ada Lovelace")
    path = workplace.directory / "out" / "a.docx"
    assert done == {"path": "out/a.docx", "title": "Tides & currents", "size": path.stat().st_size}
    document = docx.Document(str(path))
    found = [(each.style.name if each.style else "", each.text) for each in document.paragraphs if each.text]
    assert found == [
        ("Title", "Tides & currents"),
        ("Subtitle", "Ada Lovelace"),
        ("TOC Heading", "Contents"),
        *(("No Spacing", text) for text in ("Summary", "The method", "Details", "The method")),
        ("Heading 2", "Summary"),
        ("Normal", "The sea rises[1] and falls. See the method."),
        ("Heading 2", "The method"),
        ("Caption", "A wave at Brest"),
        ("Heading 3", "Details"),
        ("Normal", "More."),
        ("Heading 2", "The method"),
        ("List Number", "a"),
        ("List Continue", "more"),
        ("List Number", "b"),
        ("List Bullet 2", "c"),
        ("List Bullet 2", "d"),
        ("Normal", "Then:"),
        ("List Number", "e"),
        ("No Spacing", "x = 1\ny = 2"),
        ("Intense Quote", "quoted"),
        ("List Number", "Twice a day."),
    ]
    (table,) = document.tables
    assert [[cell.text for cell in row.cells] for row in table.rows] == [["harbour", "m"], ["Brest", "5.9"]]
    assert len(document.inline_shapes) == 1
    assert (document.core_properties.title, document.core_properties.author) == ("Tides & currents", "Ada Lovelace")
    numbers = [each.find(f".//{{{WORD}}}numId") for each in document.element.body.iter(f"{{{WORD}}}pPr")]
    assert len({each.get(f"{{{WORD}}}val") for each in numbers if each is not None}) == 3, "each list begins at 1"
    names = {each.get(f"{{{WORD}}}name") for each in document.element.iter(f"{{{WORD}}}bookmarkStart")}
    links = {each.get(f"{{{WORD}}}anchor") for each in document.element.iter(f"{{{WORD}}}hyperlink")}
    assert links <= names


@given(st.lists(PIECES, max_size=25).map("".join))
def test_every_text_becomes_a_word_document(text: str) -> None:
    report = read_markdown(text)
    leave_out_pictures(report)
    words = docx.Document()
    writer = docx_driver.DocumentWriter(words, 1_000_000)
    writer.feed(paper_page(report, Appearance(contents=True)))
    writer.close()
    words.save(io.BytesIO())


def test_a_word_document_holds_pictures_that_word_shows(workplace: Workplace) -> None:
    (workplace.directory / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    with pytest.raises(StepError, match=r"`a.svg` is `svg") as refused:
        workplace("report.docx", markdown="![a](a.svg)", path="a.docx")
    assert "`png`" in (refused.value.help or "")
    (workplace.directory / "broken.png").write_bytes(png()[:9])
    with pytest.raises(StepError, match="cannot be converted to DOCX"):
        workplace("report.docx", markdown="![a](broken.png)", path="a.docx")
    workplace("report.docx", markdown="a ![the remote](https://example.org/a.png)", path="a.docx")
    assert docx.Document(str(workplace.directory / "a.docx")).paragraphs[0].text == "a the remote"
    assert "is not loaded" in workplace.context.lines[0][1]


def test_a_pdf_has_limits(workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StepError, match="has 3 pages, and `max_pages` is 2"):
        workplace("report.pdf", markdown="a\n\nb\n\nc", path="a.pdf", css="p { break-after: page }", max_pages=2)
    with pytest.raises(StepError, match="characters, of 5,000,000 at most"):
        workplace("report.pdf", markdown="a" * 5_000_001, path="a.pdf")
    (workplace.directory / "large.png").write_bytes(png() + b"\0" * 20_000_000)
    with pytest.raises(StepError, match=r"`large.png`"):
        workplace("report.pdf", markdown="![a](large.png)", path="a.pdf")
    driver = tmp_path / "driver.py"
    monkeypatch.setattr(conversion.pdf_driver, "__file__", str(driver))
    driver.write_text("import time\ntime.sleep(600)\n")
    with pytest.raises(StepTimeout, match="took longer than 1 s"):
        workplace("report.pdf", markdown="a", path="a.pdf", timeout=1)
    driver.write_text("import os\nos.abort()\n")
    with pytest.raises(StepError, match="the process ended with status"):
        workplace("report.pdf", markdown="a", path="a.pdf")
    assert not (workplace.directory / "a.pdf").exists()


def test_a_missing_library_is_an_error_with_the_command(
    workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_pango(name: str, *others: Any) -> Any:
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'\nmore")
        return real(name, *others)

    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", without_pango)
        outcome = pdf_driver.run_task({})
    assert outcome == {"missing": "cannot load library 'libpango-1.0-0'"}
    driver = tmp_path / "driver.py"
    driver.write_text(f"def run_task(task):\n    return {outcome!r}\n")
    monkeypatch.setattr(conversion.pdf_driver, "__file__", str(driver))
    with pytest.raises(StepError, match="Pango, which is not installed: cannot load library") as refused:
        workplace("report.pdf", markdown="a", path="a.pdf")
    assert (refused.value.code, refused.value.retryable) == (codes.EXTRA_MISSING, False)
    assert "apt-get install libpango-1.0-0" in (refused.value.help or "")
