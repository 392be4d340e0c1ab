"""What the compiler promises beyond single diagnostics: fixes that fix, no side effects, plans that are stable."""

import socket
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.compiler import Compilation, compile_pipeline
from orchestrator.diagnostics import Diagnostic
from orchestrator.tools import Permissions, Registry, builtin_registry, to_tools
from tests.conformance import tools

DIAGNOSTICS = Path(__file__).parent.parent / "conformance" / "diagnostics"
CASES = [path for path in sorted(DIAGNOSTICS.glob("*/*.yaml")) if path.parent.name != "ORC100"]
REGISTRY: Registry = builtin_registry() | Registry(to_tools(tools))


def compiled(text: str, directory: Path = Path("/nowhere")) -> Compilation:
    return compile_pipeline(text, registry=REGISTRY, permissions=Permissions(directory=directory))


def fixed(text: str, diagnostic: Diagnostic) -> str:
    """Apply the fix of a diagnostic as an editor would."""
    assert diagnostic.fix is not None
    lines = text.split("\n")
    span = diagnostic.fix.span
    before = "\n".join([*lines[: span.start.line - 1], lines[span.start.line - 1][: span.start.column - 1]])
    after = "\n".join([lines[span.end.line - 1][span.end.column - 1 :], *lines[span.end.line :]])
    return before + diagnostic.fix.replacement + after


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_fix_mends_what_it_is_offered_for(path: Path) -> None:
    text, files = path.read_text(encoding="utf-8"), path.with_suffix(".files")
    before = compiled(text + "\n", files).diagnostics
    for diagnostic in before:
        if diagnostic.fix is not None and diagnostic.source.name == "<text>":
            after = compiled(fixed(text + "\n", diagnostic), files).diagnostics
            assert diagnostic.message not in [other.message for other in after if other.span == diagnostic.span]
            assert sum(d.message == diagnostic.message for d in after) < sum(
                d.message == diagnostic.message for d in before
            )


def test_compiling_touches_neither_network_nor_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("compile opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    text = """
steps:
  - {id: fetch, tool: http, action: get, parameters: {url: "https://example.org/data.json"}}
  - {id: keep, tool: filesystem, action: write, parameters: {path: data.json, content: "{{ fetch | to_json }}"}}
"""
    assert compiled(text, tmp_path).ok
    assert list(tmp_path.iterdir()) == []


def test_dependencies_are_the_declared_ones_and_those_that_are_read() -> None:
    plan = compiled(
        """
inputs: {flag: true}
steps:
  - {id: a, tool: echo}
  - {id: b, tool: echo}
  - {id: c, tool: echo, dependencies: [a], condition: "flag and b.success", parameters: {value: "{{ steps.b }}"}}
  - {id: d-e, tool: echo}
  - {id: f, tool: echo, parameters: {value: [{deep: "{{ d-e }}"}]}, on_failure: {value: "{{ a }}"}}
"""
    ).plan
    assert plan is not None
    assert {step.id: set(step.dependencies) for step in plan.steps} == {
        "a": set(),
        "b": set(),
        "c": {"a", "b"},
        "d-e": set(),
        "f": {"d-e", "a"},
    }


def test_a_jump_makes_what_it_may_skip_wait_for_it() -> None:
    plan = compiled(
        """
steps:
  - {id: a, tool: echo, on_success: d}
  - {id: b, tool: echo}
  - {id: c, tool: echo}
  - {id: d, tool: echo}
  - {id: e, tool: echo}
"""
    ).plan
    assert plan is not None
    assert {step.id: step.dependencies for step in plan.steps} == {
        "a": (),
        "b": ("a",),
        "c": ("a",),
        "d": ("a",),
        "e": (),
    }
    assert {kind: [*ids] for kind, ids in plan.steps[0].skips.items()} == {"on_success": ["b", "c"]}


def test_the_digest_says_what_a_plan_does_and_not_how_it_is_described() -> None:
    text = "name: {name}\nsteps:\n  - id: a\n    tool: echo\n    parameters: {{value: {value}}}\n"
    digests = {
        (name, value): compiled(text.format(name=name, value=value)).plan.digest  # type: ignore[union-attr]  # a plan
        for name in ("one", "two")
        for value in (1, 2)
    }
    assert digests["one", 1] == digests["two", 1] != digests["one", 2]


@settings(max_examples=60)
@given(st.data())
def test_a_cycle_is_reported_exactly_where_there_is_one(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 7))
    edges = data.draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=12))
    edges = {(a, b) for a, b in edges if a != b}
    steps = [
        {"id": f"s{n}", "tool": "echo", "dependencies": [f"s{b}" for a, b in sorted(edges) if a == n]}
        for n in range(count)
    ]
    compilation = compile_pipeline({"steps": steps}, registry=REGISTRY, permissions=Permissions(directory=Path()))
    remaining = set(range(count))
    while free := {n for n in remaining if not any(a == n and b in remaining for a, b in edges)}:
        remaining -= free
    assert compilation.ok is not bool(remaining)
    for diagnostic in compilation.diagnostics:
        assert diagnostic.code == "ORC305"
        path = diagnostic.message.split(": ", 1)[1].replace("`", "").split(" -> ")
        assert path[0] == path[-1]
        assert all((int(a[1:]), int(b[1:])) in edges for a, b in pairwise(path))


def test_a_long_chain_needs_no_recursion() -> None:
    steps = [
        {"id": f"s{n}", "tool": "echo", "parameters": {"value": f"{{{{ s{n + 1} }}}}"} if n < 2999 else {}}
        for n in range(3000)
    ]
    assert compile_pipeline({"steps": steps}, registry=REGISTRY, permissions=Permissions(directory=Path())).ok
