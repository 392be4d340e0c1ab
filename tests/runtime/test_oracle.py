"""Any graph of steps ends as a simple program says that goes through it step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import orchestrator as orc
from tests.runtime.support import Bench, ended, pipeline, states, step

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("value", "skip", "when", "continue", "fallback", "jump", "leap", "fail")


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Up to twelve steps, each after some earlier ones: `{"id", "kind", "after", "target"}`."""
    count = draw(st.integers(1, 12))
    graph = []
    for n in range(count):
        after = draw(st.lists(st.integers(0, n - 1), max_size=3, unique=True)) if n else []
        kind = draw(st.sampled_from(KINDS if n < count - 1 else KINDS[:5]))
        target = draw(st.integers(n + 1, count - 1)) if kind in ("jump", "leap") else None
        graph.append({"id": n, "kind": kind, "after": sorted(after), "target": target})
    return graph


def source(graph: list[dict[str, Any]]) -> dict[str, Any]:
    steps = []
    for one in graph:
        name, after = f"s{one['id']}", [f"s{n}" for n in one["after"]]
        reads = " ".join(f"{{{{ {other} }}}}" for other in after)
        value = f"{name}({reads})"
        match one["kind"]:
            case "value":
                steps.append(step(name, "echo", value=value))
            case "skip":
                steps.append(step(name, "echo", value=value, condition="1 > 2"))
            case "when":
                condition = " and ".join(f"{other}.status != 'skipped'" for other in after) or "true"
                steps.append(step(name, "echo", value=value, condition=condition))
            case "continue":
                steps.append(step(name, "fail", message=value, on_failure="continue"))
            case "fallback":
                steps.append(step(name, "fail", message="x", on_failure={"value": f"else {value}"}))
            case "jump":
                steps.append(step(name, "fail", message=value, on_failure=f"s{one['target']}"))
            case "leap":
                steps.append(step(name, "echo", value=value, on_success=f"s{one['target']}"))
            case "fail":
                steps.append(step(name, "fail", message=value))
    names = [f"s{one['id']}" for one in graph]
    return pipeline(*steps, outputs={"all": "= " + " ".join(f"{{{{ {name} }}}}" for name in names)})


def oracle(graph: list[dict[str, Any]]) -> tuple[dict[str, str], dict[str, str], str | None]:
    """Go through the steps in the file's order: states, texts, and the step that ended the run, if one did."""
    found: dict[str, str] = {}
    texts: dict[str, str] = {}
    until = 0
    for one in graph:
        name = f"s{one['id']}"
        value = f"{name}({' '.join(texts[f's{n}'] for n in one['after'])})"
        texts[name] = ""
        unmet = one["kind"] == "when" and any(found[f"s{n}"] == "skipped" for n in one["after"])
        if one["id"] < until or one["kind"] == "skip" or unmet:
            found[name] = "skipped"
        elif one["kind"] in ("value", "when", "leap"):
            found[name], texts[name] = "succeeded", value
        else:
            found[name] = "failed"
            texts[name] = f"else {value}" if one["kind"] == "fallback" else ""
        if found[name] == "failed" and one["kind"] == "fail":
            return found, texts, name
        if one["target"] is not None and found[name] != "skipped":
            until = max(until, one["target"])
    return found, texts, None


@pytest.fixture(scope="module")
def one_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(directory=tmp_path_factory.mktemp("oracle"), tools=Bench().tools()) as client:
        yield client


@settings(max_examples=100)
@given(graph=graphs(), places=st.integers(1, 5))
def test_a_run_ends_as_the_oracle_says(one_client: orc.Orchestrator, graph: list[dict[str, Any]], places: int) -> None:
    expected, texts, failed = oracle(graph)
    result = ended(one_client.compile(source(graph)).with_options(max_parallel=places))
    if failed is None:
        assert states(result) == expected
        assert result.outputs["all"] == "= " + " ".join(texts.values())
        return
    # Steps that do not depend on the failed one may have run before it; what did end, ended as predicted.
    assert result.state == "failed"
    assert result.error is not None
    assert expected.get(result.error["step"], "failed") == "failed"
    for path, state in states(result).items():
        if path in expected and state in ("succeeded", "skipped", "failed"):
            assert state == expected[path]
