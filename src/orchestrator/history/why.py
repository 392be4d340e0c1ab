"""Why a step of a run ran, ran again, was taken from the cache or skipped, waits, or has not begun: in words.

All of it follows from what is recorded: the run's events and its plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from orchestrator import codes
from orchestrator.errors import RunError
from orchestrator.paths import is_aside, is_at_or_below, parent_of
from orchestrator.plan.lookup import definition_at, jump_over, paths_of
from orchestrator.text.words import word_list

if TYPE_CHECKING:
    from orchestrator.journal import Event, RunStatus, Store

Data = Mapping[str, Any]

EARLIER_RUNS: Final = 100
"""How many earlier runs are looked through for one of the same pipeline with the same step."""

ReasonKind = Literal["pending", "ran", "cached", "failed", "skipped", "waiting", "answered", "cancelled", "requeued"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that became of a step, and why: `text` is a sentence. `at` is None for what has not happened yet."""

    kind: ReasonKind
    text: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The key of a cached step beside that of the last earlier run: `parts` are the names of those that differ."""

    run_id: str
    at: float
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """Why a step stands where it stands: `reasons` in the order of time, the last one is that of `state`."""

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


def why(store: Store, status: RunStatus, path: str) -> Why:
    """Say why the step at `path` of a run stands where it stands.

    Raises:
        RunError: ORC809, the run has no such step.
    """
    record = store.record(status.run_id)
    definition = definition_at(record.plan, path, numbered=True)
    if definition is None:
        raise _no_such_step(status.run_id, record.plan, path)
    story = _Story(path, definition, record.plan)
    story.shared_by = str((record.forked_from or {}).get("run_id") or "")
    for event in _events(store, status.run_id, story.interesting):
        story.take(event)
    reasons = story.told(status)
    compared = None
    if story.cache is not None:
        compared = _compared(store, status, path, story.cache)
        reasons = _with_comparison(reasons, compared, cached=story.cached)
    return Why(status.run_id, path, story.state, tuple(reasons), compared)


def _no_such_step(run_id: str, plan: Data, path: str) -> RunError:
    from orchestrator.diagnostics import suggest

    help = f"list its steps with: orchestrator show {run_id}"
    if definition_at(plan, path) is not None:
        help = f"`{path}` is in a loop: name the item, as in `{path.replace('.', '[0].', 1)}`"
    elif near := suggest(path, list(paths_of(plan))):
        help = f"did you mean `{near}`?"
    return RunError(f"run `{run_id}` has no step `{path}`", run_id=run_id, code=codes.STEP_NOT_FOUND, help=help)


@dataclass(slots=True)
class _Story:
    """What the events say of one step, taken in one after another."""

    path: str
    definition: Data
    plan: Data
    state: str = "pending"
    reasons: list[Reason] = field(default_factory=list)
    cache: Data | None = None
    cached: bool = False
    cause: str = ""
    handled: str = ""
    shared_by: str = ""
    others: dict[str, str] = field(default_factory=dict)

    @property
    def interesting(self) -> list[str]:
        """The paths of the step, of what it stands in, and of what it depends on; "" is the run's."""
        return ["", self.path, *self._around, *self._before]

    @property
    def _around(self) -> list[str]:
        """The steps that it stands in, the innermost first."""
        found, path = [], parent_of(self.path)
        while path:
            if definition_at(self.plan, path) is not None and not path.endswith("]"):
                found.append(path)
            path = parent_of(path)
        return found

    @property
    def _before(self) -> list[str]:
        around = parent_of(self.path)
        return [f"{around}.{other}" if around else other for other in self.definition.get("dependencies", ())]

    def take(self, event: Event) -> None:
        """Take an event in."""
        if event.type == "run.started":
            if self.shared_by:
                self.shared_by = ""  # what follows is the fork's own
            elif event.data.get("resumed"):
                self._resumed()
        elif event.type == "run.revised":
            self._revised(event)
        elif event.path == self.path:
            self._own(event)
        elif event.path:
            self.others[event.path] = _state_after(event, self.others.get(event.path, "pending"))

    def told(self, status: RunStatus) -> list[Reason]:
        """Return the reasons; the last one of a step that is not under way says what it waits for."""
        if self.state == "pending" or (self.state == "ready" and status.state not in ("running", "interrupted")):
            self.reasons.append(Reason("pending", self._not_begun(status)))
        elif status.state == "interrupted" and self.state in ("ready", "running"):
            self.reasons.append(Reason("pending", "the process that ran it has ended; resume the run to go on with it"))
        elif self.state == "ready":
            self.reasons.append(Reason("pending", "it waits for a free place: as many steps run as may at once"))
        return self.reasons

    def _add(self, kind: ReasonKind, text: str, event: Event) -> None:
        self.reasons.append(Reason(kind, text, event.at))

    def _own(self, event: Event) -> None:
        data = event.data
        self.cache = None if self.shared_by else data.get("cache") or self.cache
        match event.type:
            case "step.ready":
                self.state = "ready"
            case "step.started":
                self._add("ran", self._started(event), event)
                self.state, self.cause, self.cached, self.cache = "running", "", False, data.get("cache")
            case "step.waiting":
                self.state = "waiting"
                self._add("waiting", _waiting(event), event)
                if data.get("reason") == "retry":
                    self.cause = f"attempt {event.attempt} had failed: {_message(data.get('error'))}"
            case "step.running":
                self.state = "running"
            case "step.answered":
                self._add("answered", f"{_by(event) or 'somebody'} answered", event)
            case "step.succeeded" if self.shared_by:
                self.state = "succeeded"
                self.reasons[:] = [Reason("ran", f"it was taken over from run {self.shared_by}", event.at)]
            case "step.succeeded":
                self.state = "succeeded"
                if not self.reasons:
                    self._add("ran", "the steps in it ran", event)
                if source := data.get("cached"):
                    self.cached = True
                    self.reasons[-1:] = [Reason("cached", _cached(source), event.at)]
            case "step.failed":
                self.state, self.handled = "failed", str(data.get("handled") or "fail")
                self._add("failed", _failed(event), event)
            case "step.skipped":
                self.state = "skipped"
                self._add("skipped", self._skipped(event), event)
            case "step.cancelled":
                self.state = "cancelled"
                self._add("cancelled", _cancelled(event), event)
            case "step.requeued":
                self.state = "pending"
                self.cause = "a pause had interrupted it"
                self._add("requeued", "it was interrupted by a pause, and will run again", event)

    def _resumed(self) -> None:
        if is_aside(self.path):
            self.cause = "the run was resumed, and these steps run each time"
        elif self.state in ("running", "ready") or (self.state == "waiting" and self.cause):
            self.cause = "the process that ran it had ended before it did"
        elif self.state == "failed" and self.handled == "fail":
            self.cause = "it had failed, and the run was resumed"
        elif self.state == "cancelled":
            self.cause = "it had been cancelled, and the run was resumed"
        else:
            return
        self.state = "pending"

    def _revised(self, event: Event) -> None:
        forget = event.data.get("forget", ())
        self.others = {p: "pending" if any(_touches(f, p) for f in forget) else s for p, s in self.others.items()}
        forgotten = [path for path in forget if _touches(path, self.path)]
        if not forgotten or self.state == "pending":
            return
        by = _by(event) or "somebody"
        if event.data.get("reason") == "with":
            self.cause = f"{by} went on with an edited pipeline, by which its result no longer held"
        else:
            self.cause = f"{by} had `{event.data.get('step') or forgotten[0]}` done again"
        self.state = "pending"

    def _started(self, event: Event) -> str:
        attempt = f"attempt {event.attempt}: " if event.attempt > 1 else ""
        if self.cause:
            return f"{attempt}it ran again, as {self.cause}"
        names = word_list(f"`{name}`" for name in self.definition.get("dependencies", ()))
        around = parent_of(self.path)
        if names:
            why = f"{names} had ended"
        else:
            why = "its turn had come" if around else "it waits for no other step"
        condition = self.definition.get("condition")
        held = f", and its condition `{condition}` held" if condition else ""
        return f"{attempt}it ran, as {why}{held}"

    def _skipped(self, event: Event) -> str:
        by = event.data.get("by")
        if event.data.get("reason") != "jump" or not by:
            condition = self.definition.get("condition")
            return "its condition " + (f"`{condition}` was false" if condition else "was false")
        jump = jump_over(self.plan, str(by), self.path)
        told = f", whose `{jump[0]}` goes on at `{jump[1]}`" if jump is not None else ""
        return f"`{by}` jumped over it{told}"

    def _not_begun(self, status: RunStatus) -> str:
        begun = f"it will run again, as {self.cause}; " if self.cause else ""
        for path in self._around:
            state = self.others.get(path, "pending")
            if state in ("skipped", "cancelled"):
                return f"{begun}`{path}`, which it stands in, was {state}"
            if state == "failed":
                return f"{begun}`{path}`, which it stands in, failed before its turn"
            if state == "succeeded":
                return f"{begun}`{path}`, which it stands in, ended without it"
        for path in self._around:
            if self.others.get(path, "pending") == "pending":
                return f"{begun}`{path}`, which it stands in, has not begun"
        open_ = [path for path in self._before if self.others.get(path, "pending") not in _OVER]
        if status.ended:
            return f"{begun}the run {_ENDED[status.state]} before its turn{_because(status)}"
        if open_:
            verb = "has" if len(open_) == 1 else "have"
            return f"{begun}{word_list(f'`{path}`' for path in open_)} {verb} not ended yet"
        if status.state == "paused":
            return f"{begun}the run is paused"
        return f"{begun}its turn comes next"


_OVER: Final = frozenset({"succeeded", "skipped", "failed"})
_ENDED: Final = {"succeeded": "succeeded", "failed": "failed", "cancelled": "was cancelled"}
_STATES: Final = {
    "step.ready": "ready",
    "step.started": "running",
    "step.waiting": "waiting",
    "step.running": "running",
    "step.succeeded": "succeeded",
    "step.failed": "failed",
    "step.skipped": "skipped",
    "step.cancelled": "cancelled",
    "step.requeued": "pending",
}


def _state_after(event: Event, before: str) -> str:
    return _STATES.get(event.type, before)


def _touches(forgotten: str, path: str) -> bool:
    return is_at_or_below(path, forgotten) or is_at_or_below(forgotten, path)


def _because(status: RunStatus) -> str:
    if status.state == "failed":
        step = (status.error or {}).get("step")
        return f": `{step}` failed" if step else f": {_message(status.error)}"
    return f": {status.reason}" if status.reason else ""


def _waiting(event: Event) -> str:
    data = event.data
    question = data.get("question") or {}
    match data.get("reason"):
        case "retry":
            return f"attempt {event.attempt} failed, and it is tried again: {_message(data.get('error'))}"
        case "handler":
            return f"attempt {event.attempt} failed, and its handler runs: {_message(data.get('error'))}"
        case "human":
            return f"it asks: {question.get('prompt') or 'for an answer'}"
        case "time":
            return "it waits for its time"
        case other:
            return f"it waits for {other}"


def _cached(source: Data) -> str:
    made = datetime.fromtimestamp(source.get("at", 0)).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"its result was taken from the cache: `{source.get('path')}` of run {source.get('run_id')} made it, {made}"


def _failed(event: Event) -> str:
    message = f"it failed: {_message(event.data.get('error'))}"
    match event.data.get("handled"):
        case "continue":
            return f"{message}; its `on_failure` lets the run go on without a value"
        case "value":
            return f"{message}; its fallback value is used"
        case "jump":
            return f"{message}; its `on_failure` goes on at `{event.data.get('target')}`"
    return message


def _cancelled(event: Event) -> str:
    reason = event.data.get("reason")
    return f"it was cancelled: {reason}" if reason else "it was cancelled with the run"


def _message(error: Any) -> str:
    return str(error.get("message") or error.get("type") or "an error") if isinstance(error, Mapping) else "an error"


def _by(event: Event) -> str:
    return str(event.data.get("by") or "")


def _events(store: Store, run_id: str, paths: list[str]) -> Iterator[Event]:
    after = 0
    while batch := store.events(run_id, after, resolve=True, paths=paths):
        yield from batch
        after = batch[-1].seq


# --- the key of a cached step beside that of an earlier run


def _compared(store: Store, status: RunStatus, path: str, cache: Data) -> Comparison | None:
    """Find the newest earlier run of the same pipeline whose step at `path` was looked up, and compare the keys."""
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
    """Add to the last run of a step why its result was not in the cache."""
    last = max((index for index, reason in enumerate(reasons) if reason.kind == "ran"), default=None)
    if cached or last is None:
        return reasons
    if compared is None:
        told = "no earlier run of this pipeline had asked the cache for it"
    elif compared.parts:
        told = f"other than in run {compared.run_id}, {word_list(map(part_in_words, compared.parts))} differed"
    else:
        told = (
            f"its key was that of run {compared.run_id}, but the result there was not to be used (`--refresh`), "
            "too old (`ttl`), or is gone"
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
