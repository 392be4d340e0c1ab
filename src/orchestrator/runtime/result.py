"""What a run achieved, read from its record when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, overload

from orchestrator.journal import Event, step_records
from orchestrator.journal.events import RunState, StepState

if TYPE_CHECKING:
    from orchestrator.runtime.engine import Engine


@dataclass(frozen=True, slots=True)
class StepResult:
    """How one step ended. Times in seconds since the epoch; `duration` in seconds, of the last attempt.

    `output` is the whole result of its tool, or the value that the run went on with after its failure. `reason` says
    why it was skipped or cancelled.
    """

    path: str
    state: StepState
    output: Any = None
    attempts: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    duration: float = 0.0
    error: Mapping[str, Any] | None = None
    reason: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def elapsed(self) -> float:
        """Seconds from the first start to the last end: all attempts, and the waits between them."""
        if self.started_at is None or self.ended_at is None:
            return 0.0
        return max(0.0, self.ended_at - self.started_at)

    def to_dict(self) -> dict[str, Any]:
        """Return the step as JSON data."""
        return {
            "path": self.path,
            "state": self.state,
            "output": self.output,
            "attempts": self.attempts,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "duration": self.duration,
            "error": dict(self.error) if self.error is not None else None,
            "reason": self.reason,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Result:
    """What a run achieved, however it ended.

    `outputs` holds the declared outputs (none unless the run succeeded), `steps` every step of the plan by its path,
    `log` the events. Steps and log are read from the store when they are first looked at.
    """

    run_id: str
    state: RunState
    outputs: Mapping[str, Any]
    steps: Mapping[str, StepResult] = field(repr=False)
    error: Mapping[str, Any] | None = None
    log: Sequence[Event] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON data, without the log."""
        return {
            "run_id": self.run_id,
            "state": self.state,
            "outputs": dict(self.outputs),
            "error": dict(self.error) if self.error is not None else None,
            "steps": {path: step.to_dict() for path, step in self.steps.items()},
        }

    def to_markdown(self) -> str:
        """Return the result as a page for people: outputs, steps, errors and the log."""
        from orchestrator.runtime.markdown import result_page

        return result_page(self)


def result_of(
    engine: Engine,
    run_id: str,
    state: RunState,
    last_seq: int,
    *,
    outputs: Mapping[str, Any],
    error: Mapping[str, Any] | None,
) -> Result:
    """Build the result of a run as of its event number `last_seq`; later events are not part of it."""
    log = Log(engine, run_id, last_seq)
    steps = Steps(lambda: _steps(engine, run_id, log))
    return Result(run_id, state, outputs, steps, error, log)


class Steps(Mapping[str, StepResult]):
    """The steps of a run by path, in the file's order; read when first asked for."""

    def __init__(self, load: Callable[[], dict[str, StepResult]]) -> None:
        self._load = load
        self._loaded: dict[str, StepResult] | None = None

    @property
    def _steps(self) -> dict[str, StepResult]:
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded

    def __getitem__(self, path: str) -> StepResult:
        return self._steps[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __repr__(self) -> str:
        return repr(self._steps)


class Log(Sequence["Event"]):
    """The events of a run up to one of them; read when first asked for."""

    def __init__(self, engine: Engine, run_id: str, last_seq: int) -> None:
        self._engine = engine
        self._run_id = run_id
        self._last_seq = last_seq
        self._loaded: list[Event] | None = None

    @property
    def _events(self) -> list[Event]:
        if self._loaded is None:
            events = self._engine.events(self._run_id)
            self._loaded = [event for event in events if event.seq <= self._last_seq]
        return self._loaded

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        return self._events[index]

    def __len__(self) -> int:
        return len(self._events)


def _steps(engine: Engine, run_id: str, log: Sequence[Event]) -> dict[str, StepResult]:
    plan = engine.store.record(run_id).plan
    steps = {step["id"]: StepResult(step["id"], "pending") for step in plan["steps"]}
    for path, record in step_records(log).items():
        steps[path] = StepResult(
            path=path,
            state=record.state,
            output=record.output,
            attempts=record.attempts,
            started_at=record.started_at,
            ended_at=record.ended_at,
            duration=record.duration,
            error=record.error,
            reason=record.reason,
            warnings=tuple(record.warnings),
        )
    return steps


def iso_time(seconds: float) -> str:
    """Seconds since the epoch as text, to the millisecond, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
