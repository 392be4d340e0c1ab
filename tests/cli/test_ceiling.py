"""`run --dry-run` says what a run asks at most: whatever models do, no run asks for more."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.errors import ModelRefused, ModelUnavailable
from orchestrator.forecast.forecast import forecast
from orchestrator.models.catalog.entries import Catalogue
from orchestrator.models.catalog.keys import Keys
from orchestrator.models.clients.fake import Asked, FakeModel
from orchestrator.models.messages import ModelReply, ToolRequest
from orchestrator.models.selection.candidates import AvailableModels

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.forecast.upper_bound import UpperBound
    from tests.cli.conftest import Project

MODELS = ["openai:gpt-5-mini", "openai:gpt-5-nano", "anthropic:claude-haiku-4-5"]

few = st.integers(1, 3)
names = st.lists(st.sampled_from(MODELS), min_size=1, max_size=3, unique=True)


@st.composite
def model_steps(draw: st.DrawFn) -> dict[str, Any]:
    """A step that asks models, in one of several ways."""
    step: dict[str, Any] = {"prompt": "Say {{ topic }}.", "model": draw(names), "max_tokens": 50}
    step["retry"] = {"max_attempts": draw(few), "delay": 0}
    kind = draw(st.sampled_from(["text", "data", "agent"]))
    if kind == "data":
        step["schema"] = {"word": "string"}
    elif kind == "agent":
        step |= {"tools": ["text.replace"], "max_turns": draw(few)}
    if draw(st.booleans()):
        step["check"] = {"that": "{{ output | string | length > 3 }}", "max_attempts": draw(few)}
        if draw(st.booleans()):
            step["check"]["judge"] = {"rubric": "It is good.", "model": draw(names)}
    if kind != "agent" and draw(st.booleans()):
        step["on_error"] = [{"retry": {"max_attempts": draw(few), "delay": 0}, "fallback": "nothing"}]
    step["on_failure"] = draw(st.sampled_from(["fail", "continue"]))
    return step


@st.composite
def blocks(draw: st.DrawFn, depth: int = 2) -> list[dict[str, Any]]:
    """Steps, some of them with further steps inside."""
    found: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 2))):
        kind = draw(st.sampled_from(["step", "each", "one", "again", "switch", "parallel"])) if depth else "step"
        inner = draw(blocks(depth - 1)) if kind in ("each", "again", "switch", "parallel") else []
        ways: dict[str, dict[str, Any]] = {
            "step": draw(model_steps()) if kind == "step" else {},
            "one": {"for_each": [1] * draw(few)} | draw(model_steps()) if kind == "one" else {},
            "each": {"for_each": [1] * draw(few), "steps": inner},
            "again": {"until": "{{ iteration > 8 }}", "max_iterations": draw(few), "steps": inner},
            "switch": {"switch": "{{ topic }}", "cases": {"tides": inner}},
            "parallel": {"parallel": inner},
        }
        found.append({"id": f"s{depth}{number}", **ways[kind]})
        if kind == "again":
            found[-1]["on_limit"] = "continue"
    return found


def most_of(pipeline: orc.Pipeline, directory: Path, **inputs: Any) -> UpperBound:
    catalogue = Catalogue.load(directory)
    return forecast(pipeline.plan, inputs, AvailableModels(catalogue, Keys.load())).most


def moody(seed: int) -> FakeModel:
    """Models that do as they like."""
    chance = random.Random(seed)

    def answer(asked: Asked) -> Any:
        request = asked.request
        mood = chance.random()
        if mood < 0.2:
            return ModelUnavailable("not now")
        if mood < 0.3:
            return ModelRefused("no")
        if mood < 0.4:
            return ""
        if mood < 0.5:
            return "odd"
        if request.tools and mood < 0.8:
            given = {"text": "a", "old": "a", "new": "b"}
            return ModelReply("", requests=(ToolRequest("c", "text_replace", given),), finish="tools")
        if request.schema is not None:
            fields = request.schema.get("properties", {})
            values = {"score": chance.random(), "suggestions": [], "reason": "because", "word": "word" * 5}
            return {name: values.get(name) for name in fields}
        return chance.choice(["a", "word " * 40])

    return FakeModel(answer)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(steps=blocks(), seed=st.integers(0, 2**32))
def test_no_run_asks_for_more_than_the_dry_run_says(
    steps: list[dict[str, Any]], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("run")
    model = moody(seed)
    with orc.Orchestrator(directory=directory, models=model) as client:
        pipeline = client.compile({"id": "p", "inputs": {"topic": {"type": "string"}}, "steps": steps})
        most = most_of(pipeline, directory, topic="tides")
        run = pipeline.start(topic="tides")
        status = run.wait()
    assert most.unbounded == ()
    assert most.calls is not None
    assert len(model.requests) <= most.calls
    assert status.spending.calls <= most.calls
    assert most.input is not None
    assert most.output is not None
    assert status.spending.usage.input <= most.input
    assert status.spending.usage.output <= most.output
    assert most.cost is not None
    assert status.spending.cost is not None
    assert status.spending.cost <= most.cost


def most(tmp_path: Path, *steps: dict[str, Any]) -> UpperBound:
    inputs = {"all": {"type": "array"}, "which": {"type": "string"}}
    with orc.Orchestrator(directory=tmp_path, models=FakeModel("x")) as client:
        pipeline = client.compile({"id": "p", "inputs": inputs, "model": MODELS[0], "steps": list(steps)})
        return most_of(pipeline, tmp_path, all=[1, 2, 3], which="auto")


ASK: dict[str, Any] = {"prompt": "Say something.", "retry": {"max_attempts": 1}}
JUDGE = {"rubric": "It is good."}


@pytest.mark.parametrize(
    ("step", "calls"),
    [
        (ASK, 2),
        (ASK | {"retry": {"max_attempts": 3}}, 6),
        ({"prompt": "Say something."}, 8),
        (ASK | {"model": MODELS}, 6),
        (ASK | {"check": {"that": "{{ output }}", "max_attempts": 3}}, 6),
        (ASK | {"check": {"judge": JUDGE, "max_attempts": 3}}, 12),
        (ASK | {"tools": ["text.replace"], "max_turns": 5}, 10),
        (ASK | {"for_each": "{{ all }}"}, 6),
        ({"for_each": "{{ all }}", "steps": [ASK | {"id": "b"}]}, 6),
        ({"while": "{{ true }}", "max_iterations": 7, "steps": [ASK | {"id": "b"}]}, 14),
        ({"switch": "{{ which }}", "cases": {"a": [ASK | {"id": "b"}], "c": [ASK | {"id": "d"}]}}, 4),
        ({"action": "text.template", "parameters": {"template": "x"}, "check": {"judge": JUDGE}}, 2),
        (ASK | {"on_error": [{"steps": [ASK | {"id": "b"}]}]}, 4),
        (ASK | {"for_each": "{{ all }}", "on_error": [{"steps": [ASK | {"id": "b"}]}]}, 12),
    ],
)
def test_what_multiplies_calls_is_counted(tmp_path: Path, step: dict[str, Any], calls: int) -> None:
    found = most(tmp_path, {"id": "a", **step})
    assert (found.calls, found.unbounded) == (calls, ())


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (
            {"for_each": "{{ first.parts }}", "steps": [ASK | {"id": "b"}]},
            "the number of iterations of `a` is known only",
        ),
        (ASK | {"for_each": {"file": "rows.jsonl"}}, "the number of iterations of `a` is known only"),
        (ASK | {"model": "{{ first }}"}, "`model` is known only during the run (`a`)"),
        (
            {"action": "summarize", "text": "{{ first | join }}"},
            "the number of calls of `a` depends on the length of its input",
        ),
    ],
)
def test_where_there_is_no_bound_none_is_claimed(tmp_path: Path, step: dict[str, Any], reason: str) -> None:
    first = {"id": "first", "action": "text.split", "parameters": {"text": "a b", "separator": " "}}
    found = most(tmp_path, first, {"id": "a", **step})
    assert (found.calls, found.cost) == (None, None)
    assert any(reason in each for each in found.unbounded), found.unbounded


def test_the_dry_run_names_the_budget_first_where_it_binds(project: Project) -> None:
    steps = "steps: [{id: a, prompt: Say it., model: openai:gpt-5-mini, max_tokens: 10000}]\n"
    (project.directory / "p.yaml").write_text(f"id: p\nbudget: {{usd: 0.00005, requests: 100}}\n{steps}")
    said = project("run", "p.yaml", "--dry-run").err
    assert "at most $0.00005 (the budget); without it up to $0." in said
    assert "this may exceed the budget of $0.00005, which would stop the run" in said
    (project.directory / "p.yaml").write_text(f"id: p\nbudget: 5\n{steps}")
    said = project("run", "p.yaml", "--dry-run").err
    assert "at most: " in said
    assert "the budget" not in said


def test_the_dry_run_says_what_a_run_asks_at_most(project: Project) -> None:
    (project.directory / "p.yaml").write_text(
        "id: p\nmodel: openai:gpt-5-mini\nsteps:\n"
        "  - {id: a, for_each: [1, 2, 3], prompt: 'Say {{ item }}.', max_tokens: 10, retry: {max_attempts: 1}}\n"
    )
    said = project("run", "p.yaml", "--dry-run")
    assert "openai:gpt-5-mini" in said.out
    assert "if each step calls a model once: about " in said.err
    assert "at most: 6 calls, " in said.err
    data = project("run", "p.yaml", "--dry-run", "--json").json
    assert data["most"]["calls"] == 6
    assert 0 < data["cost"] < data["most"]["cost"]
