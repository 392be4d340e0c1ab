"""The conversion of a document to Markdown, in a process that a hostile document cannot escape or exhaust."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.tools.documents import driver
from orchestrator.tools.sandbox.isolated_task import run_isolated

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES: Final[Mapping[str, str]] = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/epub+zip": "epub",
    "application/json": "text",
    "application/xml": "text",
}
_VAGUE: Final = frozenset({"", "application/octet-stream", "application/zip", "binary/octet-stream"})
_SUFFIXES: Final = {".htm": "html", ".html": "html", ".md": "text", ".txt": "text"} | {
    f".{kind}": kind for kind in ("pdf", "docx", "pptx", "xlsx", "epub")
}
KINDS: Final = ("html", "pdf", "docx", "pptx", "xlsx", "epub", "text")
"""The kinds of documents that can be converted."""


class MarkdownText(Struct, frozen=True):
    """A document as Markdown. `truncated`: its end is missing."""

    title: str
    text: str
    truncated: bool = False


def document_kind(media_type: str, name: str) -> str | None:
    """Return the kind of a document, by its media type, else by the suffix of its name; None if it is another."""
    media_type = media_type.strip().lower()
    if media_type in _TYPES:
        return _TYPES[media_type]
    if media_type in _VAGUE:
        return _SUFFIXES.get(os.path.splitext(name)[1].lower())  # noqa: PTH122 - a part of a URL, not a path
    return "text" if media_type.startswith("text/") or media_type.endswith(("+json", "+xml")) else None


async def to_markdown(
    content: bytes,
    kind: str,
    *,
    url: str = "",
    charset: str | None = None,
    main_only: bool = True,
    longest: int = 200_000,
    timeout: float = 60.0,  # noqa: ASYNC109 - the process must have ended before this returns
) -> MarkdownText:
    """Return a document as Markdown, at most `longest` characters.

    Raises:
        StepTimeout: The conversion took longer than `timeout` seconds and was ended.
        StepError: The document is broken, or needs too much memory.
    """
    task = {"kind": kind, "url": url, "charset": charset, "main_only": main_only, "longest": longest}
    done = await run_isolated(driver, task, doing="the conversion to Markdown", timeout=timeout, document=content)
    if done.failure:
        raise StepError(
            f"the document cannot be converted from `{kind}`: {done.failure}",
            code=codes.INVALID_TOOL_INPUT,
            help="it may be damaged, or of another kind than its server says",
            retryable=False,
        )
    text = re.sub(r"\n{3,}", "\n\n", done.outcome["text"]).strip()
    return MarkdownText(done.outcome["title"], text, truncated=done.outcome["length"] > longest)
