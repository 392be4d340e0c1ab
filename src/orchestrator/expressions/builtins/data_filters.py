"""Filters that convert values: defaults, numbers, JSON, times, paths, digests and regular expressions."""

from __future__ import annotations

import hashlib
import math
import posixpath
from typing import TYPE_CHECKING, Any

from orchestrator.expressions.builtins import regex_filters
from orchestrator.expressions.builtins.builtin import FILTERS, BuiltinDecorator, Misuse, builtin, number_type
from orchestrator.expressions.builtins.text_filters import integer_argument
from orchestrator.expressions.builtins.times import format_time, read_time, time_in_zone
from orchestrator.expressions.evaluation.operations import defined, is_true, text_of, too_large_integer
from orchestrator.expressions.evaluation.scope import OperationError, Undefined
from orchestrator.expressions.evaluation.text import json_of
from orchestrator.expressions.limits import TOO_LARGE_INTEGER
from orchestrator.expressions.types.assignability import describe_data
from orchestrator.expressions.types.value_types import (
    ANY,
    INTEGER,
    NULL,
    NUMBER,
    STRING,
    Kind,
    Type,
    array_of,
    union_of,
)
from orchestrator.text.json_text import NotJsonText, read_json
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBERS: tuple[Kind, ...] = ("integer", "number", "boolean")


def _filter(name: str, *aliases: str, example: tuple[str, str], **options: Any) -> BuiltinDecorator:
    return builtin(FILTERS, name, *aliases, example=example, **options)


# --- defaults for missing values


def _default_type(value: Type, arguments: Any) -> Type:
    options = [option for option in (value.options or (value,)) if option.kind != "null"]
    fallback = arguments[0] if arguments else STRING
    return union_of([*options, fallback, *([NULL] if len(options) < len(value.options or (value,)) else [])])


@_filter(
    *("default", "d"),
    result=_default_type,
    undefined=True,
    absent=True,
    example=("{{ [] | first | default('none given') }}", "none given"),
)
def _default(value: Any, default_value: Any = "", boolean: Any = False) -> Any:
    """The value, or the default if it is undefined; with `true`, the default also replaces null and empty values."""
    if type(value) is Undefined or (is_true(boolean) and not is_true(value)):
        return default_value
    return value


def _required_type(value: Type, arguments: Any) -> Type:
    options = [option for option in (value.options or (value,)) if option.kind != "null"]
    return union_of(options) if options else ANY


@_filter("required", result=_required_type, undefined=True, absent=True, example=("{{ 'here' | required }}", "here"))
def _required(value: Any, message: Any = "a value is required here") -> Any:
    """The value; a null or undefined value is an error with the message."""
    if value is None or type(value) is Undefined:
        raise OperationError(text_of(message))
    return value


# --- numbers


def _number(value: Any, name: str) -> int | float:
    value = defined(value)
    if not isinstance(value, int | float):
        help = "convert the string with `| float`" if isinstance(value, str) else None
        raise OperationError(f"`{name}` takes a number, not {describe_data(value)}", help)
    return value


@_filter("abs", result=number_type, accepts=_NUMBERS, example=("{{ -3 | abs }}", "3"))
def _abs(value: Any) -> int | float:
    """The absolute value."""
    return abs(_number(value, "abs"))


@_filter("round", result=number_type, accepts=_NUMBERS, example=("{{ 2.345 | round(1) }}", "2.3"))
def _round(value: Any, precision: Any = 0, method: Any = "common") -> int | float:
    """The number rounded to `precision` decimal places; `method` is 'common', 'ceil' or 'floor'."""
    number = _number(value, "round")
    places = integer_argument(precision, "the precision", least=-400)
    if method == "common":
        return round(number, min(places, 400))
    if method not in ("ceil", "floor"):
        raise OperationError("`method` must be 'common', 'ceil' or 'floor'")
    if abs(places) > 300:
        raise OperationError("the precision must be at most 300")
    scale = 10.0**places
    try:
        return (math.ceil if method == "ceil" else math.floor)(number * scale) / scale
    except (OverflowError, ValueError):
        raise OperationError("the number is too large to round") from None


@_filter("int", result=INTEGER, example=("{{ '42.7' | int }}", "42"))
def _int(value: Any, default: Any = 0, base: Any = 10) -> Any:
    """A number or string as an integer; the default if it cannot be converted."""
    try:
        if isinstance(value, str):
            if len(value) > 1_000:
                return default
            try:
                number = int(value, integer_argument(base, "the base"))
            except ValueError:
                number = int(float(value))
        else:
            number = int(value)
    except (ValueError, TypeError, OverflowError):
        return default
    if not -TOO_LARGE_INTEGER < number < TOO_LARGE_INTEGER:
        raise too_large_integer()
    return number


@_filter("float", result=NUMBER, example=("{{ '1.5' | float }}", "1.5"))
def _float(value: Any, default: Any = 0.0) -> Any:
    """A string as a number; the default if it cannot be converted."""
    try:
        number = float(value)
    except (ValueError, TypeError, OverflowError):
        return default
    return number if math.isfinite(number) else default


@_filter("filesizeformat", result=STRING, example=("{{ 13500 | filesizeformat }}", "13.5 kB"))
def _filesizeformat(value: Any, binary: Any = False) -> str:
    """A number of bytes in a readable unit: `13 kB`; with `true`, in powers of 1,024: `13 KiB`."""
    try:
        size = float(value) if isinstance(value, str) else float(_number(value, "filesizeformat"))
    except ValueError:
        raise OperationError(f"`filesizeformat` takes a number, not {describe_data(value)}") from None
    if not math.isfinite(size):
        raise OperationError("`filesizeformat` takes a finite number")
    base = 1024 if is_true(binary) else 1000
    if size == 1:
        return "1 Byte"
    if size < base:
        return f"{int(size)} Bytes"
    power = next((power for power in range(1, len(_PREFIXES)) if size < base ** (power + 1)), len(_PREFIXES))
    number, letter = f"{base * size / base ** (power + 1):.1f}", _PREFIXES[power - 1]
    return f"{number} {letter.upper()}iB" if base == 1024 else f"{number} {letter}B"


_PREFIXES = "kMGTPEZY"


# --- text and JSON


@_filter("string", result=STRING, example=("{{ 1.5 | string | length }}", "3"))
def _string(value: Any) -> str:
    """The value as text, as a template renders it."""
    return text_of(value)


@_filter("to_json", "tojson", result=STRING, example=("{{ {'b': [true, none]} | to_json }}", '{"b": [true, null]}'))
def _to_json(value: Any, indent: Any = None, sort_keys: Any = False) -> str:
    """The value as JSON; with `indent`, on several lines."""
    spaces = None if indent is None else min(integer_argument(indent, "the indent", least=0), 100)
    return json_of(defined(value), indent=spaces, sort_keys=is_true(sort_keys))


@_filter("pprint", result=STRING, example=("{{ [1, 2] | pprint }}", "[\n  1,\n  2\n]"))
def _pprint(value: Any) -> str:
    """The value as indented JSON."""
    return json_of(defined(value), indent=2)


@_filter("from_json", result=ANY, accepts=("string",), example=("{{ ('{\"a\": [1, 2]}' | from_json).a[1] }}", "2"))
def _from_json(value: Any) -> Any:
    """Parse a JSON text."""
    if not isinstance(value, str):
        raise OperationError(
            f"`from_json` takes a string, not {describe_data(value)}", "the value is already parsed; remove the filter"
        )
    try:
        return read_json(value)
    except NotJsonText as error:
        if error.position is None:
            raise OperationError(f"the text is not valid JSON: {error}") from None
        excerpt = value[max(error.position - 10, 0) : error.position + 20]
        raise OperationError(
            f"the text is not valid JSON: {error}, near `{excerpt}`",
            "check the start and the end of the text: prose and code fences are not JSON",
        ) from None


# --- times, paths, digests


@_filter("date", result=STRING, example=("{{ '2026-02-03T04:05:06Z' | date('%d.%m.%Y') }}", "03.02.2026"))
def _date(value: Any, format: Any = "%Y-%m-%d", zone: Any = None) -> str:
    """A time (ISO 8601 text or Unix seconds) in a `strftime` format; with `zone`, in that time zone."""
    time = read_time(value)
    return format_time(time if zone is None else time_in_zone(time, zone), format)


@_filter("basename", result=STRING, accepts=("string",), example=("{{ 'data/in.csv' | basename }}", "in.csv"))
def _basename(value: Any) -> str:
    """The last component of a path."""
    return posixpath.basename(text_of(value))


@_filter("dirname", result=STRING, accepts=("string",), example=("{{ 'data/in.csv' | dirname }}", "data"))
def _dirname(value: Any) -> str:
    """A path without its last component."""
    return posixpath.dirname(text_of(value))


_ALGORITHMS = ("sha256", "sha512", "sha1", "md5", "blake2b")


def _hash_check(arguments: Mapping[str, Any]) -> Misuse | None:
    name = arguments.get("algorithm", "sha256")
    if name in _ALGORITHMS:
        return None
    return Misuse("algorithm", f"has no algorithm `{name}`", f"it is one of {quoted_list(_ALGORITHMS, most=8)}")


@_filter("hash", result=STRING, check=_hash_check, example=("{{ ('abc' | hash)[:8] }}", "ba7816bf"))
def _hash(value: Any, algorithm: Any = "sha256") -> str:
    """The hexadecimal digest of the UTF-8 text: sha256, sha512, sha1, md5 or blake2b."""
    if algorithm not in _ALGORITHMS:
        raise OperationError(f"unknown algorithm {describe_data(algorithm)}", f"use one of {', '.join(_ALGORITHMS)}")
    return hashlib.new(algorithm, text_of(value).encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


# --- regular expressions


def _pattern_check(arguments: Mapping[str, Any]) -> Misuse | None:
    pattern = arguments.get("pattern")
    if pattern is None:
        return None
    try:
        regex_filters.compiled(pattern, ignorecase=False)
    except OperationError as failure:
        help = failure.help or "fix the pattern; escape special characters with `\\`"
        return Misuse("pattern", f"has an invalid pattern: {failure.message}", help)
    return None


@_filter(
    "regex_replace",
    result=STRING,
    check=_pattern_check,
    example=("{{ 'v1.20' | regex_replace('(\\\\d+)\\\\.(\\\\d+)', '\\\\2.\\\\1') }}", "v20.1"),
)
def _regex_replace(value: Any, pattern: Any, replacement: Any = "", count: Any = 0, ignorecase: Any = False) -> str:
    r"""The text with every match, or the first `count`, replaced; `\\\\1` in the replacement is the first group."""
    return regex_filters.replace_matches(
        text_of(value),
        regex_filters.compiled(pattern, ignorecase=is_true(ignorecase)),
        text_of(replacement),
        integer_argument(count, "the count", least=0),
    )


@_filter(
    "regex_search",
    result=union_of([STRING, NULL]),
    check=_pattern_check,
    example=("{{ 'order 66' | regex_search('\\\\d+') }}", "66"),
)
def _regex_search(value: Any, pattern: Any, group: Any = 0, ignorecase: Any = False) -> str | None:
    """The first match, or one of its groups; null if nothing matches."""
    return regex_filters.search_match(
        text_of(value), regex_filters.compiled(pattern, ignorecase=is_true(ignorecase)), group
    )


@_filter(
    "regex_findall",
    result=array_of(ANY),
    check=_pattern_check,
    example=("{{ 'a1 b22' | regex_findall('\\\\d+') }}", '["1", "22"]'),
)
def _regex_findall(value: Any, pattern: Any, ignorecase: Any = False) -> list[Any]:
    """All matches; if the pattern has groups, the group, or a list of the groups, of each match."""
    return regex_filters.find_all(text_of(value), regex_filters.compiled(pattern, ignorecase=is_true(ignorecase)))
