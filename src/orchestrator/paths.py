"""The paths of steps: `a`, `group.a`, `loop[2]` (an item, or a round), `loop[2].a`; ids contain no dots or brackets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

END_BLOCKS = ("finally", "error_handlers")
"""The blocks that run at the end of a pipeline, again for every owner of the run."""


_NUMBER = re.compile(r"\[\d+\]")

_END_BLOCK = re.compile(rf"(?:.*?\.)??(?:{'|'.join(END_BLOCKS)})(?:\[\d+\])?(?=\.|$)")


_HANDLER_IN = re.compile(r"(?:^|\.)(?:on_error|error_handlers)\[\d+\](?:\.|$)")


_UNDO_IN = re.compile(r"\.undo(?:\.|$)")


_MOST_DIGITS = 15
"""No loop has more items than a number of so many digits counts."""


def is_top_level(path: str) -> bool:
    """Return whether the path is that of a top-level step."""
    return "." not in path and "[" not in path


def parent_of(path: str) -> str:
    """Return the path of the parent: of `a[3].b` it is `a[3]`, of that `a`, and of that ""."""
    if path.endswith("]"):
        return path[: path.rfind("[")]
    return path[: max(0, path.rfind("."))]


def ancestors(path: str) -> Iterator[str]:
    """Yield the path itself, then each path that contains it, innermost first."""
    while path:
        yield path
        path = parent_of(path)


def item_of(path: str) -> tuple[str, int] | None:
    """Return the loop and the index of an item's path, None for any other path."""
    if not path.endswith("]"):
        return None
    loop, _, index = path[:-1].rpartition("[")
    return (loop, int(index)) if index.isdecimal() and index.isascii() and len(index) <= _MOST_DIGITS else None


def any_item(path: str) -> str:
    """Return the path with `[*]` for each number: `loop[*].a` for `loop[2].a`, as in the paths of a plan."""
    return _NUMBER.sub("[*]", path) if "[" in path else path


def is_in_end_block(path: str) -> bool:
    """Return whether the path is at or below one of `END_BLOCKS`."""
    return end_block_of(path) is not None


def end_block_of(path: str) -> str | None:
    """Return the path up to the first of `END_BLOCKS`, of the run's own pipeline or of a called one."""
    if not any(word in path for word in END_BLOCKS):
        return None
    found = _END_BLOCK.match(path)
    return found[0] if found else None


def is_in_handler(path: str) -> bool:
    """Return whether the path is inside an error handler."""
    return _HANDLER_IN.search(path) is not None


def is_in_undo(path: str) -> bool:
    """Return whether the path is that of an `undo`, or inside one."""
    return ".undo" in path and _UNDO_IN.search(path) is not None


def undone_step(path: str) -> str | None:
    """Return the step that the outermost `undo` around the path undoes, or None."""
    found = _UNDO_IN.search(path) if ".undo" in path else None
    return None if found is None else path[: found.start()]


def handled_step(path: str) -> str | None:
    """Return the step whose error the innermost `on_error` around the path handles, or None."""
    before, found, _ = path.rpartition(".on_error[")
    return before if found else None


def is_at_or_below(path: str, ancestor: str) -> bool:
    """Return whether the path is `ancestor` or inside it, at any depth."""
    return path.startswith(ancestor) and path[len(ancestor) : len(ancestor) + 1] in ("", ".", "[")
