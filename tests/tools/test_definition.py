import doctest
import enum
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, TypedDict

import pytest
from pydantic import BaseModel, Field

from orchestrator.errors import ConfigurationError, StepError
from orchestrator.expressions.types.value_types import ANY, INTEGER, NULL
from orchestrator.tools import Refusal, Tool, ToolContext, to_tool, to_tools, tool
from tests.tools.support import call_tool


class Page(TypedDict):
    title: str
    links: list[str]


@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.0


class Person(BaseModel):
    name: str
    age: int = Field(ge=0)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@tool
def fetch(
    url: str,
    depth: int = 1,
    mode: Literal["fast", "full"] = "fast",
    target: Path | None = None,
    note: Annotated[str, "Shown to readers."] = "",
) -> Page:
    """Fetch a page.

    More about it.

    Args:
        url: Where the page is,
            on two lines.
        depth: How far to go.

    Example:
        - tool: fetch
          parameters: {url: x}
    """
    return {"title": f"{url} {depth} {mode} {target!r}", "links": []}


def test_a_decorated_function_stays_callable() -> None:
    assert fetch("a")["title"] == "a 1 fast None"


def test_parameters_come_from_the_signature() -> None:
    action = to_tool(fetch).actions["fetch"]
    assert list(action.parameters) == ["url", "depth", "mode", "target", "note"]
    assert action.parameters["url"].required
    assert action.parameters["depth"].type == INTEGER
    assert action.parameters["depth"].default == 1
    assert action.parameters["mode"].type.enum == ("fast", "full")
    assert {option.kind for option in action.parameters["target"].type.options} == {"string", "null"}


def test_descriptions_come_from_the_docstring_and_from_annotations() -> None:
    action = to_tool(fetch).actions["fetch"]
    assert action.description == "Fetch a page.\n\nMore about it."
    assert action.parameters["url"].description == "Where the page is, on two lines."
    assert action.parameters["note"].description == "Shown to readers."
    assert action.example == "- tool: fetch\n  parameters: {url: x}"


@pytest.mark.parametrize("annotation", [Page, Point, Person])
def test_the_fields_of_a_structured_result_are_known(annotation: type) -> None:
    def make() -> Any: ...

    make.__annotations__["return"] = annotation
    returns = to_tool(make).actions["make"].returns
    assert returns.kind == "object"
    assert set(returns.properties) == set(annotation.__annotations__)
    assert returns.closed or annotation is Person


def test_a_function_without_a_result_type_returns_anything() -> None:
    def anything(): ...  # type: ignore[no-untyped-def] # what the test is about

    def nothing() -> None: ...

    assert to_tool(anything).actions["anything"].returns == ANY
    assert to_tool(nothing).actions["nothing"].returns == NULL


def test_values_are_converted_to_what_the_function_asks_for() -> None:
    def show(
        path: Path, day: date, person: Person, colour: Colour, tags: set[str], far: Path | None = None
    ) -> list[str]:
        return [type(value).__name__ for value in (path, day, person, colour, tags, far)]

    given = {"path": "a", "day": "2026-01-02", "person": {"name": "Ada", "age": 36}, "colour": "red", "tags": ["x"]}
    shown = call_tool(show, given)
    assert shown == [type(Path()).__name__, "date", "Person", "Colour", "set", "NoneType"]


@pytest.mark.parametrize(
    ("value", "said"),
    [(-1, "`count` of `order` must be greater than or equal to 0"), ("x", "`count` of `order` must be an integer")],
)
def test_a_constraint_is_checked_before_the_call(value: object, said: str) -> None:
    def order(count: Annotated[int, Field(ge=0)]) -> int:
        return count

    with pytest.raises(StepError, match=said) as caught:
        call_tool(order, {"count": value})
    assert caught.value.code == "ORC708"
    assert not caught.value.retryable


def test_the_context_is_given_under_any_name() -> None:
    def where(ctx: ToolContext) -> str:
        return ctx.step

    action = to_tool(where).actions["where"]
    assert action.takes_context
    assert not action.parameters
    assert call_tool(where, {}) == "step"


def test_the_public_methods_of_a_class_are_actions() -> None:
    class WordCounter:
        """Counts words."""

        def __init__(self) -> None:
            self.calls = 0

        @tool(name="count-all", primary=None)
        def count(self, text: str) -> int:
            self.calls += 1
            return len(text.split())

        async def longest(self, text: str) -> str:
            return max(text.split(), key=len)

        def _private(self) -> None: ...

        @property
        def size(self) -> int:
            return 1

    made = to_tool(WordCounter)
    assert made.name == "word_counter"
    assert made.description == "Counts words."
    assert {name: action.mode for name, action in made.actions.items()} == {"count-all": "thread", "longest": "async"}
    assert to_tool(WordCounter()).actions.keys() == made.actions.keys()


def test_a_module_of_functions_is_one_tool_and_one_of_marked_functions_is_several() -> None:
    plain, marked = ModuleType("plain"), ModuleType("marked")
    exec("def one(a: str): ...\ndef two(): ...", plain.__dict__)
    exec("from orchestrator.tools import tool\n@tool\ndef one(a: str): ...\n@tool\ndef two(): ...", marked.__dict__)
    assert [(found.name, list(found.actions)) for found in to_tools(plain)] == [("plain", ["one", "two"])]
    assert [found.name for found in to_tools(marked)] == ["one", "two"]


def test_the_decorator_takes_options() -> None:
    def never(known: Any, permissions: Any) -> Refusal | None:
        return None

    @tool(name="get-page", primary="title", requires="polars", refusal=never, version="2")
    def fetch_page() -> Page:
        return {"title": "", "links": []}

    made = to_tool(fetch_page)
    action = made.actions["get-page"]
    assert (made.name, made.version, action.primary, action.requires) == ("get-page", "2", "title", ("polars",))
    assert action.refusal is never


def untyped(value): ...  # type: ignore[no-untyped-def] # what the test is about


def positional(*values: int) -> None: ...


def generator() -> Any:
    yield 1


def unreadable(value: "Missing") -> None: ...  # type: ignore[name-defined] # noqa: F821 - what the test is about


class Opaque:
    def __init__(self, secret: int) -> None: ...


def not_json(value: Opaque) -> None: ...


def odd_default(value: object = object()) -> None: ...


def text_for_a_number(depth: int = "deep") -> None: ...  # type: ignore[assignment] # what the test is about


def another_word(mode: Literal["fast", "full"] = "slow") -> None: ...  # type: ignore[assignment] # as above


def mistyped_item(tags: list[str] = [1]) -> None: ...  # type: ignore[list-item] # noqa: B006 # as above


def out_of_range(count: Annotated[int, Field(ge=1)] = 0) -> None: ...


@tool(name="a b")
def misnamed() -> None: ...


class NeedsArguments:
    def __init__(self, url: str) -> None: ...

    def go(self) -> None: ...


class Empty: ...


@pytest.mark.parametrize(
    ("wrong", "said", "help"),
    [
        (untyped, "`value` has no annotation", "value: str"),
        (positional, "is positional-only", "named parameter"),
        (generator, "is a generator", "return a list"),
        (unreadable, "`Missing` is not defined", "import `Missing`"),
        (not_json, "`value` has an unsupported type", "use str"),
        (odd_default, "default of `value`", "use str"),
        (text_for_a_number, "the default of `depth` must be an integer, not the string `deep`", "the annotation"),
        (another_word, "the default of `mode` must be one of `fast`, `full`, not the string `slow`", "the default"),
        (mistyped_item, "the default of `tags`", "the annotation"),
        (out_of_range, "the default of `count` must be greater than or equal to 1", "the default"),
        (NeedsArguments, "without arguments", "an instance"),
        (Empty, "no public methods", "typed method"),
        (misnamed, "`a b` is not a valid tool name", "letters"),
    ],
)
def test_a_wrong_definition_names_the_place_and_the_remedy(wrong: Any, said: str, help: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        to_tool(wrong)
    assert caught.value.code == "ORC904"
    assert said in caught.value.message
    assert help in (caught.value.help or "")


def test_the_primary_field_must_exist() -> None:
    @tool(primary="nope")
    def page() -> Page:
        return {"title": "", "links": []}

    with pytest.raises(ConfigurationError, match="no field `nope`"):
        to_tool(page)


def test_the_example_in_the_documentation_works() -> None:
    found = doctest.DocTestFinder().find(tool, "tool", globs={"tool": tool})
    assert [tuple(doctest.DocTestRunner().run(example)) for example in found] == [(0, 2)]


def test_a_tool_is_a_tool() -> None:
    made = to_tool(fetch)
    assert to_tool(made) is made
    assert isinstance(made, Tool)


def test_further_parameters_are_passed_on_where_the_function_takes_them() -> None:
    def collect(**values: Any) -> dict[str, Any]:
        return values

    assert to_tool(collect).actions["collect"].accepts_extra
    assert call_tool(collect, {"a": 1, "b": [2]}) == {"a": 1, "b": [2]}
