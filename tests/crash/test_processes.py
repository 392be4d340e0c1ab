"""Several processes and one run: one executes it, any may control it and see where it stands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import orchestrator as orc
from orchestrator.journal import fold_all
from tests.crash.worker import TOOLS

if TYPE_CHECKING:
    from tests.crash.conftest import Forge

CHAIN = """\
steps:
  - {id: a, tool: gate, parameters: {value: 1}}
  - {id: b, tool: gate, parameters: {value: "{{ a + 1 }}"}}
  - {id: c, tool: add, parameters: {numbers: ["{{ b }}"]}}
outputs:
  c: "{{ c }}"
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    Path(tmp_path, "pipeline.yaml").write_text(CHAIN)
    for name in ("a", "b", "go-1", "go-2"):
        os.mkfifo(tmp_path / name)
    return tmp_path


def open_gate(directory: Path, name: str) -> None:
    """Wait until the step runs, and let it end."""
    (directory / name).write_bytes(b"go")


def test_of_two_processes_that_resume_a_run_exactly_one_does(forge: Forge, directory: Path) -> None:
    first = forge.start(directory)
    said = first.read()
    first.kill()
    assert said is not None
    racers = [forge.start(directory, resume=said["run"], go=str(directory / name)) for name in ("go-1", "go-2")]
    with (directory / "go-1").open("wb"), (directory / "go-2").open("wb"):
        pass  # both read their pipes by now, and the end of them is the signal
    answers = [racer.read() for racer in racers]
    assert sorted(answers, key=str) == [{"error": "ORC803"}, {"run": said["run"]}]
    open_gate(directory, "a")
    open_gate(directory, "b")
    winner = racers[answers.index({"run": said["run"]})]
    assert winner.read() == {"outputs": {"c": 3}}
    for racer in racers:
        racer.join()


def test_another_process_pauses_resumes_and_cancels(forge: Forge, directory: Path) -> None:
    worker = forge.start(directory)
    said = worker.read()
    assert said is not None
    with orc.Orchestrator(directory=directory, tools=TOOLS) as client:
        run = client.get_run(said["run"])
        run.pause()
        assert next(event for event in run.events() if event.type == "run.paused")
        open_gate(directory, "a")
        assert run.wait().state == "paused"
        assert worker.read() == {"error": "ORC807"}
        worker.join()  # its owner has left; the run stays paused, and whoever resumes it executes it
        assert run.status().state == "paused"
        worker = forge.start(directory, resume=said["run"])
        worker.read()
        next(event for event in run.events() if event.type == "step.started" and event.path == "b")
        with pytest.raises(orc.RunOwned):
            client.resume(run.id)
        run.cancel(reason="enough")
        assert worker.read() == {"error": "ORC806"}
        assert run.status().state == "cancelled"
        worker.join()


def test_another_process_sees_what_the_events_say(forge: Forge, directory: Path) -> None:
    worker = forge.start(directory)
    said = worker.read()
    assert said is not None
    open_gate(directory, "a")
    with orc.Orchestrator(directory=directory, tools=TOOLS) as client:
        run = client.get_run(said["run"][:-3])
        seen = []
        for event in run.events():
            seen.append(event)
            if (event.type, event.path) == ("step.started", "b"):
                break
        status = run.status()
        assert (status.state, status.counts["succeeded"], [step.path for step in status.running]) == (
            "running",
            1,
            ["b"],
        )
        open_gate(directory, "b")
        # A reader that left and rejoins misses nothing and sees nothing twice.
        seen += list(run.events(after=seen[-1].seq))
        assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
        assert worker.read() == {"outputs": {"c": 3}}
        worker.join()
        state = fold_all(seen)
        status = run.status()
        assert (status.state, status.progress, status.last_seq) == ("succeeded", 1.0, seen[-1].seq)
        assert state.last_seq == status.last_seq
        assert run.result().outputs == {"c": 3}
