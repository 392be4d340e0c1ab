import asyncio
import math
import sys
import threading
from collections import namedtuple
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from orchestrator.errors import MissingExtra, PermissionDenied, StepError
from orchestrator.language.yaml.writer import write_yaml
from orchestrator.remedies import AllowPath
from orchestrator.tools import Permissions, Refusal, call_action, missing_requirement, to_tool, tool
from orchestrator.tools.functions.results import NotJson, json_result
from tests.tools.support import FakeContext, call_tool

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@dataclass
class Point:
    x: int
    y: float


class Person(BaseModel):
    name: str
    home: Path


def failing(value: str) -> None:
    raise LookupError(f"no {value}")


def leaving() -> None:
    sys.exit(3)


def adding(a: int, b: int = 2, more: list[int] | None = None) -> int:
    return a + b + sum(more or [])


def test_defaults_are_filled_in() -> None:
    assert call_tool(adding, {"a": 1}) == 3
    assert call_tool(adding, {"a": 1, "b": 5}) == 6


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a": "1"}, "`a` of `adding` must be an integer, not the string `1`"),
        ({"a": True}, "`a` of `adding` must be an integer"),
        ({"a": 1, "more": [1, "x"]}, "in `more` of `adding`, `[1]` must be an integer"),
        ({"a": 1, "c": 1}, "unknown parameter `c` of `adding`"),
        ({}, "`adding` requires `a`"),
    ],
)
def test_wrong_parameters_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(StepError) as caught:
        call_tool(adding, given)
    assert said in caught.value.message
    assert caught.value.code == "ORC708"
    assert not caught.value.retryable


def test_a_whole_number_written_as_a_float_is_an_integer() -> None:
    assert call_tool(adding, {"a": 2.0}) == 4


def test_an_error_of_a_tool_is_a_step_error_with_its_type_and_message() -> None:
    with pytest.raises(StepError, match="`failing` raised LookupError: no x") as caught:
        call_tool(failing, {"value": "x"})
    assert caught.value.code == "ORC701"
    assert isinstance(caught.value.__cause__, LookupError)
    line = failing.__code__.co_firstlineno
    assert caught.value.message.endswith(f"(line {line + 1} of test_calling.py)")


def test_a_tool_that_exits_does_not_end_the_run() -> None:
    with pytest.raises(StepError, match="SystemExit"):
        call_tool(leaving, {})


def test_a_step_error_of_a_tool_passes_as_it_is() -> None:
    error = StepError("busy", retry_after=3)

    async def busy() -> None:
        raise error

    with pytest.raises(StepError) as caught:
        call_tool(busy, {})
    assert caught.value is error


def test_a_coroutine_that_cancels_itself_fails_and_does_not_cancel_the_run() -> None:
    async def odd() -> None:
        raise asyncio.CancelledError

    with pytest.raises(StepError, match="cancelled itself"):
        call_tool(odd, {})


def test_a_cancelled_call_leaves_its_thread_behind() -> None:
    started, release, ended = threading.Event(), threading.Event(), threading.Event()

    def block() -> None:
        started.set()
        release.wait()
        ended.set()

    async def main() -> None:
        action = to_tool(block).actions["block"]
        task = asyncio.create_task(call_action(action, {}, FakeContext(Permissions(Path()))))
        await asyncio.to_thread(started.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert not ended.is_set()
    release.set()
    assert ended.wait(10)


def test_as_many_threads_as_calls_run_at_once() -> None:
    everybody = threading.Barrier(60)

    def meet() -> int:
        everybody.wait(30)
        return 1

    async def main() -> list[Any]:
        action = to_tool(meet).actions["meet"]
        context = FakeContext(Permissions(Path()))
        return await asyncio.gather(*(call_action(action, {}, context) for _ in range(60)))

    assert sum(asyncio.run(main())) == 60


def test_a_refusal_is_asked_before_each_call_with_the_defaults() -> None:
    asked = []

    def refuse(known: Any, permissions: Permissions) -> Refusal | None:
        asked.append(dict(known))
        return Refusal("path", "not here", AllowPath("/x")) if known["path"] == "/x" else None

    @tool(refusal=refuse)
    async def touch(path: str = "/x") -> str:
        return path

    assert call_tool(touch, {"path": "/y"}) == "/y"
    with pytest.raises(PermissionDenied, match="not here") as caught:
        call_tool(touch, {})
    assert caught.value.remedies == (AllowPath("/x"),)
    assert 'extended(paths=["/x"])' in str(caught.value)
    assert asked == [{"path": "/y"}, {"path": "/x"}]


def test_a_missing_requirement_names_the_command_that_installs_it() -> None:
    @tool(requires="no-such-thing")
    def needy() -> None: ...

    with pytest.raises(MissingExtra) as caught:
        call_tool(needy, {})
    assert caught.value.help == "install it with: pip install no-such-thing"
    assert missing_requirement(to_tool(needy).actions["needy"]) is not None


def test_a_list_default_is_not_shared_between_calls() -> None:
    def grow(items: list[int] = [1]) -> list[int]:  # noqa: B006 - what the test is about
        items.append(2)
        return items

    assert call_tool(grow, {}) == [1, 2]
    assert call_tool(grow, {}) == [1, 2]


@given(JSON)
def test_json_data_come_through_unchanged(value: Any) -> None:
    assert json_result(value) == value


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (Point(1, 2.5), {"x": 1, "y": 2.5}),
        (Person(name="Ada", home=Path("/home/ada")), {"name": "Ada", "home": "/home/ada"}),
        ([Path("a/b")], ["a/b"]),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(days=1, seconds=30.5), "P1DT30.5S"),
        (Decimal("1.10"), "1.10"),
        ({3, 1, 2}, [1, 2, 3]),
        ((1, "a"), [1, "a"]),
        (namedtuple("Pair", "a b")(1, 2), [1, 2]),
        ({1: "a", date(2026, 1, 2): "b"}, {"1": "a", "2026-01-02": "b"}),
        ({"ä": [{"ö": (None,)}]}, {"ä": [{"ö": [None]}]}),
    ],
)
def test_results_of_python_become_json_data(value: Any, data: Any) -> None:
    assert json_result(value) == data


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [1, math.nan]}, "the result['a'][1] is NaN"),
        ([Point(1, math.inf)], "the result[0].y is infinity"),
        ({"a": b"x"}, "the result['a'] is binary data"),
        ([object()], "the result[0] is a Python `object`"),
        ({(1, 2): 3}, "has the key (1, 2)"),
        ("\ud800", "not valid Unicode"),
        pytest.param(10**5000, "more than 300 digits", id="large"),
        pytest.param({"n": -(10**300)}, "the result['n'] is an integer of more than 300 digits", id="300 digits"),
        (Decimal("NaN"), "JSON cannot represent"),
    ],
)
def test_what_is_no_json_data_is_named_by_its_place(value: Any, said: str) -> None:
    with pytest.raises(NotJson) as caught:
        json_result(value)
    assert said in str(caught.value)

    def give() -> Any:
        return value

    with pytest.raises(StepError) as failed:
        call_tool(give, {})
    assert failed.value.code == "ORC705"


def test_a_result_that_holds_itself_is_refused() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(NotJson, match="levels deep"):
        json_result(ring)


@pytest.mark.parametrize("value", [{1: "x", "1": "y"}, {"a": [{2: 0, "2": 1}]}, {date(2024, 1, 2): 1, "2024-01-02": 2}])
def test_two_keys_that_are_the_same_text_are_an_error_and_none_is_lost(value: Any) -> None:
    with pytest.raises(NotJson, match=r"two keys that both become `(1|2|2024-01-02)`"):
        json_result(value)
    assert json_result({1: "x", "2": "y"}) == {"1": "x", "2": "y"}


def test_a_mapping_with_two_keys_that_are_the_same_text_is_not_a_pipeline() -> None:
    with pytest.raises(ValueError, match="two keys with the text `1`"):
        write_yaml({"variables": {1: "x", "1": "y"}})
