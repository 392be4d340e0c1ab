"""What an agent may call: pipelines, calls that a person approves, and limits for each tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.models.clients.fake import FakeModel
from orchestrator.models.messages import ModelReply, ToolRequest, Usage
from tests.runtime.support import Bench, crash, pipeline, states

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Opened = Callable[..., orc.Orchestrator]

REFUND = """
description: Refund an order.
inputs:
  order: {type: string, required: true, description: The number of the order.}
  amount: {type: number, default: 1}
  token: {secret: true, default_from_env: REFUND_TOKEN, required: false}
steps:
  - {id: pay, tool: echo, parameters: {value: "{{ order }}: {{ amount }}"}}
outputs: {refunded: "{{ pay }}"}
"""


@pytest.fixture
def opened(bench: Bench, tmp_path: Path) -> Iterator[Opened]:
    """Open an orchestrator whose models answer as a script says; the store is the same for all of a test."""
    (tmp_path / "refund.yaml").write_text(REFUND, encoding="utf-8")
    clients: list[orc.Orchestrator] = []

    def open_(model: FakeModel) -> orc.Orchestrator:
        client = orc.Orchestrator(directory=tmp_path, tools=bench.tools(), models=model)
        clients.append(client)
        return client

    yield open_
    for client in clients:
        client.close()


def asks(*calls: tuple[str, dict[str, Any]]) -> ModelReply:
    """A reply that asks for tools."""
    requests = tuple(ToolRequest(f"call-{number}", name, given) for number, (name, given) in enumerate(calls))
    return ModelReply("", requests=requests, usage=Usage(10, 1, requests=1), finish="tools")


def agent(*tools: Any, more: dict[str, Any] | None = None, **given: Any) -> dict[str, Any]:
    """A pipeline whose one step is an agent with these tools."""
    step = {"id": "help", "action": "agent", "model": "ollama:m", "prompt": "Help.", "tools": [*tools], **given}
    return pipeline(step, outputs={"said": "{{ help }}"}, **(more or {}))


def told(model: FakeModel, number: int = -1) -> list[str]:
    """The results that the model was told in one of its requests."""
    return [str(said.content) for said in model.requests[number].request.messages if said.role == "tool"]


def model_of(*answers: Any) -> FakeModel:
    return FakeModel({"help.answer": [*answers]}, otherwise="fail")


# --- pipelines


def test_a_pipeline_is_a_tool_whose_parameters_are_its_inputs_and_whose_run_is_part_of_the_step(
    opened: Opened, bench: Bench
) -> None:
    model = model_of(asks(("refund", {"order": "A-1", "amount": 2.5})), "Done.")
    result = opened(model).compile(agent({"pipeline": "refund.yaml"})).run()
    (offer,) = model.requests[0].request.tools
    assert (offer.name, offer.description) == ("refund", "Refund an order.")
    assert offer.parameters == {
        "type": "object",
        "properties": {
            "order": {"type": "string", "description": "The number of the order."},
            "amount": {"type": ["number", "null"], "default": 1},
        },
        "required": ["order"],
        "additionalProperties": False,
    }
    assert told(model) == ['{"refunded": "A-1: 2.5"}']
    assert bench.calls == ["help[0].refund.pay"]
    assert states(result)["help[0].refund"] == "succeeded"
    assert result.outputs == {"said": "Done."}


def test_the_name_and_the_description_of_a_tool_can_be_given(opened: Opened) -> None:
    model = model_of("Done.")
    named = {"pipeline": "refund.yaml", "name": "give_back", "description": "Give money back."}
    tool = {"tool": "echo", "name": "say", "description": "Say it."}
    opened(model).compile(agent(named, tool)).run()
    offers = [(offer.name, offer.description) for offer in model.requests[0].request.tools]
    assert sorted(offers) == [("give_back", "Give money back."), ("say", "Say it.")]


def test_what_is_wrong_with_the_arguments_or_in_the_pipeline_is_told_to_the_model(
    opened: Opened, tmp_path: Path
) -> None:
    (tmp_path / "broken.yaml").write_text("steps: [{id: a, fail: Sold out}]\n", encoding="utf-8")
    model = model_of(asks(("refund", {"amount": 1}), ("refund", {"order": "A", "x": 1}), ("broken", {})), "No.")
    result = opened(model).compile(agent({"pipeline": "refund.yaml"}, {"pipeline": "broken.yaml"})).run()
    missing, unknown, broken = told(model)
    assert "`order`" in missing
    assert "`x`" in unknown
    assert "Sold out" in broken
    assert all(each.startswith("error: ") for each in (missing, unknown, broken))
    assert result.outputs == {"said": "No."}


def test_an_agent_is_a_tool_of_another_agent_as_a_pipeline(opened: Opened, tmp_path: Path) -> None:
    inner = (
        "inputs: {question: {type: string, required: true}}\n"
        "steps: [{id: find, prompt: '{{ question }}', model: 'ollama:m', tools: [echo]}]\n"
        "outputs: {found: '{{ find }}'}\n"
    )
    (tmp_path / "research.yaml").write_text(inner, encoding="utf-8")
    script = {
        "help[0].answer": [asks(("research", {"question": "How high?"}))],
        "help[0].research.find[0].answer": [asks(("echo", {"value": 13}))],
        "help[0].research.find[1].answer": ["13 m"],
        "help[1].answer": ["It is 13 m."],
    }
    model = FakeModel(script, otherwise="fail")
    assert opened(model).compile(agent({"pipeline": "research.yaml"})).run().outputs == {"said": "It is 13 m."}
    assert told(model) == ['{"found": "13 m"}']


def test_a_process_that_dies_in_a_pipeline_of_an_agent_goes_on_in_it(
    opened: Opened, bench: Bench, tmp_path: Path
) -> None:
    inner = (
        "steps: [{id: a, tool: echo, parameters: {value: 1}}, {id: b, tool: gate, parameters: {value: '{{ a }}'}}]\n"
        "outputs: {b: '{{ b }}'}\n"
    )
    (tmp_path / "slow.yaml").write_text(inner, encoding="utf-8")
    first = model_of(asks(("slow", {})))
    client = opened(first)
    run = client.compile(agent({"pipeline": "slow.yaml"})).start()
    bench.wait_for("help[0].slow.b")
    crash(client, run)
    client.close()
    bench.open("help[0].slow.b")
    second = model_of("Done.")
    assert opened(second).resume(run.id).result().outputs == {"said": "Done."}
    assert told(second) == ['{"b": 1}']
    assert bench.calls.count("help[0].slow.a") == 1
    assert (len(first.requests), len(second.requests)) == (1, 1)


# --- approvals


def waiting(run: orc.Run) -> dict[str, Any]:
    """The open questions of a run that waits, by the paths of their steps."""
    status = run.wait()
    assert status.state == "waiting"
    return {step.path: step.question for step in status.active if step.question}


APPROVED = {"tool": "echo", "approve": True}
ID = "help[0].echo_approval"


def test_a_group_undoes_what_a_pipeline_of_an_agent_has_done(opened: Opened, bench: Bench, tmp_path: Path) -> None:
    booking = """
steps: [{id: pay, tool: echo, parameters: {value: 1}, undo: {tool: echo, parameters: {value: "{{ output }}"}}}]
outputs: {paid: "{{ pay }}"}
"""
    (tmp_path / "booking.yaml").write_text(booking, encoding="utf-8")
    tools = [{"pipeline": "booking.yaml", "description": "Book a room."}]
    agent = {"id": "clerk", "prompt": "Book.", "model": "ollama:m", "tools": tools}
    fails = {"id": "late", "fail": "too late", "dependencies": ["clerk"]}
    group = {"id": "trip", "compensate": True, "steps": [agent, fails], "on_failure": "continue"}
    model = FakeModel({"trip.clerk": [asks(("booking", {})), "Booked."]})
    result = opened(model).compile(pipeline(group)).run()
    assert result.steps["trip"].state == "failed"
    assert bench.calls == ["trip.clerk[0].booking.pay", "trip.clerk[0].booking.pay.undo.revert"]


def test_a_person_sees_the_arguments_of_a_call_before_it_is_made(opened: Opened, bench: Bench) -> None:
    model = model_of(asks(("echo", {"value": 7})), "Done.")
    run = opened(model).compile(agent(APPROVED)).start()
    (question,) = waiting(run).values()
    assert (question["prompt"], question["content"], question["editable"]) == (
        "Let `help` call `echo`?",
        {"value": 7},
        True,
    )
    assert bench.calls == []
    run.answer(ID, True)
    result = run.result()
    assert (told(model), bench.calls) == (["7"], ["help[0].echo"])
    assert states(result)[ID] == "succeeded"


def test_a_person_edits_the_arguments_and_the_model_is_told(opened: Opened, bench: Bench) -> None:
    model = model_of(asks(("echo", {"value": 7})), "Done.")
    run = opened(model).compile(agent(APPROVED)).start()
    waiting(run)
    with pytest.raises(orc.InputError, match="must stay an object"):
        run.answer(ID, {"approved": True, "content": "seven"})
    run.answer(ID, {"approved": True, "content": {"value": 8}, "comment": "not seven"})
    run.result()
    assert told(model) == ['note: a person changed the arguments to {"value": 8}: not seven\n8']


def test_a_person_refuses_a_call_and_the_model_is_told_why(opened: Opened, bench: Bench) -> None:
    model = model_of(asks(("echo", {"value": 7})), "I may not.")
    run = opened(model).compile(agent(APPROVED)).start()
    waiting(run)
    run.answer(ID, {"approved": False, "comment": "too expensive"})
    assert run.result().outputs == {"said": "I may not."}
    assert (told(model), bench.calls) == (["error: a person did not approve this call: too expensive"], [])


def test_only_calls_for_which_the_condition_is_true_are_asked_about(opened: Opened, bench: Bench) -> None:
    tool = {"tool": "echo", "approve": "arguments.value > limit"}
    calls = [("echo", {"value": 5}), ("echo", {"value": 11}), ("echo", {})]
    run = opened(model_of(asks(*calls), "Done.")).compile(agent(tool, more={"variables": {"limit": 10}})).start()
    assert set(waiting(run)) == {"help[0].echo_2_approval", "help[0].echo_3_approval"}  # in doubt a person is asked
    assert bench.calls == []
    run.answer("help[0].echo_3_approval", False)
    run.answer("help[0].echo_2_approval", True)
    run.result()
    assert sorted(bench.calls) == ["help[0].echo", "help[0].echo_2"]


def test_a_call_that_waits_for_approval_outlives_its_process_and_nothing_is_paid_twice(
    opened: Opened, bench: Bench
) -> None:
    first = model_of(asks(("refund", {"order": "A-1"})))
    client = opened(first)
    run = client.compile(agent({"pipeline": "refund.yaml", "approve": True})).start()
    waiting(run)
    client.close()
    second = model_of("Done.")
    client = opened(second)
    client.get_run(run.id).answer("help[0].refund_approval", {"approved": True, "content": {"order": "B-2"}})
    assert client.resume(run.id).result().outputs == {"said": "Done."}
    assert bench.calls == ["help[0].refund.pay"]
    assert told(second) == ['note: a person changed the arguments to {"order": "B-2"}\n{"refunded": "B-2: 1"}']
    assert (len(first.requests), len(second.requests)) == (1, 1)


def test_a_retry_of_an_approval_asks_again_and_makes_the_call_again(opened: Opened, bench: Bench) -> None:
    model = model_of(asks(("echo", {"value": 7})), "Done.", "Done again.")
    client = opened(model)
    run = client.compile(agent(APPROVED)).start()
    waiting(run)
    run.answer(ID, True)
    run.result()
    again = client.retry(run.id, ID)
    waiting(again)
    again.answer(ID, True)
    assert again.result().outputs == {"said": "Done again."}
    assert bench.calls == ["help[0].echo", "help[0].echo"]
    assert len(model.requests) == 3


def test_a_run_that_is_cancelled_withdraws_the_question(opened: Opened) -> None:
    run = opened(model_of(asks(("echo", {"value": 7})))).compile(agent(APPROVED)).start()
    waiting(run)
    run.cancel()
    assert run.wait().state == "cancelled"


# --- limits


def test_further_requests_than_a_tool_allows_are_refused_over_all_turns(opened: Opened, bench: Bench) -> None:
    model = model_of(asks(("echo", {"value": 1}), ("echo", {"value": 2})), asks(("echo", {"value": 3})), "Done.")
    opened(model).compile(agent({"tool": "echo", "max_calls": 1})).run()
    limit = "error: the limit of 1 call of this tool is reached. Do without it."
    assert told(model) == ["1", limit, limit]
    assert bench.calls == ["help[0].echo"]


def test_a_tool_has_a_time_limit_of_its_own(opened: Opened) -> None:
    model = model_of(asks(("hang", {}), ("echo", {"value": 1})), "Done.")
    result = opened(model).compile(agent({"tool": "hang", "timeout": "50ms"}, "echo")).run()
    late, fine = told(model)
    assert late.startswith("error: ")
    assert result.steps["help[0].hang"].error["code"] == "ORC702"
    assert fine == "1"


# --- what is checked before


@pytest.mark.parametrize(
    ("tool", "code", "said"),
    [
        ({"tool": "echo", "aprove": True}, "ORC427", "unknown key `aprove`"),
        ({"name": "x"}, "ORC427", "either a `tool` or a `pipeline`"),
        ({"tool": "echo", "pipeline": "refund.yaml"}, "ORC427", "either a `tool` or a `pipeline`"),
        ({"tool": "ecko"}, "ORC427", "unknown tool"),
        ({"tool": "echo", "max_calls": 0}, "ORC427", "`max_calls`"),
        ({"tool": "echo", "timeout": "soon"}, "ORC427", "`timeout`"),
        ({"tool": "echo", "approve": 3}, "ORC427", "`approve`"),
        ({"tool": "echo", "approve": "arguments.value >"}, "ORC310", "expression ends"),
        ({"tool": "echo", "approve": "amount > 3"}, "ORC301", "`amount`"),
        ({"tool": "json", "name": "x"}, "ORC427", "do not apply"),
        ({"pipeline": "{{ file }}"}, "ORC427", "the path of a file"),
        ({"pipeline": "refnd.yaml"}, "ORC410", "not found"),
        ({"pipeline": "secret.yaml"}, "ORC427", "its secret `key`"),
    ],
)
def test_what_an_agent_may_call_is_checked_before_it_runs(
    opened: Opened, tmp_path: Path, tool: dict[str, Any], code: str, said: str
) -> None:
    (tmp_path / "secret.yaml").write_text(
        "inputs: {key: {secret: true, required: true}}\n"
        "steps: [{id: a, tool: echo, parameters: {value: '{{ key }}'}}]\n",
        encoding="utf-8",
    )
    found = [one for one in opened(model_of()).check(agent(tool)).diagnostics if one.severity == "error"]
    assert [one.code for one in found] == [code]
    assert said in found[0].message


def test_a_pipeline_that_an_agent_calls_cannot_be_the_one_that_it_is_in(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "steps: [{id: a, prompt: x, model: 'ollama:m', tools: [{pipeline: own.yaml}]}]\n", encoding="utf-8"
    )
    assert [one.code for one in opened(model_of()).check(tmp_path / "own.yaml").diagnostics] == ["ORC411"]


# --- hand-overs


def roles(**more: Any) -> dict[str, Any]:
    refunds = {"description": "Refunds.", "system": "You refund.", "tools": [{"pipeline": "refund.yaml"}], **more}
    return {"refunds": refunds, "technical": {"description": "Crashes.", "model": "ollama:t"}}


def test_an_agent_hands_over_with_the_conversation_to_one_with_its_own_tools_and_prompt(
    opened: Opened, bench: Bench
) -> None:
    answers = (
        asks(("echo", {"value": 1})),
        asks(("hand_over_to_refunds", {"reason": "money"})),
        asks(("refund", {"order": "A-1"}), ("echo", {"value": 2})),
        asks(("hand_over_to_technical", {})),
        "Solved.",
    )
    model = model_of(*answers)
    result = opened(model).compile(agent("echo", system="You sort.", hand_over=roles())).run()
    asked = [each.request for each in model.requests]
    assert [[offer.name for offer in each.tools] for each in asked] == [
        ["echo", "hand_over_to_refunds", "hand_over_to_technical"],
        ["echo", "hand_over_to_refunds", "hand_over_to_technical"],
        ["refund", "hand_over_to_technical"],
        ["refund", "hand_over_to_technical"],
        ["hand_over_to_refunds"],
    ]
    assert [each.system for each in asked] == ["You sort.", "You sort.", "You refund.", "You refund.", "You sort."]
    assert [each.model for each in model.requests] == ["ollama:m"] * 4 + ["ollama:t"]
    unknown = "error: unknown tool; the available tools are: refund, hand_over_to_technical"
    assert told(model) == [
        "1",
        "You are now the agent `refunds`. Continue the conversation.",
        '{"refunded": "A-1: 1"}',
        unknown,
        "You are now the agent `technical`. Continue the conversation.",
    ]
    assert bench.calls == ["help[0].echo", "help[2].refund.pay"]
    assert result.outputs == {"said": "Solved."}


def test_a_run_that_is_resumed_goes_on_with_the_agent_that_had_the_conversation(opened: Opened, bench: Bench) -> None:
    first = model_of(asks(("hand_over_to_refunds", {})), asks(("gate", {"value": 1})))
    document = agent(hand_over=roles(tools=["gate"]))
    client = opened(first)
    run = client.compile(document).start()
    bench.wait_for("help[1].gate")
    crash(client, run)
    client.close()
    bench.open("help[1].gate")
    second = model_of("Done.")
    assert opened(second).resume(run.id).result().outputs == {"said": "Done."}
    assert second.requests[0].request.system == "You refund."
    assert (len(first.requests), len(second.requests)) == (2, 1)


def test_only_one_hand_over_of_a_turn_counts(opened: Opened) -> None:
    model = model_of(asks(("hand_over_to_refunds", {}), ("hand_over_to_technical", {})), "Done.")
    opened(model).compile(agent(hand_over=roles())).run()
    assert [text[:20] for text in told(model)] == ["You are now the agen", "error: the conversat"]
    assert model.requests[-1].request.system == "You refund."


@pytest.mark.parametrize(
    ("role", "code", "said"),
    [
        ({"system": "x"}, "ORC427", "has no description"),
        ({"description": "x", "sistem": "y"}, "ORC427", "unknown key `sistem`"),
        ({"description": "x", "tools": ["ecko"]}, "ORC427", "unknown tool"),
        ({"description": "x", "tools": "echo"}, "ORC427", "not a list"),
        ({"description": "x", "max_tokens": "many"}, "ORC405", "`max_tokens` of the agent `refunds`"),
        ({"description": "x", "system": "{{ topik }}"}, "ORC301", "topik"),
        ("x", "ORC427", "must be a mapping"),
    ],
)
def test_agents_to_hand_over_to_are_checked_before(opened: Opened, role: Any, code: str, said: str) -> None:
    document = agent("echo", hand_over={"refunds": role})
    found = [one for one in opened(model_of()).check(document).diagnostics if one.severity == "error"]
    assert [one.code for one in found] == [code]
    assert said in found[0].message
