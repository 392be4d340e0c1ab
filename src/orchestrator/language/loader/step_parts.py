"""Reads the items and ends of steps, and checks rules that involve several keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.language.aliases.canonical import written_key
from orchestrator.language.aliases.steps import (
    ITEM_SOURCES,
    canonical_fail,
    canonical_items,
)
from orchestrator.language.loader.expected_values import EXPECTED_VALUES
from orchestrator.language.loader.questions import check_reminders
from orchestrator.language.loader.validation import complete
from orchestrator.language.spec.failures import FailSpec
from orchestrator.language.spec.input_values import pattern_problem
from orchestrator.language.spec.pipeline import ItemsSpec, RangeSpec
from orchestrator.language.values.templates import has_template
from orchestrator.language.values.times import FORMS, timestamp
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence
from orchestrator.text.words import describe_value, quoted_list, shorten

if TYPE_CHECKING:
    from orchestrator.language.loader.validation import Validation
    from orchestrator.language.spec.pipeline import HandlerSpec, StepSpec


def read_items(checks: Validation, entry: Entry, what: str) -> tuple[ItemsSpec | None, Node]:
    """Read the items of a loop; None if they are invalid."""
    node = canonical_items(entry.value)
    name = f"`{shorten(written_key(entry.key))}` of {what}"
    if not isinstance(node, Mapping):
        meant = _items_meant(entry.value.value) if isinstance(entry.value, Scalar) else None
        help = f"did you mean `{meant}`?" if meant else None
        checks.mistyped(entry, EXPECTED_VALUES["for_each"], help, meant)
        return None, entry.value
    if "value" in node.table and node.get("value") is entry.value:
        return checks.spec(ItemsSpec, node, name), node
    bounds = node.table.get("range")
    items = checks.spec(ItemsSpec, node.without(["range"]), name)
    sources = [key for key in node.table if key in ITEM_SOURCES]
    if len(sources) > 1:
        help = "keep one of them; for a mapping with these keys, define it in `variables:` and write its template here"
        first, second = sorted(sources[:2], key=ITEM_SOURCES.index)
        checks.add(
            codes.CONFLICTING_KEYS,
            node.table[second].key,
            f"{name} has both `{first}` and `{second}`",
            label="and this?",
            help=help,
        )
    _check_lists(checks, items, name)
    if bounds is None:
        return items, items.node
    if not isinstance(bounds.value, Mapping):
        checks.mistyped(bounds, "a number, or a list `[start, stop]` or `[start, stop, step]`")
        return items, items.node
    numbers = checks.spec(RangeSpec, bounds.value, f"`range` of {what}")
    _check_range(checks, numbers)
    whole = items.node.replaced([*items.node.entries, Entry(bounds.key, numbers.node)])
    return complete(items, whole, {"range": numbers}), whole


def _check_lists(checks: Validation, items: ItemsSpec, name: str) -> None:
    """Check the lists that the items of a loop are made of, and what is left out of their combinations."""
    for key, lists in (("matrix", items.matrix), ("zip", items.zip)):
        section = items.node.get(key)
        if lists is None or not isinstance(section, Mapping):
            continue
        checks.names(section, "list")
        if not lists:
            help = f"add lists by name: `{key}: {{size: [1, 2], color: [red, blue]}}`"
            checks.add(codes.MISSING_KEY, section, f"`{key}` of {name} has no lists", label="no lists", help=help)
        for entry in section.entries:
            if isinstance(entry.value, Scalar) and not has_template(entry.value.value):
                checks.wrong_type(entry.value, f"`{shorten(entry.key.text)}` of `{key}` must be a list, or a template")
    for key in ("exclude", "include"):
        useless = items.node.key(key) if items.matrix is None else None
        if useless is not None:
            checks.add(
                codes.KEY_WITHOUT_EFFECT,
                useless,
                f"`{key}` of {name} has no effect without `matrix`",
                label="only for `matrix`",
                help="remove it, or filter the items before the loop",
            )
    if items.matrix is not None:
        _check_excluded(checks, items.node.get("exclude"), tuple(items.matrix), name)


def _check_excluded(checks: Validation, exclude: Node | None, lists: tuple[str, ...], name: str) -> None:
    for item in exclude.items if isinstance(exclude, Sequence) else ():
        for entry in item.entries if isinstance(item, Mapping) else ():
            if entry.key.text not in lists:
                near = suggest(entry.key.text, lists)
                checks.add(
                    codes.UNKNOWN_KEY,
                    entry.key,
                    f"`matrix` of {name} has no list `{shorten(entry.key.text)}`",
                    label="unknown list",
                    help=f"did you mean `{near}`?" if near else f"its lists: {quoted_list(lists)}",
                )


def _items_meant(value: object) -> str | None:
    """Return the valid form of a plain number, file name or value name; None if there is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{{range: {value}}}"
    if isinstance(value, str) and value.endswith((".csv", ".jsonl", ".ndjson", ".txt")):
        return f'{{file: "{value}"}}'
    if isinstance(value, str) and all(part.isidentifier() for part in value.split(".")):
        return f'"{{{{ {value} }}}}"'
    return None


def _check_range(checks: Validation, numbers: RangeSpec) -> None:
    for name in ("start", "stop", "step"):
        value, node = getattr(numbers, name), numbers.node.get(name)
        if node is None:
            continue
        if isinstance(value, str) and value and not has_template(value):
            checks.wrong_type(
                node, f"`{name}` of a range must be an integer or a template, not {describe_value(value)}"
            )
        elif name == "step" and value == 0:
            help = "write the distance from one number to the next, for example 1 or -1"
            checks.add(
                codes.VALUE_NOT_ALLOWED,
                node,
                "the `step` of a range must not be 0",
                label="never ends",
                help=help,
            )


_ERROR_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9]*", re.ASCII)
"""The form of the names that `error_types` can list, in addition to codes of Orchestrator."""


def read_fail(checks: Validation, entry: Entry, what: str) -> tuple[FailSpec | None, Node]:
    """Read a failure on purpose; None if it is invalid."""
    name = f"`{shorten(written_key(entry.key))}` of {what}"
    canonical = canonical_fail(entry.value)
    if canonical is None:
        checks.mistyped(entry, EXPECTED_VALUES["fail"], 'write why it fails: `fail: "The state {{ state }} is unsafe"`')
        return None, entry.value
    fail = checks.spec(FailSpec, checks.canonical(canonical, name), name)
    place = fail.node.get("code")
    if fail.code is not None and place is not None and not _ERROR_NAME.fullmatch(fail.code):
        checks.add(
            codes.INVALID_NAME,
            place,
            f"`{shorten(fail.code)}` cannot be the code of a failure",
            label="invalid code",
            help="write a word such as `OutOfStock`: a capital letter, then letters and digits",
        )
    return fail, fail.node


def read_end(checks: Validation, entry: Entry, what: str) -> tuple[dict[str, object] | None, Node]:
    """Read the outputs that a step ends the pipeline with; None if they are invalid."""
    value = entry.value
    if isinstance(value, Scalar) and value.value is True:
        return {}, Mapping({}, value.start, value.end, value.layout)
    if not isinstance(value, Mapping):
        checks.mistyped(entry, EXPECTED_VALUES["end"], 'write `end: true`, or `end: {report: "Nothing new"}`')
        return None, value
    checks.names(value, "output")
    return dict.fromkeys(value.table), value


def check_details(checks: Validation, step: StepSpec, what: str) -> None:
    """Check names, numbers and times beyond their types."""
    node = step.node
    if step.as_ is not None and (place := node.get("as")):
        checks.name(place, step.as_, "the name of an item")
    for key in ("initial", "update"):
        checks.names(node.get(key), "carried value")
    failure = node.get("on_item_failure")
    if step.on_item_failure is not None and step.on_item_failure.kind == "jump" and failure is not None:
        checks.add(
            codes.VALUE_NOT_ALLOWED,
            failure,
            "a failed item cannot jump to a step, because the other items continue",
            label="expected `fail`, `continue` or `{value: ...}`",
            help="write `fail`, `continue` or `{value: ...}`; `on_failure` of the loop can jump",
        )
    _check_wait_for(checks, step)
    check_reminders(checks, step, what)
    if step.kind == "for_each" and step.wait_for not in (None, "all"):
        _check_enough(checks, step, what)
    if step.kind == "for_each" and (step.initial is not None or step.update is not None):
        _check_fold(checks, step, what)
    place = node.get("wait_until")
    if place is not None and (reason := _time_problem(step.wait_until)):
        help = f"write {FORMS}, or a template for such a value"
        checks.add(codes.VALUE_NOT_ALLOWED, place, f"`wait_until` of {what} is {reason}", label="not a time", help=help)


def _check_enough(checks: Validation, step: StepSpec, what: str) -> None:
    """Report what contradicts a loop that ends with the success of some items."""
    for key in ("min_success", "on_item_failure"):
        place = step.node.get(key)
        if place is not None:
            checks.add(
                codes.CONFLICTING_KEYS,
                place,
                f"`{key}` and `wait_for` of {what} disagree: `wait_for` says how many items must succeed, "
                "and others can fail",
                label="and this?",
                help=f"remove `{key}`, or `wait_for`",
            )


def _check_fold(checks: Validation, step: StepSpec, what: str) -> None:
    """Report limits that do not apply to a loop whose items run one after another, each with the values of the last."""
    parallel, share = step.node.get("max_parallel"), step.node.get("min_success")
    if parallel is not None and step.max_parallel != 1:
        checks.add(
            codes.VALUE_NOT_ALLOWED,
            parallel,
            f"`max_parallel` of {what} must be 1, because `update` carries values from each item to the next",
            label="one after another",
            help="remove it: the items of such a loop run one after another",
        )
    if share is not None:
        checks.add(
            codes.VALUE_NOT_ALLOWED,
            share,
            f"`min_success` does not apply to {what}, because `update` carries values from each item to the next: a "
            "failed item could not be made up for later",
            label="not with `update`",
            help="to fail after too many failed items, add a step with `fail` and "
            f"`condition: {step.id or 'loop'}.failed > 3`",
        )


def _check_wait_for(checks: Validation, step: StepSpec) -> None:
    count, place = step.wait_for, step.node.get("wait_for")
    branches = step.node.get("parallel")
    if not isinstance(count, int) or place is None or not isinstance(branches, Sequence) or not branches.items:
        return
    if count > len(branches.items):
        checks.add(
            codes.VALUE_NOT_ALLOWED,
            place,
            f"`wait_for` is {count}, and `parallel` has only {len(branches.items)} "
            f"step{'s' if len(branches.items) > 1 else ''}",
            label="never reached",
            help="write `all`, `any`, or a smaller number",
        )


def _time_problem(value: Any) -> str | None:
    if value is None or has_template(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as it is written
    try:
        timestamp(value)
    except ValueError as error:
        return f"not a time: {describe_value(value)}; {error}" if str(value).strip() else "empty"
    return None


def check_patterns(checks: Validation, handler: HandlerSpec, what: str) -> None:
    """Report error patterns that are not valid regular expressions."""
    patterns = handler.node.get("error_patterns")
    for item in patterns.items if isinstance(patterns, Sequence) else ():
        if isinstance(item, Scalar) and isinstance(item.value, str) and (reason := pattern_problem(item.value)):
            checks.add(
                codes.VALUE_NOT_ALLOWED,
                item,
                f"`{shorten(item.value)}` in `error_patterns` of {what} is not a regular expression: {reason[0]}",
                label="not a regular expression",
                help=reason[1],
            )
