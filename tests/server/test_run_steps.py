"""The steps of a run as a person looks at them: level by level, with what each was given, made of it, and said."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.models.clients.fake import FakeModel
from orchestrator.models.messages import ModelReply, ToolRequest, Usage
from tests.runtime.support import PATIENCE, Bench
from tests.server.support import Client, client_of, serving

TREE = """\
inputs:
  topic: {type: string, default: tides}
  pin: {type: string, secret: true, required: false}
variables:
  title: "About {{ topic }}"
steps:
  - {id: first, tool: echo, parameters: {value: {text: "{{ title }}", pin: "{{ pin }}"}}}
  - id: both
    parallel:
      - {id: left, tool: echo, parameters: {value: "{{ first.text }}!"}}
      - {id: right, tool: echo, parameters: {value: 2}}
  - id: each
    for_each: "{{ range(12) | list }}"
    as: n
    on_item_failure: continue
    max_parallel: 1
    steps:
      - {id: double, tool: echo, parameters: {value: "{{ n * 2 }}"}}
      - {id: check, tool: fail, condition: "{{ double == 14 }}", parameters: {message: "7 of {{ both.right }}"}}
  - {id: last, tool: echo, parameters: {value: "{{ each | length }}"}, dependencies: [both]}
outputs: {count: "{{ last }}"}
"""
CALLED = """\
inputs: {word: {type: string}, key: {type: string, secret: true, required: false}}
steps: [{id: shout, tool: echo, parameters: {value: "{{ word | upper }}"}}]
outputs: {loud: "{{ shout }}"}
"""
CALLS = """\
steps:
  - {id: word, tool: echo, parameters: {value: hello}}
  - {id: call, pipeline: called.yaml, inputs: {word: "{{ word }}", key: sesame-4711}}
  - id: pick
    switch: "{{ word }}"
    cases:
      hello: [{id: wave, tool: echo, parameters: {value: "{{ call.loud }}"}}]
      bye: [{id: leave, tool: echo, parameters: {value: 1}}]
  - id: grow
    while: "{{ iteration < 3 }}"
    initial: {total: 1}
    update: {total: "{{ total + add.value }}"}
    steps: [{id: add, tool: echo, parameters: {value: {value: "{{ total }}", before: "{{ previous.add.value }}"}}}]
"""


@pytest.fixture
def tree(project: Path, client: Client) -> str:
    """The address of a run with a group and a loop one of whose items failed."""
    (project / "tree.yaml").write_text(TREE)
    run = client.start("tree", wait=30, inputs={"pin": "sesame-4711"})["run"]
    assert run["state"] == "succeeded", run
    return f"/v1/runs/{run['run_id']}"


@pytest.fixture
def calls(project: Path, client: Client) -> str:
    """The address of a run that calls a pipeline, chooses a case and repeats a step."""
    (project / "called.yaml").write_text(CALLED)
    (project / "calls.yaml").write_text(CALLS)
    run = client.start("calls", wait=30)["run"]
    assert run["state"] == "succeeded", run
    return f"/v1/runs/{run['run_id']}"


def paths(level: dict[str, Any], key: str = "rows") -> list[str]:
    return [row["path"] for row in level[key]]


def test_a_level_has_the_steps_directly_inside_with_counts_of_what_is_inside_them(client: Client, tree: str):
    top = client.json("GET", f"{tree}/tree")
    assert paths(top) == ["first", "both", "each", "last"]
    _, both, each, last = top["rows"]
    assert (both["kind"], both["inside"], both["counts"]) == ("parallel", 2, {"succeeded": 2})
    assert (each["kind"], each["inside"], each["counts"]) == ("for_each", 12, {"failed": 1, "succeeded": 11})
    assert each["failed_items"] == ["each[7]"]
    assert sorted(last["depends_on"]) == ["both", "each"]
    assert paths(client.json("GET", f"{tree}/tree?within=both")) == ["both.left", "both.right"]


def test_items_of_a_loop_are_read_by_page_and_the_failed_ones_come_first(client: Client, tree: str):
    page = client.json("GET", f"{tree}/tree?within=each&limit=5")
    assert paths(page) == [f"each[{number}]" for number in range(5)]
    assert (paths(page, "notable"), page["total"], page["is_loop"]) == (["each[7]"], 12, True)
    rest = client.json("GET", f"{tree}/tree?within=each&first=10&limit=5")
    assert (paths(rest), rest["notable"]) == (["each[10]", "each[11]"], [])
    item = client.json("GET", f"{tree}/tree?within=each[7]")
    assert [(row["id"], row["state"]) for row in item["rows"]] == [("double", "succeeded"), ("check", "failed")]


def test_a_step_that_is_not_there_is_not_found(client: Client, tree: str):
    for path in ("tree?within=nothing", "details/nothing", "timeline?within=both.nothing", "output/nothing"):
        client.problem("GET", f"{tree}/{path}", status=404, code="ORC809")


def test_a_step_is_shown_with_its_attempts_and_what_depends_on_it(client: Client, project: Path):
    (project / "retried.yaml").write_text(
        "steps:\n"
        "  - {id: a, tool: fail, retry: {max_attempts: 2, delay: 0}, parameters: {message: it is full}}\n"
        "  - {id: b, tool: echo, dependencies: [a]}\n"
    )
    run = client.start("retried", wait=30)["run"]
    found = client.json("GET", f"/v1/runs/{run['run_id']}/details/a")
    assert [(each["number"], each["state"]) for each in found["attempts"]] == [(1, "failed"), (2, "failed")]
    assert found["attempts"][0]["error"]["message"] == "it is full"
    assert (found["needed_by"], found["row"]["error"]["code"]) == (["b"], found["attempts"][1]["error"]["code"])
    assert found["definition"]["parameters"] == {"message": "it is full"}


def test_what_a_step_was_given_follows_from_the_plan_and_the_recorded_results(client: Client, tree: str):
    def given(path: str) -> Any:
        found = client.json("GET", f"{tree}/inputs/{path}")
        assert found["problem"] == "", found
        return found["values"]

    assert given("first")["value"]["text"] == "About tides"
    assert given("both.left") == {"value": "About tides!"}
    assert given("each[3].double") == {"value": 6}
    assert given("each[7].check")["message"] == "7 of 2"
    assert given("last") == {"value": 12}
    assert given("each[7]") == {}
    assert client.json("GET", f"{tree}/inputs/each[7]")["items"] == {"n": 7}
    assert client.json("GET", f"{tree}/inputs/each[3].double")["items"] == {"n": 3}
    assert client.json("GET", f"{tree}/inputs/last")["items"] == {}
    assert client.json("GET", f"{tree}/inputs/each[3].check")["condition"] is False
    assert client.json("GET", f"{tree}/inputs/each[99].check")["problem"] == "there is no item 99 any more"
    assert "sesame-4711" not in client.http.get(f"{tree}/inputs/first").text


def test_what_steps_in_calls_cases_and_rounds_were_given_is_known(client: Client, calls: str):
    values = {
        path: client.json("GET", f"{calls}/inputs/{path}")
        for path in ("call", "call.shout", "pick", "pick.wave", "grow[0].add", "grow[2].add")
    }
    assert {path: found["problem"] for path, found in values.items()} == dict.fromkeys(values, "")
    assert values["call"]["values"] == {"word": "hello", "key": "[redacted]"}
    assert values["call.shout"]["values"] == {"value": "HELLO"}
    assert values["pick.wave"]["values"] == {"value": "HELLO"}
    assert values["grow[0].add"]["values"]["value"] == {"value": 1, "before": None}
    assert values["grow[2].add"]["values"]["value"] == {"value": 4, "before": 2}
    assert [row["path"] for row in client.json("GET", f"{calls}/tree?within=pick")["rows"]] == ["pick.wave"]
    assert "sesame-4711" not in client.http.get(f"{calls}/inputs/call").text


def test_a_large_output_is_read_in_parts(client: Client, project: Path):
    (project / "large.yaml").write_text(
        'steps:\n  - {id: a, tool: echo, parameters: {value: "{{ range(60000) | list }}"}}\n'
    )
    run = f"/v1/runs/{client.start('large', wait=30)['run']['run_id']}"
    found = client.json("GET", f"{run}/details/a")
    assert (found["has_output"], found["output"]) == (False, None)
    whole = client.http.get(f"{run}/output/a").content
    assert (len(whole), json.loads(whole)[-1]) == (found["output_size"], 59_999)
    part = client.http.get(f"{run}/output/a", headers={"range": "bytes=1-9"})
    assert (part.status_code, part.content) == (206, whole[1:10])
    assert part.headers["content-range"] == f"bytes 1-9/{len(whole)}"
    assert client.http.get(f"{run}/output/a", headers={"range": "bytes=-2"}).content == whole[-2:]
    assert client.http.get(f"{run}/output/a", headers={"range": "bytes=999999-"}).status_code == 416


def test_a_question_comes_with_the_schema_of_its_answer(client: Client, project: Path):
    (project / "asks.yaml").write_text("steps: [{id: age, ask: {prompt: How old?, type: integer, minimum: 1}}]\n")
    run = client.start("asks", wait=30, status=202)["run"]["run_id"]
    found = client.json("GET", f"/v1/runs/{run}/details/age")
    assert found["question"]["prompt"] == "How old?"
    assert found["answer_schema"] == {"type": "integer", "minimum": 1}
    assert found["row"]["asks"] is True
    client.json("POST", f"/v1/runs/{run}/answer", {"step": "age", "value": 7})
    client.http.get(f"/v1/runs/{run}?wait=30")
    (attempt,) = client.json("GET", f"/v1/runs/{run}/details/age")["attempts"]
    assert attempt["answered_by"] == "ada from 127.0.0.1"


def test_only_events_of_some_steps_and_types_are_returned_if_they_are_asked_for(client: Client, tree: str):
    found = client.json("GET", f"{tree}/events?path=first&path=last&type=step.succeeded")["events"]
    assert [(event["path"], event["type"]) for event in found] == [
        ("first", "step.succeeded"),
        ("last", "step.succeeded"),
    ]


AGENT = """\
steps:
  - {id: draft, action: generate_text, model: "ollama:m", system: Be brief., prompt: "About {{ 1 + 1 }} tides."}
  - {id: research, action: agent, model: "ollama:m", prompt: "Find out about {{ draft }}", tools: [echo]}
"""


@pytest.fixture
def talk(project: Path, bench: Bench) -> Iterator[tuple[Client, str]]:
    """A client, and the address of a run that calls a model and an agent."""
    (project / "talk.yaml").write_text(AGENT)
    request = ToolRequest("call-0", "echo", {"value": 7})
    asks = ModelReply("Let me see.", requests=(request,), usage=Usage(10, 1, requests=1), finish="tools")
    model = FakeModel({"draft": ["The tides."], "research.answer": [asks, "It is 7."]})
    with serving(project, tools=bench.tools(), models=model) as server:
        client = client_of(*server)
        run = client.start("talk", wait=PATIENCE)["run"]
        assert run["state"] == "succeeded", run
        yield client, f"/v1/runs/{run['run_id']}"
        client.http.close()


def test_the_messages_of_a_model_call_are_its_prompt_and_its_answer(talk: tuple[Client, str]):
    client, run = talk
    found = client.json("GET", f"{run}/messages/draft")
    assert [(each["role"], each["content"]) for each in found["messages"]] == [
        ("system", "Be brief."),
        ("user", "About 2 tides."),
        ("assistant", "The tides."),
    ]
    assert (len(found["calls"]), found["problem"]) == (1, "")


def test_the_messages_of_an_agent_are_its_turns_with_the_tools_that_it_called(talk: tuple[Client, str]):
    client, run = talk
    found = client.json("GET", f"{run}/messages/research")["messages"]
    assert [(each["role"], each["content"], each["turn"]) for each in found] == [
        ("user", "Find out about The tides.", None),
        ("assistant", "Let me see.", 0),
        ("tool", "7", 0),
        ("assistant", "It is 7.", 1),
    ]
    assert found[1]["requests"][0]["path"] == found[2]["path"] == "research[0].echo"
    assert client.json("GET", f"{run}/inputs/research[0].echo")["values"] == {"value": 7}
    assert client.json("GET", f"{run}/tree?within=research")["is_loop"] is True


def test_of_a_long_loop_only_the_page_that_is_shown_is_read(client: Client, project: Path):
    (project / "long.yaml").write_text(
        "steps:\n"
        "  - id: each\n"
        '    for_each: "{{ range(6000) | list }}"\n'
        "    on_item_failure: continue\n"
        "    steps:\n"
        '      - {id: one, tool: echo, parameters: {value: "{{ item }}"}}\n'
        '      - {id: two, tool: fail, condition: "{{ item % 1000 == 999 }}", parameters: {retryable: false}}\n'
    )
    run = f"/v1/runs/{client.start('long', wait=120)['run']['run_id']}"
    page = client.json("GET", f"{run}/tree?within=each&first=4000&limit=50")
    assert paths(page) == [f"each[{number}]" for number in range(4000, 4050)]
    assert page["total"] == 6000
    first = client.json("GET", f"{run}/tree?within=each&limit=2")
    assert paths(first, "notable") == [f"each[{number}]" for number in range(999, 6000, 1000)]
    assert client.json("GET", f"{run}/tree?within=each[4999]")["rows"][1]["state"] == "failed"
    assert client.json("GET", f"{run}/inputs/each[4999].one")["values"] == {"value": 4999}
    band = client.json("GET", f"{run}/timeline")["rows"][0]["band"]
    assert (sum(band["ended"]), sum(band["failed"])) == (6000, 6)
