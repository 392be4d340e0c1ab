"""`check:` holds outputs to what their steps say; a model is told what is wrong, then the next one is asked."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.errors import ModelUnavailable
from tests.models.asked import Client, replied
from tests.runtime.support import Bench, ended, step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST, SECOND, JUDGE = "openai:gpt-5-mini", "openai:gpt-5", "anthropic:claude-sonnet-4-5"


def verdict(score: float, reason: str = "it is dull", *suggestions: str) -> str:
    return json.dumps({"reason": reason, "score": score, "suggestions": list(suggestions)})


def asks(**more: Any) -> dict[str, Any]:
    return {"id": "a", "prompt": "Say it.", "model": FIRST, **more}


def pipeline(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "test", **more, "steps": list(steps)}


@pytest.fixture
def models() -> Client:
    return Client({})


@pytest.fixture
def client(tmp_path: Path, models: Client, bench: Bench) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools(), models=models) as client:
        yield client


def said_to(models: Client, number: int) -> list[str]:
    return [str(message.content) for message in models.asked[number][1].messages]


def test_an_answer_that_fails_is_asked_for_again_with_the_reasons(client: orc.Orchestrator, models: Client):
    models.answers[FIRST] = ["short", "long enough by now"]
    result = client.compile(pipeline(asks(check="output | length > 10"))).run()
    assert result.steps["a"].output["text"] == "long enough by now"
    assert (result.steps["a"].attempts, len(models.asked)) == (1, 2)
    first, answer, told = said_to(models, 1)
    assert (first, answer) == ("Say it.", "short")
    assert "`output | length > 10` is false" in told
    assert result.steps["a"].warnings == (f"answer 1 of 2 of `{FIRST}` did not pass: `output | length > 10` is false",)


def test_after_so_many_answers_the_next_model_is_asked_afresh_and_then_the_step_fails(
    client: orc.Orchestrator, models: Client
):
    models.answers = {FIRST: ["a", "b"], SECOND: ["c", "d"]}
    policy = {"that": "output == 'right'", "max_attempts": 2}
    result = ended(client.compile(pipeline(asks(model=[FIRST, SECOND], check=policy))))
    assert [name for name, _, _ in models.asked] == [FIRST, FIRST, SECOND, SECOND]
    assert (said_to(models, 2), len(said_to(models, 3))) == (["Say it."], 3)
    error = dict(result.error or {})
    assert (error["code"], error["type"], error["step"]) == ("ORC729", "CheckFailed", "a")
    assert f"none of 4 answers of `{FIRST}` and `{SECOND}`" in error["message"]
    assert len(result.steps["a"].warnings) == 4
    assert result.steps["a"].spending.calls == 4


def test_the_next_model_may_give_what_passes(client: orc.Orchestrator, models: Client):
    models.answers = {FIRST: ["wrong"], SECOND: ["right"]}
    result = client.compile(pipeline(asks(model=[FIRST, SECOND], check="output == 'right'"))).run()
    assert (result.steps["a"].output["text"], result.steps["a"].output["model"]) == ("right", SECOND)


@pytest.mark.parametrize(
    ("more", "output"),
    [({"on_failure": "continue"}, None), ({"on_failure": {"value": "none"}}, "none")],
)
def test_a_policy_for_failures_is_for_checks_too(
    client: orc.Orchestrator, models: Client, more: dict[str, Any], output: Any
):
    models.answers[FIRST] = ["wrong"]
    result = client.compile(pipeline(asks(check="output == 'right'", **more))).run()
    assert (result.steps["a"].state, result.steps["a"].output) == ("failed", output)


def test_retry_asks_all_over_again(client: orc.Orchestrator, models: Client):
    models.answers[FIRST] = ["wrong", "wrong", "right"]
    retry = {"max_attempts": 2, "delay": 0.01}
    result = client.compile(pipeline(asks(check="output == 'right'", retry=retry))).run()
    assert (result.steps["a"].attempts, len(said_to(models, 2))) == (2, 1)


def test_a_condition_reads_what_the_step_can_read(client: orc.Orchestrator, models: Client):
    models.answers[FIRST] = ["one two"]
    source = pipeline(
        step("b", value=2), asks(check="(output.split(' ') | length) == b", dependencies=["b"]), inputs={}
    )
    assert client.compile(source).run().state == "succeeded"


def test_a_schema_says_where_an_output_does_not_fit(client: orc.Orchestrator, models: Client):
    models.answers[FIRST] = [replied('{"n": 0}'), replied('{"n": 7}')]
    check = {"schema": {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}}
    step = {"id": "a", "action": "generate", "model": FIRST, "prompt": "Count.", "schema": {"n": "integer"}}
    result = client.compile(pipeline({**step, "check": check})).run()
    assert result.steps["a"].output["data"] == {"n": 7}
    assert result.steps["a"].warnings == (f"answer 1 of 2 of `{FIRST}` did not pass: `n` must be at least 1, not 0",)


def test_a_tool_that_asks_no_model_fails_with_the_reason(client: orc.Orchestrator, bench: Bench):
    source = pipeline({**step("a", value=[1, 2]), "check": ["output | length > 1", "output[0] > 1"]})
    result = ended(client.compile(source))
    assert (result.error or {})["message"] == "`a`: its output did not pass its check: `output[0] > 1` is false"
    assert bench.calls == ["a"]


# --- a judge


def test_a_judge_is_a_call_of_the_step_and_what_it_says_is_fed_back(client: orc.Orchestrator, models: Client):
    models.answers = {
        FIRST: ["dull", "lively"],
        JUDGE: [verdict(0.2, "it is dull", "write livelier"), verdict(0.9)],
    }
    check = {"judge": {"rubric": "Is it lively?", "model": JUDGE, "min_score": 0.5}}
    result = client.compile(pipeline(asks(check=check))).run()
    assert [name for name, _, _ in models.asked] == [FIRST, JUDGE, FIRST, JUDGE]
    judged = said_to(models, 1)[0]
    assert "Is it lively?" in judged
    assert "dull" in judged
    assert "Say it." in judged
    told = said_to(models, 2)[-1]
    assert "is below the minimum of 0.5: it is dull; write livelier" in told
    assert (result.steps["a"].output["text"], result.steps["a"].spending.calls) == ("lively", 4)


def test_a_judge_may_be_the_very_model_that_was_passed_over(client: orc.Orchestrator, models: Client):
    models.answers = {FIRST: ["bad", verdict(0.1), verdict(1.0)], SECOND: ["good"]}
    check = {"judge": {"rubric": "Is it good?", "model": FIRST}, "max_attempts": 1}
    result = client.compile(pipeline(asks(model=[FIRST, SECOND], check=check))).run()
    assert result.steps["a"].output["text"] == "good"


def test_a_judge_is_not_asked_about_what_fails_otherwise(client: orc.Orchestrator, models: Client):
    models.answers = {FIRST: ["wrong"], JUDGE: [verdict(1)]}
    check = {"that": "output == 'right'", "judge": {"rubric": "Is it good?", "model": JUDGE}}
    ended(client.compile(pipeline(asks(check=check))))
    assert JUDGE not in [name for name, _, _ in models.asked]


def test_the_budget_of_a_step_is_for_its_judge_too(client: orc.Orchestrator, models: Client):
    models.answers = {FIRST: ["x"], JUDGE: [verdict(1)]}
    check = {"judge": {"rubric": "Is it good?", "model": JUDGE}}
    result = ended(client.compile(pipeline(asks(check=check, budget={"requests": 1}))))
    assert (result.error or {})["code"] == "ORC727"


# --- what consists of steps, and what is shared


@pytest.mark.parametrize("judged", [False, True])
def test_the_value_of_a_loop_is_checked_when_it_has_ended(client: orc.Orchestrator, models: Client, judged: bool):
    models.answers[JUDGE] = [verdict(0.2), verdict(0.8)]
    check: Any = {"judge": {"rubric": "Three things?", "model": JUDGE}} if judged else "output | length == 2"
    loop = {"id": "each", "for_each": [1, 2, 3], "steps": [step("x", value="{{ item }}")], "check": check}
    result = ended(client.compile(pipeline(loop)))
    assert (result.state, result.steps["each"].state) == ("failed", "failed")
    assert (result.error or {})["code"] == "ORC729"
    good = {**loop, "check": check if judged else "output == [1, 2, 3]"}
    assert client.compile(pipeline(good)).run().steps["each"].output == [1, 2, 3]


def test_a_retry_of_the_judge_of_an_agent_is_recorded(client: orc.Orchestrator, models: Client):
    models.answers[FIRST] = ["one"]
    models.answers[JUDGE] = [ModelUnavailable("overloaded"), verdict(0.9)]
    check = {"judge": {"rubric": "Is it one?", "model": JUDGE}}
    agent = {"id": "a", "action": "agent", "parameters": {"prompt": "Say it.", "model": FIRST, "tools": ["python"]}}
    result = client.compile(pipeline({**agent, "check": check, "retry": {"max_attempts": 2, "delay": 0.01}})).run()
    events = [event for event in result.log if event.path == "a"]
    waiting = next(event for event in events if event.type == "step.waiting")
    assert (waiting.data["reason"], waiting.data["error"]["message"]) == ("judge", "overloaded")
    assert [event.type for event in events if event.type != "step.model"][-2:] == ["step.running", "step.succeeded"]


def test_a_step_that_is_judged_is_stopped_with_the_run(client: orc.Orchestrator, models: Client):
    async def hang(*_: Any, **__: Any) -> Any:
        asked.set()
        await asyncio.Event().wait()

    asked = threading.Event()
    models.ask = hang  # type: ignore[method-assign]
    group = {
        "id": "both",
        "steps": [step("x", value=1)],
        "check": {"judge": {"rubric": "Is it one?", "model": JUDGE}},
    }
    run = client.compile(pipeline(group)).start()
    assert asked.wait(20)
    run.cancel(reason="enough")
    assert run.wait(timeout=20).state == "cancelled"
    assert run.snapshot().steps["both"].state == "cancelled"


def test_only_what_passed_is_shared_and_another_check_is_another_result(client: orc.Orchestrator, models: Client):
    models.answers[FIRST] = ["bad", "good"]
    source = asks(check={"that": "output == 'good'", "max_attempts": 1}, cache=True)
    assert ended(client.compile(pipeline(source))).state == "failed"
    result = client.compile(pipeline(source)).run()
    assert (result.steps["a"].cached, len(models.asked)) == (None, 2)
    result = client.compile(pipeline(source)).run()
    assert result.steps["a"].cached is not None
    assert (len(models.asked), result.spending.calls) == (2, 0)
    other = asks(check={"that": "output != ''", "max_attempts": 1}, cache=True)
    assert client.compile(pipeline(other)).run().steps["a"].cached is None
