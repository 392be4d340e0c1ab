"""Every field of a result says what it is: of the built-in tools, and of tools whose author says so."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, TypedDict

import pydantic
import pytest

import orchestrator as orc
from orchestrator.expressions import Type, to_json_schema
from orchestrator.models.actions import model_tools
from orchestrator.tools import builtin_registry
from orchestrator.tools.contract import Action
from orchestrator.tools.reference_page import tools_markdown

REGISTRY = builtin_registry() | model_tools()
ACTIONS = [(tool.name, action) for tool in REGISTRY for action in tool.actions.values()]


def fields(type_: Type, place: str) -> Iterator[tuple[str, Type]]:
    """Every field of a type, at any depth."""
    for name, part in type_.properties.items():
        yield f"{place}.{name}", part
        yield from fields(part, f"{place}.{name}")
    for inner in (*type_.options, *([type_.items] if type_.items else [])):
        yield from fields(inner, f"{place}[]")


@pytest.mark.parametrize(("tool", "action"), ACTIONS, ids=[f"{tool}.{action.name}" for tool, action in ACTIONS])
def test_every_field_of_a_built_in_result_says_what_it_is(tool: str, action: Action) -> None:
    assert not [place for place, part in fields(action.returns, tool) if not part.description]


def test_the_fields_of_a_response_are_told_apart() -> None:
    http = REGISTRY.get("http")
    assert http is not None
    schema = to_json_schema(http.actions["get"].returns)["properties"]
    assert schema["body"]["description"] == "The response as text."
    assert "JSON, else null" in schema["json"]["description"]
    assert "JSON, else its text" in schema["content"]["description"]
    page = tools_markdown(REGISTRY)
    assert "- `body`: a string. The response as text." in page


class Point(TypedDict):
    """A place."""

    x: Annotated[int, "To the right."]
    y: int


@dataclass
class Line:
    """From one place to another."""

    start: Annotated[Point, "Where it begins."]
    length: float = 0


class Model(pydantic.BaseModel):
    """A place, as a model."""

    x: int = pydantic.Field(description="To the right.")
    y: int = 0


def test_the_fields_of_an_own_tool_are_described_by_its_annotations() -> None:
    @orc.tool
    def measure() -> Line:
        return Line({"x": 1, "y": 2})

    @orc.tool
    def place() -> Model:
        return Model(x=1)

    registry = orc.Orchestrator(tools=[measure, place]).registry
    line, model = (registry.get(name).actions[name].returns for name in ("measure", "place"))  # type: ignore[union-attr]
    assert line.properties["start"].description == "Where it begins."
    assert line.properties["start"].properties["x"].description == "To the right."
    assert line.properties["length"].description == ""
    assert model.properties["x"].description == "To the right."


def test_a_description_makes_no_other_type() -> None:
    assert Type("string", description="a") == Type("string")
