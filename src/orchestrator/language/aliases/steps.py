"""The canonical form of steps: their keys, and the short forms of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.language.aliases.canonical import (
    Canonical,
    Clash,
    change_value,
    listed,
    mapping_at,
    numbers_as_text,
    put_entry,
    rename_keys,
    renamed_key,
    word_meaning,
)
from orchestrator.language.aliases.declarations import canonical_question
from orchestrator.language.aliases.tables import (
    APPROVE_KEYS,
    ATTEMPTS,
    BACKOFF_WORDS,
    CHECK_KEYS,
    DEFAULTS_KEYS,
    HANDLER_KEYS,
    ON_FAILURE_WORDS,
    RETRY_COUNTS,
    RETRY_KEYS,
    STEP_KEYS,
)
from orchestrator.language.spec import kinds, step_keys
from orchestrator.language.values.auto_markup import AUTO
from orchestrator.language.values.templates import is_template
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at

if TYPE_CHECKING:
    from collections.abc import Collection


def canonical_step(node: Mapping, ids: Collection[str] = ()) -> Canonical:
    """Return a canonical step. `ids` are the ids of its list: a word such as `skip` that is an id means that step."""
    table = node.table
    if _PLAIN_STEP.issuperset(table):
        return Canonical(numbers_as_text(node, ("name", "description", "id")))
    renamed_key = rename_keys(node, STEP_KEYS)
    clashes = list(renamed_key.clashes)
    entries = dict(renamed_key.node.table)
    _retry_counts(entries, clashes)
    if entry := entries.pop("continue_on_error", None):
        value = entry.value
        if isinstance(value, Scalar) and isinstance(value.value, bool):
            put_entry(entries, "on_failure", entry, text_at(value, "continue" if value.value else "fail"), clashes)
        else:
            entries["continue_on_error"] = entry  # reported later: not true or false
    if (entry := entries.get("on_error")) and is_outcome(entry.value):
        del entries["on_error"]
        put_entry(entries, "on_failure", entry, entry.value, clashes)
    if "pipeline" in entries and (entry := entries.pop("parameters", None)):
        put_entry(entries, "inputs", entry, entry.value, clashes)
    for name in ("ask", "approve"):
        if (outer := entries.get(name)) and isinstance(outer.value, Mapping):
            for inner in ("timeout", "timeout_seconds"):
                if entry := outer.value.table.get(inner):
                    put_entry(entries, "timeout", entry, entry.value, clashes)
                    entries[name] = outer = Entry(outer.key, outer.value.without([inner]))
    parameters = [name for name in entries if name in kinds.PARAMETERS or _is_of_agent(name, entries)]
    if parameters:
        _into_parameters(parameters, entries, node, clashes)
    change_value(entries, "cache", _cache)
    change_value(entries, "on_item_failure", canonical_on_failure)
    change_value(entries, "dependencies", canonical_names)
    change_value(entries, "produces", listed)
    change_value(entries, "retry", canonical_retry)
    change_value(entries, "on_failure", lambda value: canonical_on_failure(value, ids))
    result = Mapping(entries, node.start, node.end, node.layout)
    return Canonical(numbers_as_text(result, ("name", "description", "id")), tuple(clashes))


def _is_of_agent(name: str, entries: dict[str, Entry]) -> bool:
    """Whether `parallel` is the parameter of an agent, not steps: `parallel: false`."""
    value = entries[name].value
    if name != "parallel" or not isinstance(value, Scalar) or not isinstance(value.value, bool):
        return False
    action = entries["action"].value if "action" in entries else None
    return bool(_OF_AGENTS & entries.keys()) or (
        isinstance(action, Scalar) and action.value in ("agent", "model.agent")
    )


def _into_parameters(names: Collection[str], entries: dict[str, Entry], node: Mapping, clashes: list[Clash]) -> None:
    """Move parameters of a model call below `parameters`. A step with only a `prompt` is a model call."""
    rest = {name: entry for name, entry in entries.items() if name not in names}
    first = next(iter(step_keys.heads(Mapping(rest, node.start, node.end, node.layout))), "")
    if first == "for_each" and "steps" not in entries:
        first = next((key for key in kinds.CALL if key in entries), "")
    if first not in kinds.CALL:
        if first or "prompt" not in entries:
            return
        inner = entries["parameters"].value if "parameters" in entries else None
        said = entries.keys() | (inner.table.keys() if isinstance(inner, Mapping) else set())
        action = "agent" if _OF_AGENTS & said else "generate" if _STRUCTURED & said else "generate_text"
        key = entries["prompt"].key
        entries["tool"] = Entry(text_at(key, "tool"), text_at(key, "model"))
        entries["action"] = Entry(text_at(key, "action"), text_at(key, action))
    below = entries.get("parameters")
    given = below.value if below is not None else None
    moved = [entries.pop(name) for name in names]
    if below is not None and not isinstance(given, Mapping) and not (isinstance(given, Scalar) and given.value is None):
        return  # reported later
    table = dict(given.table) if isinstance(given, Mapping) else {}
    for entry in moved:
        if (other := table.get(entry.key.text)) is not None:
            one, two = sorted((other.key, entry.key), key=lambda key: key.start)
            clashes.append(Clash(entry.key.text, one, two))
        else:
            table[entry.key.text] = entry
    place = given if isinstance(given, Mapping) else moved[0].key
    key = below.key if below is not None else text_at(moved[0].key, "parameters")
    entries["parameters"] = Entry(key, Mapping(table, place.start, place.end, node.layout))


_STRUCTURED = frozenset({"schema", "vars"})
_OF_AGENTS = frozenset({"tools", "hand_over"})

# The keys whose values have only one form; a step with only these keys is already canonical.
_PLAIN_STEP = frozenset(
    {
        "id",
        "name",
        "description",
        "tool",
        "action",
        "parameters",
        "condition",
        "timeout",
        "on_success",
        "on_false",
        "metadata",
    }
)


def canonical_names(value: Node) -> Node:
    """Return a list of names from one name, or several with commas between them; null is an empty list."""
    if not isinstance(value, Scalar):
        return value
    if value.value is None:
        return Sequence([], value.start, value.end, value.layout)
    if not isinstance(value.value, str):
        return value
    if "," not in value.text:
        return Sequence([value], value.start, value.end, value.layout)
    items: list[Node] = []
    place = 0
    for piece in value.text.split(","):
        name = piece.strip()
        if name:
            items.append(_part(value, name, place + piece.index(name)))
        place += len(piece) + 1
    return Sequence(items, value.start, value.end, value.layout)


def _part(value: Scalar, text: str, offset: int) -> Scalar:
    start = value.raw_offset(offset)
    return Scalar(text, text, "", start, start + len(text), value.layout)


def canonical_retry(value: Node) -> Node:
    """Return a canonical retry policy from a number, or from a mapping with words such as `exponential`."""
    if isinstance(value, Scalar):
        if value.value is None:
            return value
        return mapping_at(value, max_attempts=value)
    if not isinstance(value, Mapping):
        return value
    entries = dict(rename_keys(value, RETRY_KEYS).node.table)
    for name in RETRY_COUNTS:
        if (entry := _pop_count(entries, name)) and "max_attempts" not in entries:
            entries["max_attempts"] = Entry(renamed_key(entry.key, "max_attempts"), _attempts(entry.value))
    change_value(entries, "backoff", lambda node: word_meaning(node, BACKOFF_WORDS))
    change_value(entries, "jitter", _jitter)
    change_value(entries, "on", canonical_names)
    return Mapping(entries, value.start, value.end, value.layout)


def _retry_counts(entries: dict[str, Entry], clashes: list[Clash]) -> None:
    """Move numbers of attempts that are written in a step or in the defaults into `retry`."""
    if entry := entries.pop(ATTEMPTS, None):
        put_entry(entries, "retry", entry, entry.value, clashes)
    for name in RETRY_COUNTS:
        if entry := _pop_count(entries, name):
            put_entry(entries, "retry", entry, _attempts(entry.value), clashes)


def _pop_count(entries: dict[str, Entry], name: str) -> Entry | None:
    """Take a number of retries out. A template stays: one cannot be added to it."""
    entry = entries.get(name)
    if entry is None or (isinstance(entry.value, Scalar) and is_template(entry.value.value)):
        return None
    return entries.pop(name)


def _jitter(value: Node) -> Node:
    if isinstance(value, Scalar) and isinstance(value.value, bool):
        return Scalar(0.1 if value.value else 0.0, value.text, "synthetic", value.start, value.end, value.layout)
    return value


def canonical_on_failure(value: Node, ids: Collection[str] = ()) -> Node:
    """Return a canonical failure action from `fail`, `continue`, a step id, or `{value: ...}`."""
    if isinstance(value, Scalar):
        if not isinstance(value.value, str):
            return value
        word_meaning = value.value if value.value in ids else ON_FAILURE_WORDS.get(value.value, value.value)
        if word_meaning in ("fail", "continue"):
            return mapping_at(value, kind=text_at(value, word_meaning))
        return mapping_at(value, kind=text_at(value, "jump"), target=value)
    if not isinstance(value, Mapping):
        return value
    entries = dict(rename_keys(value, {"jump": "target", "goto": "target", "default": "value"}).node.table)
    if "kind" not in entries and len(entries) == 1 and (name := next(iter(entries))) in ("value", "target"):
        kind = "value" if name == "value" else "jump"
        entries["kind"] = Entry(text_at(entries[name].key, "kind"), text_at(value, kind))
    return Mapping(entries, value.start, value.end, value.layout)


def canonical_defaults(node: Mapping) -> Canonical:
    """Return the canonical section `defaults`."""
    renamed_key = rename_keys(node, DEFAULTS_KEYS)
    clashes = list(renamed_key.clashes)
    entries = dict(renamed_key.node.table)
    _retry_counts(entries, clashes)
    change_value(entries, "retry", canonical_retry)
    return Canonical(Mapping(entries, node.start, node.end, node.layout), tuple(clashes))


def steps_by_id(value: Mapping) -> tuple[Sequence, tuple[Clash, ...]]:
    """Return steps that are written as a mapping by id as a list. A list in it is a group with that id."""
    items: list[Node] = []
    clashes = []
    for entry in value.entries:
        node = entry.value
        id_entry = Entry(text_at(entry.key, "id"), entry.key)
        if isinstance(node, Sequence):
            group = {"id": id_entry, "steps": Entry(text_at(entry.key, "steps"), node)}
            items.append(Mapping(group, entry.key.start, node.end, node.layout))
        elif isinstance(node, Mapping):
            if inner := node.key("id"):
                clashes.append(Clash("id", entry.key, inner))
            rest = {key: inner_entry for key, inner_entry in node.table.items() if key != "id"}
            items.append(Mapping({"id": id_entry, **rest}, entry.key.start, node.end, node.layout))
        else:
            items.append(node)
    return Sequence(items, value.start, value.end, value.layout), tuple(clashes)


def is_outcome(value: Node) -> bool:
    """Whether the value of `on_error` is a value of `on_failure`: a word, a step id, or `{value: ...}`."""
    if isinstance(value, Mapping):
        return len(value.table) == 1 and not _OUTCOMES.isdisjoint(value.table)
    return isinstance(value, Scalar)


_OUTCOMES = frozenset({"value", "default", "target", "jump", "goto"})


def _cache(value: Node) -> Node:
    """Return a canonical cache: `true` is a cache with defaults, `false` is none."""
    if isinstance(value, Scalar) and isinstance(value.value, bool):
        return (
            mapping_at(value)
            if value.value
            else Scalar(None, value.text, "synthetic", value.start, value.end, value.layout)
        )
    return value


ITEM_SOURCES: Final = ("range", "file", "matrix", "zip")
"""The keys of a mapping that says where the items of a loop come from. Other mappings are the items themselves."""


def canonical_items(value: Node) -> Node:
    """Return the canonical items of a loop: `{range: ...}`, `{matrix: ...}`, ... or `{value: ...}`."""
    if isinstance(value, Mapping) and not value.table.keys().isdisjoint(ITEM_SOURCES):
        entries = dict(value.table)
        change_value(entries, "range", _range)
        return Mapping(entries, value.start, value.end, value.layout)
    if isinstance(value, Scalar) and not (
        isinstance(value.value, str) and any(tag in value.value for tag in ("{{", AUTO))
    ):
        return value
    return mapping_at(value, value=value)


def _range(value: Node) -> Node:
    """Return a canonical range: `10` is 0 to 10, `[1, 10]` is 1 to 10, `[1, 10, 2]` has a step of 2."""
    if isinstance(value, Scalar):
        return mapping_at(value, stop=value)
    if isinstance(value, Sequence) and 1 <= len(value.items) <= 3:
        parts = ("stop",) if len(value.items) == 1 else ("start", "stop", "step")
        return mapping_at(value, **dict(zip(parts, value.items, strict=False)))
    return value


def canonical_ask(value: Node) -> Canonical | None:
    """Return a canonical question from a text or a mapping; None for other values."""
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return Canonical(mapping_at(value, prompt=value))
    return canonical_question(value) if isinstance(value, Mapping) else None


def canonical_approve(value: Node) -> Canonical | None:
    """Return a canonical approval from a title or a mapping; None for other values."""
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return Canonical(mapping_at(value, title=value))
    return rename_keys(value, APPROVE_KEYS) if isinstance(value, Mapping) else None


def canonical_fail(value: Node) -> Canonical | None:
    """Return a canonical failure from a message or a mapping; None for other values."""
    if isinstance(value, Scalar) and isinstance(value.value, str):
        return Canonical(mapping_at(value, message=value))
    return Canonical(value) if isinstance(value, Mapping) else None


def canonical_budget(value: Node) -> Node:
    """Return a canonical budget; a number is in USD."""
    number = isinstance(value, Scalar) and isinstance(value.value, int | float) and not isinstance(value.value, bool)
    return mapping_at(value, usd=value) if number else value


def canonical_check(value: Node) -> Canonical | None:
    """Return a canonical check from an expression, a list of them, or a mapping; None for other values."""
    if isinstance(value, Sequence) or (isinstance(value, Scalar) and isinstance(value.value, str)):
        return Canonical(mapping_at(value, that=_listed(value)))
    if not isinstance(value, Mapping):
        return None
    renamed_key = rename_keys(value, CHECK_KEYS)
    entries = dict(renamed_key.node.table)
    change_value(entries, "that", _listed)
    change_value(entries, "judge", _judge)
    return Canonical(Mapping(entries, value.start, value.end, value.layout), renamed_key.clashes)


def _judge(value: Node) -> Node:
    is_text = isinstance(value, Scalar) and isinstance(value.value, str)
    return mapping_at(value, rubric=value) if is_text else value


def _listed(value: Node) -> Node:
    is_text = isinstance(value, Scalar) and isinstance(value.value, str)
    return Sequence([value], value.start, value.end, value.layout) if is_text else value


def canonical_handler(node: Mapping) -> Canonical:
    """Return a canonical handler."""
    renamed_key = rename_keys(node, HANDLER_KEYS)
    clashes = list(renamed_key.clashes)
    entries = dict(renamed_key.node.table)
    _retry_counts(entries, clashes)
    change_value(entries, "retry", canonical_retry)
    change_value(entries, "error_types", _types)
    change_value(entries, "error_patterns", _listed)
    return Canonical(Mapping(entries, node.start, node.end, node.layout), tuple(clashes))


def _types(value: Node) -> Node:
    """Return names of errors; `*` means any error, like an empty list."""
    listed = canonical_names(value)
    if isinstance(listed, Sequence) and any(isinstance(item, Scalar) and item.value == "*" for item in listed.items):
        return Sequence([], listed.start, listed.end, listed.layout)
    return listed


def _attempts(value: Node) -> Node:
    if isinstance(value, Scalar) and isinstance(value.value, int) and not isinstance(value.value, bool):
        return Scalar(value.value + 1, value.text, "synthetic", value.start, value.end, value.layout)
    return value
