"""The JSON Schema with tools accepts what the checker accepts, and knows their actions and parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import jsonschema
import pytest

import orchestrator as orc
from orchestrator.language import read_document
from orchestrator.language.reference.editor_schema import subschemas_of
from orchestrator.language.reference.schema import json_schema
from orchestrator.language.yaml.nodes import plain_data
from orchestrator.models.actions import model_tools
from orchestrator.tools import builtin_registry
from orchestrator.tools.call_schema import with_tools

ROOT = Path(__file__).parents[2]
SOUND = [
    path
    for path in (
        *sorted((ROOT / "examples").glob("*.yaml")),
        *sorted((ROOT / "tests/conformance/runs").rglob("*.yaml")),
    )
    if not {".test", ".then"} & set(path.suffixes)
]


@orc.tool
def shout(text: str, how: Literal["loud", "louder"] = "loud", lines: list[int] | None = None) -> str:
    """Shout a text.

    Args:
        text: What to shout.
    """
    return f"{text} {how} {lines}"


REGISTRY = (builtin_registry() | model_tools()).with_tools(shout)
SCHEMA = with_tools(json_schema(), REGISTRY)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_sound_pipeline_is_valid() -> None:
    seen = 0
    for path in SOUND:
        document = read_document(path)
        older = path.parent.name == "older"  # a schema offers the names of today alone
        if older or document.root is None or "steps" not in document.root.table or document.diagnostics:
            continue
        seen += 1
        reasons = [error.message for error in VALIDATOR.iter_errors(plain_data(document.root))]
        assert not reasons, f"{path}: {reasons[0]}"
    assert seen > 400


def step(**keys: Any) -> dict[str, Any]:
    return {"steps": [{"id": "a", **keys}]}


@pytest.mark.parametrize(
    "pipeline",
    [
        step(tool="http", action="get", parameters={"url": "https://example.com", "timeout": 5}),
        step(tool="http", action="get", parameters={"url": "{{ url }}", "timeout": "{{ seconds }}"}),
        step(action="data.sort", parameters={"rows": "{{ rows }}", "by": "name"}),
        step(tool="log", parameters={"message": "hi", "level": "<AUTO>which level</AUTO>"}),
        step(action="log", parameters={"message": "hi"}),
        step(action="classify", text="x", labels=["a", "b"]),
        step(prompt="x", tools=["http.get", "mine"], temperature="{{ t }}"),
        step(tool="mine", action="whatever", parameters={"x": 1}),  # known elsewhere
        step(action="mine.whatever", parameters={"x": 1}),
        step(tool="shout", parameters={"text": "x", "how": "louder", "lines": [1, "{{ n }}"]}),
        step(for_each=[1], tool="shout", parameters={"text": "{{ item }}"}),
        step(tool="shout", args={"text": "x"}, depends_on="b", max_retries=1),  # other spellings
        step(tool="shout", on_error={"tool": "log", "parameters": {"message": "x"}}),
    ],
)
def test_calls_that_are_right_are_valid(pipeline: dict[str, Any]) -> None:
    VALIDATOR.validate(pipeline)


@pytest.mark.parametrize(
    "pipeline",
    [
        step(tool="http", action="gett"),
        step(tool="http", action="get", parameters={"urll": "x"}),
        step(action="http.get", parameters={"urll": "x"}),
        step(tool="http", action="get", parameters={"timeout": 5}),
        step(tool="log", parameters={"message": "x", "level": "loud"}),
        step(action="log", parameters={"massage": "x"}),
        step(tool="shout", parameters={"text": "x", "how": "loudest"}),
        step(tool="shout", parameters={"text": "x", "lines": ["x"]}),
        step(prompt="x", temperature="hot"),
        step(tool="shout", parameters={"text": "x"}, on_error={"tool": "log", "parameters": {"massage": "x"}}),
    ],
)
def test_calls_that_are_wrong_are_refused(pipeline: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(pipeline)


def test_tools_actions_and_parameters_are_offered_with_what_they_are_for() -> None:
    body = SCHEMA["$defs"]["StepBody"]
    tools = body["properties"]["tool"]["anyOf"][0]
    assert dict(zip(tools["enum"], tools["markdownEnumDescriptions"], strict=True))["shout"] == "Shout a text."
    assert {tool.name for tool in REGISTRY} == set(tools["enum"])
    rules = {
        rule["if"]["properties"]["tool"]["const"]: rule["then"] for rule in body["allOf"] if "properties" in rule["if"]
    }
    assert rules["http"]["properties"]["action"]["enum"] == [*REGISTRY.get("http").actions]  # type: ignore[union-attr]
    for tool in REGISTRY:
        for action in tool.actions.values():
            offered = SCHEMA["$defs"][f"{tool.name}.{action.name}"]["properties"]
            assert offered.keys() == action.parameters.keys()
            assert all(field["markdownDescription"] for field in offered.values())


def test_every_description_is_there_in_markdown_and_examples_are_words_that_can_be_offered() -> None:
    for place in subschemas_of(SCHEMA):
        assert place.get("markdownDescription", "").startswith(place.get("description", ""))
        assert ("description" in place) == ("markdownDescription" in place)
        assert not any(isinstance(each, dict | list) for each in place.get("examples", ()))
