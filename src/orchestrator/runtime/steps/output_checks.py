"""Outputs held to what their steps say of them: conditions first, then a schema, then a model that judges."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

from orchestrator.errors import CheckFailed, ModelError, OrchestratorError, StepError, StoreError
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.plan.steps import ToolCall
from orchestrator.runtime.run import step_lifecycle
from orchestrator.runtime.run.failures import as_step_error, is_retried, retry_delay
from orchestrator.runtime.run.run_graph import Failure
from orchestrator.runtime.values.step_values import value_of
from orchestrator.text.words import quoted_list
from orchestrator.tools.functions.threads import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from orchestrator.expressions import Entity, Scope
    from orchestrator.models.calls.judge import Opinion
    from orchestrator.models.messages import ModelName
    from orchestrator.plan.policies import Check, Judge
    from orchestrator.runtime.run.run_graph import Node
    from orchestrator.runtime.run.scheduler import Scheduler
    from orchestrator.runtime.run.tool_context import StepContext

CODE: Final = CheckFailed.default_code


async def checked(
    scheduler: Scheduler,
    node: Node,
    context: StepContext,
    parameters: Mapping[str, Any],
    make: Callable[[], Awaitable[Any]],
) -> Any:
    """Return an output of a call that passes the check of its step.

    A model is told why its answer did not, and asked again; then the next model of the step is.

    Raises:
        CheckFailed: None has given one that does.
        EvaluationError: A condition cannot be evaluated.
    """
    check, work = node.step.check, node.step.work
    if check is None or not isinstance(work, ToolCall):
        return await make()
    asked = parameters.get("prompt")
    answers: dict[ModelName, int] = {}
    reasons: list[str] = []
    while True:
        before = _calls(node)
        try:
            output = await make()
        except ModelError as error:
            if answers and _calls(node) == before:  # there is no further model to ask
                raise check_failed(node, reasons, answers) from error
            raise
        value = value_of(work, output)
        reasons = await reasons_against(scheduler, node, check, value, asked=asked if isinstance(asked, str) else "")
        if not reasons:
            return output
        asking = node.asking
        model = asking.answered if asking is not None and work.action.uses_model else None
        if asking is None or model is None:
            raise check_failed(node, reasons, answers)
        answers[model] = answers.get(model, 0) + 1
        count = f"answer {answers[model]} of {check.max_attempts} of `{model}` did not pass"
        context.warn(f"{count}: {'; '.join(reasons)}", CODE)
        if answers[model] < check.max_attempts:
            asking.reject(as_text(value), reasons)
        else:
            asking.pass_over(model)


def _calls(node: Node) -> int:
    return node.asking.calls if node.asking is not None else 0


def check_failed(
    node: Node, reasons: Sequence[str], answers: Mapping[ModelName, int] | Mapping[str, int], *, help: str = ""
) -> CheckFailed:
    """Return the error of a step whose output did not pass; `answers` says how many each model has given."""
    count = sum(answers.values())
    of = quoted_list(answers, last="and")
    if count > 1:
        what = f"none of {count} answers of {of} passed its check; the last"
    else:
        what = (f"the answer of {of}" if answers else "its output") + " did not pass its check"
    return CheckFailed(
        f"`{node.path}`: {what}: {'; '.join(reasons)}",
        reasons=reasons,
        help=help
        or "ask for it more clearly, name a further model, or ask for less in `check`; an `on_failure` goes on all "
        "the same",
    )


async def reasons_against(scheduler: Scheduler, node: Node, check: Check, value: Any, *, asked: str = "") -> list[str]:
    """Say why a value does not pass; nothing, if it does. A judge is only asked about what passes otherwise."""
    scope = node.frame.scope.child({"output": value}).scope
    reasons = [f"`{each.text.strip()}` is false" for each in check.conditions if not each.evaluate(scope)]
    if check.schema is not None:
        from orchestrator.expressions.types.schema import from_json_schema
        from orchestrator.models.output.schemas import Structure, misfits

        structure = Structure(check.schema, from_json_schema(check.schema))
        reasons += await run_in_thread(lambda: misfits(structure, value))
    if not reasons and check.judge is not None:
        reasons = await _judged(scheduler, node, check.judge, scope, as_text(value), asked)
    return reasons


async def _judged(scheduler: Scheduler, node: Node, judge: Judge, scope: Scope, output: str, asked: str) -> list[str]:
    from orchestrator.models.actions.prompts import judgement
    from orchestrator.models.calls.gateway import Choice
    from orchestrator.models.calls.judge import opinion_of, request_of
    from orchestrator.models.catalog.names import OFFLINE

    model: Any = judge.model.evaluate(scope)
    prompt = judgement(output, to_text(judge.rubric.evaluate(scope)), asked=asked)
    answer = await scheduler.asking.beside(scheduler, node).ask(
        Choice(models=(model,) if isinstance(model, str) else tuple(model)),
        request_of(prompt),
        accept=opinion_of,
        final=False,
    )
    if answer.model == OFFLINE:
        scheduler.warn(f"nobody has judged `{node.path}`: `offline` goes by rules, and cannot")
        return []
    said: Opinion = answer.value
    if said.score >= judge.min_score:
        return []
    words = f"the judge (`{answer.model}`) gives {said.score:.2g}, and {judge.min_score:.2g} is the least"
    return [f"{words}: {said.reason}", *said.suggestions]


def as_text(value: Any) -> str:
    """Return a value as models are told of it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


async def reasons_in_the_end(
    scheduler: Scheduler, node: Node, check: Check, value: Any, *, asked: str = ""
) -> list[str]:
    """Say why the value of a step that calls no tool does not pass. Its `retry` is for the calls of the judge."""
    attempt = 1
    while True:
        try:
            return await reasons_against(scheduler, node, check, value, asked=asked)
        except OrchestratorError as error:
            if not is_retried(error, node.step.retry, attempt):
                raise
            await asyncio.sleep(retry_delay(error, node.step.retry, attempt, scheduler.chance))
            attempt += 1


def check_composite(scheduler: Scheduler, node: Node, data: Mapping[str, Any], entity: Entity) -> None:
    """Hold the value of a step that consists of steps to its check, and end the step."""

    async def reasons() -> list[str]:
        check = node.step.check
        return [] if check is None else await reasons_in_the_end(scheduler, node, check, entity.value)

    def end(reasons: list[str]) -> None:
        if reasons:
            raise check_failed(node, reasons, {})
        step_lifecycle.passed(scheduler, node, data, entity)

    node.state = "busy"
    node.activity = Checking(scheduler, node, reasons, end)
    node.activity.open()


class Checking:
    """What occupies a step that calls no tool while a value of it is judged.

    `check` says why it does not pass, and `end` does what follows from that.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        node: Node,
        check: Callable[[], Awaitable[list[str]]],
        end: Callable[[list[str]], None],
    ) -> None:
        self._scheduler = scheduler
        self._node = node
        self._check = check
        self._end = end
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin."""
        scheduler, node = self._scheduler, self._node
        scheduler.aside.add(node)
        self._task = node.task = scheduler.loop.create_task(self._run())

    def stop(self) -> None:
        """Judge no longer, unless what is under way may end."""
        if self._task is not None and not self._node.gently:
            self._task.cancel()

    async def _run(self) -> None:
        scheduler, node = self._scheduler, self._node
        reasons: list[str] = []
        failure: OrchestratorError | None = None
        try:
            reasons = await self._check()
        except asyncio.CancelledError:
            node.gently = False
            if not node.stopped:  # the whole loop is being shut down
                node.stopped = "cancelled"
        except StoreError as error:
            scheduler.break_(error)
            return
        except Exception as error:
            failure = as_step_error(error)
        scheduler.aside.discard(node)
        node.task = None
        try:
            if not node.gently and step_lifecycle.ended_frames(scheduler, node):
                return
            try:
                if failure is None:
                    self._end(reasons)
            except StepError as error:
                failure = error
            if failure is not None:
                step_lifecycle.failed(scheduler, node, Failure.of(failure, node))
        except Exception as error:
            scheduler.break_(error)
