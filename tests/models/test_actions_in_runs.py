"""The actions as steps of pipelines: checked, run, recorded, with a model that answers as it is scripted."""

from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc
from orchestrator.testing import FakeModel

INPUTS = """
inputs:
  message: {type: string, default: "I was billed twice: $12.50 on 2026-03-01. Write to ada@example.org."}
model: ollama:llama3.2
steps:
"""


@pytest.fixture
def client(tmp_path: Path) -> Any:
    answers: dict[str, Any] = {
        "kind": "billing",
        "route.payment": {"amount": 12.5, "date": "2026-03-01", "email": "ada@example.org", "vat": None},
        "topics": {"labels": ["billed", "write"]},
        "read": {"model": "Tide 3", "cost": 7},
    }
    with orc.Orchestrator(directory=tmp_path, models=FakeModel(answers)) as client:
        yield client


def run(client: orc.Orchestrator, steps: str, outputs: str) -> dict[str, Any]:
    return dict(client.compile(f"{INPUTS}{steps}outputs:\n{outputs}").run().outputs)


def diagnostics(client: orc.Orchestrator, steps: str) -> list[tuple[str, str]]:
    return [(found.code, found.message) for found in client.check(INPUTS + steps).diagnostics]


def test_a_step_goes_on_with_what_models_have_read(client: orc.Orchestrator) -> None:
    steps = """
  - id: kind
    action: classify
    parameters:
      text: "{{ message }}"
      labels: {billing: billed, technical: crashes}
  - id: route
    switch: "{{ kind }}"
    cases:
      billing:
        - id: payment
          action: extract
          parameters:
            text: "{{ message }}"
            schema: {amount: number, date: date, email: email, vat: number?}
  - id: topics
    action: classify
    parameters: {text: "{{ message }}", labels: [billed, write, crashes], multiple: true}
  - id: each
    for_each: "{{ topics }}"
    tool: log
    parameters: {message: "{{ item }}"}
"""
    found = run(client, steps, '  kind: "{{ kind }}"\n  data: "{{ route }}"\n  topics: "{{ topics }}"\n')
    assert found == {
        "kind": "billing",
        "data": {"amount": 12.5, "date": "2026-03-01", "email": "ada@example.org", "vat": None},
        "topics": ["billed", "write"],
    }


def test_a_field_of_the_answer_goes_before_one_of_the_call(client: orc.Orchestrator) -> None:
    steps = """
  - id: read
    action: extract
    parameters: {text: "Model: Tide 3\\nCost: 7", schema: {model: string, cost: number}}
"""
    outputs = '  model: "{{ read.model }}"\n  cost: "{{ read.cost }}"\n  why: "{{ read.why }}"\n'
    found = run(client, steps, outputs)
    assert (found["model"], found["cost"]) == ("Tide 3", 7)
    assert found["why"] == "named in the pipeline"


def test_what_a_step_reads_of_an_answer_is_checked_before_the_run(client: orc.Orchestrator) -> None:
    steps = """
  - id: read
    prompt: Read it.
    schema: {title: string, pages: integer, kind: novel|poem}
  - id: use
    tool: log
    parameters:
      message: "{{ read.titel }} {{ read.pages + 'x' }} {{ read.kind }} {{ read.usage.input }}"
"""
    assert [code for code, _ in diagnostics(client, steps)] == ["ORC303", "ORC316"]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ("{text: '{{ message }}', labels: [a, a]}", "ORC405"),
        ("{text: '{{ message }}', labels: []}", "ORC405"),
        ("{text: '{{ message }}'}", "ORC404"),
        ("{text: '{{ message }}', labels: [a, b], max_tokens: 0}", "ORC405"),
        ("{text: '{{ message }}', labels: [a, b], personality: /etc/motd.md}", "ORC406"),
        ("{text: '{{ message }}', labels: [a, b], requires_model: {capabilities: [visoin]}}", "ORC425"),
    ],
)
def test_wrong_parameters_are_found_before_the_run(client: orc.Orchestrator, parameters: str, code: str) -> None:
    found = diagnostics(client, f"  - {{id: kind, action: classify, parameters: {parameters}}}\n")
    assert [each for each, _ in found] == [code], found


def test_a_long_text_is_summarised_in_one_step_of_many_calls(client: orc.Orchestrator, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("\n\n".join(f"Chapter {n}. The tide of day {n} is high." for n in range(200)))
    steps = """
  - id: gist
    action: summarize
    parameters: {file: book.txt, chunk_tokens: 200, length: short}
"""
    found = run(client, steps, '  parts: "{{ gist.parts }}"\n  calls: "{{ gist.usage.requests }}"\n')
    assert found["parts"] > 5
    assert found["calls"] > found["parts"]
