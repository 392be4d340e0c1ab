"""The kinds of work that a step can have, and the keys that belong to each."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from orchestrator.language.spec.pipeline import CallSpec, StepSpec, keys

if TYPE_CHECKING:
    from orchestrator.language.spec.pipeline import Kind
    from orchestrator.language.yaml.nodes import Mapping

DOES: Final[dict[Kind | None, str]] = {
    "tool": "calls a tool",
    "for_each": "loops over items",
    "while": "loops",
    "until": "loops",
    "switch": "chooses between cases",
    "parallel": "runs steps side by side",
    "steps": "groups steps",
    "pipeline": "runs another pipeline",
    "ask": "asks a question",
    "approve": "asks for approval",
    "wait_until": "waits",
    "sleep": "waits",
    None: "does nothing",
}
"""What a step of each kind does, in the words of messages."""

LOOPS: Final = ("for_each", "while", "until")
CALL: Final = ("tool", "action")

PARAMETERS: Final = frozenset(keys(CallSpec))
"""Parameters of calls of models, which may stand in the step itself."""

HEADS: Final[dict[str, Kind]] = {
    **{kind: kind for kind in DOES if kind is not None and kind not in ("tool", "steps")},
    **dict.fromkeys(CALL, "tool"),
    "steps": "steps",
}
"""The keys that say what a step does. In a loop `steps` is the body, and so is a call in a `for_each` without steps."""

OWNERS: Final[dict[str, tuple[Kind, ...]]] = {
    **{head: (kind,) for head, kind in HEADS.items()},
    **dict.fromkeys(("parameters", "retry", "cache", "on_resume", *keys(CallSpec)), ("tool",)),
    **dict.fromkeys(("as", "max_parallel", "on_item_failure", "min_success"), ("for_each",)),
    "collect": LOOPS,
    "steps": ("steps", *LOOPS),
    **dict.fromkeys(("max_iterations", "on_limit", "initial", "update"), ("while", "until")),
    **dict.fromkeys(("cases", "default"), ("switch",)),
    "wait_for": ("parallel",),
    **dict.fromkeys(("inputs", "max_depth"), ("pipeline",)),
    "timeout": tuple(kind for kind in DOES if kind is not None and kind not in ("wait_until", "sleep")),
}
"""The kinds of step for which a key has a meaning; a key that is not here has one for all."""

PLAIN_KEYS: Final = frozenset(
    key for key in keys(StepSpec) if "tool" in OWNERS.get(key, ("tool",)) and key not in ("on_error", "check", "budget")
)
"""The keys of a step that calls a tool and has no parts to be read on their own: nothing else needs a look."""


def heads(node: Mapping) -> list[str]:
    """The keys of a step that begin a kind of work. The one that counts is first: a loop, or the first in the file."""
    table = node.table
    found = [key for key in table if key in HEADS]
    if "tool" in found and "action" in found:
        found.remove("action")
    if any(loop in found for loop in LOOPS):
        if "steps" in found:
            found.remove("steps")
        elif "for_each" in found:
            found = [key for key in found if key not in CALL]
        found.sort(key=lambda key: key not in LOOPS)
    return found


def kinds(node: Mapping) -> frozenset[Kind]:
    """The kinds whose keys mean something in a step: that of its work, and for a loop's own call `tool` as well."""
    first = heads(node)[:1]
    found = {HEADS[key] for key in first}
    if first == ["for_each"] and "steps" not in node.table and any(key in node.table for key in CALL):
        found.add("tool")
    return frozenset(found)


def allowed(node: Mapping) -> tuple[str, ...]:
    """The keys that a step with this work can have; for one without work, those that would give it some as well."""
    return _allowed(kinds(node))


@cache
def _allowed(of: frozenset[Kind]) -> tuple[str, ...]:
    every = (*keys(StepSpec), *keys(CallSpec))
    if not of:
        return tuple(key for key in every if key in HEADS or "tool" in OWNERS.get(key, ("tool",)))
    return tuple(key for key in every if key not in OWNERS or not of.isdisjoint(OWNERS[key]))
