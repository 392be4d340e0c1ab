"""The tree of a file with canonical keys, tools and actions in all its parts; other values keep their form."""

from __future__ import annotations

from collections.abc import Mapping as TableOf
from typing import Final, TypeGuard

from msgspec import Struct, field

from orchestrator.language.aliases import tables
from orchestrator.language.aliases.canonical import rename_keys, renamed_key
from orchestrator.language.aliases.older_calls import IsKnown, OlderStep, older_step
from orchestrator.language.aliases.steps import is_outcome
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

_BODIES: Final = frozenset({"steps", "parallel", "default", "undo"})
_PARTS: Final = {
    "retry": tables.RETRY_KEYS,
    "check": tables.CHECK_KEYS,
    "ask": tables.ASK_KEYS,
    "approve": tables.APPROVE_KEYS,
    "defaults": tables.DEFAULTS_KEYS,
}
_OF_ONE_STEP: Final = frozenset({"id", "tool", "action", "prompt"})


class OlderResults(Struct):
    """What decides whether a call has an older name, and the older fields of results by step, each with its name."""

    is_known: IsKnown
    prose: bool
    fields: dict[str, TableOf[str, str]] = field(default_factory=dict)


def with_canonical_keys(root: Mapping, is_known: IsKnown) -> tuple[Mapping, OlderResults]:
    """Return the tree of a file with canonical keys and calls, and what the fields of their results were called."""
    top = rename_keys(root, tables.PIPELINE_KEYS).node
    prose = top.get("prose_actions")
    calls = OlderResults(is_known, isinstance(prose, Scalar) and prose.value is True)
    return top.replaced(Entry(entry.key, _section(entry.key.text, entry.value, calls)) for entry in top.entries), calls


def _section(name: str, value: Node, calls: OlderResults) -> Node:
    if name in ("steps", "finally"):
        return _steps(value, calls)
    if name == "error_handlers":
        return _handlers(value, calls)
    if name in ("inputs", "outputs"):
        return _declarations(value, tables.INPUT_KEYS if name == "inputs" else tables.OUTPUT_KEYS)
    return _part(name, value)


def _part(name: str, value: Node) -> Node:
    table = _PARTS.get(name)
    if table is None or not isinstance(value, Mapping):
        return value
    return _with_attempts(rename_keys(value, table).node, "max_attempts" if name == "retry" else "retry")


def _with_attempts(node: Mapping, key: str) -> Mapping:
    """Return a mapping whose number of retries is one of attempts: `max_retries: 2` is `retry: 3`."""
    entries = [
        Entry(renamed_key(entry.key, key), text_at(entry.value, str(entry.value.value + 1), entry.value.value + 1))
        if entry.key.text in tables.RETRY_COUNTS and key not in node.table and _is_count(entry.value)
        else entry
        for entry in node.entries
    ]
    same = all(new is old for new, old in zip(entries, node.entries, strict=True))
    return node if same or len({entry.key.text for entry in entries}) < len(entries) else node.replaced(entries)


def _is_count(node: Node) -> TypeGuard[Scalar]:
    return isinstance(node, Scalar) and isinstance(node.value, int) and not isinstance(node.value, bool)


def _declarations(value: Node, table: dict[str, str]) -> Node:
    if isinstance(value, Mapping):
        return value.replaced(
            Entry(entry.key, rename_keys(entry.value, table).node if isinstance(entry.value, Mapping) else entry.value)
            for entry in value.entries
        )
    if isinstance(value, Sequence):
        return value.replaced(
            rename_keys(item, table).node if isinstance(item, Mapping) else item for item in value.items
        )
    return value


def _steps(value: Node, calls: OlderResults) -> Node:
    if isinstance(value, Sequence):
        return value.replaced(_step(item, calls) if isinstance(item, Mapping) else item for item in value.items)
    if not isinstance(value, Mapping):
        return value
    if any(isinstance(value.get(key), Scalar) for key in _OF_ONE_STEP):
        return _step(value, calls)
    return value.replaced(
        Entry(
            entry.key,
            _step(entry.value, calls, entry.key.text)
            if isinstance(entry.value, Mapping)
            else _steps(entry.value, calls),
        )
        for entry in value.entries
    )


def _step(node: Mapping, calls: OlderResults, id: str = "") -> Mapping:
    step = _with_attempts(rename_keys(node, tables.STEP_KEYS).node, "retry")
    older = older_step(step, calls.is_known, prose=calls.prose)
    if older is not None and not (older.refused or older.clashes or _is_same(step, older)):
        own = step.get("id")
        calls.fields[own.text if isinstance(own, Scalar) else id] = older.results
        step = older.node
    entries = []
    for entry in step.entries:
        key, value = entry.key, entry.value
        if key.text == "parameters" and "pipeline" in step.table and "inputs" not in step.table:
            key = renamed_key(key, "inputs")
        elif key.text == "continue_on_error" and isinstance(value, Scalar) and "on_failure" not in step.table:
            key = renamed_key(key, "on_failure")
            value = text_at(value, "continue" if value.value else "fail")
        elif key.text in _BODIES and not isinstance(value, Scalar):
            value = _steps(value, calls)
        elif key.text == "cases" and isinstance(value, Mapping):
            value = value.replaced(Entry(case.key, _steps(case.value, calls)) for case in value.entries)
        elif key.text == "on_error" and is_outcome(value) and "on_failure" not in step.table:
            key = renamed_key(key, "on_failure")
        elif key.text == "on_error":
            value = _handlers(value, calls)
        else:
            value = _part(key.text, value)
        entries.append(Entry(key, value))
    return step.replaced(entries)


def _is_same(step: Mapping, older: OlderStep) -> bool:
    """Whether a call already has the names of here."""
    names = [name.text for key in ("tool", "action") if isinstance(name := older.node.get(key), Scalar)]
    written = [name.text for key in ("tool", "action") if isinstance(name := step.get(key), Scalar)]
    given, meant = step.get("parameters"), older.node.get("parameters")
    same = not isinstance(given, Mapping) or (isinstance(meant, Mapping) and given.table.keys() == meant.table.keys())
    return same and written in (names, names[1:], [".".join(names)])


def _handlers(value: Node, calls: OlderResults) -> Node:
    if isinstance(value, Sequence):
        return value.replaced(_handlers(item, calls) for item in value.items)
    if not isinstance(value, Mapping):
        return value
    handler = _with_attempts(rename_keys(value, tables.HANDLER_KEYS).node, "retry")
    return handler.replaced(
        Entry(
            entry.key, _steps(entry.value, calls) if entry.key.text == "steps" else _part(entry.key.text, entry.value)
        )
        for entry in handler.entries
    )
