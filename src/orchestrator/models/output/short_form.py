"""The short way to write the form of an answer: `{title: string, tags: [string], score: number?, kind: one|two}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from orchestrator.diagnostics import suggest
from orchestrator.json_schema import embedded, modern
from orchestrator.models.output.schema_keys import is_json_schema

Path = tuple[str | int, ...]

_DEEPEST: Final = 40
_NULL: Final = {"type": "null"}


class SchemaProblem(Struct, frozen=True):
    """What is wrong with a form: the keys and indices that lead there, what it is, and how to fix it."""

    path: Path
    message: str
    help: str


Embedded = list[tuple[Path, Mapping[str, Any]]]
"""The JSON Schemas within a form, with their places."""

_WORDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "object": {"type": "object"},
    "array": {"type": "array"},
    "null": _NULL,
    "any": {},
    "date": {"type": "string", "format": "date"},
    "email": {"type": "string", "format": "email"},
}
_OTHER_WORDS: Final = {
    "str": "string",
    "text": "string",
    "float": "number",
    "int": "integer",
    "bool": "boolean",
    "dict": "object",
    "list": "array",
}
_JSON_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_LISTED: Final = "`string`, `number`, `integer`, `boolean`, `object`, `any`, `date`, `email`"
_OF_A_LIST: Final = re.compile(r"(?:list|array)?(?:\[(\w+)\]|<(\w+)>| of (\w+?)s?)|(\w+)\[\]", re.IGNORECASE)


def read_short(written: Any, problems: list[SchemaProblem], *, described: bool) -> tuple[Mapping[str, Any], Embedded]:
    """Return the JSON Schema of a form, and the JSON Schemas within it, which are yet to be checked."""
    reader = _ShortFormReader(problems, described)
    schema = reader.read(written, ())
    if reader.definitions:
        schema = {**schema, "$defs": reader.definitions}
    return schema, reader.embedded


class _ShortFormReader:
    def __init__(self, problems: list[SchemaProblem], described: bool) -> None:
        self.problems = problems
        self.described = described
        self.embedded: Embedded = []
        self.definitions: dict[str, Any] = {}

    def report(self, path: Path, message: str, help: str) -> Mapping[str, Any]:
        self.problems.append(SchemaProblem(path, message, help))
        return {}

    def read(self, written: Any, path: Path) -> Mapping[str, Any]:
        if len(path) > _DEEPEST:
            return self.report(path, f"the schema is nested more than {_DEEPEST} deep", "make it flatter")
        if isinstance(written, str):
            return self._text(written, path)
        if isinstance(written, list):
            return self._list(written, path)
        if isinstance(written, Mapping):
            if is_json_schema(written, described=self.described, root=not path):
                return self._json_schema(written, path)
            return self._object(written, path)
        if written is None:
            return self.report(path, "a type is missing", f"write one of {_LISTED}, or a JSON Schema")
        shown = str(written).lower() if isinstance(written, bool) else str(written)
        return self.report(path, f"unknown type `{shown}`", f"write one of {_LISTED}, or a JSON Schema")

    def _json_schema(self, written: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
        """Take a JSON Schema as it is; within a short form its definitions become those of the whole."""
        self.embedded.append((path, written))
        if not path:
            return written
        name = next((part for part in reversed(path) if isinstance(part, str)), "").removesuffix("?").rstrip()
        return embedded(modern(written), name or "item", self.definitions)

    def _object(self, written: Mapping[Any, Any], path: Path) -> Mapping[str, Any]:
        if not written:
            return self.report(path, "the schema has no fields", "name them, for example `{title: string}`")
        properties: dict[str, Mapping[str, Any]] = {}
        for key, value in written.items():
            place = (*path, key)
            name = str(key).strip()
            optional = name.endswith("?")
            name = name.removesuffix("?").rstrip()
            if not name or not isinstance(key, str):
                self.report(place, f"`{key}` is not a field name", "name it with a text")
            elif name in properties:
                self.report(place, f"the field `{name}` is defined twice", "remove one")
            else:
                schema = self.read(value, place)
                properties[name] = _or_null(schema) if optional else schema
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }

    def _list(self, written: list[Any], path: Path) -> Mapping[str, Any]:
        if len(written) == 1:
            return {"type": "array", "items": self.read(written[0], (*path, 0))}
        if not written:
            return self.report(path, "the list has no item type", "name the type, for example `[string]`")
        labels = [item for item in written if isinstance(item, str)]
        help = "write `[string]`, or a JSON Schema"
        if len(labels) == len(written):
            choice = "|".join(labels)
            help = f"write `[string]`; for one of these values write `{choice}`, for several of them `[{choice}]`"
        return self.report(path, "a list has one item, which is the type of all of them", help)

    def _text(self, written: str, path: Path) -> Mapping[str, Any]:
        text = written.strip()
        if text.endswith("?"):
            core = text[:-1].rstrip()
            if not self.described or _is_type(core):
                return _or_null(self._text(core, path))
        known = _named(text)
        if known is not None:
            return dict(known)
        if "|" in text and _is_choice(text, self.described):
            return self._choice(text, path)
        if self.described and text:
            return {"type": "string", "description": text}
        near = suggest(text, [word for word in _WORDS if len(word) > 3])
        if not text:
            return self.report(path, "a type is missing", f"write one of {_LISTED}, or a JSON Schema")
        listed = _OF_A_LIST.fullmatch(text)
        if listed:
            item = next(part for part in listed.groups() if part)
            return self.report(path, f"unknown type `{text}`", f"write a list of them as `[{item}]`")
        help = f"did you mean `{near}`?" if near else f"write one of {_LISTED}, `a|b` for one of several, or `[string]`"
        return self.report(path, f"unknown type `{text}`", help)

    def _choice(self, text: str, path: Path) -> Mapping[str, Any]:
        parts = [part.strip() for part in text.split("|")]
        others = [part for part in parts if part != "null"]
        types = [part for part in others if part in _JSON_TYPES]
        if "" in parts:
            return self.report(path, f"a part of `{text}` is empty", "write for example `one|two`")
        if len(set(parts)) < len(parts):
            return self.report(path, f"a part of `{text}` is repeated", "remove one")
        if types and len(types) < len(others):
            listed = ", ".join(others)
            message = f"`{text}` mixes types and values: `{types[0]}` is a type"
            return self.report(path, message, f"if all of them are values, write `{{enum: [{listed}]}}`")
        found: Mapping[str, Any] = {"type": "string", "enum": others}
        if types:
            found = {"type": types[0]} if len(types) == 1 else {"anyOf": [{"type": kind} for kind in types]}
        return found if others == parts else _or_null(found)


def _or_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    options = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return schema if not schema or _NULL in options else {"anyOf": [*options, _NULL]}


def _named(text: str) -> Mapping[str, Any] | None:
    word = text.casefold()
    return _WORDS.get(_OTHER_WORDS.get(word, word))


def _is_type(text: str) -> bool:
    return _named(text) is not None or ("|" in text and _is_choice(text, described=True))


def _is_choice(text: str, described: bool) -> bool:
    """Whether a text with `|` lists values. A description may hold that sign too, but not between single words."""
    return not described or not any(" " in part.strip() for part in text.split("|"))
