"""The forecast of a run: the steps in order, the models, tokens and cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, to_builtins

from orchestrator.errors import OrchestratorError
from orchestrator.forecast.known_values import limit_of, scope_of, times_of, value_of
from orchestrator.forecast.model_choices import ModelStep, model_steps, models_told
from orchestrator.forecast.upper_bound import UpperBound, upper_bound_of
from orchestrator.models.actions.prompts import JUDGED_TOKENS
from orchestrator.models.calls.token_estimate import output_tokens
from orchestrator.models.messages import Message, ModelName, ModelRequest, Usage
from orchestrator.plan.children import Children
from orchestrator.plan.steps import (
    Agent,
    StepPlan,
    SubPipeline,
    ToolCall,
    Work,
)
from orchestrator.plan.walk import item_step, top_level, without_brackets
from orchestrator.text.tokens import tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.api.pipeline import Pipeline
    from orchestrator.expressions import Scope, Value
    from orchestrator.models.selection.candidates import AvailableModels
    from orchestrator.plan.model import Plan

UNKNOWN_TOKENS: Final = 1_000
"""The assumed size of a value that is known only during the run: a page and a half of text."""

_NOT_SENT: Final = frozenset({
    "model", "requires_model", "selection", "effort", "temperature", "max_tokens", "seed", "stop", "max_turns",
    "parallel",
})  # fmt: skip


class CallForecast(Struct, frozen=True):
    """A call of a model. `input` and `output` in tokens, `cost` in USD at most; None where no price is known.

    `rough`: a part of the prompt is known only during the run. `models` are those that may be called, in order, as
    listed by `models --for`.
    """

    action: str
    models: tuple[Mapping[str, Any], ...]
    problem: str | None
    input: int
    output: int
    cost: float | None
    rough: bool


class StepForecast(Struct, frozen=True):
    """A step: what it does, after which others, how often (None: not known before), and its calls of models."""

    path: str
    does: str
    after: tuple[str, ...]
    condition: str | None
    times: int | None
    calls: tuple[CallForecast, ...] = ()


class Forecast(Struct, frozen=True):
    """All steps. The sums assume that each step calls a model once, for all known items, in one iteration.

    `cost` is the known cost, `unpriced` the number of calls without a known price, `missing` what must be set up first.
    `most` is the upper bound.
    """

    steps: tuple[StepForecast, ...]
    input: int
    output: int
    cost: float
    unpriced: int
    missing: tuple[str, ...]
    most: UpperBound

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as JSON data."""
        data: dict[str, Any] = to_builtins(self)
        return data


def forecast_of(pipeline: Pipeline, inputs: Mapping[str, Any]) -> Forecast:
    """Return what a run of a pipeline would do with these inputs, by the keys and models of this machine.

    Inputs that a run would take from environment variables are unknown: a forecast must not tell their values.

    Raises:
        InputError: They do not fit.
    """
    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.catalog.keys import Keys
    from orchestrator.models.selection.candidates import AvailableModels

    bound = pipeline.bind_given(inputs)
    catalogue = Catalogue.load(pipeline.backend.directory)
    return forecast(pipeline.plan, bound.values, AvailableModels(catalogue, Keys.load()))


def forecast(plan: Plan, inputs: Mapping[str, Any], here: AvailableModels) -> Forecast:
    """Return what a run with these inputs would do. Nothing is run, and no model is called."""
    asking: dict[str, list[ModelStep]] = {}
    for each in model_steps(plan):
        asking.setdefault(each.path, []).append(each)
    steps = tuple(_Forecaster(plan, here, asking).steps(plan, inputs))
    sums = [(call, step.times or 1) for step in steps for call in step.calls]
    priced = [(call.cost, times) for call, times in sums if call.cost is not None]
    return Forecast(
        steps,
        input=sum(call.input * times for call, times in sums),
        output=sum(call.output * times for call, times in sums),
        cost=sum(cost * times for cost, times in priced),
        unpriced=len(sums) - len(priced),
        missing=tuple(_missing(steps)),
        most=upper_bound_of(plan, inputs, here, asking),
    )


def _missing(steps: Sequence[StepForecast]) -> Iterator[str]:
    told = set()
    for step in steps:
        for call in step.calls:
            if call.problem and not call.models:
                yield f"{step.path}: {call.problem}"
            if call.models and not any(model["ready"] for model in call.models):
                first = call.models[0]
                what = f"{first['model']}: {first['lacks'] or first['problem']}"
                if what not in told:
                    told.add(what)
                    yield what


class _Forecaster:
    """Walks a plan, and forecasts the calls of each step."""

    def __init__(self, plan: Plan, here: AvailableModels, asking: Mapping[str, Sequence[ModelStep]]) -> None:
        self._plan = plan
        self._here = here
        self._asking = asking
        self._within: list[str] = []

    def steps(self, plan: Plan, inputs: Mapping[str, Any]) -> Iterator[StepForecast]:
        scope = scope_of(plan, inputs)
        for block in top_level(plan):
            if block.role != "handler":
                yield from self._block(block, "", scope, 1)

    def _block(self, block: Children[StepPlan], parent: str, scope: Scope, times: int | None) -> Iterator[StepForecast]:
        for step in _in_order(block.steps):
            yield from self._step(step, without_brackets(block.path(parent, step.id)), scope, times)

    def _step(self, step: StepPlan, path: str, scope: Scope, times: int | None) -> Iterator[StepForecast]:
        work = step.work
        inner = item_step(step)
        each = times_of(work, scope)
        all_of_them = None if times is None or each is None else times * each
        calls = tuple(self._call(asking, (inner or step).work, scope) for asking in self._asking.get(path, ()))
        yield StepForecast(
            path,
            work.describe(),
            step.dependencies,
            step.condition.text if step.condition is not None else None,
            all_of_them if inner is not None else times,
            calls,
        )
        yield from self._inner(inner or step, path, scope, all_of_them)

    def _inner(self, step: StepPlan, path: str, scope: Scope, times: int | None) -> Iterator[StepForecast]:
        work = step.work
        for block in work.children():
            if block.role in ("body", "case", "default"):
                yield from self._block(block, path, scope, times if block.role == "body" else None)
        if isinstance(work, SubPipeline) and work.source not in self._within:
            called = self._plan.pipelines[work.source]
            inputs = value_of(work.inputs, scope) or {}
            self._within.append(work.source)
            yield from self._block(Children("body", called.steps), path, scope_of(called, inputs), times)
            self._within.pop()

    def _call(self, asking: ModelStep, work: Work, scope: Scope) -> CallForecast:
        told = models_told(asking, self._here)
        parameters = work.parameters if isinstance(work, ToolCall | Agent) else None
        sent, rough = _sent(parameters, scope)
        limit = limit_of(parameters, scope)
        if asking.action == "judge":
            sent, rough, limit = UNKNOWN_TOKENS, True, JUDGED_TOKENS
        name = _name(told["models"])
        if asking.makes_media:
            return CallForecast(asking.action, tuple(told["models"]), told["problem"], sent, 0, None, True)
        request = ModelRequest((Message("user", "x" * 4 * sent),), max_tokens=limit)
        card = self._here.catalogue.find(name) if name is not None else None
        output = 0 if asking.action == "embed" else output_tokens(request, card)
        cost = self._here.catalogue.cost(name, Usage(sent, output, requests=1)) if name is not None else None
        return CallForecast(asking.action, tuple(told["models"]), told["problem"], sent, output, cost, rough)


def _name(models: Sequence[Mapping[str, Any]]) -> ModelName | None:
    """Return the model that is called first: the first that is ready, else the first."""
    first = next((model for model in models if model["ready"]), models[0] if models else None)
    if first is None:
        return None
    provider, _, model = first["model"].partition(":")
    return ModelName(provider, model or provider)


def _in_order(steps: Sequence[StepPlan]) -> Iterator[StepPlan]:
    """Yield steps so that each comes after those that it waits for, else in the file's order."""
    left = list(steps)
    done: set[str] = set()
    known = {step.id for step in steps}
    while left:
        ready = next((step for step in left if known.intersection(step.dependencies) <= done), left[0])
        left.remove(ready)
        done.add(ready.id)
        yield ready


def _sent(parameters: Value | None, scope: Scope) -> tuple[int, bool]:
    """Return how many tokens are sent, and whether some of them are a guess."""
    from orchestrator.expressions.values import MappingValue

    if not isinstance(parameters, MappingValue):
        return (0, False) if parameters is None else _tokens(parameters, scope)
    parts = [_tokens(value, scope) for name, value in parameters.entries.items() if name not in _NOT_SENT]
    return sum(tokens for tokens, _ in parts), any(rough for _, rough in parts)


def _tokens(value: Value, scope: Scope) -> tuple[int, bool]:
    found = value_of(value, scope)
    if found is not None or value.is_constant:
        return tokens_of(found if isinstance(found, str) else json.dumps(found, default=str)), False
    total = 0
    for template in value.templates():
        reads = {reference.name for reference in template.references}
        try:
            total += tokens_of(template.render(scope))
        except OrchestratorError:
            unknown = [name for name in reads if name not in scope.names] or ["it"]
            total += tokens_of(template.text) + UNKNOWN_TOKENS * len(unknown)
    return total, True
