"""Workers that are killed at random while they execute many runs: nothing is lost, and nothing is done twice.

`python -m tests.workers.chaos --kills 1000 --store URL` does it at length, and prints what it has seen.
"""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
import time
from collections import Counter
from os import kill
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

import orchestrator as orc
from tests.workers.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.journal import Store

CHAIN = """
inputs: {n: 1}
steps:
  - {id: a, tool: sleep, parameters: {seconds: 0.05}}
  - {id: b, tool: filesystem, action: append, dependencies: [a], parameters: {path: "log-{{ n }}", content: "b\\n"}}
  - {id: c, tool: sleep, dependencies: [b], parameters: {seconds: 0.05}}
  - {id: d, value: "{{ n * 2 }}", dependencies: [c]}
outputs: {end: "{{ d }}"}
"""

LOOP = """
inputs: {n: 1}
steps:
  - id: each
    for_each: "{{ range(8) }}"
    max_parallel: 3
    steps:
      - {id: nap, tool: sleep, parameters: {seconds: 0.02}}
      - {id: square, value: "{{ item * item + n }}", dependencies: [nap]}
    collect: "{{ square }}"
outputs: {end: "{{ each | sum }}"}
"""

QUESTION = """
inputs: {n: 1}
steps:
  - {id: before, tool: sleep, parameters: {seconds: 0.02}}
  - {id: q, ask: {prompt: "More than {{ n }}?", type: integer}, dependencies: [before]}
  - {id: after, value: "{{ q + n }}"}
outputs: {end: "{{ after }}"}
"""

RETRIED = """
inputs: {n: 1}
steps:
  - id: fails
    tool: filesystem
    action: read
    parameters: {path: nowhere}
    retry: {max_attempts: 2, delay: 0.02}
    on_failure: {value: none}
  - {id: inner, pipeline: chain.yaml, inputs: {n: "{{ n }}"}, dependencies: [fails]}
outputs: {end: "{{ inner.end }}"}
"""

PIPELINES = {"chain": CHAIN, "loop": LOOP, "question": QUESTION, "retried": RETRIED}


def expected(name: str, n: int) -> int:
    """Return the output of a run that nothing disturbs."""
    return {"chain": 2 * n, "loop": sum(i * i + n for i in range(8)), "question": 7 + n, "retried": 2 * n}[name]


class Outcome(Struct):
    """What was seen: `runs` by pipeline, `kills`, `stops` by SIGSTOP past the lease, and what is `wrong`."""

    runs: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    stops: int = 0
    takeover: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Chaos:
    """Some workers with one store, and a generator of disturbances."""

    def __init__(self, url: str, directory: Path, *, workers: int = 3, seed: int = 0) -> None:
        for name, text in PIPELINES.items():
            (directory / f"{name}.yaml").write_text(text)
        self.outcome = Outcome()
        self.chance = random.Random(seed)
        self.client = orc.Orchestrator(store=url, directory=directory)
        self._pipelines = {name: self.client.compile(directory / f"{name}.yaml") for name in PIPELINES}
        self._url, self._directory = url, directory
        self._workers = [WorkerProcess(url, directory) for _ in range(workers)]
        self._runs: dict[str, tuple[str, int]] = {}
        self._stopped: list[WorkerProcess] = []

    def submit(self, count: int) -> None:
        """Submit runs of all pipelines."""
        for number in range(count):
            name = self.chance.choice(sorted(PIPELINES))
            run = self._pipelines[name].submit(n=number)
            self._runs[run.id] = (name, number)
            self.outcome.runs[name] += 1

    def kill(self) -> None:
        """Kill one worker, and start another in its place."""
        place = self.chance.randrange(len(self._workers))
        self._workers[place].kill()
        self._workers[place] = WorkerProcess(self._url, self._directory)
        self.outcome.kills += 1

    def halt(self) -> None:
        """Stop one worker as a machine that sleeps; another takes its place. It wakes at the end, past its lease."""
        place = self.chance.randrange(len(self._workers))
        kill(self._workers[place].pid, signal.SIGSTOP)
        self._stopped.append(self._workers[place])
        self._workers[place] = WorkerProcess(self._url, self._directory)
        self.outcome.stops += 1

    def wait_for_progress(self) -> None:
        """Return when something was recorded of a run that has not ended, or some time has passed."""
        left = [run_id for run_id in self._runs if not self.client.get_run(run_id).status().ended]
        if left:
            chosen = self.chance.choice(left)
            self._store.wait(chosen, self.client.get_run(chosen).status().last_seq, 2.0)

    @property
    def _store(self) -> Store:
        return self.client.backend.store

    def open(self) -> list[str]:
        """Answer what is asked; return the runs that have not ended."""
        left = []
        for run_id in self._runs:
            status = self.client.get_run(run_id).status()
            if status.ended:
                continue
            left.append(run_id)
            if any(step.question is not None and not step.answered for step in status.active):
                try:
                    self.client.get_run(run_id).answer("q", 7)
                except orc.OrchestratorError as error:
                    if error.code not in ("ORC606", "ORC804"):  # it asks again after a kill, and then is answered again
                        raise
        return left

    def finish(self, patience: float) -> Outcome:
        """Wait until all runs have ended, look at them, and end the workers."""
        deadline = time.monotonic() + patience
        while (left := self.open()) and time.monotonic() < deadline:
            self._store.wait(left[0], 10**9, 0.2)
        for worker in self._stopped:
            kill(worker.pid, signal.SIGCONT)
        for run_id, (name, n) in self._runs.items():
            self.outcome.wrong += [f"{name} {n}: {what}" for what in self._problems(run_id, name, n)]
        return self.outcome

    def _problems(self, run_id: str, name: str, n: int) -> Iterator[str]:
        run = self.client.get_run(run_id)
        status = run.status()
        if status.state != "succeeded":
            yield f"it is {status.state}: {status.error or status.waiting_on}"
            return
        if run.snapshot().outputs["end"] != expected(name, n):
            yield f"its output is {run.snapshot().outputs}"
        ends = Counter(event.path for event in run.events(follow=False) if event.type == "step.succeeded")
        yield from (f"{path} succeeded {count} times" for path, count in ends.items() if count > 1)

    def close(self) -> None:
        """End all processes."""
        for worker in (*self._workers, *self._stopped):
            worker.kill()
        self.client.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill workers at random, and return 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--store", default=None, help="the URL of the store; default: a new SQLite file")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        chaos = Chaos(options.store or f"sqlite:///{directory}/runs.db", directory, seed=options.seed)
        try:
            while chaos.outcome.kills < options.kills:
                chaos.submit(12)
                for _ in range(20):
                    chaos.open()
                    chaos.kill()
                    time.sleep(chaos.chance.uniform(0.1, 1.2))
                if chaos.chance.random() < 0.3:
                    chaos.halt()
            outcome = chaos.finish(300)
        finally:
            chaos.close()
    print(f"seed {options.seed}: {outcome.kills} kills, {outcome.stops} stops, runs {dict(outcome.runs)}")
    for each in outcome.wrong:
        print(f"WRONG {each}")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
