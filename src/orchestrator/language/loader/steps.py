"""Reads steps and their inner steps, each separately, so that one error does not hide another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.diagnostics import Related
from orchestrator.language.aliases import tables
from orchestrator.language.aliases.canonical import Canonical, written_key
from orchestrator.language.aliases.older_calls import OlderStep, older_step
from orchestrator.language.aliases.steps import canonical_handler, canonical_step, steps_by_id
from orchestrator.language.loader.expected_values import EXPECTED_VALUES
from orchestrator.language.loader.key_diagnostics import conflicting_keys, name_as_id
from orchestrator.language.loader.kind_rules import check_work, without_approval_flag
from orchestrator.language.loader.model_parts import read_budget_spec, read_check_spec
from orchestrator.language.loader.profiles import with_profile
from orchestrator.language.loader.questions import read_approve, read_ask
from orchestrator.language.loader.step_parts import (
    check_details,
    check_patterns,
    read_end,
    read_fail,
    read_items,
)
from orchestrator.language.loader.validation import as_name, complete, is_null
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.kinds import HEADS, PARAMETERS
from orchestrator.language.spec.pipeline import HandlerSpec, StepSpec
from orchestrator.language.spec.step_keys import PLAIN_KEYS, heads
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence, text_at
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.language.loader.validation import Validation

MAX_STEPS: Final = 50_000
"""The maximum number of steps in one file, at any depth. 20,000 are checked in two seconds and 200 MB."""

ReadPart = tuple[Any, Node]
"""One part of a step: its value, and its node in canonical spelling."""


def read_step_list(checks: Validation, section: Sequence, within: str = "") -> tuple[tuple[StepSpec, ...], Sequence]:
    """Read the steps of one list; `within` locates them in messages about a step without an id: " of step `review`"."""
    ids = {
        node.text
        for item in section.items
        if isinstance(item, Mapping) and isinstance(node := item.get("id"), Scalar) and node.text
    }
    steps = []
    first: dict[str, StepSpec] = {}
    for number, item in enumerate(section.items, start=1):
        if not isinstance(item, Mapping):
            checks.wrong_type(item, f"step {number}{within} must be a mapping with `id:` and `tool:`")
            continue
        checks.steps += 1
        if checks.steps > MAX_STEPS:
            _too_many(checks, item)
            break
        step = _step(checks, item, f"{number}{within}", ids)
        steps.append(step)
        if step.id in first:
            _duplicate_id(checks, step, first[step.id])
        elif step.id:
            first[step.id] = step
    nodes: list[Node] = [step.node for step in steps]
    return tuple(steps), Sequence(nodes, section.start, section.end, section.layout)


def _too_many(checks: Validation, item: Mapping) -> None:
    """Report the first step beyond the limit; the rest is not read."""
    if checks.steps > MAX_STEPS + 1:
        return
    checks.partial = True
    checks.add(
        codes.FILE_TOO_LARGE,
        item,
        f"the file has more than {MAX_STEPS:,} steps",
        label="the rest is not read",
        help="repeat steps with `for_each`, or move some to a file that a step with `pipeline:` calls",
    )


def steps_from_mapping(checks: Validation, section: Mapping) -> Sequence:
    """Return the steps of a mapping by id as a list."""
    steps, clashes = steps_by_id(section)
    checks.report(*(conflicting_keys(checks.source, clash, "a step") for clash in clashes))
    return steps


def read_body(checks: Validation, entry: Entry, what: str, name: str = "") -> ReadPart:
    """Read the steps below a key of `what`: a list, or a mapping by id. Messages use their `name`."""
    key, value = entry.key, entry.value
    name = name or f"`{shorten(written_key(key))}`"
    if isinstance(value, Mapping) and value.table.keys() == {"steps"}:
        help = f"write the list directly below `{shorten(key.text)}:`"
        checks.wrong_type(value.entries[0].key, f"{name} of {what} must be a list of steps", help)
        value = value.entries[0].value
    elif isinstance(value, Mapping) and any(isinstance(value.get(word), Scalar) for word in _STEP_BEGINNINGS):
        checks.wrong_type(
            value.entries[0].key, f"{name} of {what} must be a list of steps", "start the step with `- id:`"
        )
        value = _one_or_many(value, key, "first")
    if isinstance(value, Mapping):
        value = steps_from_mapping(checks, value)
    if is_null(value) or (isinstance(value, Sequence) and not value.items):
        if not checks.partial:
            help = "add a list of steps below it, each with an `id` and a kind of work"
            checks.add(codes.MISSING_KEY, key, f"{name} of {what} has no steps", label="no steps below", help=help)
    elif not isinstance(value, Sequence):
        side_by_side = key.text == "parallel" and isinstance(value, Scalar) and isinstance(value.value, bool)
        hint = "the items of a `for_each` run in parallel with `max_parallel: 8`" if side_by_side else None
        checks.wrong_type(value, f"{name} of {what} must be a list of steps, each starting with `- id:`", hint)
    if not isinstance(value, Sequence):
        value = Sequence([], value.start, value.end, value.layout)
    return read_step_list(checks, value, f" of {what}" if what.startswith("step") else f" of {name}")


def _step(checks: Validation, item: Mapping, number: str, ids: set[str]) -> StepSpec:
    id = item.get("id")
    what = f"step `{shorten(id.text)}`" if isinstance(id, Scalar) and id.text else f"step {number}"
    if "approve" in item.table:
        item = without_approval_flag(checks, item)
    canonical = canonical_step(item, ids)
    node = canonical.node if not canonical.clashes else checks.canonical(canonical, what)
    older = older_step(node, checks.is_known, prose=checks.prose_actions)
    if older is not None:
        node = _meaning(checks, older, what)
    node = with_profile(checks, node)
    step = checks.spec(StepSpec, node, what) if PLAIN_KEYS.issuperset(node.table) else _compound(checks, node, what)
    if step.id:
        checks.name(step.node.get("id") or step.node, step.id, "a step's id")
    elif (meant := name_as_id(node)) and meant not in ids:
        ids.add(meant)  # reported once: references to the step by this name are not reported too
        read_from = step.node
        step = step.model_copy(update={"id": meant})
        step.at(read_from)
    if older is not None:
        step.rename_results(older.results)
    return step


def _meaning(checks: Validation, older: OlderStep, what: str) -> Mapping:
    """Report the parameters of a tool of the older dialect that have no equivalent, and return the step without."""
    checks.older.append(older.use)
    for key, instead in older.refused:
        message = f"`{shorten(key.text)}` of the older `{shorten(older.name)}` has no equivalent"
        checks.add(codes.UNKNOWN_PARAMETER, key, message, label="no equivalent", help=instead)
    for key, instead in older.without_effect:
        message = f"`{shorten(key.text)}` of the older `{shorten(older.name)}` has no effect here: {instead}"
        checks.add(codes.KEY_WITHOUT_EFFECT, key, message, label="no effect", help="remove it", severity="warning")
    return checks.canonical(Canonical(older.node, older.clashes), what)


def _compound(checks: Validation, node: Mapping, what: str) -> StepSpec:
    """Read a step with parts. It keeps its kind of work even if the value of that key is invalid."""
    node = check_work(checks, node, what)
    parts: dict[str, ReadPart] = {}
    for key, entry in node.table.items():
        if key in _PARTS:
            parts[key] = _PARTS[key](checks, entry, what)
        elif key in HEADS and key not in ("tool", "action") and is_null(entry.value):
            checks.mistyped(entry, EXPECTED_VALUES[key])
    step = checks.spec(StepSpec, node.without(parts), what, node)
    fields = key_fields(StepSpec)
    values = {fields[key]: value for key, (value, _) in parts.items()}
    for head in heads(node)[:1]:
        if fields[head] not in step.model_fields_set:
            values.setdefault(fields[head], None)
    kept = {
        key: Entry(entry.key, parts[key][1]) if key in parts else step.node.table[key]
        for key, entry in node.table.items()
        if key in parts or key in step.node.table
    }
    whole = Mapping(kept, node.start, node.end, node.layout)
    if values:
        step = complete(step, whole, values)
    else:
        step.at(whole)
    check_details(checks, step, what)
    return step


def _cases(checks: Validation, entry: Entry, what: str) -> ReadPart:
    """Read the steps of each case: a list, `{steps: [...]}`, or one step, whose id defaults to the name of the case."""
    section = entry.value
    read: dict[str, tuple[StepSpec, ...]] = {}
    placed = []
    if not isinstance(section, Mapping) and not is_null(section):
        help = "write the values as keys: `cases: {yes: [...], no: [...]}`"
        checks.mistyped(entry, "a mapping from values to steps", help)
    elif not checks.partial and (not isinstance(section, Mapping) or not section.table):
        help = "add steps for each value: `cases: {yes: [...], no: [...]}`"
        checks.add(codes.MISSING_KEY, entry.key, f"`cases` of {what} has no cases", label="no cases below", help=help)
    if not isinstance(section, Mapping):
        section = Mapping({}, entry.value.start, entry.value.end, entry.value.layout)
    for case in section.entries:
        name = f"the case `{shorten(case.key.text)}`"
        steps, node = read_body(checks, Entry(case.key, _one_or_many(case.value, case.key)), what, name)
        read[case.key.text] = steps
        placed.append(Entry(case.key, node))
    return read, section.replaced(placed)


def _default(checks: Validation, entry: Entry, what: str) -> ReadPart:
    return read_body(checks, Entry(entry.key, _one_or_many(entry.value, entry.key)), what)


def _undo(checks: Validation, entry: Entry, what: str) -> ReadPart:
    return read_body(checks, Entry(entry.key, _one_or_many(entry.value, entry.key, "revert")), what)


def _one_or_many(value: Node, key: Scalar, id: str = "") -> Node:
    """Return the steps of a case, a handler or an `undo` as a list: `{steps: [...]}` and a single step become one.

    The `id` of the single step defaults to `id`, else to the text of `key`.
    """
    if not isinstance(value, Mapping):
        return value
    names = {tables.STEP_KEYS.get(name, name) for name in value.table}
    if names == {"steps"}:
        return value.entries[0].value
    by_id = all(isinstance(entry.value, Mapping | Sequence) for entry in value.entries)
    if by_id and names.isdisjoint(_STEP_WORDS - _ALSO_IDS) and not _ends_pipeline(value):
        return value
    if "id" not in value.table:
        name = id or as_name(key.text) or "case"
        place = text_at(key, name)
        table = {"id": Entry(text_at(key, "id"), place), **value.table}
        value = Mapping(table, value.start, value.end, value.layout)
    return Sequence([value], value.start, value.end, value.layout)


def _ends_pipeline(value: Mapping) -> bool:
    """Whether a mapping is a step with `end` and outputs, and not steps by id of which one is called `end`."""
    outputs = value.get("end")
    return isinstance(outputs, Mapping) and len(value.table) == 1 and outputs.table.keys().isdisjoint(_STEP_WORDS)


_STEP_BEGINNINGS: Final = ("id", "tool", "action")

_STEP_WORDS: Final = frozenset(
    {*key_fields(StepSpec), *PARAMETERS, *tables.RETRY_COUNTS, tables.ATTEMPTS, "continue_on_error"}
)

_ALSO_IDS: Final = frozenset({"check", "budget", "value", "fail", "end", "compensate", *PARAMETERS})
"""Keys that are also likely step ids, and that need a kind of work to have a meaning."""


def read_handler_specs(checks: Validation, entry: Entry, what: str) -> ReadPart:
    """Read the handlers below a key of `what`: a list of them, or one."""
    value = entry.value
    name = shorten(written_key(entry.key))
    if isinstance(value, Mapping) and value.table:
        value = Sequence([value], value.start, value.end, value.layout)
    if isinstance(value, Scalar) and not is_null(value):
        checks.mistyped(entry, EXPECTED_VALUES["on_error"], "write a handler such as `{steps: [...]}`")
    elif not checks.partial and (not isinstance(value, Sequence) or not value.items):
        help = "add a handler: `{error_types: [...], steps: [...]}`"
        checks.add(
            codes.MISSING_KEY, entry.key, f"`{name}` of {what} has no handlers", label="no handlers below", help=help
        )
    if not isinstance(value, Sequence):
        return (), Sequence([], value.start, value.end, value.layout)
    read = []
    for number, item in enumerate(value.items, start=1):
        title = f"handler {number} of {what}"
        if isinstance(item, Mapping):
            read.append(_handler(checks, item, title, of_step=what.startswith("step")))
        else:
            help = "write a handler such as `{steps: [...]}`"
            if what.startswith("step") and isinstance(item, Scalar) and isinstance(item.value, str):
                text = json.dumps(shorten(item.text), ensure_ascii=False)
                help = f"write `{{fallback_value: {text}}}` to give this text as the step's value, or "
                help += "`{steps: [...]}` with steps that handle the error"
            checks.wrong_type(item, f"{title} must be a mapping", help)
    nodes: list[Node] = [handler.node for handler in read]
    return tuple(read), Sequence(nodes, value.start, value.end, value.layout)


def _handler(checks: Validation, item: Mapping, what: str, *, of_step: bool) -> HandlerSpec:
    before = len(checks.diagnostics)
    node = checks.canonical(canonical_handler(item), what)
    if not of_step:
        node = _too_late(checks, node, what)
    node = _one_step(checks, node, what)
    body = node.table.get("steps")
    handler = checks.spec(HandlerSpec, node.without(["steps"]), what, node)
    table = dict(handler.node.table)
    if body is not None:
        steps, block = read_body(checks, body, what)
        table["steps"] = Entry(body.key, block)
        handler = complete(handler, Mapping(table, node.start, node.end, node.layout), {"steps": steps})
    check_patterns(checks, handler, what)
    if not {"retry", "steps", "fallback_value"} & table.keys() and len(checks.diagnostics) == before:
        help = "add `steps:`, `retry:` or `fallback_value:`" if of_step else "add `steps:`"
        place = node.entries[0].key if node.table else node
        checks.add(codes.MISSING_KEY, place, f"{what} does nothing about the error", label="no action", help=help)
    return handler


def _too_late(checks: Validation, node: Mapping, what: str) -> Mapping:
    """Report keys that only apply to a handler of a step, in a handler of the pipeline."""
    late = [key for key in ("retry", "fallback_value") if key in node.table]
    for key in late:
        checks.add(
            codes.KEY_WITHOUT_EFFECT,
            node.table[key].key,
            f"`{shorten(written_key(node.table[key].key))}` does not apply to {what}: the run has already failed",
            label="only for the `on_error` of a step",
            help=f"write `{key}` in the `on_error` of the step that may fail",
        )
    return node.without(late) if late else node


def _one_step(checks: Validation, node: Mapping, what: str) -> Mapping:
    """Move the keys of a single step in a handler into its `steps`; its id defaults to `handle`."""
    names = {name: tables.STEP_KEYS.get(name, name) for name in node.table if name not in _HANDLER_KEYS}
    work = [name for name in names if names[name] in HEADS or names[name] == "prompt"]
    if not work:
        return node
    if "steps" in node.table:
        checks.add(
            codes.SEVERAL_KINDS_OF_WORK,
            node.table[work[0]].key,
            f"{what} has `steps` and also a step in itself (`{shorten(work[0])}`)",
            label="a second kind of work",
            help="write it as one of the steps below `steps:`",
            related=(Related("the steps are here", checks.source, node.table["steps"].key.span),),
        )
        return node.without(name for name in names if names[name] in _STEP_WORDS)
    own = {name: node.table[name] for name in names if names[name] in _STEP_WORDS}
    key = next(iter(own.values())).key
    step = Mapping(own, key.start, node.end, node.layout)
    rest = {name: entry for name, entry in node.table.items() if name not in own}
    rest["steps"] = Entry(text_at(key, "steps"), _one_or_many(step, key, "handle"))
    return Mapping(rest, node.start, node.end, node.layout)


_HANDLER_KEYS: Final = frozenset(key_fields(HandlerSpec))

_PARTS: Final[dict[str, Callable[[Validation, Entry, str], ReadPart]]] = {
    "for_each": read_items,
    "ask": read_ask,
    "approve": read_approve,
    "fail": read_fail,
    "end": read_end,
    "steps": read_body,
    "parallel": read_body,
    "cases": _cases,
    "default": _default,
    "on_error": read_handler_specs,
    "undo": _undo,
    "budget": read_budget_spec,
    "check": read_check_spec,
}


def _duplicate_id(checks: Validation, step: StepSpec, first: StepSpec) -> None:
    place, before = step.node.get("id") or step.node, first.node.get("id") or first.node
    checks.add(
        codes.DUPLICATE_STEP_ID,
        place,
        f"duplicate step id `{shorten(step.id)}`",
        label="again here",
        help="change the id of one of them",
        related=(Related("first used here", checks.source, before.span),),
    )
