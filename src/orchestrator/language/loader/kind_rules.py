"""Checks that a step does one kind of work, and that each of its keys applies to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.diagnostics import Related
from orchestrator.language.aliases import tables
from orchestrator.language.aliases.canonical import written_key
from orchestrator.language.loader.expected_values import EXPECTED_VALUES
from orchestrator.language.loader.key_diagnostics import meant_key
from orchestrator.language.spec import step_keys
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.kinds import CALL, HEADS, KINDS, LOOPS, OWNERS, PARAMETERS
from orchestrator.language.spec.pipeline import StepSpec
from orchestrator.language.yaml.nodes import Scalar
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from orchestrator.language.loader.validation import Validation
    from orchestrator.language.spec.kinds import Kind
    from orchestrator.language.yaml.nodes import Entry, Mapping


def without_approval_flag(checks: Validation, node: Mapping) -> Mapping:
    """Report a flag `approve: true` next to the work that is to be approved, and return the step without it."""
    entry = node.table.get("approve")
    if entry is None or not isinstance(entry.value, Scalar) or not isinstance(entry.value.value, bool):
        return node
    rest = node.without(["approve"])
    keys = {tables.STEP_KEYS.get(key, key) for key in rest.table}
    if keys.isdisjoint(HEADS) and keys.isdisjoint(PARAMETERS):
        return node  # it is the work of the step
    help = "remove it: a step needs no approval unless another step asks for one"
    if entry.value.value:
        own = node.get("id")
        name = shorten(own.text) if isinstance(own, Scalar) else ""
        asks = f"approve_{name}" if name else "approval"
        help = (
            f'ask in a separate step: `- {{id: {asks}, approve: "Run {name or "it"}?"}}`, '
            f'and write `condition: "{{{{ {asks} }}}}"` here'
        )
    checks.mistyped(entry, EXPECTED_VALUES["approve"], help)
    return rest


def check_work(checks: Validation, node: Mapping, what: str) -> Mapping:
    """Report a second kind of work, keys that do not apply to the first, and keys that the first lacks.

    Return the step without the rejected keys.
    """
    heads = step_keys.heads(node)
    whole = node
    if len(heads) > 1:
        node = _first_kind(checks, node, heads, what)
    of = step_keys.kinds_of(node)
    kind = HEADS[heads[0]] if heads else None
    refused = []
    for key, entry in node.table.items():
        owners = OWNERS.get(key)
        if owners is not None and of.isdisjoint(owners) and (of or "tool" not in owners):
            refused.append(key)
            _without_effect(checks, entry, key, kind, what)
    if kind == "for_each" and "in_order" in node.table and "steps" not in node.table and "tool" in of:
        refused.append("in_order")
        checks.add(
            codes.KEY_WITHOUT_EFFECT,
            node.table["in_order"].key,
            f"`in_order` does not apply to {what}, which has no `steps`",
            label="only for `steps`",
            help="to call the action for one item after another, write `max_parallel: 1`",
        )
    if len(heads) == 1:
        _lacking(checks, whole, kind, what)
    return node.without(refused) if refused else node


def _first_kind(checks: Validation, node: Mapping, heads: list[str], what: str) -> Mapping:
    """Report further kinds of work, and remove them with the keys that belong to them."""
    first = heads[0]
    for other in heads[1:]:
        _second_kind(checks, node, first, other, what)
    kept, others = HEADS[first], {HEADS[key] for key in heads[1:]}
    dropped = {
        key
        for key in node.table
        if key in heads[1:] or (kept not in OWNERS.get(key, (kept,)) and not others.isdisjoint(OWNERS[key]))
    }
    return node.without(dropped)


def _second_kind(checks: Validation, node: Mapping, first: str, other: str, what: str) -> None:
    one, two = node.table[first].key, node.table[other].key
    checks.add(
        codes.SEVERAL_KINDS_OF_WORK,
        two,
        f"{what} does two things: it {KINDS[HEADS[first]].does} (`{shorten(written_key(one))}`) "
        f"and it {KINDS[HEADS[other]].does} (`{shorten(written_key(two))}`)",
        label="a second kind of work",
        help=_one_of_two(first, other),
        related=(Related("the first is here", checks.source, one.span),),
    )


def _one_of_two(first: str, other: str) -> str:
    if {first, other} == {"while", "until"}:
        return (
            "keep one of the two, and combine the conditions: `while` is evaluated before each round, `until` after it"
        )
    if first in LOOPS and other not in LOOPS:
        return f"to do this in every round, write a separate step below `steps:`: `- id: one` with `{other}:`"
    if other in LOOPS or first in LOOPS:
        return "to nest loops, write the inner one as a step below the `steps:` of the outer one"
    if "steps" in (first, other):
        return "split it into two steps, or write the other one as a step below `steps:`"
    return "split it into two steps; the second one can read the first, or list it in `dependencies`"


_HELP: Final[dict[str, str]] = {
    "parameters": "parameters belong to a tool call; write them in the step that has `tool:` or `action:`",
    "as": "it is the name of the item in a `for_each`",
    "max_parallel": "it limits how many items of a `for_each` run at once; "
    "for all steps of the file, write `defaults: {max_parallel: ...}`",
    "on_item_failure": "it handles failed items of a `for_each`; for the whole step, write `on_failure`",
    "min_success": "it is the share of items of a `for_each` that must succeed",
    "collect": "it is the value of each item or round of a loop; other steps have the value of their last step",
    "max_iterations": "it limits the rounds of a `while` or `until`; a `for_each` ends with its items",
    "on_limit": "it applies when a `while` or `until` reaches `max_iterations`",
    "initial": "it sets the initial values that a loop carries from round to round, or from item to item",
    "update": "it updates the values that a loop carries from round to round, or from item to item",
    "in_order": "it applies to the steps of a group, a branch or the body of a loop",
    "compensate": "it undoes the steps of a group: put these steps into a step with `steps:`, and write it there",
    "cases": "add `switch:` with the value that selects a case",
    "default": "it is the branch of a `switch` that runs when no case matches",
    "profile": "it names settings of model calls; write it in the steps that call a model",
    "wait_for": "it is the number of steps of a `parallel`, or of items of a `for_each`, that must succeed",
    "inputs": "they are the inputs of another pipeline: `pipeline: ./other.yaml`; a tool takes `parameters`",
    "max_depth": "it limits how deep a `pipeline` can call itself",
    "detach": "it makes the `pipeline` that a step names a run of its own",
    "produces": "it names the files that an action or inner steps write; this step writes none",
    "timeout": "a waiting step takes as long as it waits; change the time or duration",
}

_WITHIN: Final[frozenset[Kind]] = frozenset({"for_each", "while", "until", "switch", "parallel", "steps"})


def _without_effect(checks: Validation, entry: Entry, key: str, kind: Kind | None, what: str) -> None:
    place, value = entry.key, entry.value
    name, does = shorten(written_key(place)), f"which {KINDS[kind].does if kind else 'does nothing'}"
    if kind in ("ask", "approve") and key in PARAMETERS:
        first = "prompt" if kind == "ask" else "title"
        text = f"`{kind}: {{{first}: ...}}`"
        help = (
            f"write the question below `{kind}:`: {text}"
            if key == "prompt"
            else "it is a parameter of a model call; this step asks a person"
        )
    elif key in PARAMETERS:
        help = (
            f"`{key}` is a parameter of a model call; write it in the inner steps that call a model"
            if kind in _WITHIN
            else f"`{key}` is a parameter of a model call; "
            + ("write it in the steps of that pipeline" if kind == "pipeline" else "add a separate step for it")
        )
    elif key in ("retry", "cache", "on_resume"):
        help = (
            f"`{key}` applies only to tool calls; write it in the inner steps that call a tool"
            if kind in _WITHIN
            else f"`{key}` applies only to tool calls; "
            + ("write it in the steps of that pipeline" if kind == "pipeline" else "remove it")
        )
    elif key == "inputs" and kind == "tool":
        help = "did you mean `parameters`?"
    elif key == "wait_for" and kind == "steps":
        help = "did you mean `parallel` instead of `steps`? `wait_for` applies only to steps that run in parallel"
    elif key in ("default", "parameters") and kind in ("ask", "approve"):
        help = f"write it below `{kind}:`: `{kind}: {{{'prompt' if kind == 'ask' else 'title'}: ..., default: ...}}`"
    elif key == "timeout" and kind in ("value", "fail", "end"):
        help = "remove it: the step ends as soon as it begins"
    elif key == "compensate" and not isinstance(value, Scalar):
        help = "did you mean `undo`? it has the steps that undo this one; `compensate: true` is for a group"
    elif key == "as" and kind in ("while", "until"):
        help = "it is the name of the item in a `for_each`; rounds are numbered by `iteration`"
    elif key == "max_parallel" and kind in ("while", "until"):
        help = "the rounds of this loop run one after another; items of a `for_each` can run in parallel"
    else:
        help = _HELP[key]
    checks.add(
        codes.KEY_WITHOUT_EFFECT,
        place,
        f"`{name}` does not apply to {what}, {does}",
        label=f"only for {_listed(key)}",
        help=help,
    )


def _listed(key: str) -> str:
    owners = OWNERS[key]
    if owners == ("tool",):
        return "tool calls"
    if len(owners) < 4:
        return quoted_list(owners, last="and")
    if key == "produces":
        return "steps with an action or inner steps"
    return "steps with inner steps" if key == "in_order" else "steps that take time and do not wait"


_LACKS: Final[dict[str, tuple[str, str, str]]] = {
    "for_each": ("steps", "does nothing with each item", "add `steps:` with a list of steps, or an `action:`"),
    "while": ("steps", "has no steps to repeat", "add `steps:` with a list of steps"),
    "until": ("steps", "has no steps to repeat", "add `steps:` with a list of steps"),
    "switch": ("cases", "has no cases to select from", "add `cases:` with steps for each value: `cases: {yes: [...]}`"),
}


def _lacking(checks: Validation, node: Mapping, kind: Kind | None, what: str) -> None:
    key, lack, help = _LACKS.get(kind or "", ("", "", ""))
    table = node.table
    if not key or key in table or (kind == "for_each" and any(call in table for call in CALL)):
        return
    known = key_fields(StepSpec)
    if checks.partial or any(
        meant_key(entry.key, StepSpec) == key for entry in node.entries if entry.key.text not in known
    ):
        return  # reported as a misspelt key
    checks.add(codes.MISSING_KEY, table[kind or ""].key, f"{what} {lack}", label=f"`{key}` is missing", help=help)
