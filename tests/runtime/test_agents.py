"""Agents: each turn and each call of a tool is a step of the run, and nothing that was recorded is done again."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.errors import ModelUnavailable
from orchestrator.models.clients.fake import FakeModel
from orchestrator.models.messages import ModelReply, ToolRequest, Usage
from tests.runtime.support import PATIENCE, Bench, crash, ended, pipeline, states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Opened = Callable[..., orc.Orchestrator]


@pytest.fixture
def opened(bench: Bench, tmp_path: Path) -> Iterator[Opened]:
    """Open an orchestrator whose models answer as a script says; the store is the same for all of a test."""
    clients: list[orc.Orchestrator] = []

    def open_(model: FakeModel, **more: Any) -> orc.Orchestrator:
        client = orc.Orchestrator(directory=tmp_path, tools=bench.tools(), models=model, **more)
        clients.append(client)
        return client

    yield open_
    for client in clients:
        client.close()


def asks(*calls: tuple[str, dict[str, Any]], text: str = "") -> ModelReply:
    """A reply that asks for tools."""
    requests = tuple(ToolRequest(f"call-{number}", name, given) for number, (name, given) in enumerate(calls))
    return ModelReply(text, requests=requests, usage=Usage(10, 1, requests=1), finish="tools")


def agent(**given: Any) -> dict[str, Any]:
    """A pipeline whose one step is an agent."""
    keys = {"retry", "timeout", "on_resume", "cache", "on_failure", "budget", "check"}
    asked = {"prompt": "Find out.", "model": "ollama:m", "tools": ["echo"], **given}
    step: dict[str, Any] = {"id": "research", "action": "agent"}
    step |= {key: value for key, value in asked.items() if key in keys}
    step["parameters"] = {key: value for key, value in asked.items() if key not in keys}
    return pipeline(step, outputs={"found": "{{ research }}"})


def told(model: FakeModel, number: int = -1) -> list[str]:
    """The results that the model was told in one of its requests."""
    return [str(said.content) for said in model.requests[number].request.messages if said.role == "tool"]


def test_a_model_is_asked_until_it_answers_and_told_what_its_tools_gave(opened: Opened, bench: Bench) -> None:
    model = FakeModel({"research.answer": [asks(("echo", {"value": [1, 2]}), text="Let me see."), "It is 2."]})
    result = opened(model).compile(agent(system="Be brief.")).run()
    assert result.outputs == {"found": "It is 2."}
    assert states(result) == dict.fromkeys(
        (
            "research",
            "research[0]",
            "research[0].answer",
            "research[0].echo",
            "research[1]",
            "research[1].answer",
        ),
        "succeeded",
    )
    assert bench.calls == ["research[0].echo"]
    last = model.requests[-1].request
    assert [(said.role, said.content) for said in last.messages] == [
        ("user", "Find out."),
        ("assistant", "Let me see."),
        ("tool", "[1, 2]"),
    ]
    assert last.messages[1].requests == (ToolRequest("call-0", "echo", {"value": [1, 2]}),)
    assert (last.messages[2].request_id, last.messages[2].name) == ("call-0", "echo")
    assert last.system == "Be brief."


def test_the_result_says_how_many_turns_there_were_who_answered_and_what_it_took(opened: Opened) -> None:
    answers = [asks(("echo", {})), ModelReply("Done.", usage=Usage(20, 2, requests=1))]
    result = opened(FakeModel({"research.answer": answers})).compile(agent()).run()
    output = result.steps["research"].output
    assert (output["text"], output["turns"], output["model"]) == ("Done.", 2, "ollama:m")
    assert {name: output["usage"][name] for name in ("input", "output", "requests")} == {
        "input": 30,
        "output": 3,
        "requests": 2,
    }
    items = result.steps["research"].items
    assert items is not None
    assert items["count"] == 2


def test_tools_are_offered_with_their_signatures(opened: Opened) -> None:
    model = FakeModel("Nothing to do.")
    opened(model).compile(agent(tools=["echo", "report", "json", "text.replace"])).run()
    offers = {offer.name: offer for offer in model.requests[0].request.tools}
    assert list(offers) == ["echo", "report", "json_query", "json_merge", "json_validate", "text_replace"]
    report = offers["report"]
    assert report.description == "Report progress, then wait for the gate without holding the loop."
    assert report.parameters == {
        "type": "object",
        "properties": {"fraction": {"type": "number"}, "message": {"type": "string"}},
        "required": ["fraction", "message"],
        "additionalProperties": False,
    }


def test_the_calls_of_a_turn_are_made_side_by_side(opened: Opened, bench: Bench) -> None:
    calls = (("gate", {"value": 1}), ("gate", {"value": 2}))
    model = FakeModel({"research.answer": [asks(*calls), "Done."]})
    run = opened(model).compile(agent(tools=["gate"])).start()
    bench.wait_for("research[0].gate", "research[0].gate_2")
    expected = {"research", "research[0].gate", "research[0].gate_2"}
    for _ in run.events():  # a busy machine shows what is recorded, which is a little behind
        if {step.path for step in run.status().active} == expected:
            break
    bench.open("research[0].gate", "research[0].gate_2")
    run.result()
    assert told(model) == ["1", "2"]


def test_the_calls_of_a_turn_are_made_one_after_another_where_the_step_says_so(opened: Opened, bench: Bench) -> None:
    model = FakeModel({"research.answer": [asks(*[("echo", {"value": n}) for n in range(5)]), "Done."]})
    opened(model).compile(agent(parallel=False)).run()
    assert bench.most_running == 1
    assert bench.calls == ["research[0].echo", *(f"research[0].echo_{number}" for number in range(2, 6))]


def test_what_goes_wrong_with_a_tool_is_told_to_the_model(opened: Opened) -> None:
    calls = (
        ("fail", {"message": "no such city"}),
        ("fail", {"mesage": "a typing mistake"}),
        ("shell", {"command": "ls"}),
        ("filesystem_read", {"path": "/etc/passwd"}),
        ("echo", {"value": "well"}),
    )
    model = FakeModel({"research.answer": [asks(*calls), "I could not."]})
    result = opened(model).compile(agent(tools=["fail", "echo", "filesystem.read"])).run()
    failed, mistaken, unknown, refused, well = told(model)
    assert failed == "error: no such city"
    assert mistaken == "error: unknown parameter `mesage` of `fail`"
    assert unknown == "error: unknown tool; the available tools are: fail, echo, filesystem_read"
    assert refused.startswith("error: `/etc/passwd`") or "passwd" in refused
    assert well == "well"
    assert result.outputs == {"found": "I could not."}
    assert result.steps["research[0].filesystem_read"].error["code"] == "ORC703"
    assert result.steps["research[0].fail_2"].error["code"] == "ORC708"


def test_a_failed_call_is_made_again_as_the_step_says(opened: Opened, bench: Bench) -> None:
    bench.failures["research[0].flaky"] = 1
    model = FakeModel({"research.answer": [asks(("flaky", {"value": "at last"})), ModelUnavailable("busy"), "Done."]})
    result = opened(model).compile(agent(tools=["flaky"], retry={"max_attempts": 2, "delay": 0})).run()
    assert told(model) == ["at last"]
    assert [result.steps[path].attempts for path in ("research[0].flaky", "research[1].answer")] == [2, 2]


def test_of_a_long_result_the_model_is_told_the_beginning(opened: Opened) -> None:
    long = "x" * 20_001
    model = FakeModel({"research.answer": [asks(("echo", {"value": long})), "Done."]})
    result = opened(model).compile(agent()).run()
    (said,) = told(model)
    note = "[truncated: the first 20,000 of 20,001 characters; the step's record has the full text]"
    assert said == f"{'x' * 20_000}\n{note}"
    assert result.steps["research[0].echo"].output == long


def test_how_much_of_a_result_the_model_is_told_is_a_setting(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text("[run]\nmax_told = 5\n")
    model = FakeModel({"research.answer": [asks(("echo", {"value": "x" * 9})), "Done."]})
    opened(model).compile(agent()).run()
    assert told(model) == ["xxxxx\n[truncated: the first 5 of 9 characters; the step's record has the full text]"]


def test_what_a_model_writes_is_never_an_expression(opened: Opened) -> None:
    text = "{{ inputs }} {% if true %}yes{% endif %}"
    model = FakeModel({"research.answer": [asks(("echo", {"value": text}), text=text), text]})
    result = opened(model).compile(agent()).run()
    assert told(model) == [text]
    assert result.outputs == {"found": text}


def test_an_answer_of_a_certain_form_is_held_to_it_and_its_fields_can_be_read(opened: Opened) -> None:
    wrong, right = ({"name": "Rance", "height": "tall"}, {"name": "Rance", "height": 13.5})
    model = FakeModel({"research.answer": [asks(("echo", {})), wrong, right]})
    step = {"id": "research", "action": "agent"}
    step["parameters"] = {
        "prompt": "Which dam?",
        "model": "ollama:m",
        "tools": ["echo"],
        "schema": {"name": "string", "height": "number"},
    }
    outputs = {"name": "{{ research.name }}", "turns": "{{ research.turns }}", "all": "{{ research }}"}
    result = opened(model).compile(pipeline(step, outputs=outputs)).run()
    assert result.outputs == {"name": "Rance", "turns": 2, "all": right}
    report = opened(model).check(pipeline(step, outputs={"x": "{{ research.heigth }}"}))
    assert [found.code for found in report.diagnostics] == ["ORC303"]


def test_an_agent_that_comes_to_no_end_fails_and_goes_on_with_more_turns(opened: Opened, bench: Bench) -> None:
    forever = FakeModel({"research.answer": lambda asked: asks(("echo", {"value": len(asked.request.messages)}))})
    client = opened(forever)
    run = client.compile(agent(max_turns=2)).start()
    with pytest.raises(orc.RunFailed) as caught:
        run.result()
    error = caught.value.result.steps["research"].error
    assert (error["code"], error["type"]) == ("ORC732", "AgentUnfinished")
    assert error["message"] == "`research` made 2 turns, and its model still requests tools"
    assert len(forever.requests) == 2

    better = FakeModel({"research.answer": ["Enough."]})
    result = opened(better).resume(run.id, pipeline=agent(max_turns=3)).result()
    assert result.outputs == {"found": "Enough."}
    assert bench.calls == ["research[0].echo", "research[1].echo"]
    assert told(better) == ["1", "3"]


def test_an_agent_keeps_to_its_budget_and_goes_on_with_a_larger_one(opened: Opened, bench: Bench) -> None:
    client = opened(FakeModel({"research.answer": [asks(("echo", {"value": 1}))]}))
    run = client.compile(agent(budget={"requests": 1})).start()
    with pytest.raises(orc.RunFailed) as caught:
        run.result()
    assert caught.value.result.steps["research"].error["code"] == "ORC727"
    client.close()
    model = FakeModel({"research.answer": ["It is 1."]})
    result = opened(model).resume(run.id, pipeline=agent(budget={"requests": 2})).result()
    assert result.outputs == {"found": "It is 1."}
    assert (told(model), bench.calls) == (["1"], ["research[0].echo"])


class Silent(FakeModel):
    """A model that does not answer any more once it was told something."""

    def __init__(self, answers: Any) -> None:
        super().__init__(answers)
        self.silent = threading.Event()

    async def ask(self, name: Any, request: Any, *, on_text: Any = None) -> ModelReply:
        if len(request.messages) > 1:
            self.silent.set()
            await asyncio.Event().wait()
        return await super().ask(name, request, on_text=on_text)


def test_a_process_that_dies_while_the_model_answers_asks_only_that_again(opened: Opened, bench: Bench) -> None:
    silent = Silent({"research.answer": [asks(("echo", {"value": 1}))]})
    client = opened(silent)
    run = client.compile(agent()).start()
    assert silent.silent.wait(PATIENCE)
    crash(client, run)
    client.close()
    model = FakeModel({"research.answer": ["It is 1."]})
    assert opened(model).resume(run.id).result().outputs == {"found": "It is 1."}
    assert told(model) == ["1"]
    assert (len(model.requests), bench.calls) == (1, ["research[0].echo"])


def said(model: FakeModel, number: int = -1) -> list[tuple[str, str]]:
    """What was said before one of the requests, after the prompt."""
    return [(each.role, str(each.content)) for each in model.requests[number].request.messages[1:]]


def test_an_answer_that_fails_the_check_is_told_why_and_the_agent_goes_on_with_its_tools(
    opened: Opened, bench: Bench
) -> None:
    answers = ["It is 1.", asks(("echo", {"value": 2})), "It is 2, I looked."]
    model = FakeModel({"research.answer": answers})
    result = opened(model).compile(agent(check="'looked' in output")).run()
    assert result.outputs == {"found": "It is 2, I looked."}
    why = "`'looked' in output` is false"
    assert said(model) == [
        ("assistant", "It is 1."),
        ("user", f"That answer cannot be used: {why}. Fix this, and give the whole answer again."),
        ("assistant", ""),
        ("tool", "2"),
    ]
    assert (result.steps["research"].output["turns"], bench.calls) == (3, ["research[1].echo"])
    assert result.steps["research"].warnings == (f"answer 1 of 2 did not pass: {why}",)


def test_requests_for_tools_are_no_answers_and_are_not_checked(opened: Opened) -> None:
    answers = [*(asks(("echo", {"value": n}), text="bad") for n in range(3)), "good"]
    check = {"that": "output == 'good'", "max_attempts": 1}
    result = opened(FakeModel({"research.answer": answers})).compile(agent(check=check)).run()
    assert (result.outputs, result.steps["research"].warnings) == ({"found": "good"}, ())


@pytest.mark.parametrize("most", [1, 3])
def test_after_so_many_answers_that_fail_the_agent_does_and_its_retries_are_not_for_that(
    opened: Opened, most: int
) -> None:
    model = FakeModel({"research.answer": ["bad"] * most}, otherwise="fail")
    check = {"that": "output == 'good'", "max_attempts": most}
    client = opened(model)
    run = client.compile(agent(check=check, retry=3)).start()
    assert run.wait(timeout=PATIENCE).state == "failed"
    error = run.snapshot().steps["research"].error
    assert (error["code"], error["type"], len(model.requests)) == ("ORC729", "CheckFailed", most)
    whole = "the answer of `ollama:m` did not pass its check" if most == 1 else f"none of {most} answers of `ollama:m`"
    assert whole in error["message"]

    model = FakeModel({"research.answer": ["good"]}, otherwise="fail")
    more = agent(check={**check, "max_attempts": most + 1}, retry=3)
    client = opened(model)
    assert client.changes(run.id, more).steps[0].reason == f"it had failed; {most} finished items are kept"
    assert client.resume(run.id).wait(timeout=PATIENCE).state == "failed"
    assert model.requests == []
    assert client.resume(run.id, pipeline=more).result().outputs == {"found": "good"}
    assert [role for role, _ in said(model)] == ["assistant", "user"] * most


def test_a_policy_for_failures_is_for_the_check_of_an_agent_too(opened: Opened) -> None:
    document = agent(check="output == 'good'", on_failure={"value": "nothing"})
    assert opened(FakeModel("bad")).compile(document).run().outputs == {"found": "nothing"}


def test_an_answer_that_fails_is_a_turn_and_counts_as_one(opened: Opened) -> None:
    document = agent(check={"that": "output == 'good'", "max_attempts": 5}, max_turns=2)
    error = ended(opened(FakeModel("bad")).compile(document)).steps["research"].error
    assert error["code"] == "ORC732"
    assert error["message"] == (
        "`research` made 2 turns, and its last answer did not pass its check: `output == 'good'` is false"
    )


def test_an_answer_of_a_certain_form_is_checked_as_data_and_told_as_json(opened: Opened) -> None:
    model = FakeModel({"research.answer": [{"height": -1}, {"height": 13}]})
    document = agent(schema={"height": "integer"}, check={"schema": {"properties": {"height": {"minimum": 0}}}})
    assert opened(model).compile(document).run().outputs == {"found": {"height": 13}}
    (_, answer), (_, reason) = said(model)
    assert json.loads(answer) == {"height": -1}
    assert "`height` must be at least 0, not -1" in reason


def verdict(score: float, reason: str) -> str:
    return json.dumps({"reason": reason, "score": score, "suggestions": []})


JUDGED = {"judge": {"rubric": "Is it exact?", "model": "ollama:judge"}}


def test_an_agent_is_judged_by_its_prompt_and_a_judge_who_is_busy_is_asked_again(opened: Opened) -> None:
    script = {
        "research.answer": ["About 13 m.", "13.5 m."],
        "research:judge": [ModelUnavailable("busy"), verdict(0.1, "It is vague."), verdict(1.0, "It is exact.")],
    }
    model = FakeModel(script, otherwise="fail")
    retry = {"max_attempts": 2, "delay": 0}
    result = opened(model).compile(agent(check=JUDGED, retry=retry)).run()
    assert result.outputs == {"found": "13.5 m."}
    assert "Find out." in str(model.requests[1].request.messages[0].content)
    assert "It is vague." in said(model, 3)[-1][1]
    assert (result.steps["research"].attempts, len(result.steps["research"].warnings)) == (1, 1)


def test_a_judge_who_cannot_be_asked_fails_the_agent_and_is_asked_when_it_is_resumed(opened: Opened) -> None:
    busy = {"research.answer": ["13 m."], "research:judge": [ModelUnavailable("busy")]}
    client = opened(FakeModel(busy, otherwise="fail"))
    run = client.compile(agent(check=JUDGED, retry=1)).start()
    assert run.wait(timeout=PATIENCE).state == "failed"
    assert run.snapshot().steps["research"].error["code"] == "ORC723"
    model = FakeModel({"research:judge": [verdict(1.0, "It is exact.")]}, otherwise="fail")
    assert opened(model).resume(run.id).result().outputs == {"found": "13 m."}
    assert len(model.requests) == 1


def test_an_agent_that_is_judged_is_stopped_with_the_run(opened: Opened) -> None:
    class Pondering(FakeModel):
        async def ask(self, name: Any, request: Any, *, on_text: Any = None) -> ModelReply:
            if name.model == "judge":
                asked.set()
                await asyncio.Event().wait()
            return await super().ask(name, request, on_text=on_text)

    asked = threading.Event()
    run = opened(Pondering("13 m.")).compile(agent(check=JUDGED)).start()
    assert asked.wait(PATIENCE)
    run.cancel()
    assert run.wait(timeout=PATIENCE).state == "cancelled"
    assert run.snapshot().steps["research"].state == "cancelled"


def test_what_was_refused_is_not_judged_again_after_a_crash_and_is_told_in_the_same_words(
    opened: Opened, bench: Bench
) -> None:
    script: dict[str, Any] = {
        "research.answer": ["bad", asks(("gate", {"value": 1})), "good"],
        "research:judge": [verdict(0.2, "It says nothing."), verdict(0.9, "It is exact.")],
    }
    first = FakeModel(script, otherwise="fail")
    client = opened(first)
    document = agent(tools=["gate"], check=JUDGED)
    run = client.compile(document).start()
    bench.wait_for("research[1].gate")
    crash(client, run)
    client.close()
    bench.open("research[1].gate")
    rest = {"research.answer": ["good"], "research:judge": [script["research:judge"][1]]}
    second = FakeModel(rest, otherwise="fail")
    assert opened(second).resume(run.id).result().outputs == {"found": "good"}
    assert (len(first.requests), len(second.requests)) == (3, 2)

    whole = FakeModel(script, otherwise="fail")
    opened(whole).compile(document).run()
    assert second.requests[0].request == whole.requests[3].request


TURNS = st.lists(st.lists(st.sampled_from(["echo", "fail", "unknown"]), min_size=1, max_size=3), min_size=1, max_size=4)


@given(turns=TURNS, at=st.tuples(st.integers(0, 3), st.integers(0, 2)))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_wherever_a_process_dies_the_model_is_told_the_same_and_each_call_is_made_once(
    turns: list[list[str]], at: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    turn, place = at[0] % len(turns), at[1] % (len(turns[at[0] % len(turns)]) + 1)

    def script(held: bool) -> dict[str, Any]:
        names = [list(one) for one in turns]
        if held:
            names[turn].insert(place, "gate")
        calls = [[(name, {"value": f"{n}.{m}"}) for m, name in enumerate(one)] for n, one in enumerate(names)]
        return {"research.answer": [*(asks(*each) for each in calls), "Done."]}

    bench = Bench()
    directory = tmp_path_factory.mktemp("agent")
    first = FakeModel(script(held=True), otherwise="fail")
    document = agent(tools=["echo", "fail", "gate"], parallel=False)
    with orc.Orchestrator(directory=directory, tools=bench.tools(), models=first) as client:
        run = client.compile(document).start()
        path = f"research[{turn}].gate"
        bench.wait_for(path)
        crash(client, run)
    rest = script(held=True)["research.answer"][turn + 1 :]
    second = FakeModel({"research.answer": rest}, otherwise="fail")
    bench.open(path)
    with orc.Orchestrator(directory=directory, tools=bench.tools(), models=second) as client:
        result = client.resume(run.id).result()
    assert result.outputs == {"found": "Done."}
    assert len(first.requests) + len(second.requests) == len(turns) + 1
    assert sorted(bench.calls) == sorted([*{*bench.calls}, path])  # only what was under way was called again

    whole = FakeModel(script(held=True), otherwise="fail")
    undisturbed = Bench()
    undisturbed.open(path)
    with orc.Orchestrator(directory=directory, tools=undisturbed.tools(), models=whole) as client:
        client.compile(document).run()
    assert second.requests[-1].request == whole.requests[-1].request


def test_what_must_not_run_twice_is_told_to_the_model_instead(opened: Opened, bench: Bench) -> None:
    client = opened(FakeModel({"research.answer": [asks(("hang", {}))]}))
    run = client.compile(agent(tools=["hang"], on_resume="fail")).start()
    bench.wait_for("research[0].hang")
    crash(client, run)
    client.close()
    model = FakeModel({"research.answer": ["I do not know whether it was done."]})
    assert opened(model).resume(run.id).result().outputs == {"found": "I do not know whether it was done."}
    assert "was running when its process died" in told(model)[0]
    assert bench.calls == ["research[0].hang"]


def test_a_call_or_an_answer_can_be_done_again_and_what_came_after_it_is(opened: Opened, bench: Bench) -> None:
    answers = [asks(("echo", {"value": 1})), asks(("echo", {"value": 2})), "Done."]
    client = opened(FakeModel({"research.answer": answers}))
    run = client.compile(agent()).start()
    run.result()
    client.close()

    model = FakeModel({"research.answer": ["Done at once."]})
    client = opened(model)
    assert client.retry(run.id, "research[0].echo").result().outputs == {"found": "Done at once."}
    assert bench.calls == ["research[0].echo", "research[1].echo", "research[0].echo"]
    client.close()

    model = FakeModel({"research.answer": ["No tool is needed."]})
    assert opened(model).retry(run.id, "research[0].answer").result().outputs == {"found": "No tool is needed."}
    assert len(model.requests[0].request.messages) == 1


def test_an_agent_stands_in_loops_and_is_one_itself_for_each_item(opened: Opened) -> None:
    model = FakeModel(lambda asked: asked.prompt.upper())
    step = {
        "id": "each",
        "for_each": ["a", "b"],
        "action": "agent",
        "parameters": {"prompt": "{{ item }}", "model": "ollama:m", "tools": ["echo"]},
    }
    result = opened(model).compile(pipeline(step, outputs={"all": "{{ each }}"})).run()
    assert result.outputs == {"all": ["A", "B"]}
    assert "each[1].each[0].answer" in states(result)


def test_a_timeout_or_a_cancel_ends_the_agent_with_all_that_is_under_way(opened: Opened, bench: Bench) -> None:
    model = FakeModel(lambda asked: asks(("hang", {})))
    client = opened(model)
    result = ended(client.compile(agent(tools=["hang"], timeout=0.2)))
    assert result.steps["research"].error["code"] == "ORC702"
    assert result.steps["research[0].hang"].state == "cancelled"
    bench.entered.clear()
    run = client.compile(agent(tools=["hang"])).start()
    bench.wait_for("research[0].hang")
    run.cancel()
    assert run.wait(timeout=PATIENCE).state == "cancelled"
    assert run.status().active == ()


def test_secrets_are_not_recorded_and_the_model_still_knows_them_after_a_crash(opened: Opened, bench: Bench) -> None:
    document = agent(prompt="The key is {{ key }}.", tools=["echo", "gate"])
    document["inputs"] = {"key": {"type": "string", "secret": True}}
    said = [asks(("echo", {"value": "sesame-42"}), text="I use sesame-42."), asks(("gate", {"value": "sesame-42"}))]
    client = opened(FakeModel({"research.answer": said}))
    run = client.compile(document).start(key="sesame-42")
    bench.wait_for("research[1].gate")
    crash(client, run)
    assert "sesame-42" not in json.dumps([event.to_dict() for event in run.events()])
    client.close()
    model = FakeModel({"research.answer": ["Done."]})
    bench.open("research[1].gate")
    opened(model).resume(run.id, inputs={"key": "sesame-42"}).result()
    messages = model.requests[0].request.messages
    assert [said.content for said in messages[:3]] == ["The key is sesame-42.", "I use sesame-42.", "sesame-42"]
    assert messages[1].requests[0].arguments == {"value": "sesame-42"}
    assert messages[-1].content == "sesame-42"


def test_the_turns_and_calls_of_an_agent_can_be_shared_across_runs(opened: Opened, bench: Bench) -> None:
    model = FakeModel({"research.answer": [asks(("echo", {"value": 1})), "Done."]}, otherwise="fail")
    client = opened(model)
    document = agent(cache=True)
    assert client.compile(document).run().outputs == client.compile(document).run().outputs
    assert bench.calls == ["research[0].echo"]
    assert len(model.requests) == 2


SERVER = Path(__file__).parents[1] / "tools" / "mcp_server.py"


def serve(directory: Path) -> None:
    """Name a server of tools in the settings of the project."""
    command = f'["{sys.executable}", "{SERVER}"]'
    (directory / "orchestrator.toml").write_text(f"[mcp.tests]\ncommand = {command}\n")


def test_an_agent_uses_the_tools_of_a_server_and_lists_them_once(opened: Opened, bench: Bench, tmp_path: Path) -> None:
    serve(tmp_path)
    calls = (("tests_add", {"a": 20, "b": 22}), ("tests_add", {"a": "x"}))
    client = opened(FakeModel({"research.answer": [asks(*calls), asks(("gate", {}))]}))
    run = client.compile(agent(tools=["mcp:tests", "gate"])).start()
    bench.wait_for("research[1].gate")
    crash(client, run)
    client.close()
    bench.open("research[1].gate")
    model = FakeModel({"research.answer": ["42"]})
    result = opened(model).resume(run.id).result()
    assert result.outputs == {"found": "42"}
    good, bad, _ = told(model)
    assert good == "42"
    assert bad.startswith("error: `add` of `tests` failed")
    assert result.steps["research[0].tests_add_2"].error["code"] == "ORC731"
    assert [event.type for event in result.log if event.path == "research.mcp_tests"] == [
        "step.started",
        "step.succeeded",
    ]
    offered = [offer.name for offer in model.requests[0].request.tools]
    assert offered[:3] == ["gate", "tests_add", "tests_whoami"]


def test_an_agent_is_given_one_tool_of_a_server_if_it_has_it(opened: Opened, tmp_path: Path) -> None:
    serve(tmp_path)
    model = FakeModel("Nothing to do.")
    opened(model).compile(agent(tools=["mcp:tests.add"])).run()
    assert [offer.name for offer in model.requests[0].request.tools] == ["tests_add"]
    result = ended(opened(model).compile(agent(tools=["mcp:tests.sum"])))
    assert result.steps["research"].error["message"] == "the server `tests` offers no tool `sum`"


def test_a_step_calls_a_server_and_all_runs_share_it_until_the_end(opened: Opened, tmp_path: Path) -> None:
    serve(tmp_path)
    step = {"id": "who", "tool": "mcp", "action": "call", "parameters": {"server": "tests", "tool": "whoami"}}
    client = opened(FakeModel("unasked"))
    compiled = client.compile(pipeline(step, outputs={"pid": "{{ who.data.pid }}"}))
    pids = {compiled.run().outputs["pid"] for _ in range(2)}
    assert len(pids) == 1
    client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pids.pop(), 0)


def test_a_cancelled_step_cancels_the_call_on_its_server(opened: Opened, tmp_path: Path) -> None:
    serve(tmp_path)
    parameters = {"server": "tests", "tool": "hang", "arguments": {"directory": str(tmp_path)}}
    step = {"id": "wait", "tool": "mcp", "action": "call", "parameters": parameters}
    run = opened(FakeModel("unasked")).compile(pipeline(step)).start()
    wait_for(tmp_path / "begun")
    run.cancel()
    assert run.wait(timeout=PATIENCE).state == "cancelled"
    wait_for(tmp_path / "cancelled")


def wait_for(path: Path) -> None:
    """Return when another process has made a file."""
    end = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_requests_that_cannot_be_read_are_told_to_the_model_and_the_run_continues(opened: Opened, bench: Bench) -> None:
    problem = 'the arguments are not JSON: {"value": '
    bad = ModelReply("", requests=(ToolRequest("call-0", "echo", {}, problem),), finish="tools")
    unfit = asks(("text_replace", {"text": 1}), ("text_replace", {"txet": "a"}), ("", {}), ("echo", {"value": 7}))
    model = FakeModel({"research.answer": [bad, bad, bad, unfit, "Done."]})
    result = opened(model).compile(agent(tools=["echo", "text.replace"])).run()
    assert result.outputs == {"found": "Done."}
    assert bench.calls == ["research[3].echo"]
    first, *_ = told(model, 1)
    assert first == f"error: {problem}. Call the tool again with its arguments as one JSON object."
    said = told(model)
    assert len(said) == 7
    assert all(each.startswith("error: ") for each in said[:6])
    assert "`text` of `replace` must be a string" in said[3]
    assert said[6] == "7"
    turn = result.steps["research[0].answer"].output
    assert turn["requests"] == [{"id": "call-0", "name": "echo", "arguments": {}, "problem": problem}]
