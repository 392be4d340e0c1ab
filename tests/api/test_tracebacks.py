"""What a user's tool raised is not lost: its line, its traceback, itself; and no secret shows in any of them."""

from __future__ import annotations

import subprocess
import traceback
from pathlib import Path

import pytest

import orchestrator as orc
from tests.cli.conftest import Project

TOOLS = '''
import orchestrator as orc
from inner import divide


class Odd(Exception):
    def __str__(self):
        raise RuntimeError("no text")


@orc.tool
def half(n: int) -> float:
    """Fail in a neighbour."""
    return divide(n, 0)


@orc.tool
async def chained(token: str) -> str:
    """Fail with a cause, and with a secret in both."""
    try:
        raise KeyError(f"no {token}")
    except KeyError as error:
        raise ValueError(f"refused {token}") from error


@orc.tool
def odd() -> None:
    """Raise what cannot be turned into text."""
    raise Odd()


@orc.tool
def deep(n: int) -> None:
    """Fail at the end of a long way."""
    def down(left: int) -> None:
        if not left:
            raise OverflowError("x" * 50_000)
        down(left - 1)

    down(n)
'''

INNER = "def divide(a, b):\n    return a / b\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "inner.py").write_text(INNER)
    (tmp_path / "half.yaml").write_text(
        "steps: [{id: a, tool: half, parameters: {n: 3}, retry: {max_attempts: 2, delay: 0}}]\n"
    )
    (tmp_path / "secret.yaml").write_text(
        "inputs: {token: {secret: true}}\nsteps: [{id: a, tool: chained, parameters: {token: '{{ token }}'}}]\n"
    )
    return tmp_path


def failure(home: Path, step: dict[str, object]) -> orc.RunFailed:
    with (
        orc.Orchestrator(directory=home, tools=[str(home / "tools.py")]) as client,
        pytest.raises(orc.RunFailed) as caught,
    ):
        client.compile({"steps": [{"id": "a", **step}]}).run()
    return caught.value


def test_the_cause_of_a_failed_run_is_what_the_tool_raised_with_its_traceback(home: Path) -> None:
    error = failure(home, {"tool": "half", "parameters": {"n": 3}})
    assert type(error.__cause__) is ZeroDivisionError
    frames = traceback.extract_tb(error.__cause__.__traceback__)
    assert [Path(frame.filename).name for frame in frames][-2:] == ["tools.py", "inner.py"]
    assert "raised ZeroDivisionError: division by zero (line 2 of inner.py)" in error.message


def test_of_a_run_that_was_executed_elsewhere_the_cause_is_the_recorded_traceback(home: Path) -> None:
    Project(home, tools="tools.py")("run", "half.yaml")
    with orc.Orchestrator(directory=home) as client, pytest.raises(orc.RunFailed) as caught:
        client.get_run("last").result()
    text = str(caught.value.__cause__)
    assert "inner.py" in text
    assert "ZeroDivisionError: division by zero" in text
    assert "orchestrator/tools" not in text


@pytest.mark.anyio
async def test_the_async_twin_has_the_cause_too(home: Path) -> None:
    with orc.Orchestrator(directory=home, tools=[str(home / "tools.py")]) as client:
        pipeline = client.compile({"steps": [{"id": "a", "tool": "half", "parameters": {"n": 3}}]})
        with pytest.raises(orc.RunFailed) as caught:
            await pipeline.arun()
    assert type(caught.value.__cause__) is ZeroDivisionError


def test_what_has_no_text_and_what_has_too_much_are_told_within_bounds(home: Path) -> None:
    assert "its message cannot be read" in failure(home, {"tool": "odd"}).message
    failure(home, {"tool": "deep", "parameters": {"n": 500}})
    shown = Project(home, tools=None)("show", "last", "--traceback", "--json").json
    assert len(shown) == 1
    assert len(shown[0]["text"]) < 17_000
    assert shown[0]["text"].startswith("... ")


def test_show_prints_the_tracebacks_of_all_attempts(home: Path) -> None:
    project = Project(home, tools="tools.py")
    ran = project("run", "half.yaml")
    assert "orchestrator show" in ran.err
    assert "--traceback" in ran.err
    shown = Project(home, tools=None)("show", "last", "--traceback")
    assert shown.out.count("Traceback (most recent call last):") == 2
    assert "a, attempt 1," in shown.out
    assert "a, attempt 2," in shown.out
    assert 'inner.py", line 2, in divide' in shown.out
    assert Project(home, tools=None)("show", "last", "--traceback", "--step", "b").out == ""


def test_debug_prints_the_traceback_where_the_run_is_shown(home: Path) -> None:
    project = Project(home, tools="tools.py")
    for debug in (False, True):
        environment = project.environment(**({"ORCHESTRATOR_DEBUG": "1"} if debug else {}))
        argv = project.argv("run", "half.yaml", "-q")
        done = subprocess.run(argv, cwd=home, env=environment, capture_output=True, text=True, timeout=120)
        assert ('inner.py", line 2, in divide' in done.stderr) is debug, done.stderr


def test_no_secret_shows_in_a_traceback(home: Path) -> None:
    secret = "sk-4815162342"
    project = Project(home, tools="tools.py")
    ran = project("run", "secret.yaml", "-i", f"token={secret}")
    shown = Project(home, tools=None)("show", "last", "--traceback")
    assert secret not in ran.err + ran.out + shown.out
    assert "ValueError: refused [redacted:token" in shown.out
    assert "KeyError" in shown.out
    with (
        orc.Orchestrator(directory=home, tools=[str(home / "tools.py")]) as client,
        pytest.raises(orc.RunFailed) as caught,
    ):
        client.compile(home / "secret.yaml").run(token=secret)
    printed = "".join(traceback.format_exception(caught.value))
    assert secret not in printed
    assert "The above exception was the direct cause" in printed
    assert "in chained" in printed
    stored = b"".join(path.read_bytes() for path in (home / ".orchestrator").rglob("*") if path.is_file())
    assert secret.encode() not in stored


def test_tools_that_cannot_be_imported_name_the_line(home: Path) -> None:
    (home / "broken.py").write_text("import inner\n\ninner.divide(1, 0)\n")
    done = Project(home, tools="broken.py")("check", "half.yaml")
    assert "importing it raised ZeroDivisionError: division by zero (line 2 of inner.py)" in done.err
