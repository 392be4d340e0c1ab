"""The key of a cached call: the same for the same call, in any process, and another as soon as anything differs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.errors import PermissionDenied
from orchestrator.expressions import Constant
from orchestrator.plan.policies import CachePolicy
from orchestrator.plan.steps import StepPlan, ToolCall
from orchestrator.runtime.run.result_cache import holds_secret, key_of, key_parts
from orchestrator.runtime.values.redaction import Redactor
from orchestrator.tools import builtin_registry
from orchestrator.tools.call import refuse_unpermitted
from orchestrator.tools.functions.definition import to_tool


@orc.tool(reads=["path"])
def convert(path: str | list[str] | dict[str, str], size: int = 3, unit: str = "cm") -> str:
    return f"{path} {size} {unit}"


@orc.tool
def ask(context: orc.ToolContext, question: Any = None) -> str:
    return f"{context.directory} {question}"


def parts(
    parameters: dict[str, Any],
    *,
    function: Any = convert,
    directory: Path = Path("/nowhere"),
    pipeline: str = "one",
    extra: Any = None,
    scope: Any = "store",
    version: str = "1",
) -> dict[str, str]:
    tool = to_tool(function)
    tool = type(tool)(tool.name, tool.actions, tool.description, version)
    (action,) = tool.actions.values()
    call = ToolCall(tool, action, Constant({}))
    step = StepPlan("a", call, cache=CachePolicy(scope=scope))
    return key_parts(step, call, parameters, pipeline=pipeline, extra=extra, directory=directory)


def differing(one: dict[str, str], other: dict[str, str]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(DATA, DATA)
def test_two_calls_share_a_key_exactly_if_their_parameters_are_the_same_data(one: Any, other: Any):
    key, second = (key_of(parts({"question": value}, function=ask)) for value in (one, other))
    assert (key == second) == (json.dumps(one) == json.dumps(other))


def test_the_key_is_the_same_in_every_process(tmp_path: Path):
    program = "from tests.runtime.test_caching import *; print(key_of(parts({'path': 'a', 'size': 4}, extra={'b': 1})))"
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {key_of(parts({"path": "a", "size": 4}, extra={"b": 1})) + "\n"}


def test_a_default_that_is_written_out_changes_nothing():
    assert parts({"path": "a"}) == parts({"path": "a", "size": 3, "unit": "cm"})


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"version": "2"}, "tool"),
        ({"extra": "monday"}, "key"),
        ({"scope": "pipeline"}, "pipeline"),
        ({"parameters": {"path": "a", "size": 4}}, "parameters.size"),
    ],
)
def test_the_part_that_changes_is_the_one_that_was_changed(change: dict[str, Any], part: str):
    unchanged: dict[str, Any] = {"parameters": {"path": "a"}}
    one, other = (dict(each) for each in (unchanged, unchanged | change))
    assert differing(parts(one.pop("parameters"), **one), parts(other.pop("parameters"), **other)) == {part}


def test_the_scope_of_a_pipeline_is_its_own():
    assert parts({"path": "a"}, pipeline="one") == parts({"path": "a"}, pipeline="two")
    one, two = (parts({"path": "a"}, scope="pipeline", pipeline=name) for name in ("one", "two"))
    assert differing(one, two) == {"pipeline"}


@pytest.mark.parametrize("value", ["rows.csv", ["rows.csv"], {"rows": "rows.csv"}])
def test_a_file_counts_by_what_it_holds(tmp_path: Path, value: Any):
    file = tmp_path / "rows.csv"
    missing = parts({"path": value}, directory=tmp_path)
    assert missing["files.rows.csv"] == "missing"
    file.write_text("a,b\n")
    first = parts({"path": value}, directory=tmp_path)
    assert differing(missing, first) == {"files.rows.csv"}
    os.utime(file, (1, 1))
    assert parts({"path": value}, directory=tmp_path) == first
    file.write_text("a,c\n")
    assert differing(first, parts({"path": value}, directory=tmp_path)) == {"files.rows.csv"}


def test_the_same_files_in_another_directory_have_the_same_key(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.csv").write_text("a,b\n")
    assert parts({"path": "rows.csv"}, directory=tmp_path / "one") == parts(
        {"path": "rows.csv"}, directory=tmp_path / "two"
    )


def test_an_action_that_may_look_at_its_directory_counts_it(tmp_path: Path):
    one, two = (parts({}, function=ask, directory=tmp_path / name) for name in ("one", "two"))
    assert differing(one, two) == {"directory"}


@pytest.mark.parametrize("kind", ["a directory", "a pipe", "no path"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, kind: str):
    if kind == "a directory":
        (tmp_path / "it").mkdir()
    elif kind == "a pipe":
        os.mkfifo(tmp_path / "it")
    path = "it\0" if kind == "no path" else "it"
    assert parts({"path": path}, directory=tmp_path)[f"files.{path}"] == "unreadable"


def test_a_tool_whose_code_has_changed_has_another_key():
    def tool_of(body: str) -> Any:
        scope: dict[str, Any] = {}
        exec(f"def measure(length: int) -> int:\n    {body}", scope)
        return orc.tool(scope["measure"])

    first, same, other = (
        parts({"length": 1}, function=tool_of(body))
        for body in ("return length in {1, 2, 'a'}", "return length in {'a', 2, 1}", "return length in {1, 2, 'b'}")
    )
    assert first == same
    assert differing(first, other) == {"code"}


def test_a_secret_is_found_wherever_it_is():
    redactor = Redactor({"key": "s3cret"}, "5f2a91")
    assert holds_secret(redactor, {"headers": ["Bearer s3cret"]})
    assert not holds_secret(redactor, {"headers": ["Bearer", 1, None, 2.5, {"a": True}]})
    assert not holds_secret(Redactor({}, "5f2a91"), {"headers": ["s3cret"]})
    assert not holds_secret(None, "s3cret")


def test_what_is_not_permitted_is_refused_before_the_cache_is_asked(tmp_path: Path):
    filesystem = builtin_registry().get("filesystem")
    assert filesystem is not None
    action = filesystem.actions["read"]
    with pytest.raises(PermissionDenied):
        refuse_unpermitted(action, {"path": "/etc/passwd"}, orc.Permissions(tmp_path))
    refuse_unpermitted(action, {"path": "a.txt"}, orc.Permissions(tmp_path))
