"""The allowed keys of a step, by its kind of work."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.kinds import CALL, HEADS, LOOPS, OWNERS, Kind
from orchestrator.language.spec.model_options import CallSpec
from orchestrator.language.spec.pipeline import StepSpec

if TYPE_CHECKING:
    from orchestrator.language.yaml.nodes import Mapping

PLAIN_KEYS: Final = frozenset(
    key
    for key in key_fields(StepSpec)
    if "tool" in OWNERS.get(key, ("tool",)) and key not in ("on_error", "undo", "check", "budget", "profile")
)
"""The keys of a tool call without parts that are read separately; such a step needs no further checks."""


def heads(node: Mapping) -> list[str]:
    """Return the keys of a step that start a kind of work: a loop first, then in the order of the file."""
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


def kinds_of(node: Mapping) -> frozenset[Kind]:
    """Return the kinds whose keys apply to a step: its kind of work, and `tool` for a loop with its own call."""
    first = heads(node)[:1]
    found = {HEADS[key] for key in first}
    if first == ["for_each"] and "steps" not in node.table and any(key in node.table for key in CALL):
        found.add("tool")
    return frozenset(found)


def allowed_keys(node: Mapping) -> tuple[str, ...]:
    """Return the allowed keys of a step; for a step without work, including those that start one."""
    return _allowed(kinds_of(node))


@cache
def _allowed(of: frozenset[Kind]) -> tuple[str, ...]:
    every = (*key_fields(StepSpec), *key_fields(CallSpec))
    if not of:
        return tuple(key for key in every if key in HEADS or "tool" in OWNERS.get(key, ("tool",)))
    return tuple(key for key in every if key not in OWNERS or not of.isdisjoint(OWNERS[key]))
