"""What is found in a template: its problems, and the names that it reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from orchestrator.expressions.types import Type


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a template. `start` and `end` are offsets in its text, in code points.

    `replacement` is a text that may safely be put in the place of `start` to `end`.
    """

    code: str
    message: str
    start: int
    end: int
    help: str | None = None
    label: str = ""
    severity: Literal["error", "warning"] = "error"
    replacement: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """One read of a free name, with the constant fields and indices that follow it (`a.b[0]`: `a`, `("b", 0)`).

    `guarded`: the template copes with the value being null or undefined at this place.
    """

    name: str
    path: tuple[str | int, ...]
    start: int
    end: int
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Inference:
    """What is known of a template's value before it is evaluated, and what can be seen to go wrong."""

    type: Type
    problems: tuple[Problem, ...] = ()


def near(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `name` is most likely a misspelling of, if any."""
    from difflib import get_close_matches

    listed = sorted(set(candidates))
    lowered = name.lower().replace("-", "_")
    for candidate in listed:
        if candidate.lower().replace("-", "_") == lowered:
            return candidate
    found = get_close_matches(name, listed, n=1, cutoff=0.6 if len(name) > 3 else 0.5)
    return found[0] if found else None
