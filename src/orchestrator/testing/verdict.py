"""Compares what a run achieved with what a case expects of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from orchestrator.models.budget import exact_usd
from orchestrator.plan.steps import ForEach, StepPlan
from orchestrator.plan.walk import without_brackets
from orchestrator.remedies import Remedy, advice, call_of, remedies_from
from orchestrator.runtime import Result
from orchestrator.runtime.values.step_values import value_of
from orchestrator.testing.expectations import unmet
from orchestrator.testing.stubs import part_of, split_field
from orchestrator.testing.written import problems_of_files

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.testing.case import Case, ExpectedStep


class Ended(Struct, frozen=True):
    """How a run ended or rests. `result` is absent if it never began; `steps` are the plan's by path."""

    state: str
    result: Result | None = None
    error: Mapping[str, Any] | None = None
    waiting_on: tuple[str, ...] = ()
    steps: Mapping[str, StepPlan] = field(default_factory=dict)


def problems_of(case: Case, ended: Ended, folder: Path, render: Callable[[Remedy], str] = call_of) -> Iterator[str]:
    """Yield a message for each expectation that is not met. The run's relative paths start in `folder`."""
    expect = case.expect
    if ended.state != expect.state:
        yield f"expected the run to be {expect.state}, and it is {ended.state}{_why(ended, render)}"
        if expect.state == "succeeded":
            return  # what else is missing follows from this
    outputs = ended.result.outputs if ended.result is not None else {}
    names = {"inputs": dict(case.inputs), "outputs": dict(outputs)}
    for name, expected in expect.error.items():
        for problem in unmet(expected, (ended.error or {}).get(name), names):
            yield f"error.{name}: {problem}{_why(ended, render)}"
    for name, expected in expect.outputs.items():
        if name not in outputs:
            yield f"outputs.{name}: the run has no such output"
            continue
        for problem in unmet(expected, outputs[name], names):
            yield f"outputs.{name}: {problem}"
    for path, step in expect.steps.items():
        yield from _of_step(path, step, ended, names)
    for expected in expect.expressions:
        yield from unmet(expected, None, names)
    yield from problems_of_files(expect.files, folder, names)
    yield from _of_models(case, ended)


def _meant(path: str, ended: Ended) -> list[str]:
    """Return the steps that a path means: without its numbers, that of all items."""
    if ended.result is None or path in ended.result.steps or path != without_brackets(path):
        return [path]
    return [each for each in ended.result.steps if without_brackets(each) == path] or [path]


def _of_step(path: str, expected: ExpectedStep, ended: Ended, names: Mapping[str, Any]) -> Iterator[str]:
    keys: tuple[str | int, ...] = ()
    if not any(
        path in (each, without_brackets(each)) for each in (ended.result.steps if ended.result is not None else ())
    ):
        path, keys = split_field(path, ended.steps)  # else it is a step, such as a call that an agent has made
    for each in _meant(path, ended):
        name = each + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
        for problem in _of_one(each, keys, expected, ended, names):
            yield f"steps.{name}: {problem}"


def _of_one(
    path: str, keys: tuple[str | int, ...], expected: ExpectedStep, ended: Ended, names: Mapping[str, Any]
) -> Iterator[str]:
    if ended.result is None or path not in ended.result.steps:
        state = _without_beginning(path, ended)
        if expected.state is not None and expected.state != state:
            yield f"expected to be {expected.state}, and it is {state}: it never began"
        elif expected.state is None:
            yield "it never began"
        return
    step = ended.result.steps[path]
    if expected.state is not None and step.state != expected.state:
        why = f": {step.reason}" if step.reason else ""
        why = f": {step.error.get('message')} [{step.error.get('code')}]" if step.error else why
        yield f"expected to be {expected.state}, and it is {step.state}{why}"
    elif expected.value is not None:
        value = _value(path, step.output, ended)
        if keys:  # a field of the whole result hides one of the value, as in expressions
            whole = isinstance(step.output, Mapping) and keys[0] in step.output
            value = part_of(step.output if whole else value, keys)
        yield from unmet(expected.value, value, names)


def _without_beginning(path: str, ended: Ended) -> str:
    """Return the state of a step that never started: skipped if its parent ended without it."""
    steps = ended.result.steps if ended.result is not None else {}
    around = path
    while around := around.rpartition(".")[0]:
        for name in (around, *(each for each in steps if without_brackets(each) == around)):
            if name in steps:
                return "skipped" if steps[name].state in ("succeeded", "skipped") else "pending"
    return "pending"


def _value(path: str, output: Any, ended: Ended) -> Any:
    """Return the value of `{{ step }}`."""
    plan = ended.steps.get(without_brackets(path))
    if plan is None:
        return output
    work = plan.work
    if isinstance(work, ForEach):
        if not path.endswith("]") or not isinstance(work.body, StepPlan):
            return output
        work = work.body.work
    return value_of(work, output)


def _of_models(case: Case, ended: Ended) -> Iterator[str]:
    expect = case.expect
    if expect.models is not None:
        asked = _answered(ended.result)
        if set(expect.models) != set(asked):
            listed = ", ".join(asked) or "none"
            yield f"models: expected {', '.join(expect.models) or 'none'} to answer, and it was {listed}"
    if expect.cost_below is not None:
        cost = ended.result.cost if ended.result is not None else 0.0
        if cost is None:
            yield f"cost_below: expected less than {exact_usd(expect.cost_below)}, and the price of a call is not known"
        elif cost >= expect.cost_below:
            yield f"cost_below: expected less than {exact_usd(expect.cost_below)}, and it was {exact_usd(cost)}"


def _answered(result: Result | None) -> list[str]:
    """Return the models that answered, in the order of their first answers."""
    log = result.log if result is not None else ()
    calls = [event.data for event in log if event.type == "step.model"]
    return list(dict.fromkeys(str(call["model"]) for call in calls if not call.get("error")))


def _why(ended: Ended, render: Callable[[Remedy], str]) -> str:
    error = ended.error
    if error:
        where = f"step `{error['step']}`: " if error.get("step") else ""
        code = f" [{error['code']}]" if error.get("code") else ""
        text = advice(error.get("help"), remedies_from(error.get("remedies")), render)
        help = f"\nhelp: {text}" if text else ""
        return f": {where}{error.get('message')}{code}{help}"
    return f": {'; '.join(ended.waiting_on)}" if ended.waiting_on else ""
