"""What an `undo` reads, as JSON data: taken when its step succeeds, and made to names again when it runs.

Blocks that have ended are dropped with their names, and another process may run the `undo`. So that is the only way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from orchestrator.expressions import Entity
from orchestrator.runtime.values.scope import BlockScope

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from orchestrator.plan.undo import Read

OUTPUT: Final = "output"
"""The name of the step's result in its `undo`."""

_MISSING: Final = object()


def recorded_names(reads: Iterable[Read], scope: BlockScope, step: str, entity: Entity) -> dict[str, Any]:
    """Return what is recorded of names: of a step that ends now, `entity` is what its id stands for."""
    whole: dict[tuple[str, str], None] = {}
    fields: dict[tuple[str, str], dict[str, None]] = {}
    for read in reads:
        key = (read.section, read.name)
        if read.field is None:
            whole[key] = None
        else:
            fields.setdefault(key, {})[read.field] = None
    found: dict[str, Any] = {}
    for section, name in dict.fromkeys((*whole, *fields)):
        value = entity if name in (OUTPUT, step) and section in ("", "steps") else _value(scope, section, name)
        if value is _MISSING:
            continue
        only = None if (section, name) in whole else fields[section, name]
        found[f"{section}.{name}" if section else name] = _recorded(value, only)
    return found


def scope_of_names(recorded: Mapping[str, Any], now: datetime) -> BlockScope:
    """Return a scope with recorded names."""
    sections: dict[str, dict[str, Any]] = {"inputs": {}, "variables": {}, "steps": {}}
    names: dict[str, Any] = {}
    for key, value in recorded.items():
        section, _, name = key.rpartition(".")
        if section:
            sections[section][name] = _restored(value)
        elif name in sections:
            sections[name] |= _restored(value)
        else:
            names[name] = _restored(value)
    return BlockScope({**names, **sections}, sections["steps"], now, {})


def _value(scope: BlockScope, section: str, name: str) -> Any:
    try:
        return scope.names[section][name] if section else scope.names[name]
    except KeyError:
        return _MISSING


def _recorded(value: Any, only: Iterable[str] | None = None) -> dict[str, Any]:
    """Return a value as data: JSON as it is, an entity with its fields, or those that are read."""
    if isinstance(value, Entity):
        attributes = value.attributes
        wanted = attributes if only is None else [name for name in only if name in attributes]
        found: dict[str, Any] = {"fields": {name: _recorded(attributes[name]) for name in wanted}}
        if only is None or len(found["fields"]) < len(list(only)):
            found["value"] = value.value
        if value.null_fields:
            found["null_fields"] = True
        return found
    if isinstance(value, Mapping) and any(isinstance(value[name], Entity) for name in value):
        return {"parts": {name: _recorded(value[name]) for name in value}}
    return {"value": value}


def _restored(recorded: Mapping[str, Any]) -> Any:
    if "parts" in recorded:
        return {name: _restored(part) for name, part in recorded["parts"].items()}
    if "fields" not in recorded:
        return recorded.get("value")
    fields = {name: _restored(part) for name, part in recorded["fields"].items()}
    return Entity(recorded.get("value"), fields, bool(recorded.get("null_fields")))
