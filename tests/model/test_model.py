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
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, note, settings

import orchestrator as orc
from orchestrator.journal import Store
from orchestrator.journal.records import RunFilter
from orchestrator.paths import is_at_or_below, is_in_undo, undone_step
from tests.model.agents import model
from tests.model.lives import Stretch, Turn, answers, events, live, lose, store_url, stretch, tools
from tests.model.oracle import LAUNCHED, Expected, expected
from tests.model.plans import Act, ForEach, Plan, Step, Work, everything
from tests.model.strategies import lives, plans
from tests.model.writing import write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.journal import Event

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
        started = {str(event.data["output"]) for event in launches(directory, run_id, "step.succeeded")}
        outputs = last.data.get("outputs") or {}
        shown = {id: LAUNCHED if value in started else value for id, value in outputs.items() if value.__hash__}
        assert (last.type, {**outputs, **shown}, last.data.get("error")) == ("run.succeeded", oracle.outputs, None)
    else:
        assert last.type == "run.failed"
        step = last.data["error"]["step"]
        assert any(f"{cause}.".startswith((f"{step}.", f"{step}[")) for cause in oracle.failure.causes), step
    check_states(directory, run_id, allowed)
    check_calls(plan, oracle, stretches)
    check_undo(plan, directory, run_id, stretches)
    check_files(plan, directory, run_id)
    check_launches(directory, run_id)
    check_answers(directory, run_id, oracle)


def check_answers(directory: Path, run_id: str, oracle: Expected) -> None:
    """Questions are those that the oracle knows, and no one is asked twice, unless the answer was undone."""
    for path, count in Counter(answers(directory)).items():
        assert path in oracle.asked, path
        assert count <= 1 + undone(directory, run_id, path), f"{path}, asked again"
    for path in oracle.asked:
        assert len(oracle.states[path]) > 1 or path in answers(directory), path


def undone(directory: Path, run_id: str, path: str) -> int:
    """How often what was done at a path was undone, so that it counts as not done."""
    forgotten = [event.data["forget"] for event in events(directory, run_id) if event.type == "step.undone"]
    return sum(any(is_at_or_below(path, one) or is_at_or_below(one, path) for one in paths) for paths in forgotten)


def check_files(plan: Plan, directory: Path, run_id: str) -> None:
    """What a step produces is listed with its success."""
    listed = {event.path for event in events(directory, run_id) if event.type == "step.file"}
    producing = {step.id for step in everything(plan.steps) if step.produces}
    for event in events(directory, run_id):
        if event.type == "step.succeeded" and id_of(event.path) in producing and not is_in_undo(event.path):
            assert event.path in listed


def id_of(path: str) -> str:
    """The id of the step at a path."""
    return path.rpartition(".")[2]


def launches(directory: Path, run_id: str, type: str) -> list[Event]:
    """The events of this type of the steps that start other runs."""
    found = events(directory, run_id)
    paths = {event.path for event in found if event.type == "step.started" and event.data.get("kind") == "detached"}
    return [event for event in found if event.type == type and event.path in paths]


def check_launches(directory: Path, run_id: str) -> None:
    """A step that has started a run has started that one only, whatever ended the process, unless it was undone."""
    named = {str(event.data["run"]) for event in launches(directory, run_id, "step.started")}
    ended = {str(event.data["output"]) for event in launches(directory, run_id, "step.succeeded")}
    with Store.open(store_url(directory)) as store:
        wanted = RunFilter(labels=(f"parent:{run_id}",))
        found = {status.run_id for status in store.list(wanted=wanted)}
    assert ended <= found <= named
    starts = launches(directory, run_id, "step.started")
    for path in {event.path for event in starts}:
        of_path = {str(event.data["run"]) for event in starts if event.path == path}
        assert len(of_path) <= 1 + undone(directory, run_id, path), path


def check_states(directory: Path, run_id: str, allowed: dict[str, set[str]]) -> None:
    found = dict.fromkeys(allowed, "pending")
    for event in events(directory, run_id):
        if event.type in ENDS and not event.path.startswith(END_BLOCKS) and not is_in_undo(event.path):
            found[event.path] = ENDS[event.type]
    wrong = {path: (state, allowed.get(path)) for path, state in found.items() if state not in allowed.get(path, ())}
    assert not wrong


def check_calls(plan: Plan, oracle: Expected, stretches: list[Stretch]) -> None:
    handling = {step.id for step in everything(plan.steps) if step.handlers and isinstance(call_of(step), Act)}
    total = Counter[str]()
    for one in stretches:
        made = [call for call in one.calls if not call.path.startswith(END_BLOCKS) and not is_in_undo(call.path)]
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


def check_undo(plan: Plan, directory: Path, run_id: str, stretches: list[Stretch]) -> None:
    """Every success that has an `undo` is undone once, the last one first, before the run or its group fails."""
    undone = {step.id: step for step in everything(plan.steps) if step.undo}
    left: dict[int, Event] = {}
    begun: dict[str, int] = {}
    results: dict[str, list[Any]] = {}
    at_end = False
    for event in events(directory, run_id):
        owner = undone_step(event.path)
        if event.type == "run.started":
            at_end = False
        elif event.type == "run.compensating":
            begun[event.data.get("within", "")] = event.seq
        elif event.type == "step.started" and event.path.startswith("finally."):
            at_end = True
        elif event.type == "step.succeeded" and has_undo(event.path, undone):
            left[event.seq] = event
            results.setdefault(event.path, []).append(event.data["output"])
        elif event.type == "step.started" and owner is not None:
            assert any(owner == last_within(left, scope) for scope in begun), f"{owner} is not the last of any"
        elif event.type == "step.undone":
            assert left.pop(event.data["of"]).path == event.path
        elif event.type == "run.compensated":
            scope = event.data.get("within", "")
            assert last_within(left, scope) is None
            begun = {other: seq for other, seq in begun.items() if scope and not is_at_or_below(other, scope)}
        elif event.type == "run.cancelled" or (event.type == "run.failed" and event.data["error"]["code"] != "ORC720"):
            assert not left or (at_end and not begun), "something was not undone"
    oracle = expected(plan)
    for call in (call for one in stretches for call in one.calls if is_in_undo(call.path)):
        owner = undone_step(call.path)
        assert owner is not None
        assert call.reads[0] in results[owner], call.path
        if owner in oracle.calls:
            assert call.reads[1:] == oracle.calls[owner].reads, call.path


def has_undo(path: str, undone: dict[str, Step]) -> bool:
    """Whether the success at a path can be undone: of a loop with its own call, that of each item is."""
    if is_in_undo(path) or path.startswith(END_BLOCKS):
        return False
    step = undone.get(path.rpartition(".")[2].partition("[")[0])
    return step is not None and isinstance(step.work, ForEach) == path.endswith("]")


def last_within(left: dict[int, Event], scope: str) -> str | None:
    """The last success in a group, or the run, that was not undone."""
    return next((one.path for one in reversed(left.values()) if not scope or is_at_or_below(one.path, scope)), None)


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
        directory=directory,
        tools=tools(),
        models=model(directory),
        store=store_url(directory),
        max_parallel=plan.places,
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
