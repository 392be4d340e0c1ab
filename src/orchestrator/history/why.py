"""Why a step ran, ran again, was taken from the cache, was skipped, waits or has not started, in sentences.

All of it is derived from what is recorded: the run's events and its plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator import codes
from orchestrator.errors import RunError
from orchestrator.history.step_results import RESULTS
from orchestrator.journal.audience import question_in_words
from orchestrator.journal.run_payloads import RunRevisedPayload, RunStartedPayload
from orchestrator.journal.state.step_history import StepRecord, apply
from orchestrator.journal.step_payloads import (
    StepAnsweredPayload,
    StepCancelledPayload,
    StepFailedPayload,
    StepRequeuedPayload,
    StepSkippedPayload,
    StepStartedPayload,
    StepSucceededPayload,
    StepUndonePayload,
    StepWaitingPayload,
)
from orchestrator.paths import is_at_or_below, is_in_end_block, parent_of
from orchestrator.plan.lookup import definition_at, jump_over, paths_of
from orchestrator.remedies import ShowRun
from orchestrator.text.words import word_list

if TYPE_CHECKING:
    from orchestrator.journal import Event, RunStatus, Store
    from orchestrator.journal.events import StepState
    from orchestrator.journal.payload import Payload

Data = Mapping[str, Any]

EARLIER_RUNS: Final = 100
"""How many earlier runs are searched for one of the same pipeline with the same step."""

_EVENTS_AT_ONCE: Final = 1_000

ReasonKind = Literal[
    "pending", "ran", "cached", "failed", "skipped", "waiting", "answered", "cancelled", "requeued", "undone"
]


class Reason(Struct, frozen=True):
    """One thing that happened to a step, and why: `text` is a sentence. `at` is None for what has not happened yet."""

    kind: ReasonKind
    text: str
    at: float | None = None


class Comparison(Struct, frozen=True):
    """The cache key of a step compared to that of the last earlier run: `parts` are the names of those that differ."""

    run_id: str
    at: float
    parts: tuple[str, ...]


class Why(Struct, frozen=True):
    """Why a step is in its state: `reasons` in order of time, the last one is that of `state`."""

    run_id: str
    path: str
    state: str
    reasons: tuple[Reason, ...]
    compared: Comparison | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON data."""
        compared = self.compared
        return {
            "run_id": self.run_id,
            "path": self.path,
            "state": self.state,
            "reasons": [{"kind": reason.kind, "text": reason.text, "at": reason.at} for reason in self.reasons],
            "compared": None
            if compared is None
            else {"run_id": compared.run_id, "at": compared.at, "parts": list(compared.parts)},
        }


def explain_step(store: Store, status: RunStatus, path: str) -> Why:
    """Return why the step at `path` of a run is in its state.

    Raises:
        RunError: ORC809, the run has no such step.
    """
    record = store.record(status.run_id)
    definition = definition_at(record.plan, path, numbered=True)
    if definition is None:
        raise _no_such_step(status.run_id, record.plan, path)
    story = _Story(
        path, definition, record.plan, StepRecord(path), shared_by=str((record.forked_from or {}).get("run_id") or "")
    )
    for event in _events(store, status.run_id, story.paths):
        story.take(event)
    reasons = story.told(status)
    compared = None
    if story.cache is not None:
        compared = _compared(store, status, path, story.cache)
        reasons = _with_comparison(reasons, compared, cached=story.cached)
    return Why(status.run_id, path, story.state, tuple(reasons), compared)


def _no_such_step(run_id: str, plan: Data, path: str) -> RunError:
    from orchestrator.diagnostics import suggest

    help = None
    if definition_at(plan, path) is not None:
        help = f"`{path}` is in a loop: name the item, as in `{path.replace('.', '[0].', 1)}`"
    elif near := suggest(path, list(paths_of(plan))):
        help = f"did you mean `{near}`?"
    remedies = (ShowRun(run_id),) if help is None else ()
    message = f"run `{run_id}` has no step `{path}`"
    return RunError(message, run_id=run_id, code=codes.STEP_NOT_FOUND, help=help, remedies=remedies)


class _Story(Struct):
    """What the events tell of one step, taken in one after another."""

    path: str
    definition: Data
    plan: Data
    record: StepRecord
    shared_by: str = ""
    reasons: list[Reason] = field(default_factory=list)
    cache: Data | None = None
    cause: str = ""
    others: dict[str, StepRecord] = field(default_factory=dict)

    @property
    def state(self) -> StepState:
        """The state of the step."""
        return self.record.state

    @property
    def cached(self) -> bool:
        """Whether its result was taken from the cache."""
        return self.record.cached is not None

    @property
    def paths(self) -> list[str]:
        """The paths of the step, of what contains it, and of what it depends on; "" is the run's."""
        return ["", self.path, *self._around, *self._dependencies]

    @property
    def _around(self) -> list[str]:
        """The steps that contain it, the innermost first."""
        found, path = [], parent_of(self.path)
        while path:
            if definition_at(self.plan, path) is not None and not path.endswith("]"):
                found.append(path)
            path = parent_of(path)
        return found

    @property
    def _dependencies(self) -> list[str]:
        around = parent_of(self.path)
        return [f"{around}.{other}" if around else other for other in self.definition.get("dependencies", ())]

    def take(self, event: Event) -> None:
        """Take an event in."""
        match event.payload:
            case RunStartedPayload() as started:
                if self.shared_by:
                    self.shared_by = ""  # what follows is the fork's own
                elif started.resumed:
                    self._resumed()
            case RunRevisedPayload() as revised:
                self._revised(revised)
            case StepUndonePayload() as undone:
                self._undone(event, undone)
            case payload if event.path == self.path:
                self._own(event, payload)
                apply(self.record, event)
            case _ if event.path:
                apply(self.others.setdefault(event.path, StepRecord(event.path)), event)
            case _:
                pass

    def told(self, status: RunStatus) -> list[Reason]:
        """Return the reasons; the last one of a step that is not running says what it waits for."""
        if self.state == "pending":
            self.reasons.append(Reason("pending", self._not_started(status)))
        elif status.state == "interrupted" and self.state == "running":
            self.reasons.append(Reason("pending", "the process that ran it has ended; resume the run to continue"))
        return self.reasons

    def _add(self, kind: ReasonKind, text: str, event: Event) -> None:
        self.reasons.append(Reason(kind, text, event.at))

    def _own(self, event: Event, payload: Payload) -> None:
        match payload:
            case StepStartedPayload():
                self._add("ran", self._started(event), event)
                self.cause, self.cache = "", None
            case StepWaitingPayload():
                self._add("waiting", _waiting(event.attempt, payload), event)
                if payload.reason == "retry":
                    self.cause = f"attempt {event.attempt} failed: {_message(payload.error)}"
            case StepAnsweredPayload():
                self._add("answered", f"{payload.by} answered" if payload.by else "it was answered", event)
            case StepSucceededPayload():
                self._succeeded(event, payload)
            case StepFailedPayload():
                self.cache = payload.cache or self.cache
                self._add("failed", _failed(payload), event)
            case StepSkippedPayload():
                self._add("skipped", self._skipped(payload), event)
            case StepCancelledPayload(reason=reason):
                self._add(
                    "cancelled", f"it was cancelled: {reason}" if reason else "it was cancelled with the run", event
                )
            case StepRequeuedPayload():
                self.cause = "a pause interrupted it"
                self._add("requeued", "a pause interrupted it; it will run again", event)
            case _:
                pass

    def _succeeded(self, event: Event, end: StepSucceededPayload) -> None:
        if self.shared_by:
            self.reasons[:] = [Reason("ran", f"its result was copied from run {self.shared_by}", event.at)]
            return
        self.cache = end.cache or self.cache
        if not self.reasons:
            self._add("ran", "its steps ran", event)
        if end.cached:
            self.reasons[-1:] = [Reason("cached", _cached(end.cached), event.at)]

    def _resumed(self) -> None:
        record = self.record
        if is_in_end_block(self.path):
            self.cause = "the run was resumed, and the steps of `finally` and `error_handlers` run each time"
        elif record.state == "running" or (record.state == "waiting" and self.cause):
            self.cause = "the process that ran it ended before it did"
        elif record.state == "failed" and record.handled == "fail":
            self.cause = "it had failed, and the run was resumed"
        elif record.state == "cancelled":
            self.cause = "it had been cancelled, and the run was resumed"
        elif record.state == "skipped" and not record.settled:
            pass  # it decides again whether the pipeline ends early
        else:
            return
        self.record = StepRecord(self.path)

    def _undone(self, event: Event, undone: StepUndonePayload) -> None:
        """Note that the success of this step, or of one that it depends on, was undone."""
        for path in [path for path in self.others if any(_touches(other, path) for other in undone.forget)]:
            del self.others[path]
        if self.state == "pending" or not any(_touches(path, self.path) for path in undone.forget):
            return
        own = event.path == self.path
        self.cause = "it had been undone" if own else f"`{event.path}` had been undone"
        if own:
            self._add("undone", "it was undone, and counts as not done", event)
        self.record = StepRecord(self.path)

    def _revised(self, revised: RunRevisedPayload) -> None:
        for path in [path for path in self.others if any(_touches(other, path) for other in revised.forget)]:
            del self.others[path]
        forgotten = [path for path in revised.forget if _touches(path, self.path)]
        if not forgotten or self.state == "pending":
            return
        by = revised.by or "a user"
        if revised.reason == "with":
            self.cause = f"{by} continued with an edited pipeline, which made its result invalid"
        else:
            self.cause = f"{by} retried `{revised.step or forgotten[0]}`"
        self.record = StepRecord(self.path)

    def _started(self, event: Event) -> str:
        attempt = f"attempt {event.attempt}: " if event.attempt > 1 else ""
        if self.cause:
            return f"{attempt}it ran again because {self.cause}"
        names = word_list(f"`{name}`" for name in self.definition.get("dependencies", ()))
        around = parent_of(self.path)
        if names:
            why = f"it ran after {names} had ended"
        else:
            why = f"it ran when `{around}` started" if around else "it ran at once, because it depends on no other step"
        condition = self.definition.get("condition")
        return f"{attempt}{why}" + (f"; its condition `{condition}` was true" if condition else "")

    def _skipped(self, skip: StepSkippedPayload) -> str:
        if skip.reason == "end":
            return f"`{skip.by}` ended the pipeline before it started"
        if skip.reason != "jump" or not skip.by:
            condition = self.definition.get("condition")
            return "its condition " + (f"`{condition}` was false" if condition else "was false")
        jump = jump_over(self.plan, skip.by, self.path)
        return f"`{skip.by}` jumped over it" + (f": its `{jump[0]}` continues at `{jump[1]}`" if jump else "")

    def _not_started(self, status: RunStatus) -> str:
        again = f"it will run again because {self.cause}; " if self.cause else ""
        for path in self._around:
            state = self._state_of(path)
            if state in ("skipped", "cancelled"):
                return f"{again}`{path}`, which contains it, was {state}"
            if state == "failed":
                return f"{again}`{path}`, which contains it, failed before it started"
            if state == "succeeded":
                return f"{again}`{path}`, which contains it, ended without it"
        for path in self._around:
            if self._state_of(path) == "pending":
                return f"{again}`{path}`, which contains it, has not started"
        if status.ended:
            return f"{again}the run {_ENDED[status.state]} before it started{_because(status)}"
        open_ = [path for path in self._dependencies if self._state_of(path) not in ("succeeded", "skipped", "failed")]
        if open_:
            return f"{again}it waits for {word_list(f'`{path}`' for path in open_)}"
        if status.state == "paused":
            return f"{again}the run is paused"
        if status.state == "interrupted":
            return f"{again}the process that executed the run has ended; resume the run to continue"
        if any(step.state == "running" and not step.kind for step in status.active):
            return f"{again}it is ready, and waits for a free slot: `max_parallel` steps are running"
        return f"{again}it starts next"

    def _state_of(self, path: str) -> StepState:
        record = self.others.get(path)
        return "pending" if record is None else record.state


_ENDED: Final = {"succeeded": "succeeded", "failed": "failed", "cancelled": "was cancelled"}


def _touches(forgotten: str, path: str) -> bool:
    return is_at_or_below(path, forgotten) or is_at_or_below(forgotten, path)


def _because(status: RunStatus) -> str:
    if status.state == "failed":
        step = (status.error or {}).get("step")
        return f": `{step}` failed" if step else f": {_message(status.error)}"
    return f": {status.reason}" if status.reason else ""


def _waiting(attempt: int, waiting: StepWaitingPayload) -> str:
    match waiting.reason:
        case "retry":
            return f"attempt {attempt} failed and is retried: {_message(waiting.error)}"
        case "handler":
            return f"attempt {attempt} failed, and its error handler runs: {_message(waiting.error)}"
        case "human":
            return f"it {question_in_words({'prompt': 'for an answer', **(waiting.question or {})})}"
        case "time":
            return "it waits for its scheduled time"
        case other:
            return f"it waits for {other}"


def _cached(source: Data) -> str:
    made = datetime.fromtimestamp(source.get("at", 0)).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"its result was taken from the cache: `{source.get('path')}` of run {source.get('run_id')}, {made}"


def _failed(failure: StepFailedPayload) -> str:
    message = f"it failed: {_message(failure.error)}"
    match failure.handled:
        case "continue":
            return f"{message}; its `on_failure` continues the run without a value"
        case "value":
            return f"{message}; its fallback value is used"
        case "jump":
            return f"{message}; its `on_failure` continues at `{failure.target}`"
        case _:
            return message


def _message(error: Any) -> str:
    return str(error.get("message") or error.get("type") or "an error") if isinstance(error, Mapping) else "an error"


def _events(store: Store, run_id: str, paths: list[str]) -> Iterator[Event]:
    """Yield the events of some steps, without results."""
    after = 0
    while True:
        batch = store.events(run_id, after, _EVENTS_AT_ONCE, paths=paths)
        for event in batch:
            told = {name: value for name, value in event.data.items() if name not in RESULTS}
            yield replace(event, data=store.resolve(told))
        if len(batch) < _EVENTS_AT_ONCE:  # else the rest of a long run would be searched once more
            return
        after = batch[-1].seq


# --- the cache key of a step, compared to that of an earlier run


def _compared(store: Store, status: RunStatus, path: str, cache: Data) -> Comparison | None:
    """Compare the cache key to that of the newest earlier run of the same pipeline whose step had one."""
    earlier = [
        each
        for each in store.list(limit=EARLIER_RUNS)
        if each.pipeline == status.pipeline and each.created_at < status.created_at and each.run_id != status.run_id
    ]
    for other in earlier:
        found = [event for event in _events(store, other.run_id, [path]) if event.data.get("cache")]
        if found:
            before, now = found[-1].data["cache"].get("parts", {}), cache.get("parts", {})
            names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
            return Comparison(other.run_id, found[-1].at, tuple(names))
    return None


def _with_comparison(reasons: list[Reason], compared: Comparison | None, *, cached: bool) -> list[Reason]:
    """Add to the reason of the last execution why the result was not in the cache."""
    last = max((index for index, reason in enumerate(reasons) if reason.kind == "ran"), default=None)
    if cached or last is None:
        return reasons
    if compared is None:
        told = "no earlier run of this pipeline looked it up"
    elif compared.parts:
        told = f"{word_list(map(part_in_words, compared.parts))} changed since run {compared.run_id}"
    else:
        told = (
            f"its key was that of run {compared.run_id}, but that result was excluded (`refresh`), expired (`ttl`), "
            "or was removed"
        )
    text = f"{reasons[last].text}; the cache had no result for it: {told}"
    return [*reasons[:last], Reason("ran", text, reasons[last].at), *reasons[last + 1 :]]


def part_in_words(name: str) -> str:
    """Name a part of a key for people."""
    kind, _, rest = name.partition(".")
    match kind:
        case "parameters":
            return f"the parameter `{rest}`"
        case "files":
            return f"the content of `{rest}`"
        case "tool":
            return "the tool or its version"
        case "code":
            return "the tool's code"
        case "directory":
            return "the working directory"
        case "key":
            return "its `cache.key`"
    return f"the {kind}"
