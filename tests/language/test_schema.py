"""The published JSON Schema accepts and refuses what the reader does; the reference page is whole."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest

import orchestrator as orc
from orchestrator.language import read_document
from orchestrator.language.reference.editor_schema import subschemas_of
from orchestrator.language.reference.page import language_markdown
from orchestrator.language.reference.schema import json_schema
from orchestrator.language.spec.base import key_fields
from orchestrator.language.spec.inputs import InputSpec
from orchestrator.language.spec.kinds import Kind
from orchestrator.language.spec.model_options import BudgetSpec, CallSpec, CheckSpec, JudgeSpec
from orchestrator.language.spec.pipeline import CacheSpec, HandlerSpec, PipelineSpec, StepSpec
from orchestrator.language.spec.questions import ApproveSpec, AskSpec
from orchestrator.language.yaml.nodes import plain_data

EXAMPLES = [
    path
    for path in sorted(Path(__file__).parents[2].joinpath("examples").glob("*.yaml"))
    if ".test" not in path.suffixes
]

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(path: Path) -> None:
    root = read_document(path).root
    assert root is not None
    VALIDATOR.validate(plain_data(root))


def with_step(**key_fields: Any) -> dict[str, Any]:
    return {"steps": [{"id": "a", "tool": "x", **key_fields}]}


GOOD: list[dict[str, Any]] = [
    with_step(retry=3, timeout="5m", on_failure={"value": [1]}, condition=True),
    with_step(retry={"max_attempts": 2, "delay": "1s", "jitter": 0.5, "on": ["ORC706"]}, timeout=1.5),
    with_step(on_failure="continue", on_success="b", on_false="c", dependencies=["b"]),
    with_step(max_retries=2, depends_on=["b"], when="x", continue_on_error=True),
    with_step() | {"inputs": {"a": 1, "b": None, "c": {"type": "array", "items": {"type": "string"}}}},
    with_step() | {"inputs": ["topic", {"n": 5}], "outputs": {"o": "{{ a }}", "p": {"value": 1, "type": "integer"}}},
    with_step() | {"defaults": {"retry": 2, "timeout": "30s", "max_parallel": 4}, "version": 1.0, "metadata": {"x": 1}},
    with_step(prompt="x", model=["y", "z"], schema={"a": "string"}, check="output", budget=0.5),
    {"steps": [{"id": "a", "action": "classify", "text": "x", "labels": ["a", "b"], "multiple": True}]},
    {"steps": [{"id": "a", "prompt": "x", "tools": ["json"], "parallel": False}]},
    with_step(check={"that": "output", "judge": {"rubric": "x", "min_score": 1}}, budget={"tokens": 10}),
    with_step() | {"model": "x", "experts": {"log": ["y"]}, "selection": "cost", "budget": 2, "judge_model": "z"},
    with_step() | {"default_model": ["x"], "selection": {"strategy": "quality"}},
    {"steps": {"a": {"tool": "x"}}},
]

BAD: list[dict[str, Any]] = [
    {},
    {"steps": []},
    {"steps": "x"},
    {"steps": [{"tool": "x"}]},
    {"stepz": [], **with_step()},
    with_step(tol="x"),
    with_step(id="a b"),
    with_step(retry=0),
    with_step(retry={"attemptz": 1}),
    with_step(timeout="soon"),
    with_step(on_failure={"valu": 1}),
    with_step(dependencies=[1]),
    with_step() | {"inputs": {"a": {"type": "strin"}}},
    with_step() | {"inputs": {"a": {"typ": "string"}}},
    with_step() | {"outputs": {"a": {"val": 1}}},
    with_step() | {"defaults": {"max_parallel": 0}},
    with_step(check=[]),
    with_step(check={"judge": {"min_score": 0.5}}),
    with_step(budget={"usd": -1}),
    with_step() | {"model": 5},
    with_step() | {"experts": ["x"]},
    with_step() | {"experts": {"log": 5}},
    with_step() | {"selection": "cheap"},
    with_step() | {"budget": "much"},
]


@pytest.mark.parametrize("pipeline", GOOD)
def test_what_is_right_is_valid_for_both(pipeline: dict[str, Any]) -> None:
    VALIDATOR.validate(pipeline)
    assert read_document(pipeline).diagnostics == ()


@pytest.mark.parametrize("pipeline", BAD)
def test_what_is_wrong_is_refused_by_both(pipeline: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(pipeline)
    assert read_document(pipeline).diagnostics


def test_every_key_has_a_description_for_editors() -> None:
    schema = json_schema()
    places = [schema, *schema["$defs"].values()]
    for place in places:
        for key, field in place.get("properties", {}).items():
            assert field.get("description"), key


def test_only_canonical_keys_and_words_are_offered() -> None:
    schema = json_schema()
    models = {
        model.__name__: model
        for model in (InputSpec, AskSpec, ApproveSpec, CacheSpec, CheckSpec, JudgeSpec, BudgetSpec)
    }
    offered = {name: set(schema["$defs"][name]["properties"]) for name in models}
    assert offered == {name: set(key_fields(model)) for name, model in models.items()}
    assert set(schema["properties"]) == set(key_fields(PipelineSpec))
    assert set(schema["$defs"]["StepBody"]["properties"]) == {*key_fields(StepSpec), *key_fields(CallSpec)}
    for place in subschemas_of(schema):
        assert not any(field.get("deprecated") for field in place.get("properties", {}).values())
        assert not (place.get("deprecated") and "enum" in place)


def test_closed_sets_of_words_are_offered() -> None:
    schema = json_schema()
    body, inputs = schema["$defs"]["StepBody"]["properties"], schema["$defs"]["InputSpec"]["properties"]
    words = {place_key: enums(place) for place_key, place in {**body, "type": inputs["type"]}.items()}
    assert words["on_failure"][0] == ["fail", "continue"]
    assert words["on_limit"] == [["fail", "continue"]]
    assert words["type"] == [["string", "integer", "number", "boolean", "array", "object", "file"]]
    assert words["selection"] == [["balanced", "cost", "speed", "quality"]]
    for key in ("on_item_failure", "on_resume", "wait_for"):
        assert words[key], key


def enums(place: Any) -> list[list[Any]]:
    return [each["enum"] for each in subschemas_of(place) if "enum" in each]


def test_the_reference_page_names_every_key() -> None:
    page = language_markdown()
    models = (PipelineSpec, StepSpec, InputSpec, AskSpec, ApproveSpec, CacheSpec, HandlerSpec)
    for model in (*models, CallSpec, CheckSpec, JudgeSpec, BudgetSpec):
        for name, field in key_fields(model).items():
            assert f"| `{name}` |" in page
            assert model.model_fields[field].description


EXAMPLES_OF_PAGE = re.findall(r"^```yaml\n(.*?)^```$", language_markdown(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES_OF_PAGE)
def test_the_examples_of_the_reference_page_are_right(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "key")  # `auto` needs a provider
    tmp_path.joinpath("f.yaml").write_text(text)
    tmp_path.joinpath("translate.yaml").write_text("inputs: {text: hello}\nsteps: [{id: a, sleep: '{{ text }}'}]\n")
    document = read_document(text, name="f.yaml")
    with orc.Orchestrator(store=f"sqlite:///{tmp_path}/runs.db", directory=tmp_path) as client:
        assert client.check("f.yaml").diagnostics == ()
    assert document.root is not None
    VALIDATOR.validate(plain_data(document.root))


def test_the_reference_page_has_an_example_of_every_kind_of_work() -> None:
    kinds = {step.kind for text in EXAMPLES_OF_PAGE for step in read_document(text, name="f.yaml").spec.steps}
    assert kinds == set(get_args(Kind)) - {"while"}  # it is written as `until` is


def test_the_examples_of_keys_are_valid() -> None:
    schema = json_schema()
    properties = schema["$defs"]["StepBody"]["properties"]
    shown = {key: example for key, field in properties.items() for example in field.get("examples", ())}
    assert {"for_each", "while", "switch", "ask", "approve", "cache", "on_error"} <= shown.keys()
    for key, field in properties.items():
        part = jsonschema.Draft202012Validator({**field, "$defs": schema["$defs"]})
        for example in field.get("examples", ()):
            assert part.is_valid(example), (key, example)
