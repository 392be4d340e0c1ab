"""Compares the files that a run leaves in its case's folder with what the case expects of them."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.testing.expectations import Expectation, unmet
from orchestrator.text.content import path_kind, read_content
from orchestrator.tools.sandbox.protection import lies_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_BYTES: Final = 8 * 1024 * 1024
"""How large a file may be whose text is compared."""


class ExpectedFile(Struct, frozen=True):
    """Whether a file must exist, and what its text must be; None: any."""

    exists: bool = True
    text: Expectation | None = None


def stays_inside(path: str) -> bool:
    """Whether a path, as it is written, is relative and leads to something below the folder where it starts."""
    ways = (PurePosixPath(path), PureWindowsPath(path))
    return "\0" not in path and all(way.parts and not way.anchor and ".." not in way.parts for way in ways)


def problems_of_files(files: Mapping[str, ExpectedFile], folder: Path, names: Mapping[str, Any]) -> Iterator[str]:
    """Yield a message for each unmet expectation of files in a folder. Links are followed within the folder."""
    for path, expected in files.items():
        for problem in _problems_of(path, expected, folder, names):
            yield f"files.{path}: {problem}"


def _problems_of(path: str, expected: ExpectedFile, folder: Path, names: Mapping[str, Any]) -> Iterator[str]:
    place = os.path.realpath(folder / path)
    if not lies_in(place, os.path.realpath(folder)):
        yield "it leads out of the case's folder through a symbolic link, and is not read"
        return
    kind = path_kind(place)
    if not expected.exists:
        if kind is not None:
            yield "expected not to exist, and it does"
        return
    if kind != "file":
        yield "expected a file, and there is none" if kind is None else "expected a file, and it is not one"
        return
    if expected.text is None:
        return
    try:
        text = read_content(place, MAX_BYTES).decode("utf-8")
    except OSError as error:
        yield f"it cannot be read: {(error.strerror or str(error)).lower()}"
    except UnicodeDecodeError:
        yield "it is not UTF-8 text"
    else:
        yield from unmet(expected.text, text, names)
