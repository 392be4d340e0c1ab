"""What parsing and inference find in a template: its problems, and the names that it reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct

from orchestrator.expressions.types.value_types import Type
from orchestrator.remedies import Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable


class Problem(Struct, frozen=True):
    """One problem in a template. `start` and `end` are offsets in its text, in code points.

    `replacement` is a text that can safely replace the text from `start` to `end`.
    """

    code: str
    message: str
    start: int
    end: int
    help: str | None = None
    label: str = ""
    severity: Literal["error", "warning"] = "error"
    replacement: str | None = None
    remedies: tuple[Remedy, ...] = ()


class Fact(NamedTuple):
    """An expression, in canonical form, that is known to be true or false; `names` are those that it reads."""

    text: str
    holds: bool
    names: frozenset[str]


class Reference(Struct, frozen=True):
    """One read of a free name, with the constant fields and indices that follow it (`a.b[0]`: `a`, `("b", 0)`).

    `guarded`: the template handles a null or undefined value here. `given` are the facts that the surrounding
    conditions guarantee. `operator` is that of an operation on the value which fails if it is null: `>=`, `*`.
    """

    name: str
    path: tuple[str | int, ...]
    start: int
    end: int
    guarded: bool = False
    given: frozenset[Fact] = frozenset()
    operator: str = ""


class Inference(Struct, frozen=True):
    """The inferred type of a template's value, and the problems found on the way."""

    type: Type
    problems: tuple[Problem, ...] = ()


def near(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that `name` is most likely a misspelling of, if any."""
    from orchestrator.diagnostics import suggest  # imported only for a problem: it loads the rendering

    return suggest(name, candidates)
