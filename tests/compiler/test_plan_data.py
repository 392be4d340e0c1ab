"""A plan as data: everything that changes what it does is in it, and in its digest; names for people are not."""

import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import NODEFAULT, Struct
from msgspec.structs import replace

from orchestrator.expressions import Constant, Template, parse_template
from orchestrator.expressions.types.value_types import Type
from orchestrator.language.spec.inputs import InputSpec
from orchestrator.models.budget import Budget
from orchestrator.plan import auto_values, model, policies, steps
from orchestrator.plan.concurrency import ConcurrencyPlan
from orchestrator.plan.model import Plan
from orchestrator.plan.notices import NotifyPlan
from orchestrator.plan.policies import CachePolicy, Check, Judge, RetryPolicy
from orchestrator.plan.serialization import digest_of, plan_data, step_data
from orchestrator.plan.steps import Block, Handler, StepKind, StepPlan
from orchestrator.tools.contract import Action, Tool
from tests.plans import TEXT, every_construct, plan, step

INERT = {
    "Plan": {
        *("source_name", "source_text", "directory", "digest", "name", "description", "version", "metadata"),
        *("orchestrator", "autos", "lock", "prompts", "labels", "concurrency", "notify"),
    },
    "StepPlan": {"name", "description", "metadata", "line", "skips", "undo_reads"},
    "OutputPlan": {"name", "description", "reads"},
    "ToolCall": set[str](),
    "AgentPipeline": {"inputs"},
}
"""What does not change what a plan does. An output's name is its key; a lock's answers and prompts stand in the steps,
and the inputs of a pipeline in that.

What a jump skips follows from its target and the order of the steps, and what an `undo` reads from its templates.
"""

ABSENT: dict[str, Any] = {
    **dict.fromkeys(
        ("collect", "default", "choices", "value", "fallback", "key", "until", "duration", "exclude", "include"),
        Constant("new"),
    ),
    **dict.fromkeys(("assignee", "remind", "escalate_after", "escalate_to"), Constant("new")),
    **dict.fromkeys(("max_parallel", "max_depth", "wait_for", "max_calls"), 7),
    **dict.fromkeys(("timeout", "min_success", "ttl", "longest_wait"), 0.25),
    **dict.fromkeys(("on_success", "on_false", "target", "tool"), "elsewhere"),
    "body": Block(()),
    "finally_": Block(()),
    "undo": Block(()),
    "retry": RetryPolicy(),
    "cache": CachePolicy(),
    "check": Check(),
    "schema": {"type": "string"},
    "judge": Judge(Constant("new"), Constant("new")),
    "budget": Budget(),
    **dict.fromkeys(("usd", "tokens", "requests"), 7),
    "on_resume": "ask",
    "condition": parse_template("{{ new }}"),
    "format": "text",
    "delimiter": ";",
    "encoding": "latin-1",
    "types": {"n": "string"},
}
"""What stands instead of nothing, by the field's name."""

WORDS = {"jump": "fail", "fail": "continue", "continue": "value", "value": "jump"} | {
    "while": "until",
    "until": "while",
    "rerun": "fail",
    "ask": "fail",
    "pipeline": "store",
    "store": "pipeline",
    "csv": "jsonl",
}


def changes(value: Any, name: str = "", *, inert: bool = False) -> Iterator[Any]:
    """Every value that differs from this one in a single place; with `inert` in one that does not count."""
    match value:
        case Template() | Tool() | Action() | Type() | None | str() | bool() | int() | float():
            if not inert:
                yield _another(value, name)
        case InputSpec():
            yield from _changed_inputs(value, inert=inert)
        case Mapping():
            for key, item in value.items():
                if not inert:
                    yield {other: value[other] for other in value if other != key}
                for changed in changes(item, inert=inert):
                    yield {**value, key: changed}
        case tuple() | list():
            for index, item in enumerate(value):
                if not inert and not _is_case(value):
                    yield type(value)([*value[:index], *value[index + 1 :]])
                for changed in changes(item, inert=inert):
                    yield type(value)([*value[:index], changed, *value[index + 1 :]])
        case _:
            yield from _changed_fields(value, inert=inert)


def _another(value: Any, name: str) -> Any:
    match value:
        case Template():
            return parse_template(value.text + " ")
        case Tool():
            return replace(value, version=value.version + "1")
        case Action():
            return next(other for other in TEXT.actions.values() if other.name != value.name)
        case Type():
            return Type("boolean")
        case None:
            return ABSENT[name] if name else False
        case bool():
            return not value
        case str():
            return WORDS.get(value, value + "x")
        case _:
            return value + 1


def _is_case(value: Any) -> bool:
    """Whether it is one of the pairs of a switch."""
    return len(value) == 2 and isinstance(value[1], Block)


def _changed_fields(value: Any, *, inert: bool) -> Iterator[Any]:
    ignored = INERT.get(type(value).__name__, set())
    names, defaults = value.__struct_fields__, value.__struct_defaults__
    for name, default in zip_longest(reversed(names), reversed(defaults), fillvalue=NODEFAULT):
        old = getattr(value, name)
        if name in ignored:
            if inert:
                yield replace(value, **{name: _other_label(old)})
            continue
        if name in getattr(value, "limits", ()):
            continue  # it is computed, so the field counts for nothing
        if not inert and old is not None and default is None:
            yield replace(value, **{name: None})
        for changed in changes(old, name, inert=inert):
            yield replace(value, **{name: changed})


def _changed_inputs(spec: InputSpec, *, inert: bool) -> Iterator[InputSpec]:
    written = {name: getattr(spec, name) for name in spec.model_fields_set}
    if inert:
        yield InputSpec(**{**written, "description": "another"})
    else:
        yield InputSpec(**{**written, "minimum": 77.0})
        yield InputSpec(**{**written, "default": [1, None]})
    if spec.items is not None:
        for changed in _changed_inputs(spec.items, inert=inert):
            yield InputSpec(**{**written, "items": changed})
    for name, field in (spec.properties or {}).items():
        for changed in _changed_inputs(field, inert=inert):
            yield InputSpec(**{**written, "properties": {name: changed}})


def _other_label(old: Any) -> Any:
    match old:
        case str():
            return old + " (another)"
        case int():
            return old + 1
        case tuple():
            return (*old, "another")
        case Mapping():
            return {**old, "another": 1}
        case NotifyPlan() | ConcurrencyPlan():
            return type(old)()
        case None:
            return "another"
        case _:
            return old / "another"  # a directory


def digests(found: Iterator[Plan]) -> list[str]:
    return [digest_of(one) for one in found]


def test_the_plan_of_these_tests_has_every_construct_in_it() -> None:
    used: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, Struct):
            used.add(type(value).__name__)
            for name in value.__struct_fields__:
                if name != "tool":
                    walk(getattr(value, name))
        elif isinstance(value, Mapping):
            walk(tuple(value.values()))
        elif isinstance(value, tuple | list):
            for item in value:
                walk(item)

    walk(every_construct())
    declared = {
        name
        for module in (auto_values, model, policies, steps)
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
    }
    assert declared <= used


def test_every_change_of_what_a_plan_does_gives_another_digest() -> None:
    original = every_construct()
    found = [digest_of(original), *digests(changes(original))]
    assert len(found) > 400
    assert len(set(found)) == len(found)


def test_names_descriptions_versions_metadata_and_places_leave_the_digest_as_it_is() -> None:
    original = every_construct()
    found = digests(changes(original, inert=True))
    assert len(found) > 100
    assert set(found) == {digest_of(original)}


@given(st.lists(st.integers(0, 10_000), max_size=4), st.lists(st.integers(0, 10_000), max_size=4))
@settings(max_examples=50)
def test_two_plans_have_the_same_digest_exactly_if_their_data_without_names_are_the_same(
    first: list[int], second: list[int]
) -> None:
    def changed(picks: list[int]) -> Plan:
        result = plan(every_construct().steps[3], every_construct().steps[-3])
        for pick in picks:
            options = list(changes(result))
            result = options[pick % len(options)]
        return result

    one, other = changed(first), changed(second)
    same = [step_data(s, everything=False) for s in one.steps] == [step_data(s, everything=False) for s in other.steps]
    assert (digest_of(one) == digest_of(other)) == (same and plan_data(one) == plan_data(other))


def test_the_data_are_json_and_the_same_each_time() -> None:
    text = json.dumps(plan_data(every_construct()))
    assert json.loads(text) == plan_data(every_construct())
    assert text == json.dumps(plan_data(every_construct()))


def test_every_step_at_every_depth_has_its_id_kind_and_dependencies() -> None:
    found: dict[str, str] = {}

    def walk(data: Any) -> None:
        if isinstance(data, dict):
            if "kind" in data and "dependencies" in data:
                found.setdefault(data["id"], data["kind"])
            for value in data.values():
                walk(value)
        elif isinstance(data, list):
            for value in data:
                walk(value)

    data = plan_data(every_construct())
    walk(data)
    outer = {one.id: one.work.kind for one in every_construct().steps}
    assert outer.items() <= found.items()
    inner = {"clean", "judge", "left", "greet", "check", "ask_again", "first", "third", "other_kind", "wipe", "fetch"}
    assert inner | {"notify", "close", "report"} <= set(found)
    assert set(found.values()) == set(get_args(StepKind))


def test_a_tool_step_records_tool_action_and_parameters() -> None:
    assert step_data(step("a", "b")) == {
        "id": "a",
        "kind": "tool",
        "tool": "text",
        "tool_version": "3",
        "action": "echo",
        "parameters": {},
        "dependencies": ["b"],
    }


def test_null_that_was_given_is_not_the_same_as_nothing() -> None:
    def handled(*handlers: Handler) -> StepPlan:
        return step("a", on_error=handlers)

    given_null, nothing = step_data(handled(Handler(fallback=Constant(None)))), step_data(handled(Handler()))
    assert given_null["on_error"][0]["fallback_value"] is None
    assert "fallback_value" not in nothing["on_error"][0]
