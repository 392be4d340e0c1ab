"""Filters for lists and objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.expressions.builtins.builtin import (
    FILTERS,
    TESTS,
    Builtin,
    BuiltinDecorator,
    Misuse,
    ResultRule,
    builtin,
    item_type,
    list_type,
    nested_list_type,
    same_type,
)
from orchestrator.expressions.builtins.equivalents import FILTER_EQUIVALENTS, TEST_EQUIVALENTS
from orchestrator.expressions.builtins.text_filters import integer_argument
from orchestrator.expressions.evaluation.operations import (
    add,
    defined,
    is_true,
    iterable_items,
    read_field,
    read_item,
    text_of,
)
from orchestrator.expressions.evaluation.scope import ItemGroup, OperationError, Undefined
from orchestrator.expressions.evaluation.text import check_list_size, check_text_size, plain_value
from orchestrator.expressions.problem import near
from orchestrator.expressions.types.assignability import describe_data
from orchestrator.expressions.types.value_types import ANY, INTEGER, STRING, Kind, Type, array_of
from orchestrator.remedies import ListFilters

_ITERABLE: tuple[Kind, ...] = ("string", "array", "object")
Key = Callable[[Any], Any]


def _filter(
    name: str,
    *aliases: str,
    example: tuple[str, str],
    result: Type | ResultRule = ANY,
    accepts: tuple[Kind, ...] = _ITERABLE,
    check: Any = None,
) -> BuiltinDecorator:
    return builtin(FILTERS, name, *aliases, result=result, example=example, accepts=accepts, check=check)


# --- reading a field of each item


def _getter(attribute: Any, default: Any = None) -> Key:
    """Return a function that reads `attribute` (`'a.b'`, `'a.0'` or a number) of an item.

    As in Jinja2, `default` replaces an undefined part, but not a null, and the rest of the path is read from it.
    """
    if attribute is None:
        return lambda item: item
    if isinstance(attribute, int):
        parts: list[str | int] = [attribute]
    else:
        parts = [int(part) if part.isascii() and part.isdigit() else part for part in text_of(attribute).split(".")]

    def read(item: Any) -> Any:
        for index, part in enumerate(parts):
            what = "the item" if not index else f"{parts[index - 1]}"
            item = read_field(item, part, what) if isinstance(part, str) else read_item(item, part, what)
            if type(item) is Undefined and default is not None:
                item = default
        return item

    return read


def _sort_key(attribute: Any, case_sensitive: Any) -> Key:
    read = _getter(attribute)

    def key(item: Any) -> Any:
        value = plain_value(defined(read(item)))
        if isinstance(value, dict):
            raise OperationError("objects cannot be ordered", "name the field to sort by: `sort(attribute='name')`")
        return value if case_sensitive or not isinstance(value, str) else value.lower()

    return key


def _ordered(compute: Callable[[], Any], what: str) -> Any:
    try:
        return compute()
    except TypeError:
        raise OperationError(f"{what} are of different types, so they cannot be ordered") from None


def _flag(value: Any) -> bool:
    return is_true(value)


# --- size and position


@_filter("length", "count", result=INTEGER, example=("{{ [1, 2, 3] | length }}", "3"))
def _length(value: Any) -> int:
    """The number of items, fields or characters."""
    value = defined(value)
    if not isinstance(value, list | str | Mapping):
        help = "use an empty list instead: `| default([], true)`" if value is None else None
        raise OperationError(f"{describe_data(value)} has no length", help)
    return len(value)


@_filter("first", result=item_type, example=("{{ ['a', 'b'] | first }}", "a"))
def _first(value: Any) -> Any:
    """The first item; undefined if the list is empty."""
    items = iterable_items(value)
    return items[0] if items else Undefined("the list is empty, so it has no first item")


@_filter("last", result=item_type, example=("{{ ['a', 'b'] | last }}", "b"))
def _last(value: Any) -> Any:
    """The last item; undefined if the list is empty."""
    items = iterable_items(value)
    return items[-1] if items else Undefined("the list is empty, so it has no last item")


@_filter("list", result=list_type, example=("{{ 'abc' | list }}", '["a", "b", "c"]'))
def _list(value: Any) -> list[Any]:
    """The items as a list: the characters of a string, or the field names of an object."""
    return list(iterable_items(value))


@_filter("reverse", result=same_type, accepts=("string", "array"), example=("{{ [1, 2] | reverse }}", "[2, 1]"))
def _reverse(value: Any) -> Any:
    """The items, or the characters of a string, in reverse order."""
    return value[::-1] if isinstance(value, str) else iterable_items(value)[::-1]


# --- sorting and selection


@_filter("sort", result=list_type, example=("{{ [3, 1, 2] | sort(reverse=true) }}", "[3, 2, 1]"))
def _sort(value: Any, reverse: Any = False, case_sensitive: Any = False, attribute: Any = None) -> list[Any]:
    """The items sorted, optionally by an attribute (or several: `'a,b'`)."""
    names = attribute.split(",") if isinstance(attribute, str) else [attribute]
    keys = [_sort_key(name, case_sensitive) for name in names]
    key = keys[0] if len(keys) == 1 else lambda item: [one(item) for one in keys]
    result: list[Any] = _ordered(lambda: sorted(iterable_items(value), key=key, reverse=_flag(reverse)), "the items")
    return result


@_filter("unique", result=list_type, example=("{{ ['a', 'A', 'b'] | unique }}", '["a", "b"]'))
def _unique(value: Any, case_sensitive: Any = False, attribute: Any = None) -> list[Any]:
    """The items without duplicates, keeping the first of each; case is ignored unless `case_sensitive`."""
    read = _getter(attribute)
    seen: set[Any] = set()
    result = []
    for item in iterable_items(value):
        key = defined(read(item))
        if isinstance(key, str) and not case_sensitive:
            key = key.lower()
        frozen = _frozen(plain_value(key))
        if frozen not in seen:
            seen.add(frozen)
            result.append(item)
    return result


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return ("object", frozenset((key, _frozen(item)) for key, item in value.items()))
    return ("list", *map(_frozen, value)) if isinstance(value, list) else value


@_filter("min", result=item_type, example=("{{ [3, 1, 2] | min }}", "1"))
def _min(value: Any, case_sensitive: Any = False, attribute: Any = None) -> Any:
    """The smallest item, optionally by an attribute; undefined if the list is empty."""
    items, key = iterable_items(value), _sort_key(attribute, case_sensitive)
    return (
        _ordered(lambda: min(items, key=key), "the items") if items else Undefined("an empty list has no smallest item")
    )


@_filter("max", result=item_type, example=("{{ [{'n': 1}, {'n': 2}] | max(attribute='n') }}", '{"n": 2}'))
def _max(value: Any, case_sensitive: Any = False, attribute: Any = None) -> Any:
    """The largest item, optionally by an attribute; undefined if the list is empty."""
    items, key = iterable_items(value), _sort_key(attribute, case_sensitive)
    if not items:
        return Undefined("an empty list has no largest item")
    return _ordered(lambda: max(items, key=key), "the items")


def _sum_type(value: Type, arguments: Any) -> Type:
    known = value.items if value.kind == "array" and not arguments else None
    return known if known is not None and known.kind in ("integer", "number") else ANY


@_filter("sum", result=_sum_type, example=("{{ [{'n': 1}, {'n': 2}] | sum('n') }}", "3"))
def _sum(value: Any, attribute: Any = None, start: Any = 0) -> Any:
    """The sum of the items, or of an attribute of each, added to `start`."""
    read = _getter(attribute)
    total = start
    for item in iterable_items(value):
        total = add(total, read(item))
    return total


# --- shape


@_filter("join", result=STRING, example=("{{ [1, 2, 3] | join(', ') }}", "1, 2, 3"))
def _join(value: Any, d: Any = "", attribute: Any = None) -> str:
    """The items, or an attribute of each, as text joined with a separator."""
    read = _getter(attribute)
    separator = text_of(d)
    parts = [text_of(read(item)) for item in iterable_items(value)]
    check_text_size(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


@_filter("batch", result=nested_list_type, example=("{{ [1, 2, 3] | batch(2, 0) }}", "[[1, 2], [3, 0]]"))
def _batch(value: Any, linecount: Any, fill_with: Any = None) -> list[list[Any]]:
    """Lists of `linecount` items each; `fill_with` pads the last one."""
    size = integer_argument(linecount, "the number of items", least=1)
    items = iterable_items(value)
    result = [items[start : start + size] for start in range(0, len(items), size)]
    if result and fill_with is not None:
        missing = size - len(result[-1])
        check_list_size(missing)
        result[-1] = result[-1] + [fill_with] * missing
    return result


@_filter("slice", result=nested_list_type, example=("{{ [1, 2, 3] | slice(2) }}", "[[1, 2], [3]]"))
def _slice(value: Any, slices: Any, fill_with: Any = None) -> list[list[Any]]:
    """The items split into `slices` lists of nearly equal length; `fill_with` pads the shorter ones."""
    count = integer_argument(slices, "the number of lists", least=1)
    check_list_size(count)
    items = iterable_items(value)
    size, longer = divmod(len(items), count)
    result, start = [], 0
    for index in range(count):
        end = start + size + (index < longer)
        part = items[start:end]
        if fill_with is not None and index >= longer:
            part = [*part, fill_with]
        result.append(part)
        start = end
    return result


@_filter(
    "groupby",
    result=array_of(ANY),
    example=(
        "{% for city, people in [{'n': 'Ann', 'c': 'Bonn'}, {'n': 'Al', 'c': 'Bonn'}] | groupby('c') %}"
        "{{ city }}: {{ people | join(', ', 'n') }}{% endfor %}",
        "Bonn: Ann, Al",
    ),
)
def _groupby(value: Any, attribute: Any, default: Any = None, case_sensitive: Any = False) -> list[ItemGroup]:
    """Pairs of an attribute's value (`.grouper`) and the items that have it (`.list`), sorted by the value."""
    read = _getter(attribute, default)

    def key(item: Any) -> Any:
        found = plain_value(defined(read(item)))
        return found if case_sensitive or not isinstance(found, str) else found.lower()

    groups: list[ItemGroup] = []
    last: Any = None
    for item in _ordered(lambda: sorted(iterable_items(value), key=key), "the values to group by"):
        current = key(item)
        if not groups or current != last:
            groups.append(ItemGroup([defined(read(item)), []]))
            last = current
        groups[-1][1].append(item)
    return groups


@_filter("items", result=array_of(ANY), accepts=("object",), example=("{{ {'a': 1} | items }}", '[["a", 1]]'))
def _items(value: Any) -> list[list[Any]]:
    """The fields of an object as pairs of name and value."""
    return [[key, item] for key, item in _object(value).items()]


@_filter(
    "dictsort",
    result=array_of(ANY),
    accepts=("object",),
    example=("{{ {'b': 1, 'a': 2} | dictsort }}", '[["a", 2], ["b", 1]]'),
)
def _dictsort(value: Any, case_sensitive: Any = False, by: Any = "key", reverse: Any = False) -> list[list[Any]]:
    """The fields of an object as pairs, sorted by name or, with `by='value'`, by value."""
    if by not in ("key", "value"):
        raise OperationError("`by` must be 'key' or 'value'")
    key = _sort_key(0 if by == "key" else 1, case_sensitive)
    pairs = [[name, item] for name, item in _object(value).items()]
    result: list[Any] = _ordered(lambda: sorted(pairs, key=key, reverse=_flag(reverse)), "the values")
    return result


def _object(value: Any) -> Mapping[str, Any]:
    value = defined(value)
    if not isinstance(value, Mapping):
        raise OperationError(f"{describe_data(value)} has no fields")
    return value


# --- each item


def _map_check(arguments: Mapping[str, Any]) -> Misuse | None:
    return _unknown_name(arguments, "filter", FILTERS, FILTER_EQUIVALENTS, "'upper'")


def _unknown_name(
    arguments: Mapping[str, Any], kind: str, table: Mapping[str, Builtin], elsewhere: Mapping[str, str], example: str
) -> Misuse | None:
    name = arguments.get(kind)
    if not isinstance(name, str) or name in table:
        return None
    message = f"names an unknown {kind}, `{name}`"
    if name in elsewhere:
        return Misuse(kind, message, _of_each_item(elsewhere[name].replace("{name}", name)))
    help = f"use the name of a {kind}, such as `{example}`"
    return Misuse(kind, message, help, near(name, table), (ListFilters(),))


def _of_each_item(equivalent: str) -> str:
    """Return what to write instead of a foreign filter or test that is named as the argument of a filter."""
    named = re.fullmatch(r"write `\{value\} (?:is|\|) (\w+)(?:\((.*?)\))?`.*", equivalent)
    if named is not None:
        arguments = f", {named[2]}" if named[2] else ""
        return f"write `'{named[1]}'{arguments}`"
    operation = re.fullmatch(r"write `\{value\} ([=<>]+) (\w+)`", equivalent)
    if operation is not None:
        return f"write `'{operation[1]}', {operation[2]}`"
    if "{value}" not in equivalent:
        return equivalent
    written = equivalent.replace("{value}", "item")
    return f"for each item, in `{{% for item in items %}}`: {written}"


@_filter(
    "map",
    result=array_of(ANY),
    check=_map_check,
    example=("{{ [{'n': 'a'}, {'n': 'b'}] | map(attribute='n') | map('upper') }}", '["A", "B"]'),
)
def _map(
    value: Any, filter: Any = None, *arguments: Any, attribute: Any = None, default: Any = None, **named: Any
) -> Any:
    """An attribute of each item (`attribute=`, with a `default` for items without it), or a filter applied to each."""
    if filter is None:
        if attribute is None:
            raise OperationError("`map` needs the name of a filter, or `attribute=`")
        read = _getter(attribute, default)
        return [defined(read(item)) for item in iterable_items(value)]
    if attribute is not None:
        named["attribute"] = attribute
    if default is not None:
        named["default"] = default
    call = _looked_up(FILTERS, "filter", filter, arguments, named)
    return [defined(call(item, *arguments, **named)) for item in iterable_items(value)]


def _looked_up(table: Mapping[str, Builtin], kind: str, name: Any, arguments: Any, named: Mapping[str, Any]) -> Key:
    found = table.get(name) if isinstance(name, str) else None
    if found is None:
        raise OperationError(f"unknown {kind}: {describe_data(name)}")
    wrong = found.misuse(len(arguments), tuple(named))
    if wrong:
        raise OperationError(f"the {kind} `{found.name}` {wrong}")
    return found.function


def _test_check(arguments: Mapping[str, Any]) -> Misuse | None:
    return _unknown_name(arguments, "test", TESTS, TEST_EQUIVALENTS, "'odd'")


def _chosen(value: Any, read: Key, test: Any, arguments: Any, wanted: bool) -> list[Any]:
    if test is None:
        return [item for item in iterable_items(value) if is_true(read(item)) is wanted]
    call = _looked_up(TESTS, "test", test, arguments, {})
    takes_undefined = TESTS[test].undefined
    return [
        item
        for item in iterable_items(value)
        if is_true(call(read(item) if takes_undefined else defined(read(item)), *arguments)) is wanted
    ]


@_filter("select", result=list_type, check=_test_check, example=("{{ [1, 2, 3] | select('odd') }}", "[1, 3]"))
def _select(value: Any, test: Any = None, *arguments: Any) -> list[Any]:
    """The items that pass a test; without a test, those that are true."""
    return _chosen(value, lambda item: item, test, arguments, True)


@_filter("reject", result=list_type, check=_test_check, example=("{{ [1, 2, 3] | reject('odd') }}", "[2]"))
def _reject(value: Any, test: Any = None, *arguments: Any) -> list[Any]:
    """The items that fail a test; without a test, those that are false."""
    return _chosen(value, lambda item: item, test, arguments, False)


@_filter(
    "selectattr",
    result=list_type,
    check=_test_check,
    example=("{{ [{'n': 1}, {'n': 2}] | selectattr('n', 'gt', 1) }}", '[{"n": 2}]'),
)
def _selectattr(value: Any, attribute: Any, test: Any = None, *arguments: Any) -> list[Any]:
    """The items whose attribute passes a test; without a test, those where it is true."""
    return _chosen(value, _getter(attribute), test, arguments, True)


@_filter(
    "rejectattr",
    result=list_type,
    check=_test_check,
    example=("{{ [{'n': 1}, {'n': 2}] | rejectattr('n', 'gt', 1) }}", '[{"n": 1}]'),
)
def _rejectattr(value: Any, attribute: Any, test: Any = None, *arguments: Any) -> list[Any]:
    """The items whose attribute fails a test; without a test, those where it is false."""
    return _chosen(value, _getter(attribute), test, arguments, False)
