"""A run that is killed at any moment goes on where it was: no completed step is lost or run again."""

from __future__ import annotations

import os
import random
import selectors
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import orchestrator as orc
from orchestrator.journal import Store

if TYPE_CHECKING:
    from tests.crash.conftest import Forge, Worker

LAYERS, WIDTH, KILLS = 100, 2, 50


def write_pipeline(directory: Path) -> None:
    """200 steps: each adds what two steps of the layer before it gave."""
    lines = ["steps:"]
    for layer in range(LAYERS):
        for n in range(WIDTH):
            reads = [f"{{{{ s{layer - 1}_{(n + k) % WIDTH} }}}}" for k in (0, 1)] if layer else [str(n)]
            numbers = ", ".join(f'"{read}"' if "{" in read else read for read in reads)
            lines += [f"  - id: s{layer}_{n}", "    tool: add", f"    parameters: {{numbers: [{numbers}]}}"]
    lines += ["outputs:", *[f'  o{n}: "{{{{ s{LAYERS - 1}_{n} }}}}"' for n in range(WIDTH)]]
    Path(directory, "pipeline.yaml").write_text("\n".join(lines) + "\n")


def calls(directory: Path) -> Counter[str]:
    path = Path(directory, "calls")
    return Counter(path.read_text().split()) if path.exists() else Counter()


def recorded(directory: Path, run_id: str) -> set[str]:
    """The steps whose success is in the store; the events have no gap."""
    with Store.open(f"sqlite:///{directory}/.orchestrator/runs.db") as store:
        events = store.events(run_id, limit=100_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return {event.path for event in events if event.type == "step.succeeded"}


def outputs(directory: Path, run_id: str) -> dict[str, int]:
    with orc.Orchestrator(directory=directory) as client:
        return dict(client.get_run(run_id).result().outputs)


def says_more_within(worker: Worker, seconds: float) -> bool:
    """Whether the worker says something before that time has passed; the time only chooses the moment of the kill."""
    with selectors.DefaultSelector() as selector:
        selector.register(worker._report, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def test_a_killed_run_loses_and_repeats_nothing(forge: Forge, tmp_path: Path) -> None:
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    write_pipeline(undisturbed)
    worker = forge.start(undisturbed)
    worker.read()
    expected = worker.read()
    worker.join()
    assert expected is not None
    assert len(expected["outputs"]) == WIDTH
    assert set(calls(undisturbed).values()) == {1}

    chance, kills, number = random.Random(20), 0, 0
    while kills < KILLS:
        number += 1
        directory = tmp_path / f"run-{number}"
        directory.mkdir()
        write_pipeline(directory)
        worker, before = forge.start(directory), Counter[str]()
        run_id, done = "", set[str]()
        while True:
            first = worker.read()
            assert first is not None
            if first == {"error": "ORC804"}:  # it was killed between its success and its last word
                break
            run_id = run_id or first["run"]
            if kills == KILLS or says_more_within(worker, chance.uniform(0, 0.03)):
                break
            worker.kill()
            kills += 1
            after = calls(directory)
            # What was recorded before this worker began was not run again by it.
            assert all(after[step] == before[step] for step in done)
            previous, done, before = done, recorded(directory, run_id), after
            assert previous <= done
            # What ran and is not recorded was in flight: at most one call for each place.
            assert len([step for step in after if step not in done]) <= WIDTH
            worker = forge.start(directory, resume=run_id)
        assert worker.read() == (expected if "run" in first else None)
        worker.join()
        assert outputs(directory, run_id) == expected["outputs"]
        assert all(calls(directory)[step] == before[step] for step in done)
        assert len(recorded(directory, run_id)) == LAYERS * WIDTH


def test_a_run_killed_while_a_step_blocks_is_taken_up_at_once(forge: Forge, tmp_path: Path) -> None:
    Path(tmp_path, "pipeline.yaml").write_text(
        "steps:\n  - {id: a, tool: add, parameters: {numbers: [1]}}\n  - {id: g, tool: gate, dependencies: [a]}\n"
    )
    os.mkfifo(tmp_path / "g")
    worker = forge.start(tmp_path)
    said = worker.read()
    assert said is not None
    with (tmp_path / "g").open("wb"):  # the step has opened it for reading, so it runs
        os.kill(worker.pid, signal.SIGSTOP)
        worker.kill()
    with Store.open(f"sqlite:///{tmp_path}/.orchestrator/runs.db") as store:
        assert store.status(said["run"]).state == "interrupted"
    again = forge.start(tmp_path, resume=said["run"])
    again.read()
    with (tmp_path / "g").open("wb"):
        pass
    assert again.read() == {"outputs": {}}
    again.join()
    assert calls(tmp_path) == {"a": 1, "g": 2}
