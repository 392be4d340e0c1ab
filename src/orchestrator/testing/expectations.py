"""The expectations of a test for a value, and the messages of those that are not met."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from msgspec import Struct

from orchestrator.errors import EvaluationError
from orchestrator.expressions import Scope, Template
from orchestrator.models.recordings.diff import words_that_differ
from orchestrator.patterns import SearchTooLong, compile_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

Way: TypeAlias = Literal["equals", "contains", "matches", "schema", "expression", "approx"]
"""How a value is compared."""

WAYS: Final[tuple[Way, ...]] = ("equals", "contains", "matches", "schema", "expression", "approx")
"""The keys of an expectation."""

_WITHIN: Final = 1e-6
_SHOWN: Final = 200


class Expectation(Struct, frozen=True):
    """What a value must be: each of `ways` holds. `within` is how far off a number may be, where `approx` is given.

    `expression` is parsed, the others are as the file has them.
    """

    ways: Mapping[Way, Any]
    within: float | None = None


def unmet(expected: Expectation, value: Any, names: Mapping[str, Any]) -> list[str]:
    """Return why a value is not as expected, in words; nothing if it is. `names` can be read by expressions."""
    found = []
    for way, wanted in expected.ways.items():
        check: Callable[[Any, Any, Expectation, Mapping[str, Any]], str | None] = _CHECKS[way]
        problem = check(wanted, value, expected, names)
        if problem:
            found.append(problem)
    return found


def shown_value(value: Any, most: int = _SHOWN) -> str:
    """Return a value as JSON on one line, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= most else f"{text[:most]}…"


def _equals(wanted: Any, value: Any, expected: Expectation, names: Mapping[str, Any]) -> str | None:
    if _same(wanted, value):
        return None
    place, want, came = _first_difference(wanted, value, "")
    at = f"at `{place}` " if place else ""
    if isinstance(want, str) and isinstance(came, str) and len(want) + len(came) > _SHOWN:
        return f"expected {at}another text, [-expected-] and {{+came+}}: {words_that_differ(want, came)}"
    return f"expected {at}{shown_value(want)}, got {shown_value(came) if came is not _ABSENT else 'nothing'}"


def _contains(wanted: Any, value: Any, expected: Expectation, names: Mapping[str, Any]) -> str | None:
    # A list is of several things to contain; what a list or an object must contain may be a list in it.
    all_of = wanted if isinstance(wanted, list) else [wanted]
    missing = [each for each in all_of if not _holds(value, each)]
    if not missing:
        return None
    return f"expected to contain {' and '.join(map(shown_value, missing))}, got {shown_value(value)}"


def _matches(wanted: str, value: Any, expected: Expectation, names: Mapping[str, Any]) -> str | None:
    if not isinstance(value, str):
        return f"expected a text that matches {wanted!r}, got {shown_value(value)}"
    try:
        found = compile_pattern(wanted, "python").matches(value)
        return None if found else f"expected to match {wanted!r}, got {shown_value(value)}"
    except SearchTooLong as error:
        return f"expected to match {wanted!r}, which cannot be checked: {error}"


def _schema(wanted: Any, value: Any, expected: Expectation, names: Mapping[str, Any]) -> str | None:
    from orchestrator.json_schema import ReferenceMissing, ValidationTooLong, violations

    try:
        problems = violations(wanted, value)
    except (ReferenceMissing, ValidationTooLong) as error:
        return f"expected to satisfy the schema, and it cannot be checked: {error}"
    if not problems:
        return None
    first = problems[0]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first.path)
    at = f" at `{place.removeprefix('.')}`" if place else ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"expected to satisfy the schema, but{at}: {first.message}{more}"


def _expression(wanted: Template, value: Any, expected: Expectation, names: Mapping[str, Any]) -> str | None:
    try:
        holds = wanted.evaluate(Scope({**names, "value": value}, datetime.now(UTC)))
    except EvaluationError as error:
        return f"expected `{wanted.text}`, and it cannot be evaluated: {error.message}"
    if holds:
        return None
    reads_value = any(reference.name == "value" for reference in wanted.references)
    return f"expected `{wanted.text}`" + (
        f", value is {shown_value(value)}" if reads_value else ", and it does not hold"
    )


def _approx(wanted: float, value: Any, expected: Expectation, names: Mapping[str, Any]) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"expected a number near {wanted}, got {shown_value(value)}"
    within = expected.within if expected.within is not None else max(abs(wanted), 1) * _WITHIN
    return None if abs(value - wanted) <= within else f"expected {wanted} or at most {within:g} away, got {value}"


_CHECKS: Final[Mapping[Way, Callable[[Any, Any, Expectation, Mapping[str, Any]], str | None]]] = {
    "equals": _equals,
    "contains": _contains,
    "matches": _matches,
    "schema": _schema,
    "expression": _expression,
    "approx": _approx,
}

_ABSENT: Final = object()


def _same(wanted: Any, value: Any) -> bool:
    """Whether JSON values are equal: true is not 1, but 1 is 1.0."""
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    if isinstance(wanted, Mapping) and isinstance(value, Mapping):
        return wanted.keys() == value.keys() and all(_same(each, value[key]) for key, each in wanted.items())
    if isinstance(wanted, list) and isinstance(value, list):
        return len(wanted) == len(value) and all(map(_same, wanted, value))
    return bool(wanted == value)


def _holds(value: Any, wanted: Any) -> bool:
    """Whether a text has a part, a list an item, an object the same fields (and maybe others)."""
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    if isinstance(value, list):
        return any(_same(wanted, item) or (isinstance(wanted, Mapping) and _holds(item, wanted)) for item in value)
    if isinstance(value, Mapping):
        if isinstance(wanted, Mapping):
            return all(
                key in value and (_same(each, value[key]) or (isinstance(each, Mapping) and _holds(value[key], each)))
                for key, each in wanted.items()
            )
        return wanted in value
    return False


def _first_difference(wanted: Any, value: Any, place: str) -> tuple[str, Any, Any]:
    """Return the first path at which two values differ, and the parts that differ."""
    for name, want, came in _parts(wanted, value):
        if want is _ABSENT or came is _ABSENT:
            return (place, wanted, value) if want is _ABSENT else (f"{place}{name}".removeprefix("."), want, came)
        if not _same(want, came):
            return _first_difference(want, came, f"{place}{name}")
    return place.removeprefix("."), wanted, value


def _parts(wanted: Any, value: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(wanted, Mapping) and isinstance(value, Mapping):
        for key in [*wanted, *(key for key in value if key not in wanted)]:
            yield f".{key}", wanted.get(key, _ABSENT), value.get(key, _ABSENT)
    elif isinstance(wanted, list) and isinstance(value, list) and len(wanted) == len(value):
        for number, (want, came) in enumerate(zip(wanted, value, strict=True)):
            yield f"[{number}]", want, came
