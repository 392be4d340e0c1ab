"""What happens to a run of a conformance case besides its steps: answers, control, changed files, further runs.

`CASE.then.yaml` lists the acts, one after another. Each begins when the run has ended or rests, or with `after:` as
soon as these steps have started:

    - answer: {review: true}          # a question, by the path of its step
    - resume: true                    # go on; with a file, go on with that edited pipeline
    - retry: translate[1]             # do a step again
    - fork: {from: draft, inputs: {}} # another run that shares what came before a step
    - run: {topic: wind}              # another run, with these inputs
    - cancel: too slow
    - open: slow                      # lets a step end that calls the tool `gate`
    - write: {notes.txt: some text}   # changes files
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import orchestrator as orc
from tests.conformance import tools

PATIENCE = 20.0

Acts = list[dict[str, Any]]


def acts_of(case: Path) -> Acts | None:
    """The acts of a case, None if it has none."""
    path = case.with_suffix(".then.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None


class Session:
    """The runs of one case, the newest of which is acted upon."""

    def __init__(self, client: orc.Orchestrator, pipeline: orc.Pipeline, directory: Path) -> None:
        self._client = client
        self._pipeline = pipeline
        self._directory = directory
        self._run: orc.Run | None = None
        self._seen = 0

    def carry_out(self, inputs: dict[str, Any], acts: Acts) -> Iterator[tuple[Any, str | None, orc.Result]]:
        """Run the pipeline and do all acts; give each with what was refused, and how the run then came to rest.

        Acts that are followed by one with `after:` have no outcome of their own.
        """
        self._start(inputs)
        done: Any = "run"
        refused: str | None = None
        for act in acts:
            if "after" in act:
                self._wait_for(act["after"])
            else:
                yield done, refused, self._rested()
            done, refused = act, None
            try:
                self._do({key: value for key, value in act.items() if key != "after"})
            except orc.OrchestratorError as refusal:
                refused = f"{refusal.code}: {refusal.message}"
        yield done, refused, self._rested()

    def started(self) -> list[str]:
        """The steps that began to work since the last time this was asked, sorted by their paths.

        What a fork shares with the other run is recorded in it before it starts, and is not among them.
        """
        paths: list[str] = []
        for event in self._running().events(after=self._seen, follow=False):
            self._seen = event.seq
            if event.type == "run.started":
                paths.clear()
            if event.type == "step.started" and "kind" not in event.data:
                paths.append(event.path)
        return sorted(paths)

    def _do(self, act: dict[str, Any]) -> None:
        ((what, value),) = act.items()
        match what:
            case "answer":
                for path, answer in value.items():
                    self._running().answer(path, answer)
            case "resume":
                edited = None if value is True else self._client.compile(self._directory / value)
                self._client.resume(self._running().id, pipeline=edited)
            case "retry":
                self._client.retry(self._running().id, value)
            case "fork":
                forked = self._client.fork(self._running().id, from_step=value["from"], inputs=value.get("inputs"))
                self._run, self._seen = forked, 0
            case "run":
                self._start(value)
            case "cancel":
                self._running().cancel(reason=value)
            case "open":
                tools.GATES.open(value)
            case "write":
                for name, text in value.items():
                    (self._directory / name).write_text(text, encoding="utf-8")
            case _:
                raise ValueError(f"a case knows no act `{what}`")

    def _start(self, inputs: dict[str, Any]) -> None:
        self._run, self._seen = self._pipeline.start(inputs), 0

    def _running(self) -> orc.Run:
        assert self._run is not None
        return self._run

    def _rested(self) -> orc.Result:
        run = self._running()
        run.wait(timeout=PATIENCE)
        return run.snapshot()

    def _wait_for(self, paths: list[str]) -> None:
        missing = set(paths)
        for event in self._running().events():
            if event.type in ("step.started", "step.waiting"):
                missing.discard(event.path)
                if not missing:
                    return
        raise AssertionError(f"{', '.join(sorted(missing))}: never started")
