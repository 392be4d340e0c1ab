"""The files of the web page, which is built from `web/` into `page/`, as they are sent: read and compressed once."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from msgspec import Struct

STATIC: Final = Path(__file__).parent / "page"
INDEX: Final = "index.html"

_MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""All kinds of files that the page may have. Other files in the directory are not sent."""


class Asset(Struct, frozen=True):
    """A file of the page. `compressed` is None where that would not make it smaller."""

    content: bytes
    compressed: bytes | None
    media_type: str
    tag: str


@cache
def asset(name: str) -> Asset | None:
    """Return a file of the page by its path below the directory of the built page; None if there is none.

    `name` must be one that the page has: callers look it up among `names()`, so that the cache stays small.
    """
    path = STATIC / name
    media_type = _MEDIA_TYPES.get(path.suffix)
    if media_type is None:
        return None
    content = path.read_bytes()
    compressed = gzip.compress(content, compresslevel=9, mtime=0)
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return Asset(content, compressed if len(compressed) < len(content) else None, media_type, tag)


@cache
def names() -> frozenset[str]:
    """Return the paths of all files of the page below its directory."""
    return frozenset(path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file())
