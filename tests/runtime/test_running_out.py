"""What becomes of answers that are under way when a budget is used up: they are waited for, and never bought again."""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.models.messages import current_step
from tests.models.asked import Client
from tests.runtime.support import PATIENCE, Bench, states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.models.messages import ModelName, ModelReply, ModelRequest


class Gated(Client):
    """Answers the steps of `held` when a test opens their gates."""

    def __init__(self, *held: str) -> None:
        super().__init__({})
        self.held = set(held)
        self.entered: dict[str, threading.Event] = defaultdict(threading.Event)
        self.gates: dict[str, threading.Event] = defaultdict(threading.Event)

    @property
    def steps(self) -> list[str]:
        """The steps that have asked, in their order."""
        return [step for _, _, step in self.asked]

    def wait_for(self, *steps: str) -> None:
        for step in steps:
            assert self.entered[step].wait(PATIENCE), f"{step} has not asked"

    def open(self, *steps: str) -> None:
        for step in steps:
            self.gates[step].set()

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        step = current_step.get()
        reply = await super().ask(name, request)
        self.entered[step].set()
        if step in self.held:
            assert await asyncio.to_thread(self.gates[step].wait, PATIENCE)
        return reply


def asks(id: str, prompt: str = "Say it.", **more: Any) -> dict[str, Any]:
    return {"id": id, "prompt": prompt, "max_tokens": 10, **more}


def pipeline(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "test", "model": "openai:gpt-5-mini", **more, "steps": list(steps)}


def loop(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "each", "for_each": "{{ range(6) }}", "max_parallel": 3, "steps": list(steps), **more}


@pytest.fixture
def models() -> Iterator[Gated]:
    made = Gated()
    yield made
    made.open(*made.held)


@pytest.fixture
def client(models: Gated, bench: Bench, tmp_path: Path) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(directory=tmp_path, models=models, tools=bench.tools()) as client:
        yield client


def until_failed(run: orc.Run, path: str) -> None:
    """Return when the failure of a step has been recorded."""
    for event in run.events():
        if event.type == "step.failed" and event.path == path:
            return
    raise AssertionError(f"{path} has not failed")


def ended(run: orc.Run) -> orc.Result:
    run.wait(timeout=PATIENCE)
    return run.snapshot()


def calls(result: orc.Result) -> list[Any]:
    return [event.data["error"] for event in result.log if event.type == "step.model"]


@pytest.mark.parametrize("where", ["run", "loop"])
@pytest.mark.parametrize("body", ["step", "block"])
def test_answers_under_way_when_a_budget_is_used_up_are_recorded_and_not_bought_again(
    client: orc.Orchestrator, models: Gated, where: str, body: str
):
    budget = {"budget": {"requests": 4}}
    each = loop(asks("say", "Say {{ item }}."), **(budget if where == "loop" else {}))
    path = "each[{}].say"
    if body == "step":
        path = "each[{}]"
        del each["steps"]
        each |= {"prompt": "Say {{ item }}.", "max_tokens": 10}
    models.held = {path.format(1), path.format(2)}
    run = client.compile(pipeline(each, **(budget if where == "run" else {}))).start()
    until_failed(run, path.format(4))
    assert run.status().state == "running"
    models.open(*models.held)
    result = ended(run)
    assert result.error is not None
    assert (result.state, result.error["code"], result.error["step"]) == ("failed", "ORC727", path.format(4))
    assert calls(result) == [None] * 4
    assert [result.steps[path.format(n)].state for n in range(4)] == ["succeeded"] * 4
    assert path.format(5) not in models.steps

    if where == "run":
        done = client.resume(run.id, budget=orc.Budget(requests=6)).result()
    else:
        each["budget"] = {"requests": 6}
        done = client.resume(run.id, pipeline=pipeline(each)).result()
    assert (done.state, len(models.asked), done.spending.calls) == ("succeeded", 6, 6)
    assert done.cost is not None


def test_what_waits_for_an_answer_that_is_under_way_is_not_begun(client: orc.Orchestrator, models: Gated):
    models.held = {"a"}
    steps = [asks("a"), asks("after", "{{ a }}"), asks("b"), asks("c", "{{ b }}"), asks("d", "{{ c }}")]
    run = client.compile(pipeline(*steps, budget={"requests": 3})).start()
    until_failed(run, "d")
    models.open("a")
    result = ended(run)
    assert states(result) == {
        "a": "succeeded", "b": "succeeded", "c": "succeeded", "d": "failed", "after": "pending"
    }  # fmt: skip


def test_many_that_are_refused_at_once_give_one_end(client: orc.Orchestrator, models: Gated):
    models.held = {"s0", "s1"}
    steps = [asks(f"s{n}") for n in range(12)]
    run = client.compile(pipeline(*steps, budget={"requests": 2})).start()
    models.wait_for("s0", "s1")
    until_failed(run, "s11")
    models.open("s0", "s1")
    result = ended(run)
    assert [event.type for event in result.log].count("run.failed") == 1
    assert result.error is not None
    assert result.error["step"] == "s2"
    assert (calls(result), sorted(models.steps)) == ([None, None], ["s0", "s1"])


def test_a_tool_that_is_at_work_ends_too_and_finally_comes_after_it(
    client: orc.Orchestrator, models: Gated, bench: Bench
):
    work = {"id": "work", "tool": "gate", "parameters": {"value": 7}}
    after = {"id": "clean", "tool": "echo"}
    document = pipeline(work, asks("a"), asks("b", "{{ a }}"), budget={"requests": 1}, **{"finally": [after]})
    run = client.compile(document).start()
    bench.wait_for("work")
    until_failed(run, "b")
    assert bench.calls == ["work"]
    bench.open("work")
    result = ended(run)
    assert (result.steps["work"].output, bench.calls) == (7, ["work", "finally.clean"])


def test_an_attempt_that_fails_meanwhile_stops_no_other_and_is_not_made_again(client: orc.Orchestrator, models: Gated):
    models.answers["openai:other"] = [orc.ModelUnavailable("busy", status=503)]
    models.answers["openai:third"] = [orc.ModelRejected("no", status=404)]
    models.held = {"a", "busy", "bad"}
    steps = [asks("a"), asks("busy", model="openai:other"), asks("bad", model="openai:third"), asks("b")]

    class Failing(Gated):
        async def ask(self, name: Any, request: Any, *, on_text: Any = None) -> ModelReply:
            self.entered[current_step.get()].set()
            assert await asyncio.to_thread(self.gates[current_step.get()].wait, PATIENCE)
            return await Client.ask(self, name, request)

    models.__class__ = Failing
    run = client.compile(pipeline(*steps, budget={"requests": 3})).start()
    models.wait_for("a", "busy", "bad")
    until_failed(run, "b")
    models.open("bad")
    until_failed(run, "bad")
    models.open("busy")
    for event in run.events():
        if event.type == "step.cancelled" and event.path == "busy":
            break
    models.open("a")
    result = ended(run)
    assert states(result) == {"a": "succeeded", "busy": "cancelled", "bad": "failed", "b": "failed"}
    assert result.error is not None
    assert result.error["code"] == "ORC727"


@pytest.mark.parametrize("how", ["cancel", "timeout", "interrupt"])
def test_whoever_stops_the_run_meanwhile_does_not_wait(client: orc.Orchestrator, models: Gated, how: str):
    models.held = {"each[1].say", "each[2].say"}
    compiled = client.compile(pipeline(loop(asks("say")), budget={"requests": 3}))
    run = compiled.with_options(timeout=2.0 if how == "timeout" else None).start()
    until_failed(run, "each[3].say")
    models.wait_for("each[1].say", "each[2].say")
    if how == "cancel":
        run.cancel(reason="enough")
    elif how == "interrupt":
        execution = client.backend.engine.execution(run.id)
        assert execution is not None
        execution.interrupt("the process stops")
    run.wait(timeout=PATIENCE)
    result = run.snapshot()
    assert result.state == {"cancel": "cancelled", "timeout": "failed", "interrupt": "interrupted"}[how]
    if how == "timeout":
        assert result.error is not None
        assert result.error["type"] == "StepTimeout"
    assert result.steps["each[1].say"].state == "cancelled"


def test_a_value_that_is_being_judged_is_judged_to_the_end(client: orc.Orchestrator, models: Gated):
    said = '{"reason": "Good.", "score": 1.0, "suggestions": []}'
    models.answers["openai:judge"] = [said]
    models.held = {"all:judge"}
    check = {"judge": {"rubric": "Is it good?", "model": "openai:judge"}}
    group = {"id": "all", "steps": [asks("a")], "check": check}
    run = client.compile(pipeline(group, asks("b"), asks("c", "{{ b }}"), budget={"requests": 3})).start()
    models.wait_for("all:judge")
    until_failed(run, "c")
    models.open("all:judge")
    result = ended(run)
    assert result.steps["all"].state == "succeeded"
    assert client.resume(run.id, budget=orc.Budget(requests=4)).result().state == "succeeded"
    assert models.steps.count("all:judge") == 1


def test_an_agent_whose_answer_is_being_judged_takes_no_further_turn(client: orc.Orchestrator, models: Gated):
    models.answers["openai:judge"] = [
        f'{{"reason": "So it is.", "score": {score}, "suggestions": []}}' for score in (0.0, 1.0)
    ]
    models.answers["openai:agent"] = ["Bad.", "Good."]
    models.held = {"look:judge"}
    check = {"judge": {"rubric": "Is it good?", "model": "openai:judge"}}
    agent = asks("look", action="agent", model="openai:agent", tools=["echo"], check=check)
    run = client.compile(pipeline(agent, asks("b"), asks("c", "{{ b }}"), budget={"requests": 3})).start()
    models.wait_for("look:judge")
    until_failed(run, "c")
    models.open("look:judge")
    result = ended(run)
    assert (result.steps["look"].state, result.steps["look[0]"].state) == ("cancelled", "succeeded")
    assert client.resume(run.id, budget=orc.Budget(requests=9)).result().state == "succeeded"
    turns = [step for step in models.steps if step.startswith("look")]
    assert turns == ["look[0].answer", "look:judge", "look[1].answer", "look:judge"]
