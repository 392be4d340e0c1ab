"""The result of a run, read from its record on access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from orchestrator.errors import ConfigurationError
from orchestrator.history.event_log import EventsInMemory, RunEvents
from orchestrator.history.result_page import result_page
from orchestrator.history.step_results import StepResults
from orchestrator.journal import Event
from orchestrator.journal.events import RunState
from orchestrator.journal.state.status import NoticeStatus
from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.text.representation import PartlyShown

if TYPE_CHECKING:
    from orchestrator.history.event_log import ResultSource
    from orchestrator.history.quality import Quality
    from orchestrator.journal import RunRecord, RunStatus
    from orchestrator.models.messages import Usage


class ResultInspector(Protocol):
    """Checks the quality of results; `evaluation` has the implementation. It can be pickled with a result."""

    def inspect(self, result: Result, *, judge: bool | str | Sequence[str], rubric: str) -> Quality:
        """Check a result; see `Result.qc`."""

    async def ainspect(self, result: Result, *, judge: bool | str | Sequence[str], rubric: str) -> Quality:
        """As `inspect`."""


class Result(PartlyShown, frozen=True):
    """The result of a run, however it ended. It can be pickled, and then holds all events itself.

    `outputs` holds the declared outputs (none unless the run succeeded), `steps` every step by its path, including
    nested steps that have started, `log` the events. Steps and log are read from the store on access. `spending` is the
    usage and cost of all model calls, `warnings` are about the run as a whole, `notices` are the latest ones.
    """

    hidden: ClassVar = ("steps", "log", "inspector")

    run_id: str
    state: RunState
    outputs: Mapping[str, Any]
    steps: StepResults
    error: Mapping[str, Any] | None = None
    log: Sequence[Event] = ()
    spending: Spending = NOTHING
    warnings: tuple[str, ...] = ()
    notices: tuple[NoticeStatus, ...] = ()
    inspector: ResultInspector | None = None

    @property
    def usage(self) -> Usage:
        """The tokens and requests of all model calls."""
        return self.spending.usage

    @property
    def cost(self) -> float | None:
        """The cost of the model calls in USD; None where the price of one is unknown."""
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
            "notices": [notice.to_dict() for notice in self.notices],
            "steps": {path: step.to_dict() for path, step in self.steps.items()},
        }

    def qc(self, *, judge: bool | str | Sequence[str] = False, rubric: str = "") -> Quality:
        """Check the quality of the result: by rules and, on request, by a model that judges each output.

        Args:
            judge: whether to ask a model, or the models to ask. By default no model is asked. With true it is the one
                that the pipeline names (`orchestrator`, else `model`), else the one that `auto` selects.
            rubric: the criteria that the outputs are judged by.

        Raises:
            ModelError: No model returned a usable judgement.
        """
        return self._inspector().inspect(self, judge=judge, rubric=rubric)

    async def aqc(self, *, judge: bool | str | Sequence[str] = False, rubric: str = "") -> Quality:
        """As `qc`."""
        return await self._inspector().ainspect(self, judge=judge, rubric=rubric)

    def to_markdown(self) -> str:
        """Return the result as a Markdown page: outputs, steps, errors and the log."""
        return result_page(self)

    def _inspector(self) -> ResultInspector:
        if self.inspector is None:
            raise ConfigurationError(
                f"the result of run `{self.run_id}` was read without an inspector",
                help="read it with `get_run(id).snapshot()`",
            )
        return self.inspector

    def __reduce__(self) -> tuple[Any, ...]:
        whole = (self.run_id, self.state, self.outputs, self.error, self.spending, self.warnings, self.notices)
        return _unpickled, (*whole, self.inspector, self.steps.record, tuple(self.log))


def _unpickled(
    run_id: str,
    state: RunState,
    outputs: Mapping[str, Any],
    error: Mapping[str, Any] | None,
    spending: Spending,
    warnings: tuple[str, ...],
    notices: tuple[NoticeStatus, ...],
    inspector: ResultInspector | None,
    record: RunRecord,
    log: tuple[Event, ...],
) -> Result:
    """Build a result that was pickled."""
    steps = StepResults(EventsInMemory(record, log), run_id, len(log))
    return Result(run_id, state, outputs, steps, error, log, spending, warnings, notices, inspector)


def result_of(
    store: ResultSource, status: RunStatus, outputs: Mapping[str, Any], inspector: ResultInspector | None = None
) -> Result:
    """Build the result of a run as of a status; later events are not part of it."""
    run_id, last_seq = status.run_id, status.last_seq
    return Result(
        run_id,
        status.state,
        outputs,
        StepResults(store, run_id, last_seq),
        status.error,
        RunEvents(store, run_id, last_seq),
        status.spending,
        status.warnings,
        status.notices,
        inspector,
    )
