"""Kinds of work: each step has one, its keys belong to that one, and whatever is wrong with it is told in one pass."""

# ruff: noqa: E501  # a table reads best with one case a line
from __future__ import annotations

from itertools import combinations
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.diagnostics import CODES
from orchestrator.language import Document, read_document
from orchestrator.language.reference.schema import json_schema
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.model_options import CallSpec
from orchestrator.language.spec.pipeline import StepSpec
from orchestrator.language.yaml.nodes import plain_data

CALL = "{id: x, tool: log}"

WORK = {
    "tool": "tool: log",
    "for_each": f'for_each: "{{{{ rows }}}}", steps: [{CALL}]',
    "while": f"while: x, steps: [{CALL}]",
    "until": f"until: x, steps: [{CALL}]",
    "switch": f"switch: 1, cases: {{a: [{CALL}]}}",
    "parallel": f"parallel: [{CALL}]",
    "steps": f"steps: [{CALL}]",
    "pipeline": "pipeline: ./other.yaml",
    "ask": "ask: How many?",
    "approve": "approve: Publish?",
    "wait_until": "wait_until: 2030-12-01T09:00",
    "sleep": "sleep: 5m",
    "value": "value: 3",
    "fail": "fail: The state is unsafe",
    "end": "end: true",
}
"""The shortest step of each kind."""


def document(*steps: str) -> Document:
    lines = [f"  - {{id: s{number}, {step}}}\n" for number, step in enumerate(steps)]
    profiles = "profiles: {x: {model: auto}}\n" if any("profile: x" in step for step in steps) else ""
    return read_document("steps:\n" + "".join(lines) + profiles, name="f.yaml")


def one(step: str) -> StepSpec:
    found = document(step)
    assert not found.diagnostics, [d.message for d in found.diagnostics]
    return found.spec.steps[0]


@pytest.mark.parametrize("kind", WORK)
def test_a_step_knows_its_kind_of_work(kind: str) -> None:
    assert one(WORK[kind]).kind == kind


def test_a_loop_may_have_an_action_of_its_own_instead_of_steps() -> None:
    step = one('for_each: "{{ rows }}", tool: log, retry: 3, cache: true, parameters: {message: "{{ item }}"}')
    assert (step.kind, step.tool, step.steps) == ("for_each", "log", None)


LOOPS = ("for_each", "while", "until")
PAIRS = [pair for pair in combinations(WORK, 2) if not ("steps" in pair and set(LOOPS) & set(pair))]


@pytest.mark.parametrize(("one", "two"), PAIRS)
def test_two_kinds_of_work_are_refused_with_both_places(one: str, two: str) -> None:
    for first, second in ((one, two), (two, one)):
        step = f"{WORK[first]}, {WORK[second]}"
        if {first, second} <= set(LOOPS):
            step = f"{WORK[first].split(', steps')[0]}, {WORK[second]}"
        (diagnostic,) = document(step).diagnostics
        assert diagnostic.code == "ORC212"
        assert diagnostic.help
        named = {written(diagnostic.span.start.column, step), written(diagnostic.related[0].span.start.column, step)}
        assert named == {one, two}


def written(column: int, step: str) -> str:
    """The key that stands at a column of the line that `document` makes of a step."""
    return f"  - {{id: s0, {step}}}"[column - 1 :].split(":")[0]


def test_of_two_kinds_of_work_the_first_counts_and_a_loop_before_what_it_might_repeat() -> None:
    found = document(
        "ask: a, parallel: [{id: x, tool: log}], wait_for: any", "tool: log, retry: 3, while: a, steps: []"
    )
    assert [step.kind for step in found.spec.steps] == ["ask", "while"]
    assert [d.code for d in found.diagnostics] == ["ORC212", "ORC212", "ORC203"]


EFFECTS = {
    "parameters: {a: 1}": {"tool"},
    "profile: x": {"tool"},
    "retry: 3": {"tool"},
    "cache: true": {"tool"},
    "on_resume: ask": {"tool"},
    "as: row": {"for_each"},
    "max_parallel: 3": {"for_each"},
    "on_item_failure: continue": {"for_each"},
    "min_success: 0.5": {"for_each"},
    "collect: 1": {"for_each", "while", "until"},
    "max_iterations: 3": {"while", "until"},
    "on_limit: continue": {"while", "until"},
    "initial: {n: 1}": {"for_each", "while", "until"},
    "update: {n: 1}": {"for_each", "while", "until"},
    "default: [{id: y, tool: log}]": {"switch"},
    "wait_for: any": {"for_each", "parallel"},
    "inputs: {a: 1}": {"pipeline"},
    "max_depth: 3": {"pipeline"},
    "detach: true": {"pipeline"},
    "produces: a.txt": set(WORK) - {"wait_until", "sleep", "value", "fail", "ask", "approve", "end"},
    "timeout: 5s": set(WORK) - {"wait_until", "sleep", "value", "fail", "end"},
    "in_order: true": {"for_each", "while", "until", "switch", "steps"},
    "condition: x": set(WORK),
    "dependencies: [b]": set(WORK),
    "on_failure: continue": set(WORK),
    "on_success: b": set(WORK),
    "on_false: b": set(WORK),
    "on_error: [{fallback_value: 1}]": set(WORK),
    "undo: {tool: log}": set(WORK),
    "compensate: true": {"parallel", "steps"},
    "name: x": set(WORK),
    "description: x": set(WORK),
    "metadata: {a: 1}": set(WORK),
    "check: output": set(WORK),
    "budget: 2": set(WORK),
    **{f"{name}: x": {"tool"} for name in key_fields(CallSpec)},
}


@pytest.mark.parametrize("key", EFFECTS)
@pytest.mark.parametrize("kind", WORK)
def test_a_key_is_carried_out_or_refused(kind: str, key: str) -> None:
    found = document(f"{WORK[kind]}, {key}").diagnostics
    if kind in EFFECTS[key] or (kind, key) == ("pipeline", "parameters: {a: 1}"):  # these are its inputs
        assert not found
        return
    (diagnostic,) = found
    name = key.split(":")[0]
    assert diagnostic.code == "ORC213"
    assert f"`{name}` does not apply to step `s0`" in diagnostic.message
    assert diagnostic.help
    assert diagnostic.span.end.column - diagnostic.span.start.column == len(name)


def test_every_key_has_a_kind_of_work_for_which_it_is_tested() -> None:
    tested = {part.split(":")[0] for part in EFFECTS} | set(WORK) | {"id", "action", "cases"}
    assert {*key_fields(StepSpec), *key_fields(CallSpec)} == tested


def test_a_key_of_a_pipeline_at_a_tool_is_told_by_another_name() -> None:
    (diagnostic,) = document("tool: log, inputs: {a: 1}").diagnostics
    assert diagnostic.help == "did you mean `parameters`?"
    assert diagnostic.fix is None  # it may be another mistake


WRONG: dict[str, tuple[str, str, str, str]] = {
    # what: the step, code, what the message says, what the help says
    "no items": ("for_each: , tool: log", "ORC202", "`for_each` has no value", ""),
    "a name as items": ("for_each: rows, tool: log", "ORC202", '`for_each` must be a template, a list, a mapping, `{range: 10}` or `{file: rows.jsonl}`, not the string `rows`', '"{{ rows }}"'),
    "a number as items": ("for_each: 5, tool: log", "ORC202", "`for_each` must be", ""),
    "an empty range": ("for_each: {range: []}, tool: log", "ORC202", "`range` must be a number, or a list", ""),
    "a range of text": ("for_each: {range: [1, x]}, tool: log", "ORC202", "`stop` of a range must be an integer or a template", ""),
    "a range of fractions": ("for_each: {range: 1.5}, tool: log", "ORC202", "must be an integer or a template", ""),
    "a range that never ends": ("for_each: {range: [0, 5, 0]}, tool: log", "ORC205", "must not be 0", "1 or -1"),
    "range and file": ("for_each: {range: 5, file: x.csv}, tool: log", "ORC207", "both `range` and `file`", "one of them"),
    "an unknown format": ("for_each: {file: x.csv, format: xml}, tool: log", "ORC205", "one of `jsonl`, `csv`, `text`", ""),
    "a misspelt format": ("for_each: {file: x.csv, fromat: csv}, tool: log", "ORC201", "no key `fromat`", "`format`"),
    "a number as file": ("for_each: {file: 5}, tool: log", "ORC202", "`file` must be text", '"5"'),
    "nothing to do": ("for_each: [1]", "ORC203", "nothing with each item", "`steps:`"),
    "no body": ("for_each: [1], steps: ", "ORC203", "`steps` of step `s0` has no steps", "add a list"),
    "an empty body": ("while: x, steps: []", "ORC203", "`steps` of step `s0` has no steps", "add a list"),
    "text as body": ("until: x, steps: y", "ORC202", "`steps` of step `s0` must be a list of steps", ""),
    "a step as body": ("until: x, steps: {id: a, tool: log}", "ORC202", "must be a list of steps", "`- id:`"),
    "text as a step of a body": ("until: x, steps: [y]", "ORC202", "step 1 of step `s0` must be a mapping", ""),
    "a step of a body without id": ("until: x, steps: [{tool: log}]", "ORC203", "step 1 of step `s0` has no `id`", "id: fetch"),
    "a bad id in a body": ("until: x, steps: [{id: a b, tool: log}]", "ORC209", "`a b` cannot be a step's id", "`a_b`"),
    "a bad item's name": ("for_each: [1], as: a b, tool: log", "ORC209", "`a b` cannot be the name of an item", "`a_b`"),
    "no items at once": ("for_each: [1], max_parallel: 0, tool: log", "ORC205", "`max_parallel` must be a number of at least 1", ""),
    "a jump of an item": ("for_each: [1], on_item_failure: s1, tool: log", "ORC205", "cannot jump", "`{value: ...}`"),
    "per cent": ("for_each: [1], min_success: 90, tool: log", "ORC205", "at most 1", "0.9 is 90 percent"),
    "a number as condition": (f"while: 5, steps: [{CALL}]", "ORC202", "an expression or true/false", ""),
    "no condition": (f"until: , steps: [{CALL}]", "ORC202", "`until` has no value", ""),
    "nothing to repeat": ("while: x", "ORC203", "no steps to repeat", "`steps:`"),
    "text of rounds": (f"while: x, max_iterations: ten, steps: [{CALL}]", "ORC202", "`max_iterations` must be an integer", ""),
    "another limit": (f"while: x, on_limit: stop, steps: [{CALL}]", "ORC205", "one of `fail`, `continue`", ""),
    "a carried list": (f"while: x, update: [1], steps: [{CALL}]", "ORC202", "`update` must be a mapping", ""),
    "a bad carried name": (f"while: x, initial: {{a b: 1}}, steps: [{CALL}]", "ORC209", "a carried value's name", "`a_b`"),
    "no subject": (f"switch: , cases: {{a: [{CALL}]}}", "ORC202", "`switch` has no value", ""),
    "no cases": ("switch: x", "ORC203", "no cases to select from", "`cases:`"),
    "empty cases": ("switch: x, cases: {}", "ORC203", "`cases` of step `s0` has no cases", "cases: {yes"),
    "a list of cases": (f"switch: x, cases: [{CALL}]", "ORC202", "a mapping from values to steps", "cases: {yes"),
    "a case without steps": ("switch: x, cases: {a: }", "ORC203", "the case `a` of step `s0` has no steps", ""),
    "text as case": ("switch: x, cases: {a: b}", "ORC202", "the case `a` of step `s0` must be a list", ""),
    "cases of nothing": (f"cases: {{a: [{CALL}]}}", "ORC213", "which does nothing", "add `switch:`"),
    "true as parallel": ("parallel: true", "ORC202", "`parallel` of step `s0` must be a list", "max_parallel"),
    "no branches": ("parallel: {}", "ORC203", "`parallel` of step `s0` has no steps", ""),
    "waiting for none": (f"parallel: [{CALL}], wait_for: 0", "ORC205", "`all`, `any`, or a number of steps", ""),
    "waiting for some": (f"parallel: [{CALL}], wait_for: some", "ORC205", "`all`, `any`, or a number of steps", ""),
    "waiting for more": (f"parallel: [{CALL}], wait_for: 2", "ORC205", "only 1 step", "smaller"),
    "waiting for a group": (f"steps: [{CALL}], wait_for: 1", "ORC213", "does not apply", "did you mean `parallel`"),
    "a number as pipeline": ("pipeline: 5", "ORC202", "the path of a pipeline file", ""),
    "a list of inputs": ("pipeline: x.yaml, inputs: [1]", "ORC202", "`inputs` must be a mapping", ""),
    "no depth": ("pipeline: x.yaml, max_depth: 0", "ORC205", "at least 1", ""),
    "no question": ("ask: ", "ORC202", "`ask` has no value", ""),
    "an empty question": ("ask: {}", "ORC203", "`ask` of step `s0` has no `prompt`", "the question"),
    "a number as question": ("ask: 5", "ORC202", "a question, or a mapping", ""),
    "an unknown type of answer": ("ask: {prompt: x, type: integr}", "ORC205", "`type` must be one of", "`integer`"),
    "an unknown key of a question": ("ask: {prompt: x, chioces: [1]}", "ORC201", "`ask` of step `s0` has no key `chioces`", "`choices`"),
    "a question's key beside it": ("ask: x, choices: [1]", "ORC201", "no key `choices`", "below `ask:`"),
    "a default beside a question": ("ask: x, default: [1]", "ORC213", "does not apply", "below `ask:`"),
    "a default of another type": ("ask: {prompt: x, type: integer, default: y}", "ORC208", "must be an integer", ""),
    "a default that is no choice": ("ask: {prompt: x, choices: [1, 2], default: 3}", "ORC208", "one of 1, 2", ""),
    "a limit without meaning": ("ask: {prompt: x, type: boolean, minimum: 3}", "ORC205", "`minimum` does not apply", ""),
    "text as choices": ("ask: {prompt: x, choices: yes}", "ORC202", "`choices` of step `s0` must be a list", ""),
    "true as approval": ("approve: true", "ORC202", "a title, or a mapping", ""),
    "an untitled approval": ("approve: {content: x}", "ORC203", "`approve` of step `s0` has no `title`", "`title:`"),
    "maybe as approval": ("approve: {title: x, default: maybe}", "ORC202", "`default` must be true or false", ""),
    "no time": ("wait_until: tomorrow", "ORC205", "not a time", "2030-12-01T09:00"),
    "true as time": ("wait_until: true", "ORC202", "a time such as", ""),
    "not a duration": ("sleep: soon", "ORC206", "not a duration", "5m"),
    "nothing to wait for": ("sleep: ", "ORC202", "`sleep` has no value", ""),
    "no handlers": ("tool: log, on_error: []", "ORC203", "`on_error` of step `s0` has no handlers", "add a handler"),
    "an empty handler": ("tool: log, on_error: {}", "ORC203", "no handlers", "add a handler"),
    "text as handler": ("tool: log, on_error: [fail]", "ORC202", "handler 1 of step `s0` must be a mapping", "steps"),
    "a handler that does nothing": ("tool: log, on_error: [{error_types: [X]}]", "ORC203", "does nothing about the error", "`fallback_value:`"),
    "a handler of two minds": (f"tool: log, on_error: {{steps: [{CALL}], tool: log}}", "ORC212", "`steps` and also a step in itself", "below `steps:`"),
    "a handler with priority": ("tool: log, on_error: {tool: log, priority: 1}", "ORC201", "no key `priority`", "in the order of the file"),
    "a bad pattern": ("tool: log, on_error: {error_patterns: '(', tool: log}", "ORC205", "not a regular expression", "quotes"),
    "a misspelt key of a handler": ("tool: log, on_error: {error_typs: [X], tool: log}", "ORC201", "no key `error_typs`", "`error_types`"),
    "another way to go on": ("tool: log, on_resume: maybe", "ORC205", "one of `rerun`, `fail`, `ask`", ""),
    "a number as cache": ("tool: log, cache: 5", "ORC202", "true, false, or a mapping", ""),
    "a misspelt key of a cache": ("tool: log, cache: {tll: 1d}", "ORC201", "no key `tll`", "`ttl`"),
    "no duration of a cache": ("tool: log, cache: {ttl: soon}", "ORC206", "not a duration", "5m"),
    "text as budget": ('tool: log, budget: "2 USD"', "ORC202", "`budget` must be an amount in USD", "`budget: 2`"),
    "a template as budget": ('tool: log, budget: "{{ n }}"', "ORC202", "`budget` must be an amount in USD", "before the run"),
    "a budget below zero": ("tool: log, budget: -1", "ORC425", "`budget` must be a number of at least 0, not the integer `-1`", "`budget: 2`"),
    "half a token": ("tool: log, budget: {tokens: 1.5}", "ORC425", "`tokens` must be an integer, not the number `1.5`", "`budget: 2`"),
    "a budget of other things": ("tool: log, budget: {euro: 2}", "ORC425", "no key `euro`", "allowed here"),
    "a misspelt budget": ("tool: log, budget: {token: 2}", "ORC425", "no key `token`", "`tokens`"),
    "no budget": ("tool: log, budget: {}", "ORC425", "sets no limit", "`budget: 2`"),
    "a number as check": ("tool: log, check: 5", "ORC202", "`check` must be an expression", ""),
    "nothing to check": ("tool: log, check: {max_attempts: 3}", "ORC429", "checks nothing", "`judge`"),
    "an empty check": ("tool: log, check: []", "ORC429", "checks nothing", "`judge`"),
    "a misspelt key of a check": ("tool: log, check: {thta: x, judge: y}", "ORC201", "no key `thta`", "`that`"),
    "a number as expression": ("tool: log, check: {that: 5}", "ORC202", "`that` must be an expression or a list", ""),
    "no attempts": ("tool: log, check: {that: x, max_attempts: 0}", "ORC205", "at least 1", ""),
    "a judge of nothing": ("tool: log, check: {judge: {min_score: 0.5}}", "ORC203", "`judge` of step `s0` has no `rubric`", "`rubric:`"),
    "a number as judge": ("tool: log, check: {judge: 5}", "ORC202", "`judge` must be a rubric", ""),
    "a score of ten": ("tool: log, check: {judge: {rubric: x, min_score: 7}}", "ORC205", "at most 1", "0.8"),
    "a model of nothing": ("model: x", "ORC201", "no key `model`", "has a `prompt`"),
    "several tools for nothing": ("tools: log", "ORC201", "no key `tools`", "did you mean `tool`"),
    "a prompt for a person": ("ask: x, prompt: y", "ORC213", "does not apply", "below `ask:`"),
    "a misspelt prompt": ("promt: x", "ORC201", "no key `promt`", "`prompt`"),
    "a misspelt key of a model": ("prompt: x, temprature: 1", "ORC201", "no key `temprature`", "`temperature`"),
    "a prompt twice": ("prompt: x, parameters: {prompt: y}", "ORC207", "`prompt` is written twice", "remove one"),
    "a prompt of a group": (f"prompt: x, steps: [{CALL}]", "ORC213", "does not apply", "inner steps"),
    "a misspelt body": (f"while: x, stesp: [{CALL}]", "ORC201", "no key `stesp`", "`steps`"),
    "a body by another name": (f"while: x, do: [{CALL}]", "ORC201", "no key `do`", "`steps`"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_told_once_with_a_way_to_mend_it(name: str) -> None:
    step, code, message, help = WRONG[name]
    found = document(step)
    assert [d.code for d in found.diagnostics] == [code], [d.message for d in found.diagnostics]
    (diagnostic,) = found.diagnostics
    assert message in diagnostic.message
    advice = diagnostic.help or CODES[code].remedy
    assert advice
    assert help in advice
    for word in ("pydantic", "input should", "spec ", "nonetype", "tuple", "dict", "valid "):
        assert word not in f"{diagnostic.message} {diagnostic.label} {advice}".lower()


BEYOND_THE_SCHEMA = {
    "a range that never ends",
    "nothing to do",
    "nothing to repeat",
    "no cases",
    "cases of nothing",
    "waiting for more",
    "waiting for a group",
    "a default of another type",
    "a default that is no choice",
    "a limit without meaning",
    "text as choices",
    "no time",
    "a handler that does nothing",
    "a handler of two minds",
    "a bad pattern",
    "no subject",
    "a bad carried name",
    "a model of nothing",
    "a prompt for a person",
    "a prompt twice",
    "a prompt of a group",
    "nothing to check",
}
"""What no schema knows, or only one that would be too long for its use."""


@pytest.mark.parametrize("name", WRONG)
def test_editors_know_of_a_mistake_from_the_schema(name: str) -> None:
    root = document(WRONG[name][0]).root
    assert root is not None
    valid = jsonschema.Draft202012Validator(json_schema()).is_valid(plain_data(root))
    assert valid == (name in BEYOND_THE_SCHEMA)


def test_one_pass_tells_every_mistake_of_every_step() -> None:
    found = document(*(step for step, *_ in WRONG.values()))
    told = {(d.span.start.line - 2, d.code) for d in found.diagnostics}
    assert told == {(number, code) for number, (_, code, *_) in enumerate(WRONG.values())}


def test_one_pass_tells_every_mistake_however_deep() -> None:
    steps = "".join(f"      - {{id: s{number}, {step}}}\n" for number, (step, *_) in enumerate(WRONG.values()))
    text = f"steps:\n  - id: outer\n    parallel:\n{steps}finally:\n{steps}error_handlers:\n  - steps:\n{steps}"
    assert len(read_document(text).diagnostics) == 3 * len(WRONG)


@pytest.mark.parametrize("kind", [kind for kind in WORK if kind not in ("tool", "steps")])
def test_a_step_keeps_its_kind_when_the_value_of_that_is_refused(kind: str) -> None:
    rest = WORK[kind].split(", ", 1)[1:]
    for value in ("", "{}", "[]", "5", "true", "[[1]]"):
        if (kind, value) == ("parallel", "true"):
            continue  # a flag of the py-orc dialect
        step = document(", ".join([f"{kind}: {value}", *rest])).spec.steps[0]
        assert step.kind == kind


def test_an_id_may_come_again_in_another_list_but_not_in_the_same() -> None:
    again = f"parallel: {{one: [{CALL}], two: [{CALL}]}}"
    assert not document(again, f"steps: [{CALL}]").diagnostics
    (diagnostic,) = document(f"steps: [{CALL}, {CALL}]").diagnostics
    assert diagnostic.code == "ORC204"
    (related,) = diagnostic.related
    assert related.span.start.column < diagnostic.span.start.column


def test_the_pipelines_handlers_cannot_try_again() -> None:
    text = f"steps: [{CALL}]\nerror_handlers:\n  - {{retry: 3, tool: log}}\n  - {{fallback_value: 1, tool: log}}\n"
    found = read_document(text).diagnostics
    assert [(d.code, d.span.start.line) for d in found] == [("ORC213", 3), ("ORC213", 4)]
    assert all("`on_error` of the step" in (d.help or "") for d in found)


SWALLOWED = {
    "a bracket that swallows the body": "  - id: a\n    for_each: [\n    steps: [{id: b, tool: x}]\n",
    "a tab before the body": "  - id: a\n    steps:\n\t- {id: b, tool: x}\n",
    "a tab before the cases": "  - id: a\n    switch: x\n    cases:\n\tb: []\n",
    "a tab before a handler": "  - id: a\n    tool: x\n    on_error:\n\t- {id: c, retry: 3}\n",
}


@pytest.mark.parametrize("name", SWALLOWED)
def test_what_a_syntax_error_may_have_swallowed_is_not_missing(name: str) -> None:
    found = read_document("steps:\n" + SWALLOWED[name]).diagnostics
    assert {d.code for d in found} & {"ORC101", "ORC102"}
    assert not [d.message for d in found if d.code == "ORC203"]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats(0, 2)
    | st.sampled_from(["", "x", "fail", "{{ x }}", "5m"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "tool", "steps", "value", "range", "file", "prompt", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(sorted({*key_fields(StepSpec), *key_fields(CallSpec)})), JSON, max_size=6),
    JSON,
    JSON,
)
def test_whatever_is_written_is_read_without_an_exception(step: dict[str, Any], last: Any, handlers: Any) -> None:
    found = read_document({"steps": [{"id": "a", "tool": "x"}, step], "finally": last, "error_handlers": handlers})
    for diagnostic in found.diagnostics:
        assert diagnostic.help or CODES[diagnostic.code].remedy
    for spec in found.spec.steps:
        assert spec.node is not None
