"""Pages and documents as Markdown, read from a local server."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import PermissionDenied, StepError, StepTimeout
from orchestrator.tools.documents import conversion
from tests.tools.support import Workplace
from tests.tools.web_server import Server, server

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["server"]

PAGE = b"""<!DOCTYPE html>
<html><head><title>  The
 tides </title><script>alert(1)</script><style>p {}</style></head><body>
<nav><a href="/">Home</a></nav><header>Banner</header>
<main><article><header><h1>Tides</h1></header>
<p>The <b>sea</b> rises <a href="../moon?phase=full#top">with the moon</a>,
see <a href="javascript:alert(1)">this</a>.</p>
<ul><li>high</li><li>low</li></ul>
<table><tr><th>harbour</th><th>m</th></tr><tr><td>Brest</td><td>5.9</td></tr></table>
<img src="wave.png" alt="A wave"><img src="data:image/png;base64,AAAA" alt="Hidden">
<aside>Advertisement</aside><form><input><button>Send</button></form></article></main>
<footer>Imprint</footer></body></html>"""


def docx() -> bytes:
    """A Word document with a heading and a link."""
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    link = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
    text = "<w:p><w:r><w:t>The sea rises.</w:t></w:r></w:p>"
    return zipped(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
            'wordprocessingml.document.main+xml"/></Types>',
            "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            '<Relationship Id="r1" Target="word/document.xml" Type="http://schemas.openxmlformats.org/officeDocument/'
            '2006/relationships/officeDocument"/></Relationships>',
            "word/document.xml": f"<w:document {space} {link}><w:body>{text}</w:body></w:document>",
        }
    )


def epub() -> bytes:
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
            "book.opf": '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
            '<metadata><dc:title>Tides</dc:title></metadata><manifest><item id="a" href="a.xhtml" '
            'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>',
            "a.xhtml": "<html><body><p>The sea rises.</p></body></html>",
        }
    )


def zipped(files: dict[str, str]) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return found.getvalue()


def xlsx() -> bytes:
    from openpyxl import Workbook

    book, found = Workbook(), io.BytesIO()
    book.active.append(["harbour", "height"])
    book.active.append(["Brest", "The sea rises."])
    book.save(found)
    return found.getvalue()


def pptx() -> bytes:
    from pptx import Presentation

    show, found = Presentation(), io.BytesIO()
    slide = show.slides.add_slide(show.slide_layouts[5])
    slide.shapes.title.text = "The sea rises."
    show.save(found)
    return found.getvalue()


def pdf() -> bytes:
    content = b"BT /F1 24 Tf 72 700 Td (The sea rises.) Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content),
    ]
    found = b"%PDF-1.4\n"
    places = []
    for number, each in enumerate(objects, start=1):
        places.append(len(found))
        found += b"%d 0 obj\n%b\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return found + b"xref\n0 5\n0000000000 65535 f \n%btrailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(found),
    )


@pytest.fixture
def workplace(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, hosts=["127.0.0.1"])


def serve(server: Server, content: bytes, media_type: str, robots: bytes | None = None, status: int = 200) -> str:
    def reply(path: str) -> tuple[int, dict[str, str], bytes]:
        if path == "/robots.txt":
            return (404, {}, b"") if robots is None else (200, {"Content-Type": "text/plain"}, robots)
        return status, {"Content-Type": media_type}, content

    server.reply = reply
    return f"{server.url}/tides/page"


def test_a_page_is_read_without_boilerplate_and_with_its_links(server: Server, workplace: Workplace) -> None:
    found = workplace("web.read", url=serve(server, PAGE, "text/html; charset=utf-8"))
    assert found == {
        "title": "The tides",
        "url": f"{server.url}/tides/page",
        "kind": "html",
        "truncated": False,
        "content": "# Tides\n\n"
        f"The **sea** rises [with the moon]({server.url}/moon?phase=full#top),\nsee this.\n\n"
        "- high\n- low\n\n"
        "| harbour | m |\n| --- | --- |\n| Brest | 5.9 |\n\n"
        f"![A wave]({server.url}/tides/wave.png)",
    }


def test_the_whole_page_is_read_if_asked_for(server: Server, workplace: Workplace) -> None:
    found = workplace("web.read", url=serve(server, PAGE, "text/html"), main_only=False)["content"]
    assert all(text in found for text in ("Home", "Banner", "Advertisement", "Imprint", "The **sea**"))
    assert "alert(1)" not in found


@pytest.mark.parametrize(
    ("kind", "content", "media_type"),
    [
        ("docx", docx, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("pptx", pptx, "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        ("xlsx", xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("epub", epub, "application/epub+zip"),
        ("pdf", pdf, "application/pdf"),
        ("text", lambda: b"The sea rises.", "text/markdown"),
    ],
)
def test_documents_are_read(kind: str, content: Any, media_type: str, server: Server, workplace: Workplace) -> None:
    found = workplace("web.read", url=serve(server, content(), media_type))
    assert found["kind"] == kind
    assert "The sea rises." in found["content"]


@pytest.mark.parametrize("charset", ["iso-8859-1", "no-such-charset"])
def test_a_page_in_another_charset_is_read(charset: str, server: Server, workplace: Workplace) -> None:
    page = '<html><head><meta charset="iso-8859-1"></head><body><p>Flut in Süderhöft</p></body></html>'
    url = serve(server, page.encode("iso-8859-1"), f"text/html; charset={charset}")
    assert workplace("web.read", url=url)["content"] == "Flut in Süderhöft"


def test_what_robots_txt_excludes_is_refused(server: Server, workplace: Workplace) -> None:
    url = serve(server, PAGE, "text/html", robots=b"User-agent: *\nDisallow: /tides/*\nAllow: /\n")
    with pytest.raises(StepError, match="must not be read by programs") as refused:
        workplace("web.read", url=url)
    assert not refused.value.retryable
    assert [path for _, path, _, _ in server.asked] == ["/robots.txt"]
    assert workplace("web.read", url=url, robots=False)["title"] == "The tides"
    url = serve(server, PAGE, "text/html", robots=b"User-agent: other\nDisallow: /\n")
    assert workplace("web.read", url=url)["title"] == "The tides"


def test_a_redirect_to_what_robots_txt_excludes_is_refused(server: Server, workplace: Workplace) -> None:
    def reply(path: str) -> tuple[int, dict[str, str], bytes]:
        if path == "/robots.txt":
            return 200, {}, b"User-agent: *\nDisallow: /private\n"
        return (
            (200, {"Content-Type": "text/html"}, PAGE) if path == "/private" else (302, {"Location": "/private"}, b"")
        )

    server.reply = reply
    with pytest.raises(StepError, match="must not be read by programs"):
        workplace("web.read", url=f"{server.url}/public")


def test_a_site_whose_rules_cannot_be_read_is_not_read(server: Server, workplace: Workplace) -> None:
    server.answers(b"", 503)
    with pytest.raises(StepError, match="returned 503") as refused:
        workplace("web.read", url=f"{server.url}/page")
    assert refused.value.retryable


def test_large_documents_and_long_texts_are_bounded(server: Server, workplace: Workplace) -> None:
    url = serve(server, b"<p>" + b"word " * 1000 + b"</p>", "text/html")
    with pytest.raises(StepError, match="longer than the limit of 100 bytes"):
        workplace("web.read", url=url, max_bytes=100, robots=False)
    found = workplace("web.read", url=url, max_characters=20)
    assert (found["content"], found["truncated"]) == ("word word word word", True)


def test_a_broken_document_and_another_kind_are_errors(server: Server, workplace: Workplace) -> None:
    with pytest.raises(StepError, match="cannot be converted from `pdf`") as refused:
        workplace("web.read", url=serve(server, b"no PDF", "application/pdf"))
    assert not refused.value.retryable
    with pytest.raises(StepError, match="`image/png`, which cannot be read as text"):
        workplace("web.read", url=serve(server, b"x", "image/png"))
    with pytest.raises(StepError, match="returned 404"):
        workplace("web.read", url=serve(server, b"", "text/html", status=404))


def test_a_conversion_has_limits(
    server: Server, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = tmp_path / "driver.py"
    monkeypatch.setattr(conversion.driver, "__file__", str(driver))
    url = serve(server, PAGE, "text/html")
    driver.write_text("import time\ntime.sleep(600)\n")
    with pytest.raises(StepTimeout, match="took longer than 2 s"):
        workplace("web.read", url=url, timeout=2)
    driver.write_text("import os\nos.abort()\n")
    with pytest.raises(StepError, match="the process ended with status"):
        workplace("web.read", url=url)


def test_a_private_host_must_be_allowed(server: Server, tmp_path: Path) -> None:
    with pytest.raises(PermissionDenied):
        Workplace(tmp_path)("web.read", url=serve(server, PAGE, "text/html"))
    assert server.asked == []
