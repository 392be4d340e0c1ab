"""Quality control of results, by rules and by a judge; and pipelines in a model's words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.testing import FakeModel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def client(tmp_path: Path) -> Any:
    opened = []

    def open_(*tools: Any, models: Any = None) -> orc.Orchestrator:
        opened.append(orc.Orchestrator(directory=tmp_path, tools=tools, models=models or FakeModel()))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def said(quality: Any) -> set[tuple[str, str]]:
    return {(finding.level, finding.where) for finding in quality.findings}


def spec(value: str, **more: Any) -> dict[str, Any]:
    steps = [{"id": "made", "tool": "text", "action": "template", "parameters": {"template": value}}]
    return {"id": "q", "steps": steps, "outputs": {"it": "{{ made }}"}, **more}


@pytest.mark.parametrize(
    ("text", "level", "words"),
    [
        ("All is well.", "", ""),
        ("", "warning", "empty text"),
        ("Dear [insert name],", "warning", "a placeholder: [insert name]"),
        ("TODO: write this", "warning", "a placeholder: TODO"),
        ("As an AI language model I cannot say.", "warning", "a model's refusal"),
        ("<AUTO>a colour</AUTO>", "warning", "unanswered"),
        ("word " * 60 + "and then it", "note", "may be cut off"),
        ("word " * 60 + "and then it ended.", "", ""),
    ],
)
def test_what_an_output_says_of_itself_is_found(client: Any, text: str, level: str, words: str) -> None:
    pipeline = client().compile({**spec("{{ text }}"), "inputs": {"text": "x"}})
    found = pipeline.run(text=text).qc()
    assert said(found) == ({(level, "outputs.it")} if level else set())
    assert words in "".join(finding.message for finding in found.findings)
    assert found.ok


def test_what_steps_went_through_is_found(client: Any) -> None:
    tries = []

    @orc.tool
    def shaky(number: int) -> int:
        tries.append(number)
        if number == 2 or len(tries) == 1:
            raise ValueError("not now")
        return number

    source = {
        "id": "steps",
        "steps": [
            {"id": "again", "tool": "shaky", "parameters": {"number": 1}, "retry": {"max_attempts": 2, "delay": 0}},
            {"id": "lost", "tool": "shaky", "parameters": {"number": 2}, "on_failure": "continue"},
            {"id": "never", "tool": "shaky", "parameters": {"number": 3}, "condition": "false"},
        ],
        "outputs": {"again": "{{ again }}", "lost": "{{ lost }}"},
    }
    found = client(shaky).compile(source).run().qc()
    assert said(found) == {("note", "again"), ("warning", "lost"), ("warning", "outputs.lost"), ("note", "")}
    assert json.loads(json.dumps(found.to_dict()))["ok"] is True
    page = found.to_markdown()
    assert all(finding.message in page for finding in found.findings)


def test_what_the_calls_of_many_items_tell_is_found_once(client: Any) -> None:
    def findings(count: int) -> list[str]:
        each = {
            "id": "each",
            "for_each": {"range": count},
            "steps": [{"id": "say", "prompt": "Hi", "model": "openai:gpt-99"}],
        }
        found = (
            client(models=FakeModel()).compile({"steps": [each], "outputs": {"all": "{{ each }}"}}).run().qc().findings
        )
        return sorted(f"{one.where} {one.message}" for one in found)

    unpriced = "the price of openai:gpt-99 is unknown, so its cost is not counted"
    assert findings(2) == [f"each[0].say {unpriced}", f"each[1].say {unpriced}"]
    assert findings(40) == [f"each.say {unpriced} (40 times)"]


def test_a_run_that_failed_has_a_problem(client: Any) -> None:
    @orc.tool
    def broken() -> None:
        raise ValueError("gone")

    with pytest.raises(orc.RunFailed) as failed:
        client(broken).compile({"id": "bad", "steps": [{"id": "a", "tool": "broken"}]}).run()
    found = failed.value.result.qc()
    assert not found.ok
    assert "gone" in found.findings[0].message


ASKING = {
    "id": "asking",
    "model": "openai:gpt-5-mini",
    "steps": [{"id": "say", "prompt": "Say something."}],
    "outputs": {"said": "{{ say }}", "again": "{{ say }}"},
}
VERDICT = {"reason": "It is short.", "score": 0.5, "suggestions": ["Say more."]}


def test_a_model_that_the_pipeline_names_judges_each_output(client: Any) -> None:
    model = FakeModel(lambda asked: VERDICT if asked.request.schema else "Something.")
    found = client(models=model).compile(ASKING).run().qc(judge=True, rubric="It must be long.")
    assert [(each.output, each.score) for each in found.judgements] == [("said", 0.5), ("again", 0.5)]
    assert (found.score, found.model) == (0.5, "openai:gpt-5-mini")
    assert found.judgements[0].suggestions == ("Say more.",)
    assert found.spending.calls == 2
    assert "It must be long." in found_texts(model)
    assert "Say more." in found.to_markdown()


def found_texts(model: FakeModel) -> str:
    return "\n".join(asked.text for asked in model.requests)


def test_no_model_is_asked_unless_it_is_wanted(client: Any) -> None:
    model = FakeModel(lambda asked: VERDICT if asked.request.schema else "Something.")
    orchestrator = client(models=model)
    assert orchestrator.compile(spec("fine")).run().qc().judgements == ()
    result = orchestrator.compile(ASKING).run()
    assert result.qc().judgements == ()
    assert result.qc(rubric="It must be long.").judgements == ()
    assert len(model.requests) == 1
    assert len(result.qc(judge="ollama:other").judgements) == 2
    assert {asked.model for asked in model.requests[1:]} == {"ollama:other"}


def test_a_judgement_costs_nothing_of_the_run_and_is_not_part_of_it(client: Any) -> None:
    model = FakeModel(lambda asked: VERDICT if asked.request.schema else "Something.")
    orchestrator = client(models=model)
    result = orchestrator.compile(ASKING).run()
    result.qc(judge=True)
    status = orchestrator.get_run(result.run_id).status()
    assert (status.spending.calls, status.last_seq) == (1, len(result.log))


def test_a_pipeline_is_summarised_once_for_as_long_as_it_does_the_same(client: Any) -> None:
    model = FakeModel(lambda asked: "It says something.")
    orchestrator = client(models=model)
    pipeline = orchestrator.compile(ASKING)
    assert [pipeline.summary() for _ in range(3)] == ["It says something."] * 3
    assert len(model.requests) == 1
    assert pipeline.intention in found_texts(model)
    assert pipeline.architecture in found_texts(model)
    edited = {**ASKING, "steps": [{"id": "say", "prompt": "Say something else."}]}
    orchestrator.compile(edited).summary()
    assert len(model.requests) == 2


@pytest.mark.anyio
async def test_all_of_it_has_an_async_twin(client: Any) -> None:
    model = FakeModel(lambda asked: VERDICT if asked.request.schema else "Something.")
    pipeline = client(models=model).compile(ASKING)
    result = await pipeline.arun()
    assert (await result.aqc(judge=True)).score == 0.5
    assert await pipeline.asummary() == "Something."


def test_a_page_of_the_result_tells_what_models_were_asked(client: Any) -> None:
    page = client(models=FakeModel()).compile(ASKING).run().to_markdown()
    assert page.count("1 model call: ") == 1
    assert "Models: " not in page
    assert "**step.model** `say`: openai:gpt-5-mini, " in page
