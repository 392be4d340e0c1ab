"""What the journal records about a failure: the error as JSON data, its names, and the traceback of a tool."""

from __future__ import annotations

from typing import Any

from orchestrator.errors import EvaluationError, OrchestratorError, StepError
from orchestrator.text.words import bounded
from orchestrator.tools.functions.tracebacks import exception_message, traceback_text

LONGEST_MESSAGE = 10_000
"""Characters of an error's message that are recorded and shown; a tool may raise one of megabytes."""


def as_step_error(error: BaseException) -> OrchestratorError:
    """Return an error of ours for whatever a tool raised."""
    if isinstance(error, OrchestratorError):
        return error
    text = exception_message(error)
    failure = StepError(f"{type(error).__name__}: {text}" if text else type(error).__name__)
    failure.__cause__ = error
    return failure


def error_data(error: OrchestratorError, *, attempt: int = 0, step: str | None = None) -> dict[str, Any]:
    """Return `{code, type, message, help, step, attempt}`, and `remedies` if there are any."""
    cause = error.__cause__ if error.code == StepError.default_code else None
    raised = getattr(error, "raised", ())
    return {
        "code": error.code,
        "type": raised[0] if raised else type(cause if cause is not None else error).__name__,
        "message": bounded(_message(error), LONGEST_MESSAGE),
        "help": None if error.help is None else bounded(error.help, LONGEST_MESSAGE),
        **({"remedies": [remedy.to_dict() for remedy in error.remedies]} if error.remedies else {}),
        "step": step,
        "attempt": attempt,
    }


def traceback_data(error: OrchestratorError) -> dict[str, str]:
    """Return the traceback of what a tool raised, for the events that tell of its failure."""
    cause = error.__cause__
    if cause is None or isinstance(cause, OrchestratorError) or error.code != StepError.default_code:
        return {}
    return {"traceback": traceback_text(cause)}


def _message(error: OrchestratorError) -> str:
    """What happened; of an expression also where, for a text may hold many."""
    if not isinstance(error, EvaluationError) or not error.expression or f"`{error.expression}`" in error.message:
        return error.message
    return f"{error.message}, in `{' '.join(error.expression.split())}`"


def error_names(error: OrchestratorError) -> frozenset[str]:
    """The names that `retry.on` may use for an error: its code, its type and that of what caused it or was raised."""
    names = {error.code, *getattr(error, "raised", ())}
    for exception in (error, error.__cause__):
        if exception is not None:
            names.update(kind.__name__ for kind in type(exception).__mro__[:-1])
    return frozenset(names)
