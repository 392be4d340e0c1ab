"""The paths of steps: `a`, `group.a`, `loop[2]` (an item, or a round), `loop[2].a`; ids hold no dots and brackets."""

from __future__ import annotations

ASIDE = ("finally", "error_handlers")
"""What stands beside the steps of a pipeline: it runs anew for every owner of the run."""


def is_top_level(path: str) -> bool:
    """Whether the path names a step that stands in no other."""
    return "." not in path and "[" not in path


def parent_of(path: str) -> str:
    """Return what the path stands in: `a[3].b` in `a[3]`, that in `a`, and that in nothing ("")."""
    if path.endswith("]"):
        return path[: path.rfind("[")]
    return path[: max(0, path.rfind("."))]


def item_of(path: str) -> tuple[str, int] | None:
    """Return the loop and the index of an item's path, None of any other path."""
    if not path.endswith("]"):
        return None
    loop, _, index = path[:-1].rpartition("[")
    return (loop, int(index)) if index.isdecimal() and index.isascii() else None


def is_aside(path: str) -> bool:
    """Whether the path is at or below one of `ASIDE`."""
    return path.startswith(ASIDE) and path.replace("[", ".", 1).partition(".")[0] in ASIDE


def is_at_or_below(path: str, ancestor: str) -> bool:
    """Whether the path is `ancestor` or stands in it, at any depth."""
    return path.startswith(ancestor) and path[len(ancestor) : len(ancestor) + 1] in ("", ".", "[")
