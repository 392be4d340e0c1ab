"""Paths into JSON data: `$.items[0].name`, `items[*].tags[-1]`, `["odd key"]`. A subset of JSONPath (RFC 9535)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(
    r"""
    \.?\[\s*(?P<index>-?\d+)\s*\]
    | \.?\[\s*(?P<slice>-?\d*\s*:\s*-?\d*)\s*\]
    | \.?\[\s*(?:'(?P<single>(?:[^'\\]|\\.)*)'|"(?P<double>(?:[^"\\]|\\.)*)")\s*\]
    | (?P<all>\.?\[\s*\*\s*\]|\.\*)
    | \.(?P<name>[^\s.\[\]'"*?()@$]+)
    """,
    re.VERBOSE,
)


class PathError(ValueError):
    """The text is no path; the message says where it stops being one."""


@dataclass(frozen=True, slots=True)
class All:
    """Every item of a list, or every value of an object."""


Step = str | int | slice | All


def parse_path(text: str) -> tuple[Step, ...]:
    """Read a path. The leading `$` may be left out.

    Raises:
        PathError: It has something that is not supported.
    """
    rest = text.strip()
    if rest.startswith("$"):
        rest = rest[1:]
    elif rest and rest[0] not in ".[":
        rest = "." + rest
    steps: list[Step] = []
    position = 0
    while position < len(rest):
        found = _STEP.match(rest, position)
        if found is None:
            raise PathError(f"`{text}` cannot be read from `{rest[position:].lstrip('.')}` on")
        steps.append(_step(found))
        position = found.end()
    return tuple(steps)


def _step(found: re.Match[str]) -> Step:
    match found.lastgroup:
        case "index":
            return int(found["index"])
        case "slice":
            start, _, end = found["slice"].partition(":")
            return slice(int(start) if start.strip() else None, int(end) if end.strip() else None)
        case "single" | "double":
            return re.sub(r"\\(.)", r"\1", found[found.lastgroup])
        case "all":
            return All()
        case _:
            return found["name"]


def find(data: Any, steps: tuple[Step, ...]) -> list[Any]:
    """Return all values that the path leads to; none where it leads nowhere."""
    current = [data]
    for step in steps:
        current = [found for value in current for found in _children(value, step)]
    return current


def is_single(steps: tuple[Step, ...]) -> bool:
    """Whether the path can lead to one value only."""
    return all(isinstance(step, str | int) for step in steps)


def _children(value: Any, step: Step) -> list[Any]:
    match step:
        case All():
            return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        case slice():
            return value[step] if isinstance(value, list) else []
        case int():
            return [value[step]] if isinstance(value, list) and -len(value) <= step < len(value) else []
        case _:
            return [value[step]] if isinstance(value, dict) and step in value else []
