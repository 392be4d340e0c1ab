"""The published JSON Schema accepts and refuses what the reader does; the reference page is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orchestrator.language import read
from orchestrator.language.nodes import plain
from orchestrator.language.reference_page import reference_markdown
from orchestrator.language.schema import json_schema
from orchestrator.language.spec import InputSpec, PipelineSpec, StepSpec

EXAMPLES = sorted(Path(__file__).parents[2].joinpath("examples").glob("*.yaml"))

VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(path: Path) -> None:
    root = read(path).root
    assert root is not None
    VALIDATOR.validate(plain(root))


def with_step(**keys: Any) -> dict[str, Any]:
    return {"steps": [{"id": "a", "tool": "x", **keys}]}


GOOD: list[dict[str, Any]] = [
    with_step(retry=3, timeout="5m", on_failure={"value": [1]}, condition=True),
    with_step(retry={"max_attempts": 2, "delay": "1s", "jitter": 0.5, "on": ["ORC706"]}, timeout=1.5),
    with_step(on_failure="continue", on_success="b", on_false="c", dependencies=["b"]),
    with_step(max_retries=2, depends_on=["b"], when="x", continue_on_error=True),
    with_step() | {"inputs": {"a": 1, "b": None, "c": {"type": "array", "items": {"type": "string"}}}},
    with_step() | {"inputs": ["topic", {"n": 5}], "outputs": {"o": "{{ a }}", "p": {"value": 1, "type": "integer"}}},
    with_step() | {"defaults": {"retry": 2, "timeout": "30s", "max_parallel": 4}, "version": 1.0, "metadata": {"x": 1}},
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
]


@pytest.mark.parametrize("pipeline", GOOD)
def test_what_is_right_is_valid_for_both(pipeline: dict[str, Any]) -> None:
    VALIDATOR.validate(pipeline)
    assert read(pipeline).diagnostics == ()


@pytest.mark.parametrize("pipeline", BAD)
def test_what_is_wrong_is_refused_by_both(pipeline: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(pipeline)
    assert read(pipeline).diagnostics


def test_every_key_has_a_description_for_editors() -> None:
    schema = json_schema()
    places = [schema, *schema["$defs"].values()]
    for place in places:
        for key, field in place.get("properties", {}).items():
            assert field.get("description"), key


def test_the_reference_page_names_every_key() -> None:
    page = reference_markdown()
    for model in (PipelineSpec, StepSpec, InputSpec):
        for name, field in model.model_fields.items():
            assert f"| `{name}` |" in page
            assert field.description
