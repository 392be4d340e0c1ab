"""What a run achieved, read from its record when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, overload

from orchestrator.errors import ConfigurationError
from orchestrator.journal import Event, RunRecord
from orchestrator.journal.events import RunState
from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.runtime.result_steps import StepResults

if TYPE_CHECKING:
    from orchestrator.journal import RunStatus, Store
    from orchestrator.models.messages import Usage
    from orchestrator.runtime.host.engine import Engine
    from orchestrator.runtime.quality import Quality

EVENTS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Result:
    """What a run achieved, however it ended. It can be pickled, and then holds all events itself.

    `outputs` holds the declared outputs (none unless the run succeeded), `steps` every step by its path, also those
    within others that have begun, `log` the events. Steps and log are read from the store when they are looked at.
    `spending` is what all calls of models have taken, `warnings` are about the run as a whole.
    """

    run_id: str
    state: RunState
    outputs: Mapping[str, Any]
    steps: StepResults = field(repr=False)
    error: Mapping[str, Any] | None = None
    log: Sequence[Event] = field(default=(), repr=False)
    spending: Spending = NOTHING
    warnings: tuple[str, ...] = ()
    _engine: Any = field(default=None, repr=False, compare=False)  # the `Engine` that gave it

    @property
    def usage(self) -> Usage:
        """The tokens and requests of all calls of models."""
        return self.spending.usage

    @property
    def cost(self) -> float | None:
        """What the calls of models cost in USD; None where the price of one is not known."""
        return self.spending.cost

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON data, without the log."""
        return {
            "run_id": self.run_id,
            "state": self.state,
            "outputs": dict(self.outputs),
            "error": dict(self.error) if self.error is not None else None,
            **self.spending.to_dict(),
            "warnings": list(self.warnings),
            "steps": {path: step.to_dict() for path, step in self.steps.items()},
        }

    def qc(self, *, judge: bool | str | Sequence[str] = False, rubric: str = "") -> Quality:
        """Look for what is wrong with the result: by rules and, if wanted, by a model that judges each output.

        Args:
            judge: whether to ask a model, or the models to ask. By default no model is asked. With true it is the one
                that the pipeline names (`orchestrator`, else `model`), else what `auto` means.
            rubric: what the outputs are measured against.

        Raises:
            ModelError: No model has given a judgement that can be used.
        """
        from orchestrator.runtime.host.adhoc_models import blocking

        refuse_unread(judge)
        return blocking(self.aqc(judge=judge, rubric=rubric))

    async def aqc(self, *, judge: bool | str | Sequence[str] = False, rubric: str = "") -> Quality:
        """As `qc`."""
        from orchestrator.runtime.quality import control

        refuse_unread(judge)
        return await control(self, self._engine, judge=judge, rubric=rubric)

    def to_markdown(self) -> str:
        """Return the result as a page for people: outputs, steps, errors and the log."""
        from orchestrator.runtime.markdown import result_page

        return result_page(self)

    def __reduce__(self) -> tuple[Any, ...]:
        record = self.steps.record
        whole = (self.run_id, self.state, self.outputs, self.error, self.spending, self.warnings)
        return _restored, (*whole, record, tuple(self.log))


def refuse_unread(judge: Any) -> None:
    """Refuse what cannot name a model that judges.

    Raises:
        ConfigurationError: It is neither true, false, None, a name, nor several of those.
    """
    named = [judge] if isinstance(judge, str) else judge if isinstance(judge, list | tuple) else []
    if isinstance(judge, bool) or (named and all(isinstance(each, str) for each in named)):
        return
    raise ConfigurationError(
        f"`judge` must be true, false or the name of a model, not {judge!r}", help='write for example `judge="auto"`'
    )


def _restored(
    run_id: str,
    state: RunState,
    outputs: Mapping[str, Any],
    error: Mapping[str, Any] | None,
    spending: Spending,
    warnings: tuple[str, ...],
    record: RunRecord,
    log: tuple[Event, ...],
) -> Result:
    """Build a result that was pickled."""
    recorded = RecordedEvents(record, log)
    steps = StepResults(recorded, run_id, len(log))
    return Result(run_id, state, outputs, steps, error, log, spending, warnings)


@dataclass(frozen=True, slots=True)
class RecordedEvents:
    """Stands for a store that has one run: all of its events, with their large values in place."""

    run: RunRecord
    log: Sequence[Event]

    def record(self, run_id: str) -> RunRecord:
        """Return what the run is made of."""
        return self.run

    def events(self, run_id: str, after: int = 0, limit: int = 1000) -> list[Event]:
        """Return up to `limit` events that follow the one numbered `after`."""
        return list(self.log[after : after + limit])

    def values_at(self, run_id: str, seqs: Sequence[int]) -> list[Any]:
        """Return what the steps have achieved whose ends are the events with these numbers."""
        found = [self.log[seq - 1].data for seq in seqs]
        return [data.get("output", data.get("value")) for data in found]

    def resolve(self, value: Any) -> Any:
        """Return the value, which is in place."""
        return value


def result_of(engine: Engine, status: RunStatus, outputs: Mapping[str, Any]) -> Result:
    """Build the result of a run as of a status; later events are not part of it."""
    store, run_id, last_seq = engine.store, status.run_id, status.last_seq
    return Result(
        run_id,
        status.state,
        outputs,
        StepResults(store, run_id, last_seq),
        status.error,
        Log(store, run_id, last_seq),
        status.spending,
        status.warnings,
        engine,
    )


class Log(Sequence["Event"]):
    """The events of a run up to one of them, read in pages as they are looked at."""

    def __init__(self, store: Store, run_id: str, last_seq: int) -> None:
        self._store = store
        self._run_id = run_id
        self._last_seq = last_seq
        self._page: list[Event] = []

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        seq = range(1, self._last_seq + 1)[index]
        if not self._page or not self._page[0].seq <= seq <= self._page[-1].seq:
            after = (seq - 1) // EVENTS_AT_ONCE * EVENTS_AT_ONCE
            self._page = self._store.events(self._run_id, after=after, limit=EVENTS_AT_ONCE, resolve=True)
        return self._page[seq - self._page[0].seq]

    def __len__(self) -> int:
        return self._last_seq


def iso_time(seconds: float) -> str:
    """Seconds since the epoch as text, to the millisecond, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
