"""Reads the questions and approvals of steps: what is asked, who is asked, and when they are reminded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from orchestrator import codes
from orchestrator.language.aliases.canonical import mapping_at, written_key
from orchestrator.language.aliases.steps import canonical_approve, canonical_ask
from orchestrator.language.loader.declarations import check_declaration
from orchestrator.language.loader.expected_values import EXPECTED_VALUES
from orchestrator.language.loader.key_diagnostics import meant_key, missing_key
from orchestrator.language.loader.validation import complete
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.questions import ApproveSpec, AskSpec, EscalateSpec
from orchestrator.language.values.templates import has_template
from orchestrator.language.yaml.nodes import Entry, Mapping, Node, Scalar, Sequence
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from orchestrator.language.loader.validation import Validation
    from orchestrator.language.spec.pipeline import StepSpec

    Reminded = AskSpec | ApproveSpec

_R = TypeVar("_R", AskSpec, ApproveSpec)

_OF_THE_STEP: Final = ("assignee", "remind", "escalate")
_NEXT_TO_QUESTIONS: Final = frozenset({"prompt", "questions", *_OF_THE_STEP})
_ESCALATE: Final = "a mapping such as `{after: 5d, to: director}`"


def read_ask(checks: Validation, entry: Entry, what: str) -> tuple[AskSpec | None, Node]:
    """Read a question, or several; None if it is invalid."""
    name = f"`{shorten(written_key(entry.key))}` of {what}"
    canonical = canonical_ask(entry.value)
    if canonical is None:
        checks.mistyped(entry, EXPECTED_VALUES["ask"], 'write the question: `ask: "Which city?"`')
        return None, entry.value
    node = checks.canonical(canonical, name)
    listed = node.table.get("questions")
    if listed is None:
        ask = _with_escalation(checks, AskSpec, node, name)
        check_declaration(checks, ask.as_input(), ask.node, name)
    else:
        node = _without_other_keys(checks, node, name)
        parts, place = _read_questions(checks, listed, what)
        ask = _with_escalation(checks, AskSpec, node.without(["questions"]), name, node)
        whole = ask.node.replaced([*ask.node.entries, Entry(listed.key, place)])
        ask = complete(ask, whole, {"questions": parts})
    choices = ask.node.get("choices")
    if choices is not None and isinstance(ask.choices, str) and not has_template(ask.choices):
        checks.wrong_type(choices, f"`choices` of {what} must be a list, or a template for one", "`choices: [yes, no]`")
    return ask, ask.node


def read_approve(checks: Validation, entry: Entry, what: str) -> tuple[ApproveSpec | None, Node]:
    """Read an approval; None if it is invalid."""
    name = f"`{shorten(written_key(entry.key))}` of {what}"
    canonical = canonical_approve(entry.value)
    if canonical is None:
        checks.mistyped(entry, EXPECTED_VALUES["approve"], 'write what to approve: `approve: "Publish the report?"`')
        return None, entry.value
    approve = _with_escalation(checks, ApproveSpec, checks.canonical(canonical, name), name)
    return approve, approve.node


def _read_questions(checks: Validation, entry: Entry, what: str) -> tuple[dict[str, AskSpec], Mapping]:
    """Read several questions by name."""
    section = entry.value
    if not isinstance(section, Mapping) or not section.table:
        checks.mistyped(
            entry, "questions by name", "write `questions: {count: {prompt: How many?, type: integer}, name: Who?}`"
        )
        return {}, Mapping({}, section.start, section.end, section.layout)
    parts, placed = {}, []
    for each in section.entries:
        checks.name(each.key, each.key.text, "a question's name")
        part, node = read_ask(checks, each, what)
        if part is None:
            continue
        if part.questions is not None:
            help = "list all questions at the same level, or ask the others in a separate step"
            checks.add(codes.KEY_WITHOUT_EFFECT, each.key, "questions cannot be nested", label="nested", help=help)
            continue
        for key in _OF_THE_STEP:
            if (place := part.node.key(key)) is not None:
                help = f"write it next to `{shorten(written_key(entry.key))}`"
                message = f"`{key}` of {what} applies to all of its questions"
                checks.add(codes.KEY_WITHOUT_EFFECT, place, message, label="in one question", help=help)
        parts[each.key.text] = part
        placed.append(Entry(each.key, node))
    return parts, section.replaced(placed)


def _without_other_keys(checks: Validation, node: Mapping, name: str) -> Mapping:
    """Report keys that describe one answer, next to several questions, and return the node without them."""
    others = [key for key in node.table if key in key_fields(AskSpec) and key not in _NEXT_TO_QUESTIONS]
    for key in others:
        place = node.table[key].key
        checks.add(
            codes.CONFLICTING_KEYS,
            place,
            f"`{shorten(written_key(place))}` of {name} does not apply to several questions",
            label="describes one answer",
            help="write it in the question that it describes",
        )
    return node.without(others)


# --- who is asked, and when


def _with_escalation(checks: Validation, model: type[_R], node: Mapping, name: str, whole: Mapping | None = None) -> _R:
    """Read a question or an approval, and its escalation."""
    entry = node.table.get("escalate")
    spec: _R = checks.spec(model, node.without(["escalate"]), name, whole or node)
    if entry is not None and isinstance(entry.value, Mapping):
        what = f"`escalate` of {name}"
        escalate = checks.spec(EscalateSpec, entry.value, what)
        missing = [key for key in ("after", "to") if key not in entry.value.table]
        misspelt = any(meant_key(each.key, EscalateSpec) in missing for each in entry.value.entries)
        if missing and not misspelt and not checks.partial:
            checks.report(missing_key(checks.source, mapping_at(entry.key).replaced([entry]), missing[0], what))
        if {"after", "to"} <= escalate.node.table.keys():  # else it is reported
            placed = spec.node.replaced([*spec.node.entries, Entry(entry.key, escalate.node)])
            spec = complete(spec, placed, {"escalate": escalate})
            _check_names(checks, escalate.node.get("to"), escalate.to, f"`to` of {what}")
    elif entry is not None:
        checks.mistyped(entry, _ESCALATE, f"write {_ESCALATE}")
    _check_names(checks, spec.node.get("assignee"), spec.assignee, f"`assignee` of {name}")
    return spec


def _check_names(checks: Validation, place: Node | None, names: Any, what: str) -> None:
    """Report names of people that are empty: no one could answer."""
    listed = [names] if isinstance(names, str) else names
    if place is None or listed is None:
        return
    empty = next((number for number, name in enumerate(listed) if not name.strip()), None)
    if listed and empty is None:
        return
    at = place.items[empty] if empty is not None and isinstance(place, Sequence) else place
    help = "write the name of a person or a group: `assignee: ada`, `assignee: [ada, managers]`"
    checks.add(codes.VALUE_NOT_ALLOWED, at, f"{what} names no one", label="no name", help=help)


def check_reminders(checks: Validation, step: StepSpec, what: str) -> None:
    """Report reminders and escalations that never happen, or at once."""
    asked: Reminded | None = step.ask or step.approve
    if asked is None:
        return
    head = "ask" if step.ask is not None else "approve"
    node = step.node.get(head)
    inner = node.get("escalate") if isinstance(node, Mapping) else None
    after = asked.escalate.after if asked.escalate is not None else None
    _check_due(checks, step, "remind", asked.remind, node, what)
    _check_due(checks, step, "after", after, inner, what)


def _check_due(
    checks: Validation, step: StepSpec, key: str, due: float | str | None, node: Node | None, what: str
) -> None:
    place = node.get(key) if isinstance(node, Mapping) else None
    if not isinstance(place, Scalar) or not isinstance(due, float):
        return
    name = f"`{'escalate' if key == 'after' else key}` of {what}"
    if due == 0:
        help = "write how long to wait for an answer first: `2d`"
        checks.add(codes.VALUE_NOT_ALLOWED, place, f"{name} would take effect at once", label="no time", help=help)
    elif isinstance(step.timeout, float) and due >= step.timeout:
        written = step.node.get("timeout")
        limit = f"`{shorten(written.text)}`" if isinstance(written, Scalar) else "over"
        checks.add(
            codes.VALUE_NOT_ALLOWED,
            place,
            f"{name} never takes effect: the `timeout` of the step is {limit}",
            label="after the timeout",
            help="write a shorter duration, or raise the `timeout`",
        )
