"""What is done about errors: the first handler that matches makes further attempts, runs its steps, gives a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import EvaluationError
from orchestrator.language.values.input_values import pattern_matches
from orchestrator.patterns import SearchTooLong
from orchestrator.runtime.run import step_lifecycle
from orchestrator.runtime.run.run_graph import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.plan.steps import Handler
    from orchestrator.runtime.run.run_graph import Frame, Node
    from orchestrator.runtime.run.scheduler import Scheduler


def matching(handlers: Sequence[Handler], failure: Failure) -> tuple[int, Handler] | None:
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


def handle(scheduler: Scheduler, node: Node, failure: Failure) -> bool:
    """Have the failure of a step dealt with; return whether a handler for it was found."""
    found = matching(node.step.on_error, failure)
    if found is None:
        return False
    number, handler = found
    if handler.retry is not None and step_lifecycle.retry(scheduler, node, failure, handler.retry):
        return True
    if handler.body is None and handler.fallback is None:
        return False
    scheduler.occupied_by_handler(node)
    if handler.body is not None:  # the attempt has ended, and others may stand still meanwhile
        scheduler.record("step.waiting", node, {"reason": "handler", "error": failure.data})
    node.activity = handling = Handling(scheduler, node, handler, failure, f"{node.path}.on_error[{number}]")
    handling.open()
    return True


class Handling:
    """The steps of a handler, then the value that stands for the failed step's."""

    def __init__(self, scheduler: Scheduler, node: Node, handler: Handler, failure: Failure, path: str) -> None:
        self._scheduler = scheduler
        self._node = node
        self._handler = handler
        self._failure = failure
        self._path = path
        self._scope = node.frame.scope.child({"error": error_names_in_scope(failure.data)})
        self._frame: Frame | None = None

    def open(self) -> None:
        """Begin with the handler's steps, if it has any."""
        body = self._handler.body
        if body is None:
            self._handled(None)
        else:
            self._frame = self._scheduler.open(body.steps, self._path, self._scope, self)

    def stop(self) -> None:
        """Stop the handler's steps."""
        if self._frame is not None:
            self._scheduler.stop_within(self._node, self._frame)

    def closed(self, frame: Frame) -> None:
        """Go on after the handler's steps."""
        body, scheduler, node = self._handler.body, self._scheduler, self._node
        if step_lifecycle.ended_frames(scheduler, node):
            return
        if frame.failure is not None:
            message = f"{self._failure.data['message']}; and while this was handled: {frame.failure.data['message']}"
            data = {**self._failure.data, "message": message}
            step_lifecycle.unhandled(scheduler, node, Failure(data, self._failure.names))
        else:
            self._handled(frame.scope.value(body.steps[-1].id) if body is not None else None)

    def _handled(self, value: Any) -> None:
        scheduler, node, handler = self._scheduler, self._node, self._handler
        if handler.fallback is not None:
            try:
                value = handler.fallback.evaluate((self._frame.scope if self._frame else self._scope).scope)
            except EvaluationError as error:
                step_lifecycle.unhandled(scheduler, node, Failure.of(error, node))
                return
        step_lifecycle.record_failure(scheduler, node, self._failure, "value", value)
