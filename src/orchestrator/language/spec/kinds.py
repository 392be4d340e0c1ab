"""The kinds of steps: what each does, and the keys that belong to it."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.model_options import CallSpec

Kind = Literal[
    "tool",
    "for_each",
    "while",
    "until",
    "switch",
    "parallel",
    "steps",
    "pipeline",
    "ask",
    "approve",
    "wait_until",
    "sleep",
    "value",
    "fail",
    "end",
]
"""The kind of a step, named after the key that starts it."""

PARAMETERS: Final = frozenset(key_fields(CallSpec))
"""Parameters of model calls, which may be written in the step itself."""


class StepKind(Struct, frozen=True):
    """One kind of work.

    Attributes:
        does: What a step of this kind does, in the words of messages.
        keys: The keys that apply to it but not to every step.
        heads: The keys that start such work. Default: the name of the kind.
    """

    does: str
    keys: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()


_LOOP_KEYS: Final = ("steps", "in_order", "collect", "timeout", "produces")
_CARRIED: Final = ("initial", "update")
_ITERATION_KEYS: Final = ("max_iterations", "on_limit", *_CARRIED)

KINDS: Final[dict[Kind, StepKind]] = {
    "for_each": StepKind(
        "loops over items", (*_LOOP_KEYS, *_CARRIED, "as", "max_parallel", "on_item_failure", "min_success", "wait_for")
    ),
    "while": StepKind("loops", (*_LOOP_KEYS, *_ITERATION_KEYS)),
    "until": StepKind("loops", (*_LOOP_KEYS, *_ITERATION_KEYS)),
    "switch": StepKind("chooses between cases", ("cases", "default", "in_order", "timeout", "produces")),
    "parallel": StepKind("runs steps in parallel", ("wait_for", "compensate", "timeout", "produces")),
    "pipeline": StepKind("runs another pipeline", ("inputs", "max_depth", "detach", "timeout", "produces")),
    "ask": StepKind("asks a question", ("timeout",)),
    "approve": StepKind("asks for approval", ("timeout",)),
    "wait_until": StepKind("waits"),
    "sleep": StepKind("waits"),
    "value": StepKind("computes a value"),
    "fail": StepKind("fails on purpose"),
    "end": StepKind("ends the pipeline"),
    "steps": StepKind("groups steps", ("in_order", "compensate", "timeout", "produces")),
    "tool": StepKind(
        "calls a tool",
        ("parameters", "profile", "retry", "timeout", "cache", "on_resume", "produces", *key_fields(CallSpec)),
        heads=("tool", "action"),
    ),
}
"""Every kind. Loops come first: in a loop `steps` is the body, and so is a call in `for_each`."""

LOOPS: Final = ("for_each", "while", "until")
CALL: Final = KINDS["tool"].heads

HEADS: Final[dict[str, Kind]] = {head: name for name, kind in KINDS.items() for head in kind.heads or (name,)}
"""The kind that each key starts."""


def _owners() -> dict[str, tuple[Kind, ...]]:
    owners: dict[str, tuple[Kind, ...]] = {}
    for name, kind in KINDS.items():
        for key in (*(kind.heads or (name,)), *kind.keys):
            owners[key] = (*owners.get(key, ()), name)
    return owners


OWNERS: Final = _owners()
"""The kinds of steps that each key applies to; other keys apply to all."""
