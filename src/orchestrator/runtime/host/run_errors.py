"""What the end of a run means to somebody who asked for its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import RunCancelled, RunError, RunFailed, RunPaused
from orchestrator.runtime.steps.answers import expected

if TYPE_CHECKING:
    from orchestrator.history.result import Result
    from orchestrator.journal import RunStatus


def verdict(result: Result, cause: BaseException | None = None) -> Result:
    """Return the result of a run that succeeded. `cause` is what a tool raised for which it failed.

    Raises:
        RunFailed, RunCancelled, RunPaused: What happened instead; each says how to go on.
        RunError: ORC808, the run was interrupted.
    """
    run_id, again = result.run_id, f"orchestrator resume {result.run_id}"
    match result.state:
        case "succeeded":
            return result
        case "failed":
            raise _failed(result, again) from cause
        case "cancelled":
            message, help = f"run `{run_id}` was cancelled", f"go on with: {again}"
            raise RunCancelled(message, run_id=run_id, result=result, help=help)
        case "paused":
            raise RunPaused(f"run `{run_id}` is paused", run_id=run_id, help=f"go on with: {again}")
        case _:
            raise RunError(
                f"run `{run_id}` was interrupted: the process that executed it has ended",
                run_id=run_id,
                code=codes.RUN_INTERRUPTED,
                help=f"go on with: {again}",
            )


def refuse_if_waiting(status: RunStatus) -> None:
    """Raise RunPaused for a run that waits for answers: it says how to give the first."""
    if status.state != "waiting":
        return
    run_id = status.run_id
    open_questions = [step for step in status.active if step.question is not None and not step.answered]
    if not open_questions:
        message = f"run `{run_id}` waits for somebody to go on with it"
        raise RunPaused(message, run_id=run_id, help=f"go on with: orchestrator resume {run_id}")
    first = open_questions[0]
    question = first.question or {}
    prompt = " ".join(str(question.get("prompt") or "").split())
    more = f", and for {len(open_questions) - 1} more" if len(open_questions) > 1 else ""
    raise RunPaused(
        f"run `{run_id}` waits for an answer to `{first.path}`" + (f": {prompt}" if prompt else "") + more,
        run_id=run_id,
        help=f"answer with {expected(question)}: `run.answer({first.path!r}, ...)`, "
        f"or orchestrator answer {run_id} {first.path} ...",
    )


def _failed(result: Result, again: str) -> RunFailed:
    error = result.error or {}
    step, attempt = error.get("step"), error.get("attempt")
    where = f"step `{step}` failed at attempt {attempt}: " if step else ""
    help = str(error.get("help") or "")
    if again not in help:
        hint = f"{help}; then" if help else "when the cause is mended,"
        help = f"{hint} go on with: {again}"
    return RunFailed(
        f"run `{result.run_id}` failed: {where}{error.get('message', '')} ({error.get('code', '')})",
        run_id=result.run_id,
        result=result,
        step=step,
        attempt=attempt,
        help=help,
    )
