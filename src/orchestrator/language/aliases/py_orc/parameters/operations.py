"""The `operation` of a call that processes data: its name becomes the action, what it needs the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.canonical import mapping_at
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

if TYPE_CHECKING:
    from orchestrator.language.aliases.py_orc.draft import Draft

_OPERATIONS: Final = ("operation", "operations", "transformation", "transformations", "transform")
_VERBS: Final = frozenset({"transform", "process", "execute", "run", "apply", ""})
_OWN: Final = frozenset({"filter", "aggregate", "sort", "select", "join", "merge", "convert", "pivot", "group"})
_NAMES: Final = ("type", "operation", "action", "name", "op")
_MAPPINGS: Final = ("mapping", "mappings", "field_mapping", "fields", "columns", "transform_spec", "transformations")


def action_of_operation(draft: Draft, call: Draft) -> None:
    """Rewrite `action: transform` with `operation: {type: filter, ...}` as `action: filter` with its parameters."""
    action = str(draft.plain("action") or "")
    nested = call.value("operation")
    if action.lower() in _OWN and isinstance(nested, Mapping):
        call.drop("operation", "its keys below `parameters`")
        _add(call, nested.without(_NAMES))
        return
    if action.lower() not in _VERBS or "tool" not in draft.table:
        return
    name = next((each for each in _OPERATIONS if each in call.table), None)
    operation = call.value(name) if name is not None else None
    if isinstance(operation, Sequence) and len(operation.items) == 1:
        operation = operation.items[0]
    place = draft.table["action"].value if "action" in draft.table else draft.table["tool"].value
    if name is not None and isinstance(operation, Scalar) and _is_word(operation):
        call.drop(name, f"action: {operation.text}")
        draft.set("action", text_at(operation, operation.text), place)
        return
    if name is not None and isinstance(operation, Mapping):
        word = next((key for key in _NAMES if isinstance(operation.get(key), Scalar)), None)
        verb = operation.get(word) if word is not None else None
        if isinstance(verb, Scalar) and verb.text not in _VERBS and _is_word(verb):
            call.drop(name, f"action: {verb.text}")
            draft.set("action", text_at(verb, verb.text), place)
            _add(call, operation.without([word or ""]))
            return
        rest = operation.without([word]) if word is not None else operation
        if len(rest.table) == 1 and next(iter(rest.table)) in _MAPPINGS:
            rest_value = rest.entries[0].value
            operation = rest_value if isinstance(rest_value, Mapping) else None
        if operation is not None and _is_mapping(operation):
            call.drop(name, "action: select, columns:")
            _select(draft, call, operation, place)
        return
    given = next((each for each in _MAPPINGS if _is_mapping(call.value(each))), None)
    if given is not None:
        mapping = call.drop(given, "action: select, columns:").value
        _select(draft, call, mapping, place)


def _select(draft: Draft, call: Draft, mapping: Node, place: Node) -> None:
    draft.set("action", text_at(place, "select"), place)
    call.set("columns", mapping, place)


def _add(call: Draft, parameters: Mapping) -> None:
    for key, entry in parameters.table.items():
        call.table.setdefault(key, Entry(entry.key, entry.value))


def _is_word(node: Scalar) -> bool:
    return isinstance(node.value, str) and node.value.replace("_", "").replace("-", "").isalpha()


def _is_mapping(node: Node | None) -> bool:
    """Whether a value names a column or an expression for each new column."""
    return (
        isinstance(node, Mapping)
        and all(isinstance(entry.value, Scalar) for entry in node.entries)
        and bool(node.table)
    )


_COMPARISONS: Final = {
    **dict.fromkeys(("=", "==", "eq", "equals", "equal", "is"), "="),
    **dict.fromkeys(("!=", "<>", "ne", "not_equals", "not_equal"), "<>"),
    **dict.fromkeys((">", "gt", "greater_than", "greater"), ">"),
    **dict.fromkeys((">=", "gte", "ge", "greater_than_or_equal", "greater_or_equal", "at_least"), ">="),
    **dict.fromkeys(("<", "lt", "less_than", "less"), "<"),
    **dict.fromkeys(("<=", "lte", "le", "less_than_or_equal", "less_or_equal", "at_most"), "<="),
}
_FUNCTIONS: Final = {
    **{name: name.upper() for name in ("sum", "min", "max", "count", "median", "avg")},
    **dict.fromkeys(("mean", "average"), "AVG"),
    **dict.fromkeys(("size", "number"), "COUNT"),
}
_COLUMN: Final = ("field", "column", "key", "col")


def sql_of_lists(call: Draft) -> None:
    """Rewrite conditions on columns as `where`, and functions of columns as `values`; others are reported later."""
    for name in ("conditions", "condition", "criteria", "filters", "filter"):
        given = call.value(name)
        if isinstance(given, Mapping | Sequence) and "where" not in call.table:
            _where(call, name, given.items if isinstance(given, Sequence) else [given])
    for name in ("aggregations", "aggregation", "metrics", "functions"):
        given = call.value(name)
        if given is not None and "values" not in call.table and (values := _values(given)):
            place = call.drop(name, "values:").key
            call.set("values", mapping_at(place, **{key: text_at(place, text) for key, text in values.items()}), place)


def sides_of_join(draft: Draft, call: Draft) -> None:
    """Rewrite a list of two tables as `left` and `right`: `action: merge` with `data: [...]`."""
    given = next((name for name in ("data", "datasets", "inputs", "sources") if name in call.table), None)
    value = call.value(given) if given is not None else None
    if str(draft.plain("action")) not in ("join", "merge") or given is None or not isinstance(value, Sequence):
        return
    if len(value.items) == 2:
        place = call.drop(given, "left:, right:").key
        for side, table in zip(("left", "right"), value.items, strict=True):
            call.set(side, table, place)


def _where(call: Draft, name: str, conditions: list[Node]) -> None:
    parts: list[str] = []
    values: dict[str, Node] = {}
    for condition in conditions:
        found = condition if isinstance(condition, Mapping) else None
        column = _first(found, _COLUMN)
        operator = _first(found, ("operator", "op", "comparison"))
        value = found.get("value") if found is not None else None
        comparison = _COMPARISONS.get(operator.text.lower()) if operator is not None else "="
        if (
            column is None
            or not isinstance(value, Scalar)
            or comparison is None
            or found is None
            or len(found.table) > 3
        ):
            return
        key = f"value_{len(values) + 1}"
        values[key] = value
        parts.append(f'"{column.text}" {comparison} :{key}')
    if not parts or "inputs" in call.table:
        return
    place = call.drop(name, "where:, inputs:").key
    call.set("where", text_at(place, " AND ".join(parts)), place)
    call.set("inputs", mapping_at(place, **values), place)


def _values(given: Node) -> dict[str, str]:
    """Return an SQL expression for each new column: `{amount: sum}` is `SUM("amount")`; nothing if one is unclear."""
    made: dict[str, str] = {}
    pairs: list[tuple[str, Node]] = []
    if isinstance(given, Mapping):
        pairs = [(entry.key.text, entry.value) for entry in given.entries]
    elif isinstance(given, Sequence):
        for item in given.items:
            named = _first(item if isinstance(item, Mapping) else None, ("name", "alias", "as", "output", *_COLUMN))
            pairs.append((named.text if named is not None else "", item))
    for name, value in pairs:
        inner = value if isinstance(value, Mapping) else None
        word = value if isinstance(value, Scalar) else _first(inner, ("function", "func", "operation", "agg", "type"))
        column = _first(inner, _COLUMN)
        function = _FUNCTIONS.get(word.text.lower()) if word is not None else None
        if function is None or not name:
            return {}
        if inner is None:
            made[name] = f'{function}("{name}")'
        else:
            made[name] = (
                f'{function}("{column.text}")' if column is not None else "COUNT(*)" if function == "COUNT" else ""
            )
        if not made[name]:
            return {}
    return made


def _first(node: Mapping | None, names: tuple[str, ...]) -> Scalar | None:
    found = (node.get(name) for name in names) if node is not None else iter(())
    return next((each for each in found if isinstance(each, Scalar)), None)
