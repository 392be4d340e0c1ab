"""The errors of a run that did not succeed, for callers that ask for its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import RunCancelled, RunError, RunFailed, RunPaused
from orchestrator.journal.state.status import is_deliberate
from orchestrator.remedies import Answer, Resume, remedies_from
from orchestrator.runtime.values.answers import expected

if TYPE_CHECKING:
    from orchestrator.history.result import Result
    from orchestrator.journal import RunStatus


def verdict(result: Result, cause: BaseException | None = None) -> Result:
    """Return the result of a run that succeeded. `cause` is the exception of the tool that failed.

    Raises:
        RunFailed, RunCancelled, RunPaused: What happened instead; each with the remedy that continues it.
        RunError: ORC808, the run was interrupted.
    """
    run_id, remedies = result.run_id, (Resume(result.run_id),)
    match result.state:
        case "succeeded":
            return result
        case "failed":
            raise _failed(result) from cause
        case "cancelled":
            raise RunCancelled(f"run `{run_id}` was cancelled", run_id=run_id, result=result, remedies=remedies)
        case "paused":
            raise RunPaused(f"run `{run_id}` is paused", run_id=run_id, remedies=remedies)
        case _:
            raise RunError(
                f"run `{run_id}` was interrupted: the process that executed it has ended",
                run_id=run_id,
                code=codes.RUN_INTERRUPTED,
                remedies=remedies,
            )


def refuse_if_waiting(status: RunStatus) -> None:
    """Raise RunPaused for a run that waits for answers, with the first question as remedy."""
    if status.state != "waiting":
        return
    run_id = status.run_id
    open_questions = [step for step in status.active if step.question is not None and not step.answered]
    if not open_questions:
        message = f"run `{run_id}` waits to be resumed: no process executes it"
        raise RunPaused(message, run_id=run_id, remedies=[Resume(run_id)])
    first = open_questions[0]
    question = first.question or {}
    prompt = " ".join(str(question.get("prompt") or "").split())
    more = f", and for {len(open_questions) - 1} more" if len(open_questions) > 1 else ""
    raise RunPaused(
        f"run `{run_id}` waits for an answer to `{first.path}`" + (f": {prompt}" if prompt else "") + more,
        run_id=run_id,
        help=f"it takes {expected(question)}",
        remedies=[Answer(run_id, first.path)],
    )


def _failed(result: Result) -> RunFailed:
    error = result.error or {}
    step, attempt = error.get("step"), error.get("attempt")
    where = f"step `{step}` failed at attempt {attempt}: " if step else ""
    remedies = remedies_from(error.get("remedies"))
    if not is_deliberate(error) and not any(isinstance(each, Resume) for each in remedies):
        remedies = (*remedies, Resume(result.run_id))
    return RunFailed(
        f"run `{result.run_id}` failed: {where}{error.get('message', '')} ({error.get('code', '')})",
        run_id=result.run_id,
        result=result,
        step=step,
        attempt=attempt,
        help=str(error.get("help") or "") or (None if is_deliberate(error) else "fix the problem"),
        remedies=remedies,
    )
