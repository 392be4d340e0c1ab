"""Prompts in files in runs: a run keeps the texts that it was started with, in every process that continues it."""

from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.models.clients.fake import FakeModel
from orchestrator.models.messages import ModelReply

PIPELINE = """
inputs: {topic: tides}
model: ollama:m
steps:
  - {id: ready, approve: Go?}
  - {id: review, dependencies: [ready], prompt: {file: prompts/critic.md}, cache: true}
outputs: {review: "{{ review }}"}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "review.yaml").write_text(PIPELINE, encoding="utf-8")
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    (prompts / "critic.md").write_text("Judge {{ topic }}. {% include 'style.md' %}\n", encoding="utf-8")
    (prompts / "style.md").write_text("Be kind.\n", encoding="utf-8")
    return tmp_path / "review.yaml"


def asked(model: FakeModel) -> list[str]:
    return [str(request.request.messages[0].content) for request in model.requests]


def test_a_later_edit_changes_nothing_of_a_run(file: Path) -> None:
    model = FakeModel({"review": ["Fine."] * 3})
    with orc.Orchestrator(directory=file.parent, models=model) as client:
        run = client.compile(file).start()
        assert run.wait().state == "waiting"
    (file.parent / "prompts" / "critic.md").write_text("{{ broken", encoding="utf-8")
    (file.parent / "prompts" / "style.md").unlink()
    with orc.Orchestrator(directory=file.parent, models=model) as client:
        client.get_run(run.id).answer("ready", True)
        assert client.resume(run.id).result().outputs == {"review": "Fine."}
    assert asked(model) == ["Judge tides. Be kind."]


def test_another_text_of_the_prompt_is_another_call_for_the_cache(file: Path) -> None:
    model = FakeModel({"review": ["One.", "Two.", "Three."]})
    with orc.Orchestrator(directory=file.parent, models=model) as client:
        found = []
        for style in ("Be kind.\n", "Be kind.\n", "Be strict.\n"):
            (file.parent / "prompts" / "style.md").write_text(style, encoding="utf-8")
            run = client.compile(file).start()
            run.wait()
            run.answer("ready", True)
            found.append(run.result().outputs["review"])
    assert found == ["One.", "One.", "Two."]


def test_an_ignored_setting_is_in_the_log(file: Path) -> None:
    model = FakeModel({"a": [ModelReply("Fine.", ignored=("effort",))]})
    with orc.Orchestrator(directory=file.parent, models=model) as client:
        run = client.compile({"steps": [{"id": "a", "prompt": "x", "model": "ollama:m", "effort": "low"}]}).start()
        run.result()
        logged = [event.data for event in run.events(follow=False) if event.type == "step.log"]
    assert [each["message"] for each in logged] == ["`ollama:m` has no setting `effort`, so it was ignored"]
    assert model.requests[0].request.effort == "low"
