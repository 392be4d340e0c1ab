"""What is done about errors: the first handler that matches makes further attempts, runs its steps, gives a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import EvaluationError
from orchestrator.journal.state.status import is_deliberate
from orchestrator.journal.step_payloads import StepWaitingPayload
from orchestrator.language.spec.input_values import pattern_matches
from orchestrator.patterns import SearchTooLong
from orchestrator.runtime.run.run_graph import StepFailure
from orchestrator.runtime.steps.groups import GroupRun
from orchestrator.runtime.values.step_values import skipped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.plan.steps import Handler
    from orchestrator.runtime.run.run_graph import Frame
    from orchestrator.runtime.run.step_run import StepRun
    from orchestrator.runtime.values.scope import BlockScope


def matching(handlers: Sequence[Handler], failure: StepFailure) -> tuple[int, Handler] | None:
    """The first handler for a failure, with its number."""
    message = str(failure.data.get("message") or "")
    names = failure.names | {str(failure.data.get("type")), str(failure.data.get("code"))}
    for number, handler in enumerate(handlers):
        if handler.error_types and names.isdisjoint(handler.error_types):
            continue
        if handler.error_patterns and not any(_found(pattern, message) for pattern in handler.error_patterns):
            continue
        return number, handler
    return None


def _found(pattern: str, message: str) -> bool:
    try:
        return pattern_matches(pattern, message)
    except SearchTooLong:  # a large pattern, and a message of megabytes: the error itself says more than this one
        return False


def error_names_in_scope(data: Mapping[str, Any]) -> dict[str, Any]:
    """What handlers read as `error`."""
    found = {key: data.get(key) for key in ("type", "code", "message", "step")}
    return {**found, "attempts": data.get("attempt", 0)}


def handle_error(run: StepRun, failure: StepFailure) -> bool:
    """Have the failure of a step dealt with; return whether a handler for it was found."""
    found = matching(run.node.step.on_error, failure)
    if found is None:
        return False
    number, handler = found
    if handler.retry is not None and run.retry(failure.error, handler.retry):
        return True
    if handler.body is None and handler.fallback is None:
        return False
    run.leave_attempt()
    if handler.body is not None:  # the attempt has ended, while others may be stuck
        run.record(StepWaitingPayload(reason="handler", error=failure.data))
    activity = HandlerRun(run, handler, failure, f"{run.path}.on_error[{number}]", _scope_of(run))
    run.occupy(activity)
    activity.open()
    return True


def _scope_of(run: StepRun) -> BlockScope:
    """Return the names that the handlers of a step can read: of a group those of its steps too."""
    group = run.node.activity
    if not isinstance(group, GroupRun):
        return run.scope
    for step in group.steps:
        if step.id not in group.scope.steps:
            group.scope.enter(step.id, skipped())
    return group.scope


class HandlerRun:
    """The steps of a handler, then the value that stands for the failed step's."""

    def __init__(self, run: StepRun, handler: Handler, failure: StepFailure, path: str, scope: BlockScope) -> None:
        self._run = run
        self._handler = handler
        self._failure = failure
        self._path = path
        self._scope = scope.child({"error": error_names_in_scope(failure.data)})
        self._frame: Frame | None = None

    def open(self) -> None:
        """Begin with the handler's steps, if it has any."""
        body = self._handler.body
        if body is None:
            self._handled(None)
        else:
            self._run.context.defer()  # what it does depends on the failure
            self._frame = self._run.open(body.steps, self._path, self._scope, self)

    def stop(self) -> None:
        """Stop the handler's steps."""
        self._run.stop_frame(self._frame)

    def closed(self, frame: Frame) -> None:
        """Continue after the handler's steps."""
        body, run = self._handler.body, self._run
        if run.end_if_stopped():
            return
        if frame.failure is not None and is_deliberate(frame.failure.data):
            run.fail_unhandled(frame.failure.without_error())
        elif frame.failure is not None:
            message = f"{self._failure.data['message']}; the error handler failed too: {frame.failure.data['message']}"
            data = {**self._failure.data, "message": message}
            run.fail_unhandled(StepFailure(data, self._failure.names))
        else:
            self._handled(frame.scope.value(body.steps[-1].id) if body is not None else None)

    def _handled(self, value: Any) -> None:
        run, handler = self._run, self._handler
        if handler.fallback is not None:
            try:
                value = handler.fallback.evaluate((self._frame.scope if self._frame else self._scope).scope)
            except EvaluationError as error:
                run.fail_unhandled(StepFailure.of(error, run.node))
                return
        run.record_failure(self._failure, "value", value)
