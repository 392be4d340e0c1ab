"""The media types of files, by how they begin."""

from __future__ import annotations

import re
from typing import Final

BEGINNINGS: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "audio/wav"),
    (re.compile(rb"%PDF-"), "application/pdf"),
    (re.compile(rb"ID3[\x02-\x04]|\xff[\xfb\xf3\xf2]"), "audio/mpeg"),
    (re.compile(rb"OggS\0"), "audio/ogg"),
    (re.compile(rb"fLaC[\0\x80]"), "audio/flac"),
    (re.compile(rb"....ftyp(?:heic|heix|mif1)", re.DOTALL), "image/heic"),
    (re.compile(rb"....ftypM4A", re.DOTALL), "audio/mp4"),
    (re.compile(rb"....ftyp", re.DOTALL), "video/mp4"),
    (re.compile(rb"\x1aE\xdf\xa3"), "video/webm"),
)
"""The beginning of each kind of file, and its media type."""

EXTENSIONS: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "audio/wav": ".wav",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/aac": ".aac",
}
"""How the names of files of a media type end."""


def media_type_of(content: bytes) -> str:
    """Return the media type of a file; `application/octet-stream` if it is not known."""
    return next((kind for pattern, kind in BEGINNINGS if pattern.match(content)), "application/octet-stream")
