"""Random pipelines through random lives: crashes, pauses, cancellations, questions. They end as the oracle says.

What is compared: the state of the run and its outputs; the state of every step at any depth; what each call was given;
and which attempts were made. At least once: an attempt that was under way when its process died may be made again, one
whose outcome is recorded never. Where the oracle leaves open whether something happened (`states` has several), either
is right.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, note, settings

import orchestrator as orc
from tests.model.lives import Stretch, Turn, events, live, lose, store_url, stretch, tools
from tests.model.oracle import Expected, expected
from tests.model.plans import Act, ForEach, Plan, Step, Work, everything
from tests.model.strategies import lives, plans
from tests.model.writing import write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

END_BLOCKS = ("finally.", "error_handlers[")
ENDS = {
    "step.succeeded": "succeeded",
    "step.failed": "failed",
    "step.skipped": "skipped",
    "step.cancelled": "cancelled",
}
NORMAL = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


def prepare(plan: Plan, home: Path) -> Path:
    directory = home / str(next(_numbers))
    directory.mkdir()
    note(write(plan, directory).read_text())
    return directory


def check(plan: Plan, directory: Path, run_id: str, stretches: list[Stretch]) -> None:
    """Compare what a run left behind with what is expected."""
    mended = (directory / "mended").exists()
    oracle = expected(plan)
    allowed = oracle.states
    if not mended:  # what fails for now may have done so, and something else have ended the run
        for path, states in expected(plan, mended=False).states.items():
            allowed[path] = allowed.get(path, set()) | states
    last = events(directory, run_id)[-1]
    if oracle.failure is None:
        assert (last.type, last.data.get("outputs"), last.data.get("error")) == ("run.succeeded", oracle.outputs, None)
    else:
        assert last.type == "run.failed"
        step = last.data["error"]["step"]
        assert any(f"{cause}.".startswith((f"{step}.", f"{step}[")) for cause in oracle.failure.causes), step
    check_states(directory, run_id, allowed)
    check_calls(plan, oracle, stretches)


def check_states(directory: Path, run_id: str, allowed: dict[str, set[str]]) -> None:
    found = dict.fromkeys(allowed, "pending")
    for event in events(directory, run_id):
        if event.type in ENDS and not event.path.startswith(END_BLOCKS):
            found[event.path] = ENDS[event.type]
    wrong = {path: (state, allowed.get(path)) for path, state in found.items() if state not in allowed.get(path, ())}
    assert not wrong


def check_calls(plan: Plan, oracle: Expected, stretches: list[Stretch]) -> None:
    handling = {step.id for step in everything(plan.steps) if step.handlers and isinstance(call_of(step), Act)}
    total = Counter[str]()
    for one in stretches:
        made = [call for call in one.calls if not call.path.startswith(END_BLOCKS)]
        for call in made:
            assert call.reads == oracle.calls[call.path].reads, call.path
            # A handler belongs to an attempt of its step: when that is made again, so is what the handler did.
            owner = call.path.partition(".on_error[")[0].rpartition(".")[2].partition("[")[0]
            assert call.path not in one.settled or (".on_error[" in call.path and owner in handling), (
                f"{call.path}, again"
            )
        requeued = one.turn is not None and one.turn.kind == "pause now"  # an interrupted attempt does not count
        for path, count in Counter(call.path for call in made).items():
            assert count <= oracle.calls[path].most + requeued, path
        total.update(call.path for call in made)
        check_end_blocks(plan, one)
    for path, call in oracle.calls.items():
        strict = len(oracle.states[path]) == 1
        if strict:
            assert total[path] >= 1, path
        if len(stretches) == 1 and not requeued:
            assert total[path] == call.count or (not strict and total[path] <= call.count), path


def call_of(step: Step) -> Work | tuple[Step, ...]:
    """The call that a step makes, be it for each item of a loop."""
    return step.work.body if isinstance(step.work, ForEach) else step.work


def check_end_blocks(plan: Plan, one: Stretch) -> None:
    """What runs when the run ends, is told how; a cancellation may come while it runs, and then it is cut short."""
    if one.state in ("succeeded", "failed") and not (one.turn is not None and one.turn.kind == "cancel"):
        last = [call.reads for call in one.calls if call.path == "finally.last"]
        told = [call for call in one.calls if call.path == "error_handlers[0].tell"]
        assert last[-1:] == ([[one.state]] if plan.finally_ else []), one
        assert bool(told) is (plan.error_handler is not None and one.state == "failed"), one


@NORMAL
@given(plan=plans())
def test_an_undisturbed_run_ends_as_the_oracle_says(home: Path, plan: Plan) -> None:
    test_a_disturbed_run_ends_as_the_oracle_says.hypothesis.inner_test(home, plan, [])  # type: ignore[attr-defined]


@NORMAL
@given(plan=plans(), turns=lives("crash", "crash", "pause", "cancel", "pause now"))
def test_a_disturbed_run_ends_as_the_oracle_says(home: Path, plan: Plan, turns: list[Turn]) -> None:
    directory = prepare(plan, home)
    with orc.Orchestrator(
        directory=directory, tools=tools(), store=store_url(directory), max_parallel=plan.places
    ) as client:
        run_id, stretches = live(directory, turns, lambda run_id, turn: stretch(client, run_id, turn, lose))
    check(plan, directory, run_id, stretches)


class Mortals:
    """Makes processes that each live one stretch of a run."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.model.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def stretch(self, directory: Path, places: int | None, run_id: str, turn: Turn | None) -> tuple[str, str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"directory": str(directory), "run": run_id, "turn": turn and [turn.kind, turn.at], "places": places}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["run"], answer["state"]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    mortals = Mortals()
    yield mortals
    mortals.close()


@settings(NORMAL, max_examples=25)
@given(plan=plans(), turns=lives("crash"))
def test_a_killed_run_ends_as_the_oracle_says(home: Path, mortals: Mortals, plan: Plan, turns: list[Turn]) -> None:
    directory = prepare(plan, home)
    run_id, stretches = live(
        directory, turns, lambda run_id, turn: mortals.stretch(directory, plan.places, run_id, turn)
    )
    check(plan, directory, run_id, stretches)
