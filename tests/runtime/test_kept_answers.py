"""What models have answered on the way to the answer of a step is not asked again when the step is begun again."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.journal import Event, Store, resume_state
from orchestrator.journal.store.blob_codec import blob_references
from tests.crash.summary import ANSWERED, PARTS, Summaries, pipeline
from tests.runtime.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@pytest.fixture
def models() -> Summaries:
    return Summaries()


@pytest.fixture
def client(tmp_path: Path, models: Summaries) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(directory=tmp_path, models=models) as client:
        yield client


def failed(run: orc.Run) -> str | None:
    """The code of what ended the run."""
    with pytest.raises(orc.RunFailed):
        run.result(timeout=PATIENCE)
    return (run.status().error or {}).get("code")


def out_of_budget(run: orc.Run) -> bool:
    return failed(run) == "ORC727"


def calls(log: Iterable[Event]) -> list[Any]:
    return [event.data for event in log if event.type == "step.model"]


def test_a_summary_whose_process_was_killed_asks_only_for_the_rest(
    tmp_path: Path, client: orc.Orchestrator, models: Summaries
):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.summary", str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        store = Store.open(client.store_url)
        while len(calls(store.events(run_id))) < ANSWERED:
            assert store.wait(run_id, store.status(run_id).last_seq, PATIENCE)
        process.kill()
        store.close()
    result = client.resume(run_id).result(timeout=PATIENCE)
    assert len(models.asked) == len(set(models.asked)) == PARTS - ANSWERED + 1
    assert result.outputs["parts"] == PARTS
    assert result.outputs["calls"] == result.usage.requests == PARTS + 1


@pytest.mark.parametrize("loop", [False, True])
def test_a_summary_whose_budget_ended_asks_only_for_the_rest(
    tmp_path: Path, client: orc.Orchestrator, models: Summaries, loop: bool
):
    definition = pipeline(tmp_path / "text.txt")
    if loop:
        (step,) = definition["steps"]
        definition = {"steps": [{"id": "all", "for_each": [1], "steps": [step]}], "outputs": {"all": "{{ all }}"}}
    run = client.compile({**definition, "budget": {"requests": ANSWERED}}).start()
    assert out_of_budget(run)
    assert len(models.asked) == ANSWERED
    result = client.resume(run.id, budget=orc.Budget(requests=100)).result(timeout=PATIENCE)
    assert len(models.asked) == len(set(models.asked)) == PARTS + 1
    assert result.usage.requests == PARTS + 1
    assert not resume_state(result.log).kept


def test_another_attempt_asks_only_for_the_rest(tmp_path: Path, client: orc.Orchestrator, models: Summaries):
    models.fails = {ANSWERED + 2}
    policies = {"retry": {"max_attempts": 2, "delay": 0}}
    result = client.compile(pipeline(tmp_path / "text.txt", **policies)).run()
    answered = [data for data in calls(result.log) if data["error"] is None]
    assert result.steps["gist"].attempts == 2
    assert len(answered) == result.outputs["calls"] == PARTS + 1


def test_a_step_that_is_told_to_run_again_asks_everything(tmp_path: Path, client: orc.Orchestrator, models: Summaries):
    run = client.compile({**pipeline(tmp_path / "text.txt"), "budget": {"requests": ANSWERED}}).start()
    assert out_of_budget(run)
    client.resume(run.id, budget=orc.Budget(requests=100)).result(timeout=PATIENCE)
    client.retry(run.id, "gist").result(timeout=PATIENCE)
    assert sorted(models.asked[PARTS + 1 :])[:PARTS] == sorted(models.asked[: PARTS + 1])[:PARTS]
    assert len(models.asked) == 2 * (PARTS + 1)


def test_what_a_failed_step_was_answered_is_forgotten_with_it(
    tmp_path: Path, client: orc.Orchestrator, models: Summaries
):
    models.fails = {PARTS + 1}
    run = client.compile(pipeline(tmp_path / "text.txt", retry={"max_attempts": 1})).start()
    assert failed(run) is not None
    client.retry(run.id, "gist").result(timeout=PATIENCE)
    assert len(models.asked) == 2 * (PARTS + 1)


def test_vectors_are_kept_batch_by_batch(client: orc.Orchestrator, models: Summaries):
    texts = [f"text {number} {'x' * (number % 7)}" for number in range(300)]
    parameters = {"model": "ollama:m", "texts": texts}
    definition = {
        "steps": [{"id": "vectors", "action": "embed", "parameters": parameters}],
        "outputs": {"vectors": "{{ vectors }}"},
        "budget": {"requests": 2},
    }
    run = client.compile(definition).start()
    assert out_of_budget(run)
    result = client.resume(run.id, budget=orc.Budget(requests=100)).result(timeout=PATIENCE)
    assert result.outputs["vectors"] == [[float(len(text)), 0.1] for text in texts]
    assert len(models.asked) == len(set(models.asked)) == result.usage.requests == 4


def test_vectors_of_one_batch_are_in_the_journal_once(client: orc.Orchestrator, models: Summaries):
    parameters = {"model": "ollama:m", "texts": ["a", "b"]}
    result = client.compile({"steps": [{"id": "v", "action": "embed", "parameters": parameters}]}).run()
    assert not any("kept" in data for data in calls(result.log))


@pytest.mark.parametrize("secret", ["w3n7", "Gist 2."])
def test_nothing_is_kept_of_a_request_or_an_answer_with_a_secret(
    tmp_path: Path, client: orc.Orchestrator, models: Summaries, secret: str
):
    definition = {**pipeline(tmp_path / "text.txt"), "inputs": {"key": {"type": "string", "secret": True}}}
    result = client.compile(definition).run(key=secret)
    asked = calls(result.log)
    assert sum("kept" in data for data in asked) == PARTS - 1
    assert all(secret not in str(data) for data in asked)


def test_a_long_answer_is_kept_in_a_blob(tmp_path: Path, client: orc.Orchestrator, models: Summaries):
    models.words = 4000
    models.fails = {PARTS}
    run = client.compile(pipeline(tmp_path / "text.txt", retry={"max_attempts": 1})).start()
    assert failed(run) is not None
    store = Store.open(client.store_url)
    raw, whole = (calls(store.events(run.id, resolve=resolve)) for resolve in (False, True))
    assert all(any(blob_references(data["reply"])) for data in raw if "kept" in data)
    kept = store.put_values(resume_state(store.events(run.id, resolve=False))).kept["gist"]
    assert len(kept) >= ANSWERED
    assert kept == {data["kept"]: {"reply": data["reply"], "cost": data["cost"]} for data in whole if "kept" in data}
    store.close()
