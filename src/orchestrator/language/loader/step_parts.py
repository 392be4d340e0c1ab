"""Reads the items, questions and approvals of steps, and checks rules that involve several keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.language.aliases.canonical import written_key
from orchestrator.language.aliases.steps import canonical_approve, canonical_ask, canonical_items
from orchestrator.language.loader.declarations import check_declaration
from orchestrator.language.loader.expected_values import EXPECTED_VALUES
from orchestrator.language.loader.validation import complete
from orchestrator.language.spec.input_values import pattern_problem
from orchestrator.language.spec.pipeline import ItemsSpec, RangeSpec
from orchestrator.language.spec.questions import ApproveSpec, AskSpec
from orchestrator.language.values.templates import has_template
from orchestrator.language.values.times import FORMS, timestamp
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence
from orchestrator.text.words import describe_value, shorten

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
    if "range" in node.table and "file" in node.table:
        help = "keep one of them; for a mapping with these keys, define it in `variables:` and write its template here"
        checks.add(
            codes.CONFLICTING_KEYS,
            node.table["file"].key,
            f"{name} has both `range` and `file`",
            label="and this?",
            help=help,
        )
    if bounds is None:
        return items, items.node
    if not isinstance(bounds.value, Mapping):
        checks.mistyped(bounds, "a number, or a list `[start, stop]` or `[start, stop, step]`")
        return items, items.node
    numbers = checks.spec(RangeSpec, bounds.value, f"`range` of {what}")
    _check_range(checks, numbers)
    whole = items.node.replaced([*items.node.entries, Entry(bounds.key, numbers.node)])
    return complete(items, whole, {"range": numbers}), whole


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


def read_ask(checks: Validation, entry: Entry, what: str) -> tuple[AskSpec | None, Node]:
    """Read a question; None if it is invalid."""
    name = f"`{shorten(written_key(entry.key))}` of {what}"
    canonical = canonical_ask(entry.value)
    if canonical is None:
        checks.mistyped(entry, EXPECTED_VALUES["ask"], 'write the question: `ask: "Which city?"`')
        return None, entry.value
    ask = checks.spec(AskSpec, checks.canonical(canonical, name), name)
    choices = ask.node.get("choices")
    if choices is not None and isinstance(ask.choices, str) and not has_template(ask.choices):
        checks.wrong_type(choices, f"`choices` of {what} must be a list, or a template for one", "`choices: [yes, no]`")
    check_declaration(checks, ask.as_input(), ask.node, name)
    return ask, ask.node


def read_approve(checks: Validation, entry: Entry, what: str) -> tuple[ApproveSpec | None, Node]:
    """Read an approval; None if it is invalid."""
    name = f"`{shorten(written_key(entry.key))}` of {what}"
    canonical = canonical_approve(entry.value)
    if canonical is None:
        checks.mistyped(entry, EXPECTED_VALUES["approve"], 'write what to approve: `approve: "Publish the report?"`')
        return None, entry.value
    approve = checks.spec(ApproveSpec, checks.canonical(canonical, name), name)
    return approve, approve.node


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
    place = node.get("wait_until")
    if place is not None and (reason := _time_problem(step.wait_until)):
        help = f"write {FORMS}, or a template for such a value"
        checks.add(codes.VALUE_NOT_ALLOWED, place, f"`wait_until` of {what} is {reason}", label="not a time", help=help)


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
