"""What a run forgets so that one of its steps runs again, and what a fork copies from it."""

from __future__ import annotations

import re
from collections import deque
from math import inf
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.errors import RunError
from orchestrator.journal.run_payloads import RunRevisedPayload
from orchestrator.journal.state.resume_state import failed_for_branches, resume_state
from orchestrator.journal.state.step_history import StepRecord, apply
from orchestrator.journal.step_payloads import StepFailedPayload, StepStartedPayload, StepUndonePayload
from orchestrator.paths import ancestors, is_at_or_below, is_in_end_block, is_in_undo, item_of, parent_of
from orchestrator.plan.agent_tools import APPROVAL
from orchestrator.plan.lookup import step_of_agent
from orchestrator.plan.walk import inner_steps
from orchestrator.remedies import Remedy, Resume
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from orchestrator.journal import Event
    from orchestrator.journal.state.resume_state import ResumeState

    Data = Mapping[str, Any]

_SEGMENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)(?:\[(\d+)\])?")
_LOOPS: Final = ("for_each", "while", "until", "agent")
_ENDS: Final = frozenset({"step.succeeded", "step.failed", "step.skipped", "step.cancelled", "step.requeued"})
_PASSING: Final = frozenset({"step.progress", "step.model", "step.undone"})


def paths_to_forget(run_id: str, plan: Data, found: ResumeState, path: str) -> tuple[str, ...]:
    """Return the paths to forget so that the step at `path` runs again: the step, and everything that depends on it.

    What contains it is then unfinished as well, and need not be listed.

    Raises:
        RunError: ORC809, the run has no such step.
    """
    if is_in_end_block(path):
        return (path,)  # these run again on every resume
    forget = [path]
    block: Sequence[Data] = plan["steps"]
    around: Data = {}
    before = ""
    for segment in path.split("."):
        match = _SEGMENT.fullmatch(segment)
        step = next((step for step in block if match and step["id"] == match[1]), None)
        if step is None and match and match[2] is None and around.get("kind") == "agent" and before.endswith("]."):
            step = step_of_agent(around, match[1])
            if step is not None and not step["dependencies"]:  # another answer asks for other calls
                forget[0] = before[:-1]
            elif step is not None and step["kind"] == "approve":  # the call that it is about is made again
                forget.append(f"{before}{match[1].removesuffix(APPROVAL)}")
        if match is None or step is None:
            if before and segment.startswith("on_error["):
                forget[0] = before[:-1]  # a handler runs after its step has failed, so the step runs again
                break
            raise _unknown(run_id, path, before, block)
        if before and around["kind"] in _LOOPS and not before.endswith("]."):
            help = f"`{before[:-1]}` is a loop: name the item, as in `{before[:-1]}[0].{path[len(before) :]}`"
            raise RunError(f"run `{run_id}` has no step `{path}`", run_id=run_id, code=codes.STEP_NOT_FOUND, help=help)
        around = step
        here = f"{before}{step['id']}"
        forget += [f"{before}{other}" for other in dependents(step["id"], block)]
        if match[2] is not None:
            forget += _later_rounds(run_id, found, step, here, int(match[2]))
            here = f"{here}[{match[2]}]"
        before = f"{here}."
        block = inner_steps(step, plan.get("pipelines", {}))
    return tuple(forget)


def dependents(step_id: str, block: Iterable[Data]) -> list[str]:
    """Return the steps of a block that wait for one, directly or through others."""
    successors: dict[str, list[str]] = {}
    for step in block:
        for other in step["dependencies"]:
            successors.setdefault(other, []).append(step["id"])
    found: dict[str, None] = {}
    waiting = deque([step_id])
    while waiting:
        for successor in successors.get(waiting.popleft(), ()):
            if successor not in found:
                found[successor] = None
                waiting.append(successor)
    return list(found)


def recorded_roots(found: ResumeState) -> set[str]:
    """Return the top-level steps with records."""
    return {path.partition(".")[0].partition("[")[0] for path in (*found.steps, *found.items)}


def read_resume_state(read: Callable[[], Iterable[Event]]) -> ResumeState:
    """Fold a run's events to the state to resume from. `read` returns them from the beginning.

    Of an ended item only its end is kept, and of rounds the last. If some of that was forgotten, what was before it is
    needed, so the events are read a second time, without what was forgotten.
    """
    forgotten = _Forgotten()
    found = resume_state(forgotten.noting(read()))
    if not forgotten.within_loops:
        return found
    again = resume_state(event for event in read() if not (forgotten.has(event) or forgotten.has_opened(event)))
    return replace(again, undoable=found.undoable, compensating=found.compensating, again=found.again)


def shared_events(read: Callable[[], Iterable[Event]], run_id: str, forget: Iterable[str]) -> Iterator[Event]:
    """Yield the events that the new run `run_id` copies from another one, without `forget`, numbered from 2.

    Steps are copied when they are settled, loops and groups as far as they are finished, without the failures that they
    failed for. The new run does not undo what was copied: it belongs to the other one. `read` returns the events of the
    other run from the beginning.
    """
    forgotten = _Forgotten()
    failures = {event.path: event for event in forgotten.noting(read()) if event.type == "step.failed"}
    forgotten.add(forget)
    pending: dict[str, list[Event]] = {}
    seq = 1  # the number of the run's creation
    for event in read():
        path = event.path
        if not path or is_in_end_block(path) or is_in_undo(path) or event.type in _PASSING or forgotten.has(event):
            continue
        taken: list[Event] = []
        if event.type == "step.started" and StepStartedPayload.from_data(event.data).kind:
            taken = [event]
        elif event.type not in _ENDS:
            pending.setdefault(path, []).append(event)
        else:
            record = StepRecord(path)
            apply(record, event)
            before = pending.pop(path, [])
            if record.settled and not forgotten.has_opened(event) and not _is_tried_again(event, failures):
                taken = [*before, event]
        for each in taken:
            seq += 1
            if "undo" in each.data:
                each = replace(each, data={key: value for key, value in each.data.items() if key != "undo"})
            yield replace(each, run_id=run_id, seq=seq)


def _is_tried_again(event: Event, failures: Mapping[str, Event]) -> bool:
    """Whether the event is a handled failure for which the loop or group around it failed later."""
    if event.type != "step.failed":
        return False
    item = item_of(event.path)
    around = failures.get(parent_of(event.path) if item is None else item[0])
    if around is None or around.seq < event.seq:
        return False
    failure = StepFailedPayload.from_data(around.data)
    return failure.handled == "fail" and (item is not None or failed_for_branches(around.path, failure))


class _Forgotten:
    """What a run has forgotten, and when: the numbers of the last revisions, by path.

    What contains those paths is `opened`: its earlier ends do not count.
    """

    def __init__(self) -> None:
        self._paths: dict[str, float] = {}
        self._opened: dict[str, float] = {}

    @property
    def within_loops(self) -> bool:
        """Whether items, rounds, or steps in them were forgotten."""
        return any("[" in path for path in self._paths)

    def noting(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield the events, and record the revisions among them."""
        for event in events:
            if event.type == "run.revised":
                self.add(RunRevisedPayload.from_data(event.data).forget, event.seq)
            elif event.type == "step.undone":
                self.add(StepUndonePayload.from_data(event.data).forget, event.seq)
            yield event

    def add(self, paths: Iterable[str], seq: float = inf) -> None:
        """Forget these paths as of the event with this number."""
        for path in paths:
            self._paths[path] = seq
            self._opened.update(dict.fromkeys(ancestors(parent_of(path)), seq))

    def has(self, event: Event) -> bool:
        """Whether the event's step was forgotten later."""
        path = event.path
        return any(event.seq < self._paths.get(each, 0) for each in ancestors(path))

    def has_opened(self, event: Event) -> bool:
        """Whether the event is an end that a later revision has invalidated."""
        return event.type in _ENDS and event.seq < self._opened.get(event.path, 0)


def _later_rounds(run_id: str, found: ResumeState, step: Data, loop: str, index: int) -> list[str]:
    """Return the rounds after one that runs again, because they depend on it, and so do items that carry values.

    Other items of a `for_each` do not depend on each other.
    """
    if step["kind"] not in _LOOPS:
        raise RunError(
            f"run `{run_id}` has no step `{loop}[{index}]`: `{loop}` is not a loop",
            run_id=run_id,
            code=codes.STEP_NOT_FOUND,
            help=f"write `{loop}`",
        )
    ends = found.items.get(loop)
    if ends is None:
        return []
    item_path = f"{loop}[{index}]"
    if not ends.state(index) and not any(is_at_or_below(path, item_path) for path in found.steps):
        loop_end = found.steps.get(loop)
        if loop_end is not None and loop_end.settled:
            what, remedies = f"`{loop}` has only {len(ends)} items", tuple[Remedy, ...]()
        else:
            what = f"{len(ends)} items of `{loop}` have ended, and this one has not"
            remedies = (Resume(run_id),)
        message = f"run `{run_id}` has no step `{item_path}`: {what}"
        help = "items are counted from 0"
        raise RunError(message, run_id=run_id, code=codes.STEP_NOT_FOUND, help=help, remedies=remedies)
    if step["kind"] == "for_each" and "update" not in step:
        return []
    last = max(ends, default=-1) + 1  # one may be in progress
    return [f"{loop}[{later}]" for later in range(index + 1, last + 1)]


def _unknown(run_id: str, path: str, before: str, block: Sequence[Data]) -> RunError:
    known = [f"{before}{step['id']}" for step in block]
    wrong = path[len(before) :].partition(".")[0].partition("[")[0]
    near = suggest(wrong, [step["id"] for step in block])
    if near:
        near += path[len(before) + len(wrong) :].partition(".")[0]
    elif wrong.isdigit() and before:
        near = f"{before[:-1]}[{wrong}]"
        before = ""
    listed = quoted_list(known, most=8)
    inside = f"`{before[:-1]}` contains no steps" if before else "the pipeline has no steps"
    return RunError(
        f"run `{run_id}` has no step `{path}`",
        run_id=run_id,
        code=codes.STEP_NOT_FOUND,
        help=f"did you mean `{before}{near}`?" if near else f"its steps are {listed}" if known else inside,
    )
