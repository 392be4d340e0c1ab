"""Commands to runs that this process does not execute: sent to their owner, or recorded here if they have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.errors import OrchestratorError, RunError, RunNotResumable, RunOwned
from orchestrator.journal import Command, Owner
from orchestrator.journal.run_payloads import (
    RunCancelledPayload,
    RunCompensatingPayload,
    RunPausedPayload,
    RunResumedPayload,
)
from orchestrator.journal.step_payloads import StepAnsweredPayload
from orchestrator.remedies import Answer, Remedy, Resume, ShowRun, ShowStatus
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.journal import ActiveStep, Lease, RunStatus, Store
    from orchestrator.journal.payload import Payload

ENDED: Final = {"succeeded": "succeeded", "failed": "failed", "cancelled": "been cancelled"}


class RunCommands:
    """Carries out commands by the store alone: nothing that executes runs is loaded for them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owner = Owner.current()

    def answer(self, run_id: str, path: str, value: Any, by: str) -> None:
        """Record the answer to an open question, or send it to the run's owner.

        Raises:
            RunError: ORC606, the run asks no such question.
            InputError: ORC605, the answer does not fit it.
        """
        answer = valid_answer(self._store.status(run_id), path, value)
        try:
            lease = self._store.acquire(run_id, self._owner)
        except RunOwned:
            self._store.send(run_id, Command("answer", {"path": path, "value": answer}, by))
            return
        try:  # another process may have answered before this one had the lease
            step, question = open_question(self._store.status(run_id), path)
            answer = _accepted(question, value)
        except OrchestratorError:
            self._store.release(lease)
            raise
        self._record(lease, StepAnsweredPayload(value=answer, by=by, idle=True), path, step.attempt)

    def send(self, run_id: str, command: Command) -> None:
        """Pause, resume or cancel a run, or answer a question of it.

        Raises:
            RunNotResumable: The run has ended already.
        """
        if command.kind == "answer":  # it was executed here until a moment ago
            self.answer(run_id, command.data["path"], command.data["value"], command.by)
            return
        status = self._store.status(run_id)
        if status.ended:
            if status.state == "cancelled" and command.kind == "cancel":
                return
            raise RunNotResumable(
                f"run `{run_id}` has already {ENDED[status.state]}",
                run_id=run_id,
                remedies=[ShowRun(run_id) if status.state == "succeeded" else Resume(run_id)],
            )
        waits_for_worker = status.state == "paused" and status.runs_on is not None
        if status.owner is None and command.kind == "resume" and not waits_for_worker:
            return
        if command.kind == "pause" and status.state == "paused":
            return
        try:
            lease = self._store.acquire(run_id, self._owner)
        except RunOwned:
            self._store.send(run_id, command)
            return
        if self._store.status(run_id).ended:  # it ended before this process had the lease
            self._store.release(lease)
            self.send(run_id, command)
        elif command.kind == "pause":
            self._record(lease, RunPausedPayload(by=command.by, idle=True))
        elif command.kind == "resume":
            self._record(lease, RunResumedPayload(by=command.by))
        else:
            self._record(lease, self._cancellation(run_id, str(command.data.get("reason") or ""), command.by))

    def _cancellation(self, run_id: str, reason: str, by: str) -> Payload:
        """Return the end of a run; of one that has done what is to be undone, that its next owner undoes it."""
        if _may_undo(self._store.record(run_id).plan):
            from orchestrator.runtime.host.assignment import read_recorded

            recorded = read_recorded(self._store, run_id)
            if recorded.undoable or recorded.compensating:
                return RunCompensatingPayload(state="cancelled", reason=reason, by=by)
        return RunCancelledPayload(reason=reason, by=by, idle=True)

    def _record(self, lease: Lease, payload: Payload, path: str = "", attempt: int = 0) -> None:
        """Record one event of a run that no process executes, and release it."""
        from orchestrator.journal import Journal

        with Journal(self._store) as journals:
            journal = journals.attach(lease)
            try:
                journal.record_payload(payload, path, attempt)
                journal.flush()
            finally:
                journal.detach()
                self._store.release(lease)


def _may_undo(plan: Any) -> bool:
    """Whether something in a plan as data may have an `undo`."""
    if isinstance(plan, dict):
        return "undo" in plan or any(map(_may_undo, plan.values()))
    return isinstance(plan, list) and any(map(_may_undo, plan))


def discard_commands(store: Store, run_id: str) -> None:
    """Drop the commands for an earlier owner: they must not cancel a run that was resumed after them."""
    stale = [number for number, _, _ in store.commands([run_id])]
    if stale:
        store.acknowledge(stale)


def valid_answer(status: RunStatus, path: str, value: Any) -> Any:
    """Return an answer as its question takes it; raises as `RunCommands.answer`."""
    return _accepted(open_question(status, path)[1], value)


def _accepted(question: Mapping[str, Any], value: Any) -> Any:
    from orchestrator.runtime.values.answers import accepted  # loads the specification of inputs

    return accepted(question, value)


def open_question(status: RunStatus, path: str) -> tuple[ActiveStep, Mapping[str, Any]]:
    """Return the step that waits for an answer, and its question."""
    asked = {step.path: step for step in status.active if step.question is not None and not step.answered}
    step = asked.get(path)
    if step is None or step.question is None:
        raise _no_open_question(status, path, list(asked))
    return step, step.question


def _no_open_question(status: RunStatus, path: str, asked: Sequence[str]) -> RunError:
    run_id, remedies = status.run_id, tuple[Remedy, ...]()
    if any(step.path == path and step.answered for step in status.active):
        help, remedies = "it has been answered already", (Resume(run_id),)
    elif asked:
        near = suggest(path, asked)
        help = f"did you mean `{near}`?" if near else "its open questions are " + quoted_list(asked)
        remedies = (Answer(run_id, near or asked[0]),)
    elif status.state == "succeeded":
        help, remedies = "the run has succeeded and asks nothing more", (ShowRun(run_id),)
    elif status.ended:
        help, remedies = f"the run has {ENDED[status.state]}; when it is resumed it may ask again", (Resume(run_id),)
    else:
        help, remedies = "the run has no open question now", (ShowStatus(run_id),)
    message = f"no step `{path}` of run `{run_id}` waits for an answer"
    return RunError(message, run_id=run_id, code=codes.NO_OPEN_QUESTION, help=help, remedies=remedies)
