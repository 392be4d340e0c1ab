"""Whether a value or a type is assignable to another type, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.expressions.types.value_types import ANY, Type, describe_type, type_of
from orchestrator.text.words import describe_value, quoted_list

_MAX_MESSAGES = 20


def is_assignable(source: Type, target: Type) -> bool:
    """Whether a value of type `source` could be a `target`. In doubt it is.

    `any` is assignable to everything. Of a union, one assignable option is enough. An integer is a number, and a number
    may be an integer (2.0 is). A string is never a number: text is not converted.
    """
    return _mismatch(source, target, "") is None


def explain_mismatch(source: Any, target: Type) -> str | None:
    """Explain why a value, or any value of a `Type`, cannot be a `target`; None if it can.

    The message names the innermost part by its path: "`rows[2].name` must be a string, not an integer".
    """
    if isinstance(source, Type):
        return _mismatch(source, target, "")
    problems: list[str] = []
    _check(source, target, "", problems, most=1)
    return problems[0] if problems else None


def type_mismatches(value: Any, type_: Type) -> list[str]:
    """Check a value against a type. Return one line per mismatch, at most 20."""
    problems: list[str] = []
    _check(value, type_, "", problems, most=_MAX_MESSAGES)
    return problems


def _subject(path: str) -> str:
    return f"`{path}`" if path else "the value"


def _at(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not key.isidentifier():
        return f"{path}[{key!r}]"
    return f"{path}.{key}" if path else key


def _mismatch(source: Type, target: Type, path: str) -> str | None:
    if source.kind == "any" or target.kind == "any":
        return None
    if source.kind == "union":
        reasons = [_mismatch(option, target, path) for option in source.options]
        return None if None in reasons else _must(path, target, source)
    if target.kind == "union":
        options = [_mismatch(source, option, path) for option in target.options]
        if None in options:
            return None
        same = [reason for reason, option in zip(options, target.options, strict=True) if option.kind == source.kind]
        return same[0] if len(same) == 1 else _must(path, target, source)
    if source.enum:
        wrong = [value for value in source.enum if explain_mismatch(value, target) is not None]
        return _must(path, target, source) if len(wrong) == len(source.enum) else None
    if source.kind != target.kind:
        both_numbers = {source.kind, target.kind} == {"integer", "number"}
        return None if both_numbers else _must(path, target, source)
    if source.kind == "array" and source.items is not None and target.items is not None:
        return _mismatch(source.items, target.items, f"{path}[]")
    return _object_mismatch(source, target, path) if source.kind == "object" else None


def _object_mismatch(source: Type, target: Type, path: str) -> str | None:
    if source.closed:
        for name in sorted(target.required):
            if name not in source.properties:
                return f"{_subject(path)} has no field `{name}`, which is required"
    if target.closed:
        extra = sorted(source.required - target.properties.keys())
        if extra:
            fields = quoted_list(target.properties, most=8)
            return f"{_subject(path)} has the unknown field `{extra[0]}`; the fields are {fields}"
    for name, wanted in target.properties.items():
        actual = source.properties.get(name)
        if actual is not None and (name in source.required or name in target.required):
            reason = _mismatch(actual, wanted, _at(path, name))
            if reason is not None:
                return reason
    return None


def _must(path: str, target: Type, source: Type) -> str:
    return f"{_subject(path)} must be {describe_type(target)}, not {describe_type(source)}"


def _matches_kind(value: Any, kind: str) -> bool:
    match kind:
        case "any":
            return True
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            return whole and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list | tuple)
        case _:
            return isinstance(value, Mapping)


def _check(value: Any, type_: Type, path: str, problems: list[str], most: int) -> None:
    if len(problems) >= most or (type_.kind == "any" and not type_.enum):
        return
    if type_.enum and not any(value == allowed and _same_kind(value, allowed) for allowed in type_.enum):
        problems.append(f"{_subject(path)} must be {describe_type(type_)}, not {describe_data(value)}")
    elif type_.kind == "union":
        _check_union(value, type_, path, problems, most)
    elif not _matches_kind(value, type_.kind):
        problems.append(f"{_subject(path)} must be {describe_type(type_)}, not {describe_data(value)}")
    elif type_.kind == "array":
        if type_.items is not None and type_.items.kind != "any":
            for index, item in enumerate(value):
                _check(item, type_.items, _at(path, index), problems, most)
                if len(problems) >= most:
                    return
    elif type_.kind == "object":
        _check_object(value, type_, path, problems, most)


def _check_union(value: Any, type_: Type, path: str, problems: list[str], most: int) -> None:
    closest: list[list[str]] = []
    for option in type_.options:
        found: list[str] = []
        _check(value, option, path, found, most)
        if not found:
            return
        if _matches_kind(value, option.kind):
            closest.append(found)
    if len(closest) == 1:  # one option is of the right kind, so its own problems are more precise
        problems.extend(closest[0])
    else:
        problems.append(f"{_subject(path)} must be {describe_type(type_)}, not {describe_data(value)}")


def _check_object(value: Mapping[str, Any], type_: Type, path: str, problems: list[str], most: int) -> None:
    missing = (name for name in sorted(type_.required) if name not in value)
    problems.extend(f"{_subject(path)} has no field `{name}`, which is required" for name in missing)
    for name, item in value.items():
        wanted = type_.properties.get(name)
        if wanted is not None:
            _check(item, wanted, _at(path, name), problems, most)
        elif type_.closed:
            known = f"; the fields are {quoted_list(type_.properties, most=8)}" if type_.properties else ""
            problems.append(f"{_subject(path)} has the unknown field `{name}`{known}")
        if len(problems) >= most:
            del problems[most:]
            return


def _same_kind(value: Any, allowed: Any) -> bool:
    return isinstance(value, bool) == isinstance(allowed, bool)


def describe_data(value: Any) -> str:
    """Describe a value as a message names it: scalars as they are, lists and objects by their type."""
    if value is None or isinstance(value, bool | int | float | str):
        return describe_value(value)
    described = type_of(value)
    if described == ANY:
        return "a value that is not JSON data"
    return describe_type(Type(described.kind, items=described.items if described.kind == "array" else None))
