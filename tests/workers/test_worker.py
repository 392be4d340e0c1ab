"""What a worker does with runs: it executes, holds, refuses and gives them back."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

import orchestrator as orc
from orchestrator.cluster.worker import MOST_TAKEOVERS, Worker
from orchestrator.errors import InputError, RunFailed
from orchestrator.journal.store.tables import runs
from tests.journal.support import owner_elsewhere
from tests.runtime.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ASK = "steps: [{id: q, ask: {prompt: Why?, type: integer}}, {id: r, value: '{{ q + 1 }}'}]\noutputs: {r: '{{ r }}'}"


class RunningWorker:
    """A worker in a thread of this process, and what it has told."""

    def __init__(self, client: orc.Orchestrator, **options: object) -> None:
        self.told: list[tuple[str, str]] = []
        self._more = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self.worker = self._loop.run_until_complete(self._made(client, options))
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self.worker.run()))
        self._thread.start()

    async def _made(self, client: orc.Orchestrator, options: dict[str, object]) -> Worker:
        return Worker(client, told=self._tell, **options)  # type: ignore[arg-type]

    def _tell(self, run_id: str, what: str) -> None:
        with self._more:
            self.told.append((run_id, what))
            self._more.notify_all()

    def wait_for(self, matches: Callable[[list[tuple[str, str]]], bool]) -> None:
        with self._more:
            assert self._more.wait_for(lambda: matches(self.told), PATIENCE), self.told

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self.worker.stop)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        self._loop.close()


@contextmanager
def working(client: orc.Orchestrator, **options: object) -> Iterator[RunningWorker]:
    """Have a worker execute runs."""
    worker = RunningWorker(client, **options)
    try:
        yield worker
    finally:
        worker.stop()


@pytest.fixture
def client(url: str, tmp_path: Path) -> Iterator[orc.Orchestrator]:
    """Who submits runs."""
    with orc.Orchestrator(store=url, directory=tmp_path) as client:
        yield client


@pytest.fixture
def other(url: str, tmp_path: Path) -> Iterator[orc.Orchestrator]:
    """What the worker works with, as in another process."""
    with orc.Orchestrator(store=url, directory=tmp_path) as client:
        yield client


def test_a_submitted_run_waits_for_a_worker_and_is_executed_by_it(
    client: orc.Orchestrator, other: orc.Orchestrator
) -> None:
    pipeline = client.compile("inputs: {n: 1}\nsteps: [{id: a, value: '{{ n * 2 }}'}]\noutputs: {a: '{{ a }}'}")
    run = pipeline.with_options(labels=["nightly"], by="ada").submit(n=4)
    status = run.status()
    assert (status.state, status.waiting_on, status.runs_on) == ("queued", ("a worker",), ())
    assert [each.run_id for each in client.list_runs(state="queued", labels=["nightly"])] == [run.id]
    with working(other):
        assert dict(run.result(timeout=PATIENCE).outputs) == {"a": 8}
    (started,) = [event for event in run.events(follow=False) if event.type == "run.started"]
    assert (started.data["by"], started.data["resumed"]) == ("ada", False)
    assert "worker" in started.data["owner"]


def test_a_worker_holds_no_run_that_waits_for_a_person(client: orc.Orchestrator, other: orc.Orchestrator) -> None:
    pipeline = client.compile(ASK)
    with working(other, concurrency=1) as worker:
        asking = [pipeline.submit() for _ in range(3)]
        worker.wait_for(lambda told: sum(what == "waiting" for _, what in told) == 3)
        assert [run.status().state for run in asking] == ["waiting"] * 3
        assert [run.status().owner for run in asking] == [None] * 3
        for number, run in enumerate(asking):
            run.answer("q", number)
        assert [run.result(timeout=PATIENCE).outputs["r"] for run in asking] == [1, 2, 3]


def test_a_paused_run_continues_in_a_worker_when_it_is_resumed(
    client: orc.Orchestrator, other: orc.Orchestrator
) -> None:
    run = client.compile("steps: [{id: a, value: 1}]\noutputs: {a: '{{ a }}'}").submit()
    run.pause()
    assert run.status().state == "paused"
    with working(other):
        run.resume()
        assert run.result(timeout=PATIENCE).outputs["a"] == 1


def test_a_submitted_run_can_be_cancelled_before_a_worker_takes_it(client: orc.Orchestrator) -> None:
    run = client.compile(ASK).submit()
    run.cancel(reason="not needed")
    assert (run.status().state, run.status().reason) == ("cancelled", "not needed")
    assert client.queue_lengths() == []


def test_a_worker_that_is_stopped_gives_its_runs_back_and_another_continues_them(
    client: orc.Orchestrator, other: orc.Orchestrator
) -> None:
    run = client.compile(
        "steps: [{id: a, value: 1}, {id: b, tool: sleep, dependencies: [a], parameters: {seconds: 1}}]"
    ).submit()
    with working(other, drain=0.0) as first:
        first.wait_for(lambda told: (run.id, "taken") in told)
        assert [each.name for each in client.list_workers()] == [first.worker.status.name]
    assert client.list_workers() == []
    if not run.status().ended:  # the first one may have been stopped late
        assert (run.status().state, run.status().owner) == ("queued", None)
        with working(other):
            assert run.result(timeout=PATIENCE).state == "succeeded"


def test_a_worker_refuses_what_it_cannot_execute_and_says_so_where_the_run_waits(
    client: orc.Orchestrator, other: orc.Orchestrator, url: str, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(
        "import orchestrator as orc\n\n\n@orc.tool\ndef double(n: int) -> int:\n    return 2 * n\n"
    )
    text = "steps: [{id: a, tool: double, parameters: {n: 4}}]\noutputs: {a: '{{ a }}'}"

    @orc.tool
    def double(n: int) -> int:
        return 2 * n

    with orc.Orchestrator(store=url, directory=tmp_path, tools=[double]) as submitter:
        run = submitter.compile(text).submit()
    with working(other) as worker:
        worker.wait_for(lambda told: any(what.startswith("left to other workers") for _, what in told))
        (reason,) = client.get_run(run.id).status().waiting_on
        assert reason.startswith(f"another worker: {worker.worker.status.name} cannot execute it: ")
        assert "double" in reason
        with (
            orc.Orchestrator(store=url, directory=tmp_path, tools=[str(tmp_path / "own.py")]) as able,
            working(able),
        ):
            assert client.get_run(run.id).result(timeout=PATIENCE).outputs["a"] == 8


def test_a_run_that_ends_its_workers_again_and_again_is_ended(
    client: orc.Orchestrator, other: orc.Orchestrator
) -> None:
    run = client.compile("steps: [{id: a, value: 1}]\noutputs: {a: '{{ a }}'}").submit()
    store = client.backend.store
    for number in range(MOST_TAKEOVERS + 1):
        assert store.submissions.claim(owner_elsewhere(number), labels=(), kind="k", limit=1)
        with store.database.write() as connection:
            connection.execute(runs.update().values(lease_until=1.0))
    with working(other), pytest.raises(RunFailed, match="6 workers ended while executing this run") as caught:
        run.result(timeout=PATIENCE)
    assert caught.value.result.error["code"] == "ORC822"
    assert client.resume(run.id).result().outputs["a"] == 1


def test_secrets_come_from_the_environment_of_the_worker(
    client: orc.Orchestrator, other: orc.Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "inputs: {key: {type: string, secret: true, default_from_env: WORKERS_KEY}}\n"
    pipeline = client.compile(
        f"{secret}steps: [{{id: a, value: '{{{{ key | length }}}}'}}]\noutputs: {{a: '{{{{ a }}}}'}}"
    )
    with pytest.raises(InputError, match="cannot be given to a worker: secrets are not stored"):
        pipeline.submit(key="hush")
    run = pipeline.submit()
    with working(other) as worker:
        worker.wait_for(lambda told: any("ORC604" in what for _, what in told))
        assert run.status().state == "queued"
    monkeypatch.setenv("WORKERS_KEY", "hush")
    with working(other):  # one with the variable is of another kind
        assert run.result(timeout=PATIENCE).outputs["a"] == 4


def test_of_all_submissions_with_a_key_one_is_executed(client: orc.Orchestrator) -> None:
    pipeline = client.compile(ASK).with_options(key="order-17")
    assert pipeline.submit().id == pipeline.submit().id


def test_a_run_with_a_budget_and_a_time_keeps_them(client: orc.Orchestrator, other: orc.Orchestrator) -> None:
    pipeline = client.compile("steps: [{id: a, value: 1}]").with_options(
        budget=orc.Budget(usd=2), timeout=60, runs_on=["gpu"], not_before=1.0
    )
    run = pipeline.submit()
    assert run.status().waiting_on == ("a worker with the label `gpu`",)
    with working(other, labels=["gpu", "eu"]):
        assert run.result(timeout=PATIENCE).state == "succeeded"
    assert run.status().budget == {"usd": 2}
    assert run.record().options["timeout"] == 60


def test_what_waits_for_a_time_or_keeps_its_turn_takes_no_place(
    client: orc.Orchestrator, other: orc.Orchestrator
) -> None:
    late = client.compile("steps: [{id: q, ask: {prompt: Why?, type: integer}, timeout: 2h}]").submit()
    turn = client.compile("concurrency: {key: one}\nsteps: [{id: q, ask: {prompt: Why?, type: integer}}]")
    first, second = turn.submit(), turn.submit()
    with working(other, concurrency=1):
        quick = client.compile("steps: [{id: a, value: 1}]\noutputs: {a: '{{ a }}'}").submit()
        assert quick.result(timeout=PATIENCE).outputs["a"] == 1
        assert late.status().owner is not None
        assert [first.wait(timeout=PATIENCE).state, second.status().state] == ["waiting", "queued"]
        first.answer("q", 1)
        assert [event.type for event in first.events()][-1] == "run.succeeded"
        for event in second.events():
            if event.type == "step.waiting":
                break
        late.cancel()
        second.cancel()


def test_a_damaged_run_is_left_and_others_are_executed(client: orc.Orchestrator, other: orc.Orchestrator) -> None:
    damaged = client.compile(ASK).submit()
    store = client.backend.store
    with store.database.write() as connection:
        connection.execute(runs.update().values(snapshot="{broken"))
    run = client.compile("steps: [{id: a, value: 1}]").submit()
    with working(other, concurrency=1, burst=True) as worker:
        assert run.result(timeout=PATIENCE).state == "succeeded"
        worker.wait_for(lambda told: any(run_id == damaged.id for run_id, _ in told))
    assert next(what for run_id, what in worker.told if run_id == damaged.id).startswith("left to other workers: ")


@pytest.mark.parametrize("label", ["a,b", " ", " gpu", "", "x" * 65, "new\nline"])
def test_a_label_is_a_word(client: orc.Orchestrator, label: str) -> None:
    pipeline = client.compile(ASK)
    with pytest.raises(orc.OrchestratorError, match="is no label of a worker"):
        pipeline.with_options(runs_on=[label])
