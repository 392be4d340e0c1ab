"""Undoes the successes of a run or a group, one after another, the last first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.journal.run_payloads import RunCompensatedPayload
from orchestrator.journal.step_payloads import StepUndonePayload
from orchestrator.remedies import Resume
from orchestrator.runtime.run.run_graph import StepFailure
from orchestrator.runtime.values.undo_names import scope_of_names
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.runtime.run.run_context import RunContext
    from orchestrator.runtime.run.run_graph import Frame, FramePipeline
    from orchestrator.runtime.run.step_run import FrameControl
    from orchestrator.runtime.values.undo_log import Undoable

FAILURE = "CompensationFailed"
"""The type of the error of a step that could not be undone."""

_MOST_NAMED = 10


class Compensation:
    """Undoes what can be undone `within` a group of a `pipeline`, or in the whole run.

    `on_end` is called when nothing is left, when an undo has failed, with the failure, or when the process stops.
    `settled` are the states of the top-level steps that have ended, by id.
    """

    def __init__(
        self,
        frames: FrameControl,
        context: RunContext,
        within: str,
        pipeline: FramePipeline,
        on_end: Callable[[StepFailure | None], None],
        *,
        settled: dict[str, str] | None = None,
    ) -> None:
        self._frames = frames
        self._context = context
        self._within = within
        self._pipeline = pipeline
        self._on_end = on_end
        self._settled = settled or {}
        self._frame: Frame | None = None
        self._one: Undoable | None = None
        self.forgotten: dict[str, None] = {}
        """The paths of what counts as not done now, in their order."""

    def open(self) -> None:
        """Begin with the last success, or continue where an earlier owner of the run has stopped."""
        context = self._context
        one = context.undo.last(self._within)
        if context.interrupted:
            self._on_end(None)
        elif one is None:
            context.log.record_payload(RunCompensatedPayload(within=self._within))
            self._on_end(None)
        elif one.step is None or one.step.undo is None:
            self._on_end(self._failure(None))
        else:
            self._one = one
            context.undo.begin(one)
            context.defer()  # what it does depends on the failure
            scope = scope_of_names(context.redactor.restore(one.names), context.now).child({})
            self._frame = self._frames.open(
                one.step.undo.steps, f"{one.path}.undo", scope, self, pipeline=self._pipeline
            )

    def stop(self) -> None:
        """Stop, as the process does; the next owner of the run continues."""
        if self._frame is not None:
            self._frames.stop_frame(self._frame, "the process that executed the run is stopping")

    def closed(self, frame: Frame) -> None:
        """Record that a step was undone, and continue with the one before."""
        self._frame = None
        if frame.failure is not None:
            self._on_end(self._failure(frame.failure))
        elif frame.stopped:
            self._on_end(None)
        else:
            self._undone()
            self.open()

    def _undone(self) -> None:
        context, one = self._context, self._one
        if one is None:
            return
        forget = context.undo.steps.undone_with(one.path, self._within, known=self.forgotten)
        roots = {path.partition(".")[0].partition("[")[0] for path in forget} if not self._within else set()
        reopened: dict[str, int] = {}
        for state in [self._settled.pop(id) for id in roots if id in self._settled]:
            reopened[state] = reopened.get(state, 0) + 1
        event = context.log.record_payload(
            StepUndonePayload(of=one.seq, forget=list(forget), reopened=reopened), one.path
        )
        context.undo.end(one, forget, event.seq)
        self.forgotten |= dict.fromkeys(forget)

    def _failure(self, failure: StepFailure | None) -> StepFailure:
        left = [one.path for one in self._context.undo.within(self._within)]
        data: dict[str, Any] = dict(failure.data) if failure is not None else {"attempt": 0, "step": left[0]}
        why = data.get("message") or "the pipeline has no `undo` for it any more"
        more = f"; still to be undone: {quoted_list(left[1:], most=_MOST_NAMED)}" if left[1:] else ""
        data |= {
            "code": codes.COMPENSATION_FAILED,
            "type": FAILURE,
            "message": f"`{left[0]}` could not be undone: {why}{more}",
            "help": "fix the problem, and resume the run: it continues to undo",
            "remedies": [Resume(self._context.run_id).to_dict()],
        }
        return StepFailure(data, frozenset({FAILURE}))
