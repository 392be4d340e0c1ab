"""Commands for a run: sent to its execution in this process or to its owner, or recorded if no process executes it."""

from __future__ import annotations

import getpass
from functools import cache
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from orchestrator import runtime
from orchestrator.api.arguments import instance, several, validate_budget
from orchestrator.errors import RunOwned
from orchestrator.journal.records import Command
from orchestrator.remedies import Cancel
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.api.backend import Backend
    from orchestrator.journal import CommandKind
    from orchestrator.models.budget import Budget
    from orchestrator.plan.model import Plan
    from orchestrator.runtime import Execution


@cache
def current_user() -> str:
    """Return the name of the current user, which is recorded with each run and command. Looked up once."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user number without a name, as in many containers
        return "unknown"


def giver(by: str | None) -> str:
    """Return who gives a command: `by`, or by default the current user.

    Raises:
        ConfigurationError: `by` is not a text.
    """
    if by is not None:
        instance("by", by, str, 'by="ada"')
    return by or current_user()


def command(kind: CommandKind, by: str | None = None, **data: Any) -> Command:
    """Return a command that `by` gives, by default the current user."""
    return Command(kind, data, giver(by))


def send(backend: Backend, run_id: str, given: Command) -> None:
    """Have a command carried out; return when it has taken effect, if the run is executed on another thread here."""
    execution = backend.execution(run_id)
    taken = None if execution is None else execution.post(given)
    if execution is not None and not execution.is_on_this_thread:
        (taken or execution.left).result()
    if taken is None:
        backend.commands.send(run_id, given)


async def asend(backend: Backend, run_id: str, given: Command) -> None:
    """As `send`; return when the command has taken effect, if the run is executed here."""
    import asyncio

    execution = backend.execution(run_id)
    taken = None if execution is None else execution.post(given)
    if execution is not None:
        await asyncio.wrap_future(taken or execution.left)
    if taken is None:
        await runtime.in_thread(lambda: backend.commands.send(run_id, given))


def answer_here(backend: Backend, run_id: str, path: str, value: Any, by: str | None) -> Command | None:
    """Answer a question of a run. If the run is executed here, return the command for its execution.

    Raises:
        RunError: ORC606, it asks no such question.
        InputError: ORC605, the answer does not fit it.
    """
    if backend.execution(run_id) is not None:
        answer = runtime.valid_answer(backend.status(run_id), path, value)
        return command("answer", by, path=path, value=answer)
    backend.commands.answer(run_id, path, value, giver(by))
    return None


def resume_run(
    backend: Backend,
    run_id: str,
    *,
    inputs: Mapping[str, Any] | None = None,
    edited: Plan | None = None,
    budget: Budget | None = None,
    by: str | None = None,
) -> Execution | None:
    """Resume a run: in this process, which returns its execution, or by its live owner. See `Orchestrator.resume`."""
    if edited is None and budget is None and _continues_by_itself(backend, run_id):
        _refuse_inputs(backend, run_id, inputs)
        send(backend, run_id, command("resume", by))
        return None
    resumed = _resume(backend, run_id, inputs, edited, budget, by)
    return backend.call(resumed, run_id=run_id, method="resume()", twin="orchestrator.aresume(...)")


async def aresume_run(
    backend: Backend,
    run_id: str,
    *,
    inputs: Mapping[str, Any] | None = None,
    edited: Plan | None = None,
    budget: Budget | None = None,
    by: str | None = None,
) -> Execution | None:
    """As `resume_run`, on the current event loop."""
    if edited is None and budget is None and _continues_by_itself(backend, run_id):
        _refuse_inputs(backend, run_id, inputs)
        await asend(backend, run_id, command("resume", by))
        return None
    return await _resume(backend, run_id, inputs, edited, budget, by)


def _continues_by_itself(backend: Backend, run_id: str) -> bool:
    """Whether what executes a run, here, in another process or in a worker, only has to be told to continue."""
    execution = backend.execution(run_id)
    if execution is not None:
        return not execution.ending
    status = backend.status(run_id)
    return status.state == "paused" and (status.owner is not None or status.runs_on is not None)


def _refuse_inputs(backend: Backend, run_id: str, inputs: Mapping[str, Any] | None) -> None:
    """Raise RunOwned if a run whose process lives is given inputs: it has them, and takes no others."""
    if not inputs:
        return
    owner = str(backend.status(run_id).owner or "this process")
    raise RunOwned(
        f"run `{run_id}` is being executed by {owner}, which has its inputs; {quoted_list(inputs)} cannot be given now",
        run_id=run_id,
        owner=owner,
        help="resume it without inputs; or cancel it, and resume it with them",
        remedies=[Cancel(run_id)],
    )


async def _resume(
    backend: Backend,
    run_id: str,
    inputs: Mapping[str, Any] | None,
    edited: Plan | None,
    budget: Budget | None,
    by: str | None,
) -> Execution | None:
    options = replace(backend.options, budget=runtime.merged(backend.options.budget, validate_budget(budget)))
    try:
        return await backend.engine.resume(
            run_id, backend.recompile, inputs or {}, options, edited=edited, by=giver(by)
        )
    except RunOwned:
        status = await runtime.in_thread(lambda: backend.status(run_id))
        if edited is not None or budget is not None or status.state != "paused":
            raise
        await runtime.in_thread(lambda: _refuse_inputs(backend, run_id, inputs))
        await runtime.in_thread(lambda: backend.commands.send(run_id, command("resume", by)))
        return None


async def retry_step(
    backend: Backend, run_id: str, step: str, inputs: Mapping[str, Any] | None, by: str | None
) -> Execution:
    """Run a step of a run again, on the current event loop. See `Orchestrator.retry`."""
    return await backend.engine.resume(
        run_id, backend.recompile, inputs or {}, backend.options, again=step, by=giver(by)
    )


async def fork_run(
    backend: Backend,
    run_id: str,
    step: str,
    inputs: Mapping[str, Any] | None,
    by: str | None,
    *,
    labels: Iterable[str] = (),
    new_id: str | None = None,
) -> Execution:
    """Start a run that shares what another one achieved, on the current event loop. See `Orchestrator.fork`."""
    options = replace(backend.options, labels=several("labels", labels))
    return await backend.engine.fork(
        run_id, backend.recompile, step, inputs or {}, options, by=giver(by), new_id=new_id
    )
