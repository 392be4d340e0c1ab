"""Whole pipelines against the real engines: what a run asks, gets, counts and records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import orchestrator as orc
from tests.inference.engine import Engine, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.inference.tiny_model import TinyModel

LABELS = ["complaint", "question", "praise"]
ASKING = """
id: asking
model: local:tiny
steps:
  - id: say
    prompt: Anna writes
    max_tokens: 20
    temperature: 1
    seed: 3
  - id: sort
    tool: model
    action: classify
    parameters:
      text: "{{ say.text }}"
      labels: [complaint, question, praise]
  - id: form
    prompt: Make one.
    schema: {kind: small|large, row: integer, good: boolean}
    max_tokens: 2000
outputs:
  said: "{{ say.text }}"
  label: "{{ sort.label }}"
  row: "{{ form.data.row }}"
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[orc.Orchestrator]:
    """An orchestrator of a project in an empty directory."""
    with orc.Orchestrator(directory=tmp_path) as client:
        yield client


def serves(engine: Engine, directory: Path) -> None:
    """Name the engine in the settings of a project."""
    (directory / "orchestrator.toml").write_text(f'[servers.local]\nbase_url = "{engine.base_url}"\n')


def happened(run: orc.Run) -> list[tuple[str, str]]:
    """Return what has been recorded of a run so far."""
    return [(event.type, event.path) for event in run.events(follow=False)]


def test_a_run_gets_texts_labels_and_forms_and_counts_each_token(
    engine: Engine, client: orc.Orchestrator, tmp_path: Path
) -> None:
    serves(engine, tmp_path)
    before = engine.written()
    result = client.compile(ASKING).run()
    assert result.outputs["label"] in LABELS
    assert isinstance(result.outputs["row"], int)
    assert set(result.steps["form"].output["data"]) == {"kind", "row", "good"}
    assert result.steps["say"].output["truncated"]
    assert result.usage.output == engine.written() - before
    assert result.usage.requests == len([event for event in result.log if event.type == "step.model"]) >= 3
    assert result.cost == 0


def test_a_run_that_is_cancelled_frees_the_server(engine: Engine, client: orc.Orchestrator, tmp_path: Path) -> None:
    serves(engine, tmp_path)
    run = client.compile({"id": "endless", "steps": [{"id": "say", "prompt": "x", "model": "local:tiny"}]}).start()
    until(lambda: engine.busy() == 1)
    run.cancel()
    assert run.wait().state == "cancelled"
    until(lambda: engine.busy() == 0)


def test_a_run_whose_server_is_killed_goes_on_with_the_next_one(
    tiny: TinyModel, engine: Engine, client: orc.Orchestrator, tmp_path: Path
) -> None:
    first = {"id": "first", "prompt": "x", "max_tokens": 5}
    endless = {"id": "endless", "prompt": "{{ first.text }}", "max_tokens": 30_000}
    with Engine(tiny.gguf) as dying:
        serves(dying, tmp_path)
        run = client.compile({"id": "two", "model": "local:tiny", "steps": [first, endless]}).start()
        until(lambda: dying.busy() == 1 and ("step.started", "endless") in happened(run))
        dying.kill()
        with pytest.raises(orc.RunFailed) as failed:
            run.result()
    assert failed.value.result.steps["endless"].error["code"] == "ORC723"
    tried = happened(run).count(("step.started", "endless"))
    serves(engine, tmp_path)
    with orc.Orchestrator(directory=tmp_path) as another:
        resumed = another.get_run(run.id)
        resumed.resume()
        until(lambda: engine.busy() == 1)
        resumed.cancel()
        resumed.wait()
    assert happened(resumed).count(("step.started", "first")) == 1
    assert happened(resumed).count(("step.started", "endless")) == tried + 1


def test_weights_in_a_folder_answer_in_a_run(weights: TinyModel, client: orc.Orchestrator, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(weights.folder.parent)
    say = {"id": "say", "prompt": "Anna writes", "max_tokens": 12, "model": "transformers:./models/folder"}
    result = client.compile({"id": "local", "steps": [say], "outputs": {"said": "{{ say.text }}"}}).run()
    assert result.outputs["said"]
    assert result.usage.output == 12
    assert result.cost == 0


def test_weights_that_write_no_form_are_asked_once_more_with_the_reason(
    weights: TinyModel, client: orc.Orchestrator, tmp_path: Path
) -> None:
    (tmp_path / "models").symlink_to(weights.folder.parent)
    form = {"id": "form", "prompt": "x", "schema": {"row": "integer"}, "max_tokens": 30}
    pipeline = client.compile({"id": "local", "model": "transformers:./models/folder", "steps": [form]})
    with pytest.raises(orc.RunFailed) as failed:
        pipeline.run()
    assert failed.value.result.steps["form"].error["code"] == "ORC726"
    first, second = [event.data for event in failed.value.result.log if event.type == "step.model"]
    assert second["usage"]["input"] > first["usage"]["input"]
    assert failed.value.result.usage.output == 60
