"""A step that waits for a person or for a time. Nothing blocks: it waits in the journal, across restarts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.journal.step_payloads import StepAnsweredPayload, StepWaitingPayload
from orchestrator.remedies import RetryStep
from orchestrator.runtime.values import reminders
from orchestrator.runtime.values.answers import accepted

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from orchestrator.runtime.run.step_run import StepRun


class PendingWait:
    """The activity of a step that waits: for the answer to `question`, or else until a time in epoch seconds."""

    def __init__(
        self,
        run: StepRun,
        question: Mapping[str, Any] | None,
        until: float | None,
        on_answer: Callable[[Any], None],
        on_time: Callable[[], None],
    ) -> None:
        self._run = run
        self._question = question
        self._until = until
        self._on_answer = on_answer
        self._on_time = on_time
        self._timer: asyncio.TimerHandle | None = None
        self._reminder: asyncio.TimerHandle | None = None

    @property
    def has_deadline(self) -> bool:
        """Whether it ends at some time even if no answer comes. A reminder leaves it waiting."""
        return self._timer is not None

    def open(self) -> None:
        """Take the answer that was given while no process executed the run, or begin to wait."""
        record = self._run.node.record
        if record is not None and record.until is not None:
            self._until = record.until  # a deadline stays what it was when the wait began
        if record is not None and record.answered and self._question is not None:
            self._on_answer(record.answer)
            return
        if record is not None and self._question is not None:
            self._question = reminders.continued(self._question, record.question)
        question = self._question or None
        waiting = StepWaitingPayload(reason="human" if question else "time", question=question, until=self._until)
        self._run.record(waiting.without_nulls())
        if question:
            self._run.context.notices.asked(self._run.path, question)
        loop = self._run.context.loop
        self._await_reminder()
        if self._until is not None:
            self._timer = loop.call_later(max(0.0, self._until - time.time()), self._time_out)
        loop.wake()

    def _await_reminder(self) -> None:
        """Wait for the next time at which people are reminded, or others are asked too."""
        due = None if self._question is None else reminders.next_at(self._question)
        self._reminder = None
        if due is not None:
            self._reminder = self._run.context.loop.call_later(max(0.0, due - time.time()), self._remind)

    def _remind(self) -> None:
        """Record the question again, with how often people were reminded, and notify them.

        If the process ends between the two, the next owner notifies them: it sees the question ahead of its notices.
        """
        if self._question is None or self._run.context.over:
            return
        self._question = reminders.reminded(self._question, time.time())
        waiting = StepWaitingPayload(reason="human", question=self._question, until=self._until)
        self._run.record(waiting.without_nulls())
        self._run.context.notices.asked(self._run.path, self._question)
        self._await_reminder()
        self._run.context.loop.wake()

    def answer(self, value: Any, by: str) -> None:
        """Take an answer.

        Raises:
            InputError: It does not fit the question, which stays open.
        """
        if self._question is None:
            return
        answer = accepted(self._question, value)
        self._run.record(StepAnsweredPayload(value=answer, by=by))
        self._end()
        self._on_answer(answer)

    def stop(self) -> None:
        """Stop waiting, as the run or the step around it is being stopped."""
        self._end()
        self._run.end_if_stopped()

    def _time_out(self) -> None:
        self._timer = None
        self._end()
        self._on_time()

    def _end(self) -> None:
        if self._question is not None:
            self._run.context.notices.answered(self._run.path)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None


def ask_about_rerun(run: StepRun) -> None:
    """Ask whether a step whose attempt was in flight when its process died may run again."""
    path = run.path
    question = {"kind": "resume", "prompt": f"`{path}` was running when its process died. Run it again?"}

    def on_answer(answer: Any) -> None:
        if answer is True:
            run.parts.control.rerun(run.node)
            return
        run.fail(
            StepError(
                f"`{path}` was running when its process died, and the answer was not to run it again",
                code=codes.INTERRUPTED_STEP,
                remedies=[RetryStep(run.context.run_id, path)],
                retryable=False,
            )
        )

    wait = PendingWait(run, question, None, on_answer, lambda: None)
    wait.open()
    run.node.activity = wait
