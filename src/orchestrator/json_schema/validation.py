"""Validates values with the library `jsonschema`, whose unbounded keywords are replaced."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from orchestrator.patterns import PatternError, SearchTooLong, compile_pattern, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECONDS: Final = 10.0
"""Processor time of one validation."""

_MOST: Final = 1_000
"""Violations that are collected."""

_ANNOTATING: Final = ("draft/2020-12/", "draft/2019-09/")
"""Dialects in which `format` says what a text is, and does not refuse any other."""

_deadline: ContextVar[float] = ContextVar("deadline")


class _Referred:
    """The results of referenced schemas in one validation: no value is validated twice against the same schema.

    A chain of references that each appear twice would otherwise double the work with every link.
    """

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], Any] = {}  # the first violation, or None
        self.dynamic = 0
        """How many references were followed whose target depends on the way that led there."""


_referred: ContextVar[_Referred] = ContextVar("referred")


class ValidationTooLong(Exception):
    """A validation took too long, or a value is nested too deeply."""


class ReferenceMissing(Exception):
    """A schema refers to something that is not in it."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"the schema refers to `{reference}`, which is not in it")
        self.reference = reference


def violations(schema: Any, value: Any, *, seconds: float = _SECONDS) -> list[Any]:
    """Return the violations of a schema by a value, as errors of `jsonschema`, in order.

    The dialect is the one that `$schema` names, else 2020-12. Formats are checked unless `$schema` names a dialect in
    which `format` is an annotation.

    Raises:
        ReferenceMissing: The schema refers to something that is not in it.
        ValidationTooLong: It took more processor time, or the value or the schema is nested too deeply.
    """
    found = list(_bounded(schema, value, seconds, _MOST))
    return sorted(found, key=lambda error: [str(part) for part in error.absolute_path])


def is_valid(schema: Any, value: Any, *, seconds: float = _SECONDS) -> bool:
    """Whether a value satisfies a schema; raises what `violations` raises."""
    return not list(_bounded(schema, value, seconds, 1))


def _bounded(schema: Any, value: Any, seconds: float, most: int) -> Iterator[Any]:
    from referencing.exceptions import Unresolvable

    token, referred = _deadline.set(time.thread_time() + seconds), _referred.set(_Referred())
    try:
        yield from list(islice(_validator(schema).iter_errors(value), most))
    except Unresolvable as error:
        raise ReferenceMissing(str(error.ref)) from error
    except RecursionError:
        raise ValidationTooLong("the value or its schema is nested too deeply") from None
    except SearchTooLong as error:
        raise ValidationTooLong(str(error)) from None
    finally:
        _deadline.reset(token)
        _referred.reset(referred)


def dialect_of(schema: Any) -> Any:
    """Return the class of `jsonschema` for a schema's dialect."""
    import jsonschema

    named = schema.get("$schema") if isinstance(schema, Mapping) else None
    if not isinstance(named, str):
        return jsonschema.Draft202012Validator
    return jsonschema.validators.validator_for({"$schema": named}, default=jsonschema.Draft202012Validator)


def _validator(schema: Any) -> Any:
    from jsonschema_specifications import REGISTRY

    named = schema.get("$schema") if isinstance(schema, dict) else None
    annotating = isinstance(named, str) and any(part in named for part in _ANNOTATING)
    kind, formats = _bounded_dialect(dialect_of(schema))
    # This registry holds the schemas of schemas; the default one fetches references from the network.
    return kind(schema, registry=REGISTRY, format_checker=None if annotating else formats)


@lru_cache(maxsize=16)
def _bounded_dialect(dialect: Any) -> tuple[Any, Any]:
    """Return a dialect whose keywords are bounded, and its formats."""
    from jsonschema import FormatChecker, validators

    keywords = {**dialect.VALIDATORS, **{name: own for name, own in _OWN.items() if name in dialect.VALIDATORS}}
    formats = FormatChecker(())
    formats.checkers = {**dialect.FORMAT_CHECKER.checkers, "regex": (_is_expression, ())}
    for name in ("$dynamicRef", "$recursiveRef"):
        if name in keywords:
            keywords[name] = _counted(keywords[name])
    timed = {name: _timed(each) for name, each in keywords.items()}
    return validators.extend(dialect, timed), formats  # type: ignore[no-untyped-call]


def _timed(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def timed(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        _spend()
        return keyword(validator, value, instance, schema)

    return timed


def _counted(keyword: Callable[..., Any]) -> Callable[..., Any]:
    def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        _referred.get().dynamic += 1
        return keyword(validator, value, instance, schema)

    return counted


def _spend() -> None:
    if time.thread_time() > _deadline.get(float("inf")):
        raise ValidationTooLong("to validate the value took too long; make the schema simpler, or the value smaller")


def _is_expression(instance: object) -> bool:
    if not isinstance(instance, str):
        return True
    try:
        parse_pattern(instance, "ecma")
    except PatternError:
        return False
    return True


# --- keywords


def _found(pattern: str, text: str) -> bool:
    _spend()
    return compile_pattern(pattern, "ecma").matches(text)


def _ref(validator: Any, reference: Any, instance: Any, schema: Any) -> Iterator[Any]:
    referred = _referred.get()
    target = validator._resolver.lookup(reference)  # noqa: SLF001 - jsonschema gives it to keywords in no other way
    key = (id(target.contents), id(instance))
    if key in referred.found:
        first = referred.found[key]
        if first is not None:
            yield _copied(first)
        return
    before, first = referred.dynamic, None
    for error in validator.descend(instance, target.contents, resolver=target.resolver):
        if first is None:
            first = _copied(error)  # before those above it write their part of the path into it
            if referred.dynamic == before:
                referred.found[key] = first
        yield error
    if referred.dynamic == before:
        referred.found[key] = first


def _copied(error: Any) -> Any:
    return type(error).create_from(error)


def _pattern(validator: Any, pattern: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(instance, str) and not _found(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for pattern, part in patterns.items():
        for name, value in instance.items():
            if _found(pattern, name):
                yield from validator.descend(value, part, path=name, schema_path=pattern)


def _additional_properties(validator: Any, additional: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not isinstance(instance, dict):
        return
    patterns = schema.get("patternProperties", {})
    known = schema.get("properties", {})
    extras = [name for name in instance if name not in known and not any(_found(each, name) for each in patterns)]
    if isinstance(additional, dict):
        for name in extras:
            yield from validator.descend(instance[name], additional, path=name)
    elif not additional and extras:
        names = ", ".join(repr(name) for name in sorted(extras)[:20])
        if patterns:
            expressions = ", ".join(repr(each) for each in sorted(patterns))
            verb = "does" if len(extras) == 1 else "do"
            yield ValidationError(f"{names} {verb} not match any of the regexes: {expressions}")
        else:
            verb = "was" if len(extras) == 1 else "were"
            yield ValidationError(f"Additional properties are not allowed ({names} {verb} unexpected)")


def _unevaluated_properties(validator: Any, unevaluated: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not isinstance(instance, dict):
        return
    seen = _evaluated(validator, instance, schema)
    left = [
        name
        for name, value in instance.items()
        if name not in seen and next(validator.descend(value, unevaluated), None) is not None
    ]
    if left:
        names = ", ".join(repr(name) for name in sorted(left)[:20])
        verb = "was" if len(left) == 1 else "were"
        yield ValidationError(f"Unevaluated properties are not allowed ({names} {verb} unexpected)")


def _evaluated(validator: Any, instance: Mapping[str, Any], schema: Any) -> set[str]:
    """The properties of an object to which a schema has applied a schema."""
    _spend()
    if not isinstance(schema, dict):
        return set()
    found = set(instance) & set(schema.get("properties", {}))
    if "additionalProperties" in schema or "unevaluatedProperties" in schema:
        for keyword in ("additionalProperties", "unevaluatedProperties"):
            part = schema.get(keyword, False)
            found |= {name for name, value in instance.items() if next(validator.descend(value, part), None) is None}
    patterns = schema.get("patternProperties", {})
    found |= {name for name in instance if any(_found(pattern, name) for pattern in patterns)}
    for part, under in _applied(validator, instance, schema):
        found |= _evaluated(under, instance, part)
    return found


def _applied(validator: Any, instance: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the schemas in place that hold for an object, and a validator for each."""
    from referencing.jsonschema import lookup_recursive_ref

    resolver = validator._resolver  # noqa: SLF001 - jsonschema gives it to keywords in no other way
    for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
        if keyword in schema:
            reference = schema[keyword]
            target = lookup_recursive_ref(resolver) if keyword == "$recursiveRef" else resolver.lookup(reference)
            yield target.contents, validator.evolve(schema=target.contents, _resolver=target.resolver)
    for name, part in schema.get("dependentSchemas", {}).items():
        if name in instance:
            yield part, validator
    for keyword in ("allOf", "oneOf", "anyOf"):
        for part in schema.get(keyword, ()):
            if next(validator.descend(instance, part), None) is None:
                yield part, validator
    if "if" in schema:
        holds = next(validator.descend(instance, schema["if"]), None) is None
        if holds:
            yield schema["if"], validator
        part = schema.get("then" if holds else "else")
        if part is not None:
            yield part, validator


def _unique_items(validator: Any, unique: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not unique or not isinstance(instance, list):
        return
    seen: dict[Any, int] = {}
    for index, item in enumerate(instance):
        first = seen.setdefault(_key(item), index)
        if first != index:
            yield ValidationError(f"the items {first} and {index} are equal")
            return


def _key(value: Any) -> Any:
    """A hashable stand-in for a value, equal where JSON has them equal: `1` and `1.0`, but not `1` and `true`."""
    if isinstance(value, dict):
        return "object", frozenset((name, _key(item)) for name, item in value.items())
    if isinstance(value, list):
        return "array", tuple(map(_key, value))
    return type(value) is bool, value


def _multiple_of(validator: Any, factor: Any, instance: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if isinstance(instance, bool) or not isinstance(instance, int | float):
        return
    if _exact(instance) % _exact(factor):
        yield ValidationError(f"{instance!r} is not a multiple of {factor}")


def _exact(number: float) -> Fraction:
    """A number as it is written: 0.1 is a tenth."""
    return Fraction(number) if isinstance(number, int) else Fraction(repr(number))


_OWN: Final[Mapping[str, Callable[..., Iterator[Any]]]] = {
    "$ref": _ref,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "unevaluatedProperties": _unevaluated_properties,
    "uniqueItems": _unique_items,
    "multipleOf": _multiple_of,
}
