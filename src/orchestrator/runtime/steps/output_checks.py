"""Checks of outputs: conditions first, then a schema, then a judge model."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

from orchestrator.errors import CheckFailed, ModelError, OrchestratorError
from orchestrator.expressions.evaluation.text import to_text
from orchestrator.journal.step_payloads import StepRunningPayload, StepWaitingPayload
from orchestrator.plan.steps import Agent, ToolCall
from orchestrator.runtime.run.failures import error_data
from orchestrator.runtime.run.retry import is_retried, retry_delay
from orchestrator.runtime.steps.produced_files import produced_files
from orchestrator.runtime.steps.step_task import StepTask
from orchestrator.runtime.values.step_values import value_of
from orchestrator.text.words import quoted_list
from orchestrator.tools.functions.threads import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from orchestrator.expressions import Entity, Scope
    from orchestrator.journal.step_payloads import StepSucceededPayload
    from orchestrator.models.calls.judge import Opinion
    from orchestrator.models.messages import ModelName
    from orchestrator.plan.policies import Check, Judge
    from orchestrator.remedies import Remedy
    from orchestrator.runtime.run.run_graph import StepNode
    from orchestrator.runtime.run.step_run import StepRun
    from orchestrator.runtime.run.tool_context import StepContext

CODE: Final = CheckFailed.default_code


async def checked_call(
    run: StepRun,
    context: StepContext,
    parameters: Mapping[str, Any],
    make: Callable[[], Awaitable[Any]],
) -> Any:
    """Return an output of a call that passes the check of its step.

    A model receives the reasons why its answer failed, and is called again; then the next model of the step is.

    Raises:
        CheckFailed: None has given one that does.
        EvaluationError: A condition cannot be evaluated.
    """
    node = run.node
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
            if answers and _calls(node) == before:  # no further model is left to call
                raise check_failed(run.path, reasons, answers) from error
            raise
        value = value_of(work, output)
        reasons = await failed_checks(run, check, value, asked=asked if isinstance(asked, str) else "")
        if not reasons:
            return output
        models = node.models
        model = models.answered if models is not None and work.action.uses_model else None
        if models is None or model is None:
            raise check_failed(run.path, reasons, answers)
        answers[model] = answers.get(model, 0) + 1
        count = f"answer {answers[model]} of {check.max_attempts} of `{model}` did not pass"
        context.warn(f"{count}: {'; '.join(reasons)}", CODE)
        if answers[model] < check.max_attempts:
            models.reject(as_text(value), reasons)
        else:
            models.pass_over(model)


def _calls(node: StepNode) -> int:
    return node.models.calls if node.models is not None else 0


def check_failed(
    path: str,
    reasons: Sequence[str],
    answers: Mapping[ModelName, int] | Mapping[str, int],
    *,
    help: str = "",
    remedies: Sequence[Remedy] = (),
) -> CheckFailed:
    """Return the error of a step whose output did not pass; `answers` counts those of each model."""
    count = sum(answers.values())
    of = quoted_list(answers, last="and")
    if count > 1:
        what = f"none of {count} answers of {of} passed its check; the last"
    else:
        what = (f"the answer of {of}" if answers else "its output") + " did not pass its check"
    return CheckFailed(
        f"`{path}`: {what}: {'; '.join(reasons)}",
        reasons=reasons,
        remedies=remedies,
        help=help
        or "make the prompt clearer, add another model, or relax `check`; `on_failure` can continue despite it",
    )


async def failed_checks(run: StepRun, check: Check, value: Any, *, asked: str = "") -> list[str]:
    """Say why a value does not pass; nothing, if it does. A judge is only asked about what passes otherwise."""
    scope = run.scope.child({"output": value}).scope
    reasons = [f"`{each.text.strip()}` is false" for each in check.conditions if not each.evaluate(scope)]
    if check.schema is not None:
        from orchestrator.expressions.types.schema import from_json_schema
        from orchestrator.models.output.schemas import Structure, misfits

        structure = Structure(check.schema, from_json_schema(check.schema))
        reasons += await run_in_thread(lambda: misfits(structure, value))
    if not reasons and check.judge is not None:
        reasons = await _judged(run, check.judge, scope, as_text(value), asked)
    return reasons


async def _judged(run: StepRun, judge: Judge, scope: Scope, output: str, asked: str) -> list[str]:
    from orchestrator.models.actions.prompts import judgement
    from orchestrator.models.calls.gateway import ModelChoice
    from orchestrator.models.calls.judge import opinion_of, request_of

    await run.context.until_durable(run.context.deferred)
    model: Any = judge.model.evaluate(scope)
    prompt = judgement(output, to_text(judge.rubric.evaluate(scope)), asked=asked)
    answer = await run.parts.models.judge_gateway(run.node).ask(
        ModelChoice(models=(model,) if isinstance(model, str) else tuple(model)),
        request_of(prompt),
        accept=opinion_of,
        final=False,
    )
    said: Opinion = answer.value
    if said.score >= judge.min_score:
        return []
    words = f"judge score {said.score:.2g} (by `{answer.model}`) is below the minimum of {judge.min_score:.2g}"
    return [f"{words}: {said.reason}", *said.suggestions]


def as_text(value: Any) -> str:
    """Return a value as the text that models receive."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


async def reasons_with_retry(run: StepRun, check: Check, value: Any, *, asked: str = "") -> list[str]:
    """Return why the value of a step that is not a tool call fails its check; its `retry` applies to the judge."""
    attempt, policy = 1, run.node.step.retry
    while True:
        try:
            return await failed_checks(run, check, value, asked=asked)
        except OrchestratorError as error:
            if not is_retried(error, policy, attempt):
                raise
            delay = retry_delay(error, policy, attempt, run.context.chance)
            recorded = error_data(error, attempt=attempt, step=run.path)
            run.record(StepWaitingPayload(reason="judge", until=time.time() + delay, error=recorded))
            await asyncio.sleep(delay)
            run.record(StepRunningPayload())
            attempt += 1


def check_value(run: StepRun, end: StepSucceededPayload, entity: Entity) -> None:
    """Check the value of a step that is not a tool call, look at the files that it produces, and end the step.

    An agent has checked its answer already.
    """

    async def reasons() -> list[str]:
        step = run.node.step
        check = None if isinstance(step.work, Agent) else step.check
        found = [] if check is None else await reasons_with_retry(run, check, entity.value)
        if not found and step.produces:
            for file in await produced_files(run, entity.value):
                run.record(file)
        return found

    def finish(reasons: list[str]) -> None:
        if reasons:
            raise check_failed(run.path, reasons, {})
        run.record_success(end, entity, run.elapsed)

    activity = StepTask(run, reasons, finish)
    run.occupy(activity)
    activity.open()
