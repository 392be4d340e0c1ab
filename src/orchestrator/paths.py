"""The paths of steps: `a`, `group.a`, `loop[2]` (an item, or a round), `loop[2].a`; ids hold no dots and brackets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ASIDE = ("finally", "error_handlers")
"""What stands beside the steps of a pipeline: it runs anew for every owner of the run."""


_ASIDE_IN = re.compile(rf"(?:.*?\.)??(?:{'|'.join(ASIDE)})(?:\[\d+\])?(?=\.|$)")


_HANDLER_IN = re.compile(r"(?:^|\.)(?:on_error|error_handlers)\[\d+\](?:\.|$)")


def is_top_level(path: str) -> bool:
    """Whether the path names a step that stands in no other."""
    return "." not in path and "[" not in path


def parent_of(path: str) -> str:
    """Return what the path stands in: `a[3].b` in `a[3]`, that in `a`, and that in nothing ("")."""
    if path.endswith("]"):
        return path[: path.rfind("[")]
    return path[: max(0, path.rfind("."))]


def ancestors(path: str) -> Iterator[str]:
    """Yield the path itself, then each path that contains it, innermost first."""
    while path:
        yield path
        path = parent_of(path)


def item_of(path: str) -> tuple[str, int] | None:
    """Return the loop and the index of an item's path, None of any other path."""
    if not path.endswith("]"):
        return None
    loop, _, index = path[:-1].rpartition("[")
    return (loop, int(index)) if index.isdecimal() and index.isascii() else None


def is_aside(path: str) -> bool:
    """Whether the path is at or below one of `ASIDE`."""
    return aside_in(path) is not None


def aside_in(path: str) -> str | None:
    """Return the part of the path up to the first of `ASIDE`, of the run's own pipeline or of one that is called."""
    if not any(word in path for word in ASIDE):
        return None
    found = _ASIDE_IN.match(path)
    return found[0] if found else None


def is_in_handler(path: str) -> bool:
    """Whether the path is that of a step that deals with an error: it runs only if that error comes."""
    return _HANDLER_IN.search(path) is not None


def handled_step(path: str) -> str | None:
    """Return the step whose error the innermost `on_error` around the path handles, None outside of one."""
    before, found, _ = path.rpartition(".on_error[")
    return before if found else None


def is_at_or_below(path: str, ancestor: str) -> bool:
    """Whether the path is `ancestor` or stands in it, at any depth."""
    return path.startswith(ancestor) and path[len(ancestor) : len(ancestor) + 1] in ("", ".", "[")
