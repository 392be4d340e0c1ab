"""Embeds the pictures of a report, which are permitted local files, so that nothing is loaded when it is read."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from orchestrator.tools.reports.markdown import MarkdownReport

LARGEST_PICTURE: Final = 20_000_000
"""The maximum size of a picture, in bytes."""

_LARGEST_SUM: Final = 60_000_000
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|//")
_STARTS: Final = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)
PICTURE_KINDS: Final = ("png", "jpeg", "gif", "webp", "svg+xml")
"""The media types of pictures in pages and PDF files, without `image/`."""

WORD_PICTURE_KINDS: Final = ("png", "jpeg", "gif")
"""The media types of pictures in Word documents, without `image/`."""


def picture_paths(report: MarkdownReport) -> Iterator[str]:
    """Yield the paths of the pictures that are local files, as they are written."""
    for picture in report.pictures:
        source = str(picture.attrs.get("src", ""))
        if source and _ADDRESS.match(source) is None:
            yield unquote(source)


def embed_pictures(
    report: MarkdownReport, read: Callable[[str], bytes], *, kinds: Sequence[str] = PICTURE_KINDS
) -> list[str]:
    """Replace the paths of local pictures by their bytes; return the addresses of those that are elsewhere.

    Args:
        report: The report, which is changed.
        read: Returns the bytes of a file, or raises StepError.
        kinds: The media types that can be shown.

    Raises:
        StepError: A file cannot be read, is not such a picture, or all of them are too large.
    """
    known: dict[str, str] = {}
    elsewhere = []
    size = 0
    for picture in report.pictures:
        source = str(picture.attrs.get("src", ""))
        if source.startswith("data:"):
            continue
        if not source or _ADDRESS.match(source):
            elsewhere.append(source)
            continue
        path = unquote(source)
        if path not in known:
            content = read(path)
            size += len(content)
            if size > _LARGEST_SUM:
                raise _invalid(f"the pictures of the report exceed {_LARGEST_SUM // 1_000_000} MB", "reduce their size")
            kind = _picture_kind(content)
            if kind not in kinds:
                what = f"is `{kind}`" if kind else "is not a picture that can be shown"
                raise _invalid(f"`{path}` {what}", f"convert it to one of {quoted_list(kinds)}")
            known[path] = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
        picture.attrSet("src", known[path])
    return elsewhere


def leave_out_pictures(report: MarkdownReport) -> None:
    """Replace the pictures that are not embedded by their texts."""
    for token in report.tokens:
        for child in token.children or ():
            if child.type == "image" and not str(child.attrs.get("src", "")).startswith("data:"):
                child.type, child.tag, child.attrs = "text", "", {}


def _picture_kind(content: bytes) -> str | None:
    for start, kind in _STARTS:
        if content.startswith(start):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    head = content[:1_000].lstrip(b"\xef\xbb\xbf \t\r\n")
    return "svg+xml" if head.startswith((b"<?xml", b"<svg", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in head else None


def _invalid(message: str, help: str) -> StepError:
    return StepError(message, code=codes.INVALID_TOOL_INPUT, help=help, retryable=False)
