"""The sources of a pipeline: a path, text, bytes, an open file, or a mapping."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from orchestrator.errors import ConfigurationError
from orchestrator.language.limits import MAX_CHARACTERS

_MOST = 4 * MAX_CHARACTERS + 1


class Readable(Protocol):
    """An open file."""

    def read(self, size: int = -1, /) -> str | bytes:
        """Return at most `size` characters or bytes."""


Source = str | bytes | os.PathLike[str] | Readable | Mapping[str, Any]
"""A pipeline: the path of its file, its YAML text, an open file, or a mapping."""


def read_source(source: Any) -> tuple[str | Path | Mapping[str, Any], str | None]:
    """Return a source in the form that the compiler takes, and its name in diagnostics if it has one.

    Raises:
        ConfigurationError: It cannot be a pipeline: None, a number, a list, or bytes that are not UTF-8 text.
    """
    if isinstance(source, str | Path):
        return source, None
    if isinstance(source, Mapping):
        return source, None
    if isinstance(source, bytes | bytearray | memoryview):
        return _text(bytes(source), "the bytes"), "<text>"
    if isinstance(source, os.PathLike):
        path = os.fspath(source)
        return Path(os.fsdecode(path)), None
    if callable(getattr(source, "read", None)):
        return _read(source)
    kind = "None" if source is None else f"a Python {type(source).__name__}"
    raise ConfigurationError(
        f"a pipeline is a path, a text, an open file or a mapping, not {kind}",
        help='give for example "report.yaml", or {"steps": [...]}',
    )


def _read(file: Any) -> tuple[str, str]:
    name = getattr(file, "name", None)
    called = name if isinstance(name, str) else "<file>"
    try:
        found = file.read(_MOST)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the file `{called}` cannot be read: {error}", help="open it for reading") from error
    if isinstance(found, str):
        return plain_text(found), called
    if isinstance(found, bytes):
        return _text(found, f"`{called}`"), called
    raise ConfigurationError(
        f"the file `{called}` gives a Python {type(found).__name__}, not a text",
        help="give a file that is open as text",
    )


def _text(content: bytes, what: str) -> str:
    try:
        return plain_text(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{what} are not UTF-8 text: {error.reason}", help="encode them as UTF-8") from error


def plain_text(text: str) -> str:
    """Return text that is not mistaken for a path: the content of a file."""
    return text if "\n" in text else f"{text}\n"
