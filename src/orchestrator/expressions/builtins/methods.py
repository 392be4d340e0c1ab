"""Methods: `value.name(...)`. They come from this table, by the type of the value, never from the value itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.expressions.builtins.builtin import Builtin, BuiltinDecorator, builtin
from orchestrator.expressions.evaluation.scope import OperationError
from orchestrator.expressions.evaluation.text import check_list_size, check_text_size, plain_value
from orchestrator.expressions.types.assignability import describe_data
from orchestrator.expressions.types.value_types import ANY, BOOLEAN, INTEGER, STRING, Kind, Type, array_of

if TYPE_CHECKING:
    from collections.abc import Mapping

METHODS: dict[str, Builtin] = {}


def _method(name: str, *kinds: Kind, result: Any, example: tuple[str, str]) -> BuiltinDecorator:
    return builtin(METHODS, name, result=result, example=example, accepts=kinds)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise OperationError(f"{what} must be a string, not {describe_data(value)}")
    return value


def _optional(value: Any, what: str) -> str | None:
    return None if value is None else _text(value, what)


def _number(value: Any, what: str) -> int:
    if not isinstance(value, int):
        raise OperationError(f"{what} must be an integer, not {describe_data(value)}")
    return value


@_method("lower", "string", result=STRING, example=("{{ 'ABC'.lower() }}", "abc"))
def _lower(value: str) -> str:
    """The text in lower case."""
    return value.lower()


@_method("upper", "string", result=STRING, example=("{{ 'abc'.upper() }}", "ABC"))
def _upper(value: str) -> str:
    """The text in upper case."""
    return value.upper()


@_method("title", "string", result=STRING, example=("{{ 'a tale'.title() }}", "A Tale"))
def _title(value: str) -> str:
    """The text with the first letter of each word capitalized."""
    return value.title()


@_method("capitalize", "string", result=STRING, example=("{{ 'aBC'.capitalize() }}", "Abc"))
def _capitalize(value: str) -> str:
    """The text with its first letter in upper case and the others in lower case."""
    return value.capitalize()


@_method("strip", "string", result=STRING, example=("{{ '  a '.strip() }}", "a"))
def _strip(value: str, chars: Any = None) -> str:
    """The text without white space, or without the given characters, at both ends."""
    return value.strip(_optional(chars, "the set of characters to strip"))


@_method("lstrip", "string", result=STRING, example=("{{ 'xxa'.lstrip('x') }}", "a"))
def _lstrip(value: str, chars: Any = None) -> str:
    """Like `strip`, but only at the start."""
    return value.lstrip(_optional(chars, "the set of characters to strip"))


@_method("rstrip", "string", result=STRING, example=("{{ 'a//'.rstrip('/') }}", "a"))
def _rstrip(value: str, chars: Any = None) -> str:
    """Like `strip`, but only at the end."""
    return value.rstrip(_optional(chars, "the set of characters to strip"))


@_method("split", "string", result=array_of(STRING), example=("{{ 'a,b'.split(',') }}", '["a", "b"]'))
def _split(value: str, sep: Any = None, maxsplit: Any = -1) -> list[str]:
    """The parts between separators; without a separator, the words."""
    separator = _separator(sep)
    check_list_size(value.count(separator) if separator else len(value) // 2)
    return value.split(separator, _number(maxsplit, "the number of splits"))


@_method("rsplit", "string", result=array_of(STRING), example=("{{ 'a.b.c'.rsplit('.', 1) }}", '["a.b", "c"]'))
def _rsplit(value: str, sep: Any = None, maxsplit: Any = -1) -> list[str]:
    """Like `split`, but `maxsplit` counts from the end."""
    separator = _separator(sep)
    check_list_size(value.count(separator) if separator else len(value) // 2)
    return value.rsplit(separator, _number(maxsplit, "the number of splits"))


def _separator(sep: Any) -> str | None:
    separator = _optional(sep, "a separator")
    if separator == "":
        raise OperationError("a separator cannot be empty")
    return separator


@_method("splitlines", "string", result=array_of(STRING), example=("{{ 'a\\nb'.splitlines() }}", '["a", "b"]'))
def _splitlines(value: str) -> list[str]:
    """The lines."""
    check_list_size(value.count("\n"))
    return value.splitlines()


@_method("join", "string", result=STRING, example=("{{ ', '.join(['a', 'b']) }}", "a, b"))
def _join(value: str, items: Any) -> str:
    """The strings of a list, joined with this string."""
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise OperationError("`.join()` takes a list of strings", "the filter accepts any list: `items | join(', ')`")
    check_text_size(sum(map(len, items)) + len(value) * len(items))
    return value.join(items)


@_method("startswith", "string", result=BOOLEAN, example=("{{ 'abc'.startswith('ab') }}", "true"))
def _startswith(value: str, prefix: Any) -> bool:
    """Whether the text starts with the prefix, or with one of a list of prefixes."""
    return value.startswith(_texts(prefix))


@_method("endswith", "string", result=BOOLEAN, example=("{{ 'a.csv'.endswith('.csv') }}", "true"))
def _endswith(value: str, suffix: Any) -> bool:
    """Whether the text ends with the suffix, or with one of a list of suffixes."""
    return value.endswith(_texts(suffix))


def _texts(value: Any) -> str | tuple[str, ...]:
    if isinstance(value, list):
        return tuple(_text(item, "each prefix or suffix") for item in value)
    return _text(value, "the text to find")


@_method("removeprefix", "string", result=STRING, example=("{{ 'v1.2'.removeprefix('v') }}", "1.2"))
def _removeprefix(value: str, prefix: Any) -> str:
    """The text without the prefix."""
    return value.removeprefix(_text(prefix, "a prefix"))


@_method("removesuffix", "string", result=STRING, example=("{{ 'a.csv'.removesuffix('.csv') }}", "a"))
def _removesuffix(value: str, suffix: Any) -> str:
    """The text without the suffix."""
    return value.removesuffix(_text(suffix, "a suffix"))


@_method("replace", "string", result=STRING, example=("{{ 'a-b'.replace('-', '+') }}", "a+b"))
def _replace(value: str, old: Any, new: Any, count: Any = -1) -> str:
    """The text with every `old`, or the first `count`, replaced by `new`."""
    return replaced(
        value, _text(old, "the text to replace"), _text(new, "the replacement"), _number(count, "the count")
    )


def replaced(value: str, old: str, new: str, count: int) -> str:
    """Return the text with `old` replaced by `new`. Raises OperationError if the result is too long."""
    found = value.count(old) if count < 0 else min(count, value.count(old))
    check_text_size(len(value) + found * (len(new) - len(old)))
    return value.replace(old, new, count)


@_method("find", "string", result=INTEGER, example=("{{ 'abc'.find('c') }}", "2"))
def _find(value: str, sub: Any) -> int:
    """The position of the other string, from 0; -1 if it is not found."""
    return value.find(_text(sub, "the text to find"))


@_method("count", "string", "array", result=INTEGER, example=("{{ 'banana'.count('a') }}", "3"))
def _count(value: Any, sub: Any) -> int:
    """The number of occurrences of the other string, or of the item."""
    if isinstance(value, str):
        return value.count(_text(sub, "the text to count"))
    sub = plain_value(sub)
    return sum(1 for item in plain_value(value) if item == sub)


@_method("index", "string", "array", result=INTEGER, example=("{{ ['a', 'b'].index('b') }}", "1"))
def _index(value: Any, item: Any) -> int:
    """The position of the first match, from 0; an error if it is not found."""
    try:
        if isinstance(value, str):
            return value.index(_text(item, "the text to find"))
        return int(plain_value(value).index(plain_value(item)))
    except ValueError:
        raise OperationError(f"{describe_data(item)} is not found") from None


@_method("isdigit", "string", result=BOOLEAN, example=("{{ '12'.isdigit() }}", "true"))
def _isdigit(value: str) -> bool:
    """Whether all characters are digits."""
    return value.isdigit()


@_method("isalpha", "string", result=BOOLEAN, example=("{{ 'ab'.isalpha() }}", "true"))
def _isalpha(value: str) -> bool:
    """Whether all characters are letters."""
    return value.isalpha()


@_method("isupper", "string", result=BOOLEAN, example=("{{ 'AB'.isupper() }}", "true"))
def _isupper(value: str) -> bool:
    """Whether all letters are upper case."""
    return value.isupper()


@_method("islower", "string", result=BOOLEAN, example=("{{ 'ab'.islower() }}", "true"))
def _islower(value: str) -> bool:
    """Whether all letters are lower case."""
    return value.islower()


@_method("zfill", "string", result=STRING, example=("{{ '7'.zfill(3) }}", "007"))
def _zfill(value: str, width: Any) -> str:
    """The text padded with zeros on the left to a width."""
    check_text_size(_number(width, "the width"))
    return value.zfill(width)


@_method("ljust", "string", result=STRING, example=("{{ 'a'.ljust(3, '.') }}", "a.."))
def _ljust(value: str, width: Any, fillchar: Any = " ") -> str:
    """The text padded on the right to a width."""
    check_text_size(_number(width, "the width"))
    return value.ljust(width, _filler(fillchar))


@_method("rjust", "string", result=STRING, example=("{{ 'a'.rjust(3, '.') }}", "..a"))
def _rjust(value: str, width: Any, fillchar: Any = " ") -> str:
    """The text padded on the left to a width."""
    check_text_size(_number(width, "the width"))
    return value.rjust(width, _filler(fillchar))


def _filler(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1:
        raise OperationError(f"the fill character must be a single character, not {describe_data(value)}")
    return value


def _fields_as_pairs(value: Type, arguments: Any) -> Type:
    return array_of(Type("array"))


@_method("items", "object", result=_fields_as_pairs, example=("{{ {'a': 1}.items() }}", '[["a", 1]]'))
def _items(value: Mapping[str, Any]) -> list[list[Any]]:
    """The fields as pairs of name and value."""
    return [[key, item] for key, item in value.items()]


@_method("keys", "object", result=array_of(STRING), example=("{{ {'a': 1}.keys() }}", '["a"]'))
def _keys(value: Mapping[str, Any]) -> list[str]:
    """The field names."""
    return list(value)


@_method("values", "object", result=array_of(ANY), example=("{{ {'a': 1}.values() }}", "[1]"))
def _values(value: Mapping[str, Any]) -> list[Any]:
    """The field values."""
    return list(value.values())


@_method("get", "object", result=ANY, example=("{{ {'a': 1}.get('b', 0) }}", "0"))
def _get(value: Mapping[str, Any], key: Any, default: Any = None) -> Any:
    """The field with this name, or the default, or null."""
    return value.get(_text(key, "a field name"), default)
