"""Converts one document to Markdown. It does not import Orchestrator, and runs in a separate, limited process."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

NOISE: Final = ("script", "style", "noscript", "template", "svg", "iframe", "object", "form", "button", "dialog")
"""Elements without text for readers."""

BOILERPLATE: Final = ("nav", "header", "footer", "aside", "menu")
ROLES: Final = ("navigation", "banner", "contentinfo", "complementary", "search")


def convert_html(content: bytes, charset: str | None, url: str, *, main_only: bool) -> tuple[str, str]:
    """Return the title and the Markdown of a page; links are absolute, and only those that a browser would follow."""
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    page = BeautifulSoup(content, "html.parser", from_encoding=charset)
    base = page.find("base", href=True)
    root = urljoin(url, str(base["href"])) if base is not None else url
    title = " ".join(page.title.get_text().split()) if page.title is not None else ""
    for element in page(list(NOISE)):
        element.decompose()
    body: Tag | BeautifulSoup = page.body or page
    if main_only:
        body = _main_part(page) or body
        for element in body(list(BOILERPLATE)):
            if element.find("h1") is None:  # a `header` of an article has its title
                element.decompose()
        for element in body.select(", ".join(f"[role={role}]" for role in ROLES)):
            element.decompose()
    for element in body(["a", "img"]):
        name = "href" if element.name == "a" else "src"
        address = urljoin(root, str(element.get(name, "")))
        if urlsplit(address).scheme in ("http", "https", "mailto"):
            element[name] = address
        elif element.name == "a":
            element.unwrap()
        else:
            element.decompose()
    return title, MarkdownConverter(heading_style="atx", bullets="-").convert_soup(body)


def _main_part(page: BeautifulSoup) -> Tag | None:
    for found in map(page.select, ("main", "[role=main]", "article")):
        if len(found) == 1:
            return found[0]
    return None


def convert_document(kind: str, content: bytes) -> tuple[str, str]:
    """Return the title and the Markdown of a document of another kind."""
    import markitdown
    from markitdown import converters

    converter: Any = {
        "pdf": converters.PdfConverter,
        "docx": converters.DocxConverter,
        "pptx": converters.PptxConverter,
        "xlsx": converters.XlsxConverter,
        "epub": converters.EpubConverter,
    }[kind]
    found = converter().convert(io.BytesIO(content), markitdown.StreamInfo(extension=f".{kind}"))
    return found.title or "", found.markdown


def run_task(task: dict[str, Any]) -> dict[str, Any]:
    """Convert a document; return its title, the beginning of its text, and how long that is."""
    content = Path(task["document"]).read_bytes()
    if task["kind"] == "html":
        title, text = convert_html(content, task["charset"], task["url"], main_only=task["main_only"])
    else:
        title, text = convert_document(task["kind"], content)
    return {"title": title, "text": text[: task["longest"]], "length": len(text)}
