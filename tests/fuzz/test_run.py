"""Whatever a value is while a pipeline runs, the run ends: with a result, or with an error that says what is wrong."""

from __future__ import annotations

import asyncio
import selectors
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import orchestrator as orc
import orchestrator.errors
from orchestrator.diagnostics import CODES
from orchestrator.errors import InputError
from orchestrator.language.values.times import EARLIEST, LATEST, timestamp
from orchestrator.models.limits.backoff import Gate
from orchestrator.runtime.values.answers import accepted, parsed
from orchestrator.text.durations import parse_duration
from orchestrator.tools import builtin_registry
from orchestrator.tools.builtin.http import retry_after
from tests.conformance import tools
from tests.fuzz.conftest import PROFILE, RUNS
from tests.fuzz.values import values

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CENTURY = 100 * 365 * 86400


class LeapingLoop(asyncio.SelectorEventLoop):
    """Leaps over every wait for a time, and really waits only for other threads."""

    def __init__(self) -> None:
        self.leapt = 0.0
        super().__init__(_LeapingSelector(self))

    def time(self) -> float:
        return super().time() + self.leapt


class _LeapingSelector(selectors.DefaultSelector):
    def __init__(self, loop: LeapingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(None if timeout is None else 0.001 if timeout else 0)
        if not found and timeout:
            self._loop.leapt += timeout
        return found


def ended(client: orc.Orchestrator, source: dict[str, Any], **inputs: Any) -> orc.Result:
    """Run on a loop on which no wait takes any time, and return the result however it ended."""

    async def main() -> orc.Result:
        try:
            return await client.compile(source).arun(inputs)
        except (orc.RunFailed, orc.RunCancelled) as stop:
            result: orc.Result = stop.result
            return result

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(main())


def assert_sound(result: orc.Result) -> None:
    """It has ended, its `finally` has run, and every error has a code that says more than "internal error"."""
    assert result.state in ("succeeded", "failed")
    errors = [step.error for step in result.steps.values() if step.error] + ([result.error] if result.error else [])
    for error in errors:
        assert error["code"] in CODES
        assert error["code"] != "ORC999", error
        assert len(error["message"]) < 20_000
    assert result.steps["finally.tidy"].state == "succeeded"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orc.Orchestrator]:
    directory: Path = tmp_path_factory.mktemp("fuzz-run")
    with orc.Orchestrator(store="sqlite://", tools=[tools], directory=directory) as client:
        yield client


OURS = {name for name, kind in vars(orchestrator.errors).items() if isinstance(kind, type)}
"""The names of errors that are raised on purpose; any other is an exception that nobody expected."""

TIDY = [{"id": "tidy", "tool": "echo"}]

STEPS: dict[str, dict[str, Any]] = {
    "wait_until": {"wait_until": "{{ x }}"},
    "sleep": {"sleep": "{{ x }}"},
    "ask-default": {"ask": {"prompt": "{{ y }}", "default": "{{ x }}", "type": "integer"}, "timeout": "1s"},
    "ask-choices": {"ask": {"prompt": "?", "choices": "{{ x }}", "default": "{{ y }}"}, "timeout": "1s"},
    "approve": {"approve": {"title": "{{ x }}", "content": "{{ y }}"}, "timeout": "1s"},
    "for_each": {"for_each": "{{ x }}", "steps": [{"id": "i", "tool": "echo", "parameters": {"value": "{{ item }}"}}]},
    "while": {
        "while": "{{ x }}",
        "max_iterations": 2,
        "steps": [{"id": "i", "tool": "echo", "parameters": {"value": "{{ y }}"}}],
    },
    "switch": {
        "switch": "{{ x }}",
        "cases": {"a": [{"id": "i", "tool": "echo", "parameters": {"value": "{{ y }}"}}]},
    },
    "condition": {"tool": "echo", "condition": "{{ x }}", "parameters": {"value": "{{ y }}"}},
    "fail": {"tool": "fail", "parameters": {"message": "{{ x | string }}"}, "retry": 2},
    "date": {"tool": "echo", "parameters": {"value": "{{ x | date('%Y %U %Z') }} {{ y }}"}},
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
@RUNS
@given(x=values(), y=values(), policy=st.sampled_from(["fail", "continue"]))
@example(x="0001-01-01T00:00:00", y=1, policy="continue")
@example(x=1795958216000, y="medium", policy="fail")
@example(x=10**400, y=["slow", "fast"], policy="continue")
def test_a_step_given_any_value_ends(
    client: orc.Orchestrator, step: dict[str, Any], policy: str, x: Any, y: Any
) -> None:
    source = {
        "inputs": {"x": {"required": False}, "y": {"required": False}},
        "steps": [{"id": "s", "on_failure": policy, **step}],
        "finally": TIDY,
        "outputs": {"s": "{{ s }}", "x": "{{ x }}"},
    }
    with suppress(InputError):
        assert_sound(ended(client, source, x=x, y=y))


ACTIONS = [
    (tool.name, action)
    for tool in builtin_registry()
    for action in tool.actions.values()
    if tool.name not in ("terminal", "python", "mcp", "sleep")
]


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A built-in action, and values for some of its parameters: all that it needs, and others."""
    tool, action = draw(st.sampled_from(ACTIONS))
    names = [name for name, each in action.parameters.items() if each.required or draw(st.booleans())]
    return f"{tool}.{action.name}", {name: draw(values()) for name in names}


@PROFILE
@given(call=calls())
@example(call=("filesystem.read", {"path": "a\ud83d"}))
@example(call=("data.select", {"rows": [], "columns": {"a": None}}))
@example(call=("data.aggregate", {"rows": [{"a": 1}], "values": {"a": 5}}))
@example(call=("filesystem.write", {"path": "a" * 300, "content": "x"}))
def test_a_tool_given_any_values_ends(client: orc.Orchestrator, call: tuple[str, dict[str, Any]]) -> None:
    action, given = call
    step = {"id": "s", "action": action, "parameters": {name: f"{{{{ x.{name} }}}}" for name in given}}
    source = {"inputs": {"x": {"required": False}}, "steps": [step], "finally": TIDY}
    try:
        result = client.compile(source).run({"x": given})
    except InputError:
        return
    except orc.RunFailed as stop:
        result = stop.result
    assert_sound(result)
    error = result.error or {}
    assert error.get("type", "StepError") in OURS, error


LINES = (
    *(b"a,b", b'{"a": 1}', b"[1]", b'"', b"\\n", b"\\r", b"\\0", b"NaN", b"1e999", b",,,", b'"\\ud83d"', b"[" * 5000),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\0", b"\r", b'{"a": ' + b"9" * 5000 + b"}", b"x" * 200_000),
)
ROWS = st.lists(st.binary(max_size=12) | st.integers(0, len(LINES) - 1).map(LINES.__getitem__)).map(b"\n".join)


@RUNS
@given(content=ROWS, kind=st.sampled_from(["csv", "jsonl", "txt"]))
def test_any_file_of_rows_ends(client: orc.Orchestrator, content: bytes, kind: str) -> None:
    (client.directory / f"rows.{kind}").write_bytes(content)
    steps = [{"id": "i", "tool": "echo", "parameters": {"value": "{{ item }}"}}]
    source = {"steps": [{"id": "s", "for_each": {"file": f"rows.{kind}"}, "steps": steps}], "finally": TIDY}
    assert_sound(ended(client, source))


@PROFILE
@given(value=values())
def test_any_value_is_a_duration_a_time_or_refused_in_words(value: Any) -> None:
    for read, least, most in ((parse_duration, 0, CENTURY), (timestamp, EARLIEST, LATEST)):
        try:
            assert least <= read(value) <= most
        except ValueError as error:
            assert str(error).startswith(("it ", "its ", "`", "only", "years", "after", "this system"))  # noqa: PT017
            assert len(str(error)) < 200  # noqa: PT017


QUESTIONS: tuple[dict[str, Any], ...] = (
    {"kind": "ask", "prompt": "?", "answer": {"type": "integer", "minimum": 0}},
    {"kind": "ask", "prompt": "?", "answer": {"type": "string", "pattern": "^a+$"}, "choices": ["a", "aa"]},
    {"kind": "ask", "prompt": "?", "answer": {"type": "object", "properties": {"a": {"type": "number"}}}},
    {"kind": "ask", "prompt": "?"},
    {"kind": "approve", "prompt": "?", "content": {"a": 1}, "editable": True},
    {"kind": "resume", "prompt": "?"},
)


@PROFILE
@given(value=values(), text=st.text() | values().map(str), question=st.sampled_from(QUESTIONS))
def test_any_answer_is_taken_or_refused_in_words(value: Any, text: str, question: dict[str, Any]) -> None:
    for answer in (lambda: accepted(question, value), lambda: parsed(question, text)):
        try:
            answer()
        except InputError as refused:
            assert refused.code == "ORC605"  # noqa: PT017
            assert len(refused.message) < 1000  # noqa: PT017


HEADERS = st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")) | st.sampled_from(
    [
        "²",
        "9" * 400,
        "-1",
        "1e999",
        "nan",
        "inf",
        "Mon, 01 Jan 99999 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:60 -2400",
        "",
    ]
)


@PROFILE
@given(value=HEADERS)
def test_any_retry_after_is_a_wait_or_nothing(value: str) -> None:
    seconds = retry_after(value)
    assert seconds is None or seconds >= 0


@PROFILE
@given(values=st.lists(HEADERS, min_size=3, max_size=3), of=st.sampled_from(["requests", "tokens"]))
def test_any_header_of_limits_leaves_a_gate_that_says_when_it_opens(values: list[str], of: str) -> None:
    left, most, reset = values
    headers = {
        f"x-ratelimit-remaining-{of}": left,
        f"x-ratelimit-limit-{of}": most,
        f"anthropic-ratelimit-{of}-remaining": left,
        f"x-ratelimit-reset-{of}": reset,
        f"anthropic-ratelimit-{of}-reset": reset,
    }
    at, _ = Gate().told(headers, 10.0, 1_800_000_000.0).after(5, 10.0).ready_at(5, 11.0)
    assert at >= 11.0
