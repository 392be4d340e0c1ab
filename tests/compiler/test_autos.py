"""`<AUTO>` as a value: what is asked for each place, how the value gets there, and what the lock of a file changes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.compiler import Compilation, compile_pipeline
from orchestrator.compiler.auto.lock_file import LockedValue, read_lock, write_lock
from orchestrator.diagnostics import render_text
from orchestrator.language.values.auto_markup import MarkupProblem, autos_of
from orchestrator.models.actions import model_tools
from orchestrator.models.calls.lock_entries import KeptAnswer, question_digest
from orchestrator.plan.auto_values import AutoValue
from orchestrator.plan.model import Plan
from orchestrator.plan.serialization import plan_data
from orchestrator.plan.steps import StepPlan, ToolCall
from orchestrator.plan.value_text import source_of
from orchestrator.runtime.values.scope import pipeline_scope
from orchestrator.tools import Permissions, Registry, builtin_registry


@orc.tool
def post(
    text: str = "",
    number: int = 0,
    share: float = 0.5,
    flag: bool = False,
    words: list[str] | None = None,
    kind: Literal["letter", "card"] | None = None,
    counts: dict[str, int] | None = None,
    anything: Any = None,
) -> str:
    """Post something.

    Args:
        text: What is posted.
        kind: What it looks like.
    """
    return text


REGISTRY: Registry = (builtin_registry() | model_tools()).with_tools(post)
CALLED = """
inputs:
  topic: {type: string, description: What it is about., min_length: 3}
  pages: {type: integer, minimum: 1, maximum: 9, default: 1}
  places: {type: array, items: {type: string, enum: [Brest, Dinard]}, default: []}
  person: {type: object, properties: {name: {type: string}, age: {type: integer, minimum: 0}}, required: false}
steps:
  - {id: say, tool: log, parameters: {message: "{{ topic }} {{ pages }} {{ places }} {{ person }}"}}
"""


@pytest.fixture(autouse=True)
def nothing_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without keys, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATOR_HOME", str(tmp_path / "home"))


def compiled(source: Any, lock: str | None = None) -> Compilation:
    sources = {"called.yaml": CALLED} | ({"a.yaml.lock": lock} if lock is not None else {})
    permissions = Permissions(directory=Path.cwd())
    return compile_pipeline(
        source, registry=REGISTRY, permissions=permissions, name="a.yaml", sources=sources, live_models=False
    )


def plan_of(source: Any, lock: str | None = None) -> Plan:
    compilation = compiled(source, lock)
    assert compilation.plan is not None, render_text(compilation.diagnostics)
    return compilation.plan


def step(value: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"steps": [{"id": "a", **value}], **more}


def parameters(step: StepPlan) -> Any:
    assert isinstance(step.work, ToolCall)
    return source_of(step.work.parameters)


def locked(auto: AutoValue, *answers: Any, question: str | None = None) -> str:
    """The lock with answers for one value."""
    asked = question or auto.text
    kept = [KeptAnswer(question_digest(asked, auto.schema), asked, each, "fake:fake", "2026-01-01") for each in answers]
    return write_lock([LockedValue(auto.at, auto.text, auto.schema, tuple(kept))], "a.yaml")


def codes(compilation: Compilation) -> list[str]:
    return [found.code for found in compilation.diagnostics]


# --- places and types


def in_post(name: str) -> Any:
    return lambda value: step({"tool": "post", "parameters": {name: value}})


def in_called(name: str) -> Any:
    return lambda value: step({"pipeline": "called.yaml", "inputs": {"topic": "tides", name: value}})


def in_switch(value: Any) -> dict[str, Any]:
    cases = {word: [{"id": word, "tool": "log", "parameters": {"message": word}}] for word in ("sea", "land")}
    return step({"switch": value, "cases": cases})


BRANCH = {"steps": [{"id": "say", "tool": "log", "parameters": {"message": "hello"}}]}
LINES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="{}"), min_size=3, max_size=20
)
PLACES: dict[str, tuple[Any, str, dict[str, Any], st.SearchStrategy[Any]]] = {
    "text": (in_post("text"), "a.parameters.text", {"type": "string"}, LINES),
    "number": (in_post("number"), "a.parameters.number", {"type": "integer"}, st.integers(-(2**50), 2**50)),
    "share": (
        in_post("share"),
        "a.parameters.share",
        {"type": "number"},
        st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    ),
    "flag": (in_post("flag"), "a.parameters.flag", {"type": "boolean"}, st.booleans()),
    "words": (
        in_post("words"),
        "a.parameters.words",
        {"type": "array", "items": {"type": "string"}},
        st.lists(LINES, max_size=3),
    ),
    "kind": (
        in_post("kind"),
        "a.parameters.kind",
        {"type": "string", "enum": ["letter", "card"]},
        st.sampled_from(["letter", "card"]),
    ),
    "an item of a list": (
        lambda value: step({"tool": "post", "parameters": {"words": ["sea", value]}}),
        "a.parameters.words[1]",
        {"type": "string"},
        LINES,
    ),
    "anything": (
        in_post("anything"),
        "a.parameters.anything",
        {},
        st.recursive(
            st.booleans() | st.integers(-9, 9) | LINES,
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(LINES, inner, max_size=2),
            max_leaves=4,
        ),
    ),
    "a condition": (
        lambda value: step({"tool": "post", "condition": value}),
        "a.condition",
        {"type": "boolean"},
        st.booleans(),
    ),
    "a loop": (
        lambda value: step({"for_each": value, "tool": "post", "parameters": {"anything": "{{ item }}"}}),
        "a.for_each",
        {"type": "array"},
        st.lists(LINES | st.integers(-9, 9), min_size=1, max_size=3),
    ),
    "a range": (
        lambda value: step({"for_each": {"range": value}, **BRANCH}),
        "a.for_each.range.stop",
        {"type": "integer"},
        st.integers(-9, 9),
    ),
    "an input": (
        in_called("pages"),
        "a.inputs.pages",
        {"type": "integer", "minimum": 1.0, "maximum": 9.0},
        st.integers(1, 9),
    ),
    "an input that is a list": (
        in_called("places"),
        "a.inputs.places",
        {"type": "array", "items": {"type": "string", "enum": ["Brest", "Dinard"]}},
        st.lists(st.sampled_from(["Brest", "Dinard"]), max_size=3),
    ),
    "an input that is an object": (
        in_called("person"),
        "a.inputs.person",
        {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0.0}},
            "required": ["name", "age"],
        },
        st.fixed_dictionaries({"name": LINES, "age": st.integers(0, 99)}),
    ),
    "a question": (
        lambda value: step({"ask": {"prompt": value, "choices": ["yes", "no"]}}),
        "a.ask.prompt",
        {"type": "string"},
        LINES,
    ),
    "choices": (
        lambda value: step({"ask": {"prompt": "Which?", "choices": value}}),
        "a.ask.choices",
        {"type": "array", "items": {"type": "string"}, "minItems": 1},
        st.lists(LINES, min_size=1, max_size=3, unique=True),
    ),
    "a title": (lambda value: step({"approve": value}), "a.approve.title", {"type": "string"}, LINES),
    "a pause": (
        lambda value: step({"sleep": value}),
        "a.sleep",
        {"type": "number", "minimum": 0},
        st.integers(0, 1000) | st.floats(0, 1000),
    ),
}


@pytest.mark.parametrize(("make", "at", "schema", "answers"), PLACES.values(), ids=PLACES)
def test_what_is_asked_for_is_of_the_type_that_the_place_expects(
    make: Any, at: str, schema: dict[str, Any], answers: Any
) -> None:
    plan = plan_of(make("<AUTO>what fits</AUTO>"))
    (auto,) = plan.autos
    assert (auto.at, auto.text, auto.schema, auto.varies, auto.locked) == (at, "what fits", schema, False, None)
    asks, needs = plan.steps
    assert (asks.id, asks.is_auto, needs.id, needs.is_auto) == ("a:auto", True, "a", False)
    assert "a:auto" in needs.dependencies
    (name,) = parameters(asks)["questions"]
    described = parameters(asks)["schema"]["properties"][name]
    assert {key: value for key, value in described.items() if key != "description"} == schema
    assert parameters(asks)["at"] == {name: at}


@pytest.mark.parametrize(("make", "at", "schema", "answers"), PLACES.values(), ids=PLACES)
@given(data=st.data())
@settings(max_examples=15)
def test_an_answer_in_the_lock_makes_the_same_plan_as_if_it_were_written_there(
    make: Any, at: str, schema: dict[str, Any], answers: Any, data: st.DataObject
) -> None:
    answer = data.draw(answers)
    source = make("<AUTO>what fits</AUTO>")
    (asked,) = plan_of(source).autos
    found = plan_of(source, locked(asked, answer))
    written = plan_of(make(answer))
    assert found.digest == written.digest
    assert {**plan_data(found), "autos": None} == {**plan_data(written), "autos": None}
    (auto,) = found.autos
    assert auto.locked is not None
    assert auto.locked.answer == answer
    assert found.sources["a.yaml.lock"] == locked(asked, answer)


def test_a_switch_is_asked_for_one_of_its_cases() -> None:
    (auto,) = plan_of(in_switch("<AUTO>What is it about?</AUTO>")).autos
    assert auto.schema == {"type": "string", "enum": ["sea", "land"]}
    source = in_switch("<AUTO>What is it about?</AUTO>")
    source["steps"][0]["default"] = BRANCH["steps"]
    (auto,) = plan_of(source).autos
    assert auto.schema["enum"] == ["sea", "land", "other"]
    plan = plan_of(source, locked(auto, "land"))
    assert plan.steps[0].work.subject.evaluate(None) == "land"  # type: ignore[union-attr, arg-type]


def test_within_a_text_a_value_is_text_whatever_the_place() -> None:
    source = in_post("anything")("Dear <AUTO>Who?</AUTO>, from <AUTO>From whom?</AUTO>.")
    plan = plan_of(source)
    assert [(auto.at, auto.schema) for auto in plan.autos] == [
        ("a.parameters.anything", {"type": "string"}),
        ("a.parameters.anything#2", {"type": "string"}),
    ]
    said = parameters(plan.steps[1])["anything"]
    assert said.count("steps['a:auto']") == 2
    first, second = plan.autos
    lock = locked(first, "Ada") + locked(second, "Bob").split("values:\n")[1]
    assert parameters(plan_of(source, lock).steps[0]) == {"anything": "Dear Ada, from Bob."}


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20), st.booleans())
@settings(max_examples=50)
def test_braces_in_an_answer_are_nothing_but_text(around: str, alone: bool) -> None:
    answer = f"{around}{{{{ secret }}}}{{% if %}}{around}"
    text = "<AUTO>a text</AUTO>" if alone else "Say {{ 1 + 1 }} <AUTO>a text</AUTO>!"
    source = in_post("text")(text)
    plan = plan_of(source, locked(plan_of(source).autos[0], answer))
    assert isinstance(plan.steps[0].work, ToolCall)
    given = plan.steps[0].work.parameters.evaluate(pipeline_scope(plan, "run", datetime.now(UTC), {}).scope)
    assert given == {"text": answer if alone else f"Say 2 {answer}!"}


# --- the step that asks


def test_one_step_asks_for_all_values_of_a_step_with_their_purposes() -> None:
    source = step(
        {
            "tool": "post",
            "description": "Posts the letter.",
            "parameters": {"text": "<AUTO>a greeting</AUTO>", "kind": "<AUTO>What suits?</AUTO>"},
        },
        id="letters",
        description="Writes letters.",
    )
    asks, _ = plan_of(source).steps
    given = parameters(asks)
    assert given["questions"] == {"text": "a greeting", "kind": "What suits?"}
    assert given["about"] == "The pipeline `letters`: Writes letters.\nThe step `a`: Posts the letter."
    purposes = {name: part["description"] for name, part in given["schema"]["properties"].items()}
    assert purposes == {
        "text": "the parameter `text` of `post`: What is posted.",
        "kind": "the parameter `kind` of `post`: What it looks like.",
    }


def test_a_question_waits_for_what_it_reads_and_for_what_its_step_waits_for() -> None:
    source = {
        "inputs": {"go": True},
        "steps": [
            {"id": "first", "tool": "post"},
            {"id": "second", "tool": "post"},
            {
                "id": "a",
                "tool": "post",
                "condition": "go",
                "dependencies": ["second"],
                "parameters": {"text": "<AUTO>more of {{ first }}</AUTO>"},
            },
        ],
    }
    compilation = compiled(source)
    assert codes(compilation) == []
    assert compilation.plan is not None
    asks, needs = compilation.plan.steps[2:]
    assert set(asks.dependencies) == {"first", "second"}
    assert set(needs.dependencies) == {"second", "a:auto"}
    assert asks.condition is not None
    assert needs.condition is not None
    assert asks.condition.text == needs.condition.text


@pytest.mark.parametrize(
    ("file", "own", "asked"),
    [
        ({}, {}, None),
        ({"model": "ollama:llama3.2"}, {}, "ollama:llama3.2"),
        ({"model": "ollama:llama3.2"}, {"model": ["auto", "ollama:llama3.2"]}, ["auto", "ollama:llama3.2"]),
        ({"model": "openai:gpt-5", "judge_model": "ollama:qwen3"}, {"model": "openai:gpt-5-mini"}, "ollama:qwen3"),
    ],
)
def test_the_model_is_that_of_the_orchestrator_or_of_the_step_or_of_the_file(
    file: dict[str, Any], own: dict[str, Any], asked: Any
) -> None:
    source = step({"action": "generate_text", "parameters": {"prompt": "<AUTO>a prompt</AUTO>", **own}}, **file)
    plan = plan_of(source)
    assert parameters(plan.steps[0]).get("model") == asked
    assert (plan.autos[0].asks or {}).get("model") == asked


def test_a_jump_to_a_step_does_not_skip_the_step_that_asks_for_it() -> None:
    source = {
        "steps": [
            {"id": "start", "tool": "post", "on_success": "a"},
            {"id": "between", "tool": "post", "parameters": {"text": "<AUTO>this</AUTO>"}},
            {"id": "a", "tool": "post", "parameters": {"text": "<AUTO>that</AUTO>"}},
        ]
    }
    assert [*plan_of(source).steps[0].skips["on_success"]] == ["between:auto", "between"]


def test_a_step_within_others_has_the_path_of_its_place() -> None:
    ask = {"tool": "post", "parameters": {"text": "<AUTO>this</AUTO>"}}
    source = {
        "steps": [
            {"id": "each", "for_each": [1, 2], "steps": [{"id": "a", **ask}]},
            {"id": "on", "tool": "post", "on_error": {"steps": [{"id": "b", **ask}]}},
            {"id": "either", "switch": "{{ on }}", "cases": {"x": [{"id": "c", **ask}], "y": [{"id": "c", **ask}]}},
        ],
        "finally": [{"id": "d", **ask}],
    }
    assert [auto.at for auto in plan_of(source).autos] == [
        "each.a.parameters.text",
        "on.on_error.b.parameters.text",
        "either.c.parameters.text",
        "either.c.parameters.text#2",
        "finally.d.parameters.text",
    ]


def test_a_file_without_such_values_is_compiled_without_anything_of_it() -> None:
    assert compiled(in_post("text")("AUTO & </b>")).plan is not None
    assert plan_of(in_post("text")("hello"), "no lock at all").lock is None


# --- the lock


def test_questions_with_templates_are_looked_up_when_they_are_known() -> None:
    source = in_post("text")("<AUTO>a word about {{ run.id }}</AUTO>")
    (auto,) = plan_of(source).autos
    assert auto.varies
    assert auto.asks is None
    plan = plan_of(source, locked(auto, "tides", question="a word about r1"))
    asked = question_digest("a word about r1", auto.schema)
    assert parameters(plan.steps[0])["locked"] == {"text": {asked: {"answer": "tides", "model": "fake:fake"}}}
    assert plan.digest != plan_of(source).digest


@pytest.mark.parametrize(
    "changed",
    [
        {"text": "another"},
        {"schema": {"type": "integer"}},
        {"at": "b.parameters.text"},
    ],
)
def test_an_answer_to_something_else_is_reported_and_not_used(changed: dict[str, Any]) -> None:
    source = in_post("text")("<AUTO>a word</AUTO>")
    kept = (KeptAnswer(question_digest("a word", {"type": "string"}), "a word", "tide", "fake:fake", "2026"),)
    value = {"at": "a.parameters.text", "text": "a word", "schema": {"type": "string"}, "answers": kept, **changed}
    compilation = compiled(source, write_lock([LockedValue(**value)], "a.yaml"))
    assert [(found.code, found.severity) for found in compilation.diagnostics] == [("ORC432", "warning")]
    assert compilation.plan is not None
    assert compilation.plan.digest == plan_of(source).digest


def test_an_answer_of_the_wrong_type_is_an_error() -> None:
    source = in_post("number")("<AUTO>a number</AUTO>")
    (auto,) = plan_of(source).autos
    compilation = compiled(source, locked(auto, "seven"))
    assert codes(compilation) == ["ORC432"]
    assert compilation.plan is None


WRITTEN = st.builds(
    LockedValue,
    at=LINES,
    text=LINES,
    schema=st.just({"type": "string", "enum": ["a", "{{ b }}"]}),
    answers=st.lists(
        st.builds(
            KeptAnswer,
            asked=LINES,
            question=LINES,
            answer=PLACES["anything"][3],
            model=LINES,
            when=LINES,
        ),
        min_size=1,
        max_size=3,
    ).map(lambda found: tuple(sorted(found, key=lambda each: each.question))),
)


@given(st.lists(WRITTEN, max_size=3, unique_by=lambda value: value.at))
@settings(max_examples=50)
def test_a_lock_is_read_as_it_was_written_and_written_the_same_in_any_order(values: list[LockedValue]) -> None:
    text = write_lock(values, "a.yaml")
    lock = read_lock(text, "a.yaml.lock")
    assert lock.problems == ()
    assert [(value.at, value.text, value.schema, value.answers) for value in lock.values.values()] == [
        (value.at, value.text, value.schema, value.answers) for value in sorted(values, key=lambda each: each.at)
    ]
    assert write_lock(values[::-1], "a.yaml") == text


@given(st.text(max_size=60))
@settings(max_examples=100)
def test_whatever_a_lock_holds_it_is_read_or_reported(text: str) -> None:
    lock = read_lock(text, "a.yaml.lock")
    assert lock.problems or not lock.values
    assert {(found.code, found.severity) for found in lock.problems} <= {("ORC432", "error")}
    assert all(found.help for found in lock.problems)


# --- tags


def tags() -> st.SearchStrategy[str]:
    part = st.sampled_from(["<AUTO>", "</AUTO>", "<AUTO x>", "{{ ", " }}", "a", " ", "<AUTO", "{% if a %}", "\n"])
    return st.lists(part, max_size=8).map("".join)


@given(tags())
@settings(max_examples=300)
def test_tags_are_found_or_what_is_wrong_with_them_is_said(text: str) -> None:
    found = autos_of(text)
    if isinstance(found, MarkupProblem):
        assert 0 <= found.start < found.end <= len(text)
        assert found.message
        assert found.help
        return
    assert list(ends(found)) == sorted(ends(found))
    for auto in found:
        assert text[auto.start : auto.end].startswith("<AUTO>")
        assert text[auto.first : auto.last] == text[auto.start + 6 : auto.end - 7].strip() != ""


def ends(found: Any) -> Iterator[int]:
    for auto in found:
        yield from (auto.start, auto.end)


def everywhere() -> st.SearchStrategy[dict[str, Any]]:
    """Pipelines with a text at any one place of them."""
    whole: dict[str, Any] = {
        "id": "p",
        "inputs": {"topic": {"type": "string", "default": "tides"}},
        "variables": {"v": "{{ topic }}"},
        "model": "ollama:llama3.2",
        "defaults": {"timeout": "5s", "max_parallel": 2},
        "budget": {"usd": 1},
        "steps": [
            {
                "id": "a",
                "tool": "post",
                "parameters": {"text": "{{ v }}", "words": ["x"]},
                "timeout": "3s",
                "retry": {"max_attempts": 2, "delay": "1s"},
                "cache": {"ttl": "1d", "key": "k"},
                "on_failure": {"value": "none"},
                "condition": "topic == 'tides'",
                "check": {"that": ["output | length > 1"]},
            },
            {
                "id": "b",
                "for_each": ["x"],
                "as": "row",
                "max_parallel": 2,
                "steps": BRANCH["steps"],
                "collect": "{{ say }}",
            },
            {"id": "c", "until": "iteration > 2", "max_iterations": 3, "steps": BRANCH["steps"], "dependencies": ["a"]},
            {"id": "d", "switch": "{{ a }}", "cases": {"x": BRANCH["steps"]}},
            {"id": "e", "ask": {"prompt": "Which?", "choices": ["x"], "default": "x"}},
            {"id": "f", "pipeline": "called.yaml", "inputs": {"topic": "tides"}},
        ],
        "outputs": {"o": {"value": "{{ a }}", "type": "string"}},
    }
    left_out = ("id", "as", "model")  # what reads a name would not find it; a model that is to be found is `auto`
    places = [path for path, value in leaves(whole) if path[-1] not in left_out]
    return st.sampled_from(places).map(lambda path: with_value(whole, path, "<AUTO>what fits</AUTO>"))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    else:
        yield path, value


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = json.loads(json.dumps(value))
    copy[path[0]] = with_value(value[path[0]], path[1:], new)
    return copy


@given(everywhere())
@settings(max_examples=120)
def test_a_value_anywhere_is_asked_for_or_refused_with_the_way_out_and_nothing_else(source: dict[str, Any]) -> None:
    compilation = compiled(source)
    found = [each for each in compilation.diagnostics if each.severity == "error"]
    if compilation.plan is not None:
        left_out = [each for each in compilation.diagnostics if each.code == "ORC513"]  # a limit has its default
        assert len(compilation.plan.autos) + len(left_out) == 1
        return
    assert {each.code for each in found} == {"ORC428"}, render_text(compilation.diagnostics)
    assert all(each.help for each in found)
