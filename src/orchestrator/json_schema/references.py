"""Embeds schemas into other schemas, and converts schemas of older drafts to 2020-12."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator.json_schema.subschemas import subschemas

if TYPE_CHECKING:
    from collections.abc import Mapping

_OLDER: Final = ("draft-03/", "draft-04/", "draft-06/", "draft-07/")
_LISTED: Final = re.compile(r"/items/(\d+)")
_DEFINITIONS: Final = ("$defs", "definitions")


def embedded(schema: Mapping[str, Any], name: str, definitions: dict[str, Any]) -> Mapping[str, Any]:
    """Return a schema as it can stand within another one, to whose `$defs` belong the `definitions` afterwards.

    References within it stay references to the same: to its definitions, which go into those of the other one, or to
    itself, which then goes there too and is called `name`.
    """
    inner = {key: value for key, value in copy.deepcopy(dict(schema)).items() if key != "$schema"}
    parts = [part for _, part in subschemas(inner)]
    references = [part["$ref"] for part in parts if isinstance(part.get("$ref"), str)]
    if not any(key in inner for key in _DEFINITIONS) and not references:
        return inner
    if any(key in part for part in parts for key in ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor")):
        inner.setdefault("$id", f"schema:{_free(name, definitions)}")  # it remains a separate document
        return inner
    moved: dict[str, str] = {}
    for key in _DEFINITIONS:
        for old, definition in inner.pop(key, {}).items():
            new = _free(old, definitions)
            moved[f"#/{key}/{old}"] = f"#/$defs/{new}"
            definitions[new] = definition
    to_itself = [each for each in references if each.startswith("#") and _target(each, moved) is None]
    itself = _free(name, definitions) if to_itself else ""
    for part in parts:
        reference = part.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            part["$ref"] = _target(reference, moved) or f"#/$defs/{itself}{reference[1:]}"  # type: ignore[index]
    if not to_itself:
        return inner
    definitions[itself] = inner
    return {"$ref": f"#/$defs/{itself}"}


def _target(reference: str, moved: Mapping[str, str]) -> str | None:
    head, rest = "/".join(reference.split("/")[:3]), reference.split("/")[3:]
    found = moved.get(head.replace("~1", "/").replace("~0", "~"))
    return None if found is None else "/".join([found, *rest])


def _free(name: str, taken: Mapping[str, Any]) -> str:
    name = "".join(char if char.isalnum() or char in "_-." else "_" for char in name) or "schema"
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name}_{count}"
    return found


def modern(schema: Any) -> Any:
    """Return a schema of draft 3 to 7, as `$schema` says, in the words of 2020-12; any other as it is."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    if not isinstance(named, str) or not any(draft in named for draft in _OLDER):
        return schema
    changed = copy.deepcopy(schema)
    changed.pop("$schema")
    for _, part in list(subschemas(changed)):
        if isinstance(part, dict):
            _modernise(part)
    return changed


def _modernise(part: dict[str, Any]) -> None:
    reference = part.get("$ref")
    if isinstance(reference, str):
        kept: dict[str, Any] = {key: part[key] for key in _DEFINITIONS if key in part}
        part.clear()  # keys next to a reference were ignored
        reference = _LISTED.sub(r"/prefixItems/\1", reference.replace("/definitions/", "/$defs/"))
        part |= {"$ref": reference, **kept}
    if "definitions" in part:
        part["$defs"] = {**part.pop("definitions"), **part.get("$defs", {})}
    name = part.pop("id", None) if isinstance(part.get("id"), str) else part.get("$id")
    if isinstance(name, str):
        part.pop("$id", None)
        if name.startswith("#"):
            part["$anchor"] = name[1:]
        elif name.rstrip("#"):
            part["$id"] = name.rstrip("#")
    if isinstance(part.get("items"), list):
        part["prefixItems"] = part.pop("items")
        if "additionalItems" in part:
            part["items"] = part.pop("additionalItems")
    part.pop("additionalItems", None)
    for name, needed in part.pop("dependencies", {}).items():
        key = "dependentRequired" if isinstance(needed, list) else "dependentSchemas"
        part.setdefault(key, {})[name] = needed
    for limit, strict in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(part.get(strict), bool) and part.pop(strict) and limit in part:
            part[strict] = part.pop(limit)
