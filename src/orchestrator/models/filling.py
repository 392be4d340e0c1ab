"""Fills a JSON Schema from a text by rules: each field with what its name, type and format say that it is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.errors import ModelAnswerInvalid
from orchestrator.json_schema import is_valid
from orchestrator.models import reading

Schema = Mapping[str, Any]

_DEEPEST: Final = 12
_MOST_ITEMS: Final = 100
_NOT_FOUND: Final = object()

_KINDS: Final[tuple[tuple[frozenset[str], re.Pattern[str]], ...]] = (
    (frozenset({"email", "mail", "emails", "mails"}), reading.EMAIL),
    (frozenset({"url", "urls", "uri", "link", "links", "website", "homepage"}), reading.URL),
    (frozenset({"date", "dates", "day", "deadline", "due", "when", "birthday", "datetime"}), reading.DATE),
    (frozenset({"phone", "telephone", "tel", "mobile", "phones"}), reading.PHONE),
    (frozenset({"price", "prices", "amount", "amounts", "cost", "costs", "total", "sum", "salary"}), reading.MONEY),
    (frozenset({"id", "number", "code", "reference", "sku", "order", "no"}), reading.CODE),
    (
        reading.vocabulary(
            "name names person people author authors customer customers company companies organization organisation "
            "organizations organisations vendor supplier sender recipient city contact entities"
        ),
        reading.NAME,
    ),
)
_SUMMARY: Final = reading.vocabulary(
    "summary abstract overview description gist text answer content response result reply message body reason "
    "explanation rationale analysis conclusion draft output"
)
_TITLE: Final = frozenset({"title", "headline", "heading", "subject", "topic"})
_KEYWORDS: Final = frozenset({"keywords", "keyword", "tags", "tag", "topics", "terms", "themes", "labels"})
_POINTS: Final = reading.vocabulary(
    "points sentences highlights findings facts bullets takeaways claims steps quotes items"
)
_FORMATS: Final = {"email": reading.EMAIL, "uri": reading.URL, "date": reading.DATE}


def fill(schema: Schema, text: str, instruction: str = "") -> Any:
    """Return JSON that satisfies a schema, with what can be found in a text, and the least where nothing is.

    Raises:
        ModelAnswerInvalid: The rules can make nothing that satisfies it.
    """
    filler = _Filler(schema, instruction)
    for value in (filler.value(schema, "", text, 0), filler.least(schema, 0)):
        if value is not _NOT_FOUND and filler.fits(schema, value):
            return value
    raise ModelAnswerInvalid(
        "`offline` works by rules, and they can make nothing that satisfies the schema of the answer",
        provider="offline",
        model="offline",
        help="name a model for this step",
        retryable=False,
    )


@dataclass(frozen=True, slots=True)
class _Filler:
    root: Schema
    instruction: str

    def fits(self, schema: Schema, value: Any) -> bool:
        """Whether a value satisfies a schema that is the root or a part of it."""
        definitions = {key: self.root[key] for key in ("$defs", "definitions") if key in self.root}
        return is_valid({**definitions, **schema}, value)

    def value(self, schema: Any, name: str, text: str, depth: int) -> Any:
        """Return what was found for a schema, or `_NOT_FOUND`."""
        schema = self._resolved(schema)
        if depth > _DEEPEST:
            return _NOT_FOUND
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._chosen(schema["enum"], text)
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return self._first(schema, key, name, text, depth)
        kind = _type(schema)
        if kind == "object":
            return self._object(schema, text, depth)
        if kind == "array":
            return self._array(schema, name, text, depth)
        return self._scalar(schema, kind, name, text)

    def _resolved(self, schema: Any) -> Schema:
        """Follow references and merge what must all hold."""
        if not isinstance(schema, Mapping):
            return {}
        for _ in range(_DEEPEST):
            if "$ref" not in schema:
                break
            target: Any = self.root
            for part in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
                key = part.replace("~1", "/").replace("~0", "~")
                target = target.get(key, {}) if isinstance(target, Mapping) and key else target
            schema = {
                **(target if isinstance(target, Mapping) else {}),
                **{k: v for k, v in schema.items() if k != "$ref"},
            }
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema.get("allOf", ()):
            each = self._resolved(part)
            properties = {**merged.get("properties", {}), **each.get("properties", {})}
            required = [*merged.get("required", ()), *each.get("required", ())]
            merged = {**merged, **each}
            if properties:
                merged |= {"properties": properties, "required": required}
        return merged

    def _chosen(self, choices: Sequence[Any], text: str) -> Any:
        labels = [choice for choice in choices if isinstance(choice, str)]
        if labels:
            return reading.best_label(labels, text, self.instruction)
        for found in reading.all_of(reading.NUMBER, text):
            if (number := reading.number(found)) in choices:
                return next(choice for choice in choices if choice == number)
        return _NOT_FOUND

    def _first(self, schema: Schema, key: str, name: str, text: str, depth: int) -> Any:
        common = {k: v for k, v in schema.items() if k != key}
        for branch in schema[key]:
            each = {**common, **self._resolved(branch)}
            if _type(each) != "null":
                value = self.value(each, name, text, depth + 1)
                if value is not _NOT_FOUND and self.fits(schema, value):
                    return value
        return _NOT_FOUND

    def _object(self, schema: Schema, text: str, depth: int) -> Any:
        required = schema.get("required", ())
        found: dict[str, Any] = {}
        some = False
        for name, each in schema.get("properties", {}).items():
            value = self.value(each, name, text, depth + 1)
            if value is not _NOT_FOUND:
                found[name] = value
                some = some or "const" not in self._resolved(each)
            elif name in required:
                found[name] = self.least(each, depth + 1)
        for name in required:
            if name not in found:
                found[name] = self.least(schema.get("additionalProperties") or {}, depth + 1)
        return found if some or not schema.get("properties") else _NOT_FOUND

    def _array(self, schema: Schema, name: str, text: str, depth: int) -> Any:
        items = self._resolved(schema.get("items", {}))
        most = min(int(schema.get("maxItems", _MOST_ITEMS)), _MOST_ITEMS)
        found: list[Any] = []
        for value in self._items(items, name, text, depth):
            if len(found) < most and self.fits(items, value) and not (schema.get("uniqueItems") and value in found):
                found.append(value)
        while len(found) < schema.get("minItems", 0):
            found.append(self.least(items, depth + 1))
        return found if self.fits(schema, found) else _NOT_FOUND

    def _items(self, items: Schema, name: str, text: str, depth: int) -> Iterator[Any]:
        kind = _type(items)
        if "enum" in items:
            labels = [choice for choice in items["enum"] if isinstance(choice, str)]
            yield from reading.choose(labels, text, self.instruction)
        elif kind == "object" or "properties" in items:
            wanted = set(items.get("required") or items.get("properties", {}))
            for block in reading.blocks(text)[:_MOST_ITEMS]:
                value = self.value(items, name, block, depth + 1)
                if value is not _NOT_FOUND and self._told(items, value, block, depth) * 2 >= len(wanted):
                    yield value
        elif kind in ("number", "integer"):
            for written in reading.all_of(reading.NUMBER, text):
                yield _number(reading.number(written), kind)
        elif kind == "string":
            yield from _texts(_about(name, items), items, text)

    def _told(self, items: Schema, value: Mapping[str, Any], block: str, depth: int) -> int:
        """Count the fields of a record that its block tells of, and that were not made up."""
        wanted = set(items.get("required") or items.get("properties", {}))
        properties = items.get("properties", {})
        return sum(
            self.value(properties.get(key, {}), key, block, depth + 2) is not _NOT_FOUND for key in wanted & set(value)
        )

    def _scalar(self, schema: Schema, kind: str, name: str, text: str) -> Any:
        for value in _candidates(schema, kind, name, text):
            if schema.get("format") == "date":
                value = reading.day(str(value))
            if value is not None and self.fits(schema, value):
                return value
        return _NOT_FOUND

    def least(self, schema: Any, depth: int) -> Any:
        """Return the smallest value of a schema, as far as its plain limits tell."""
        schema = self._resolved(schema)
        if "default" in schema and self.fits(schema, schema["default"]):
            return schema["default"]
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return None if None in schema["enum"] else schema["enum"][0]
        for key in ("anyOf", "oneOf"):
            if key in schema:
                common = {k: v for k, v in schema.items() if k != key}
                branches = [{**common, **self._resolved(branch)} for branch in schema[key]]
                empty = any(_type(branch) == "null" for branch in branches)
                return None if empty or depth > _DEEPEST else self.least(branches[0], depth + 1)
        if _nullable(schema) or depth > _DEEPEST:
            return None
        match _type(schema):
            case "object":
                properties = schema.get("properties", {})
                return {name: self.least(properties.get(name, {}), depth + 1) for name in schema.get("required", ())}
            case "array":
                return [self.least(schema.get("items", {}), depth + 1) for _ in range(schema.get("minItems", 0))]
            case "string":
                return "-" * int(schema.get("minLength", 0))
            case "boolean":
                return False
            case "integer" | "number" as kind:
                return _least_number(schema, kind)
        return None


def _type(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((str(each) for each in kind if each != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "array" if "items" in schema else ""
    return str(kind)


def _nullable(schema: Schema) -> bool:
    kind = schema.get("type")
    return kind == "null" or (isinstance(kind, list) and "null" in kind)


def _about(name: str, schema: Schema) -> list[str]:
    """Return the words that say what a field is: its name's, the last of which says most, then its description's."""
    return [*reversed(reading.field_words(name)), *reading.words(str(schema.get("description", "")))]


def _pattern(about: Sequence[str], schema: Schema) -> re.Pattern[str] | None:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    for word in about:
        for kind, pattern in _KINDS:
            if word in kind:
                return pattern
    return None


def _candidates(schema: Schema, kind: str, name: str, text: str) -> Iterator[Any]:
    """Yield what a field may be, the likeliest first."""
    beside = reading.beside(name, text)
    if kind in ("number", "integer"):
        for written in (beside, reading.after(name, reading.NUMBER, text), reading.after(name, reading.MONEY, text)):
            if written is not None and (number := reading.number(written)) is not None:
                yield _number(number, kind)
        if _pattern(_about(name, schema), schema) is reading.MONEY and (found := reading.MONEY.search(text)):
            yield _number(reading.number(found[0]), kind)
    elif kind == "boolean":
        if beside is not None and (answer := re.match(r"(yes|true|y|1)|no|false|n|0", beside, re.IGNORECASE)):
            yield bool(answer[1])
        elif set(map(reading.stem, reading.field_words(name))) & set(map(reading.stem, reading.words(text))):
            yield not re.search(rf"\b(not|no|never|without)\b[^.]{{0,20}}{re.escape(name)}", text, re.IGNORECASE)
    elif kind == "string":
        about = _about(name, schema)
        pattern = _pattern(about, schema)
        if beside is not None:
            yield (
                found[0] if pattern and pattern is not reading.NAME and (found := pattern.search(beside)) else beside
            )
        if pattern is not None and (after := reading.after(name, pattern, text)) is not None:
            yield after
        yield from _texts(about, schema, text, single=True)
    elif kind == "" and (beside is not None):
        yield beside


def _texts(about: Sequence[str], schema: Schema, text: str, *, single: bool = False) -> Iterator[str]:
    """Yield the texts that a field of these words, or a list of them, may hold."""
    for word in about or ("text",):
        if word in _SUMMARY and single:
            yield reading.summary(text)
            return
        if word in _TITLE and single:
            yield reading.title(text)
            return
        if word in _KEYWORDS:
            yield from reading.keywords(text, count=1 if single else 5)
            return
        if word in _POINTS or (word in _SUMMARY and not single):
            yield from reading.sentences(reading.summary(text, count=5))
            return
    pattern = _pattern(about, schema)
    if pattern is not None and pattern is not reading.CODE:
        yield from reading.all_of(pattern, text)


def _number(value: float | None, kind: str) -> float | int | None:
    return int(value) if value is not None and kind == "integer" and value.is_integer() else value


def _least_number(schema: Schema, kind: str) -> float | int:
    step = schema.get("multipleOf") or (1 if kind == "integer" else None)
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    value: float = 0
    if high is not None or below is not None:
        value = min(
            0, *(each for each in (high, None if below is None else below - (step or 1)) if each is not None), 0
        )
    if low is not None or above is not None:
        least = max(each for each in (low, None if above is None else above + (step or 0)) if each is not None)
        value = max(value, least)
        if above is not None and value <= above:
            value = above + 1 if below is None and high is None else (above + (high if high is not None else below)) / 2
    if step:
        value = math.ceil(value / step) * step
    return int(value) if kind == "integer" or float(value).is_integer() else value
