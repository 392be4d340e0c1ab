"""The keys that a step may have, by the kind of work that its own keys say it does."""

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
    if "tool" in OWNERS.get(key, ("tool",)) and key not in ("on_error", "check", "budget")
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


def kinds_of(node: Mapping) -> frozenset[Kind]:
    """The kinds whose keys mean something in a step: that of its work, and for a loop's own call `tool` as well."""
    first = heads(node)[:1]
    found = {HEADS[key] for key in first}
    if first == ["for_each"] and "steps" not in node.table and any(key in node.table for key in CALL):
        found.add("tool")
    return frozenset(found)


def allowed_keys(node: Mapping) -> tuple[str, ...]:
    """The keys that a step with this work can have; for one without work, those that would give it some as well."""
    return _allowed(kinds_of(node))


@cache
def _allowed(of: frozenset[Kind]) -> tuple[str, ...]:
    every = (*key_fields(StepSpec), *key_fields(CallSpec))
    if not of:
        return tuple(key for key in every if key in HEADS or "tool" in OWNERS.get(key, ("tool",)))
    return tuple(key for key in every if key not in OWNERS or not of.isdisjoint(OWNERS[key]))
