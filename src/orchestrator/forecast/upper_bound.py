"""The upper bound of a run's model calls: all iterations, turns, attempts, checks, judges and models of a list."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import asdict

from orchestrator.expressions import Constant
from orchestrator.forecast.known_values import limit_known, limit_of, scope_of, times_of, value_of
from orchestrator.forecast.model_choices import models_told
from orchestrator.models.actions.prompts import JUDGED_TOKENS
from orchestrator.models.messages import ModelName, Usage
from orchestrator.plan.steps import (
    Agent,
    RepeatLoop,
    StepPlan,
    SubPipeline,
    ToolCall,
    Work,
)
from orchestrator.plan.walk import item_step, top_level, without_brackets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.expressions import Scope
    from orchestrator.forecast.model_choices import ModelStep
    from orchestrator.models.catalog.entries import ModelCard
    from orchestrator.models.selection.candidates import AvailableModels
    from orchestrator.plan.children import Children
    from orchestrator.plan.model import Plan

ASKED: Final = 2
"""Calls for one answer of a model: an unusable answer is requested once more."""

_AFTER_END: Final = frozenset({"handler", "undo"})
"""The blocks of a step that run after its end."""

_AROUND: Final = 2_000
"""Tokens in addition to the step's own: instructions, reasons of a retry, message separators."""

_ONE_ANSWER: Final = frozenset({"generate_text", "generate"})
"""Actions that send only the prompt of the step."""


class UpperBound(Struct, frozen=True):
    """The most that a run uses. None: there is no bound, and `unbounded` names the steps, and why.

    `input` and `output` in tokens, `cost` in USD; also None where a model's limits or prices are not known.
    """

    calls: int | None
    input: int | None
    output: int | None
    cost: float | None
    unbounded: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the ceiling as JSON data."""
        return asdict(self)


def upper_bound_of(
    plan: Plan, inputs: Mapping[str, Any], here: AvailableModels, asking: Mapping[str, Sequence[ModelStep]]
) -> UpperBound:
    """Return the most that a run with these inputs may use; `asking` are the steps that call models, by path."""
    walk = _Walk(plan, here, asking)
    walk.pipeline(plan, inputs)
    return UpperBound(walk.calls, walk.input, walk.output, walk.cost, tuple(dict.fromkeys(walk.unbounded)))


class _Walk:
    """Walks a plan, and adds up the calls."""

    def __init__(self, plan: Plan, here: AvailableModels, asking: Mapping[str, Sequence[ModelStep]]) -> None:
        self._plan = plan
        self._here = here
        self._asking = asking
        self._within: list[str] = []
        self.calls: int | None = 0
        self.input: int | None = 0
        self.output: int | None = 0
        self.cost: float | None = 0.0
        self.unbounded: list[str] = []

    def pipeline(self, plan: Plan, inputs: Mapping[str, Any], within: str = "", times: int | None = 1) -> None:
        scope = scope_of(plan, inputs)
        for block in top_level(plan):
            self._block(block, within, scope, times)

    def _block(self, block: Children[StepPlan], parent: str, scope: Scope, times: int | None) -> None:
        for step in block.steps:
            self._step(step, without_brackets(block.path(parent, step.id)), scope, times)

    def _step(self, step: StepPlan, path: str, scope: Scope, times: int | None) -> None:
        work = step.work
        if isinstance(work, RepeatLoop):
            each = limit_known(step, "max_iterations", work.max_iterations, scope)
        else:
            each = times_of(work, scope)
        inner = times * each if times is not None and each is not None else None
        body = item_step(step)
        asks = self._asking.get(path, ())
        if each is None and (body is not None or not isinstance(work, ToolCall)) and self._asks_below(path):
            self.unbounded.append(f"the number of iterations of `{path}` is known only during the run")
        own = body or step
        for asked in asks:
            judges_all = asked.action == "judge" and own.check is not step.check and step.check is not None
            self._add(asked, step if judges_all else own, scope, times if judges_all or body is None else inner)
        for block in step.children():
            if block.role in _AFTER_END:
                self._block(block, path, scope, times)
        for block in own.children():
            if block.role in ("body", "case", "default") or (block.role in _AFTER_END and body is not None):
                self._block(block, path, scope, inner)
        if isinstance(own.work, SubPipeline):
            self._call(own.work, path, scope, inner)
        if isinstance(own.work, Agent):
            self._pipelines_of(own.work, path, scope, inner)

    def _pipelines_of(self, agent: Agent, path: str, scope: Scope, times: int | None) -> None:
        """Add the pipelines that the model of an agent can call."""
        for one in {each.name: each for role in agent.everyone for each in role.pipelines}.values():
            inner, most = f"{path}.{one.name}", one.policy.max_calls
            if most is None and self._asks_below(inner):
                self.unbounded.append(f"how often the model calls `{inner}` is not limited by `max_calls`")
            calls = times * most if times is not None and most is not None else None
            self._call(SubPipeline(one.source, Constant({})), inner, scope, calls)

    def _call(self, work: SubPipeline, path: str, scope: Scope, times: int | None) -> None:
        if work.source in self._within:
            self.unbounded.append(f"the recursion depth of `{path}` is known only during the run")
            self.calls = self.input = self.output = self.cost = None
            return
        self._within.append(work.source)
        self.pipeline(self._plan.pipelines[work.source], value_of(work.inputs, scope) or {}, path, times)
        self._within.pop()

    def _asks_below(self, path: str) -> bool:
        return any(each == path or each.startswith(f"{path}.") for each in self._asking)

    def _add(self, asking: ModelStep, step: StepPlan, scope: Scope, times: int | None) -> None:
        told = models_told(asking, self._here)
        names = [_named(model["model"]) for model in told["models"]]
        if asking.choice is None:
            self.unbounded.append(f"{told['problem']} (`{asking.path}`)")
        answers = self._answers(asking, step, scope, len(names))
        if times is None or answers is None or asking.choice is None:
            self.calls = self.input = self.output = self.cost = None
            return
        if asking.makes_media:
            self.unbounded.append(f"the cost of what `{asking.path}` makes is known only during the run")
            self.calls = _sum(self.calls, times * answers, 1)
            self.input = self.output = self.cost = None
            return
        calls = times * answers * (1 if asking.action == "embed" else ASKED)
        for name in names:
            self._count(name, calls, asking, step, scope)

    def _answers(self, asking: ModelStep, step: StepPlan, scope: Scope, models: int) -> int | None:
        """Return the most answers that one execution of a step requests."""
        check, work = step.check, step.work
        most = limit_known(step, "retry.max_attempts", step.retry.max_attempts, scope)
        if most is None:
            self.unbounded.append(f"the number of attempts of `{asking.path}` is known only during the run")
            return None
        attempts = max(most, *(each.retry.max_attempts for each in step.on_error if each.retry), 1)
        if asking.action == "judge":
            if isinstance(work, Agent):
                return check.max_attempts if check is not None else 1
            if not isinstance(work, ToolCall):
                return 1
            asked = len(self._models(asking.path))
            return attempts * (asked * check.max_attempts if check is not None and asked else 1)
        rounds = models * check.max_attempts if check is not None and not isinstance(work, Agent) else 1
        if isinstance(work, Agent):
            turns = value_of(work.max_turns, scope)
            if type(turns) is not int:
                self.unbounded.append(f"the number of turns of `{asking.path}` is known only during the run")
                return None
            return turns * attempts
        within = self._within_one(asking, work, scope)
        if within is None:
            self.unbounded.append(f"the number of calls of `{asking.path}` depends on the length of its input")
            return None
        return attempts * rounds * within

    def _within_one(self, asking: ModelStep, work: Work, scope: Scope) -> int | None:
        """Return how many answers one call of an action takes."""
        from orchestrator.text.tokens import tokens_of

        if asking.action not in ("summarize", "embed"):
            return 1
        given = value_of(work.parameters, scope) if isinstance(work, ToolCall) else None
        if not isinstance(given, dict):
            return None
        if asking.action == "embed":
            texts = given.get("texts") or given.get("text")
            return len(texts) if isinstance(texts, list) else 1 if isinstance(texts, str) else None
        text, chunk = given.get("text"), given.get("chunk_tokens")
        windows = [card.context_window if card else None for card in map(self._card, self._models(asking.path))]
        if not isinstance(text, str) or (chunk is not None and tokens_of(text) > chunk):
            return None
        if not all(window and tokens_of(text) * 3 < window for window in windows):
            return None
        return 2 if given.get("max_words") is not None else 1

    def _models(self, path: str) -> list[ModelName]:
        """Return the models that a step itself may call."""
        asks = [each for each in self._asking.get(path, ()) if each.action != "judge"]
        return [_named(model["model"]) for each in asks for model in models_told(each, self._here)["models"]]

    def _card(self, name: ModelName) -> ModelCard | None:
        return self._here.catalogue.find(name)

    def _count(self, name: ModelName, calls: int, asking: ModelStep, step: StepPlan, scope: Scope) -> None:
        card = self._card(name)
        output = self._most_output(asking, step, scope, card)
        given = self._most_input(asking, step, scope, card, output)
        cost = None
        if card is not None and card.free:
            cost = 0.0
        elif given is not None and output is not None:
            cost = self._here.catalogue.cost(name, Usage(given, output, requests=1))
        self.calls = _sum(self.calls, calls, 1)
        self.input = _sum(self.input, calls, given)
        self.output = _sum(self.output, calls, output)
        self.cost = None if self.cost is None or cost is None else self.cost + calls * cost

    def _most_output(self, asking: ModelStep, step: StepPlan, scope: Scope, card: ModelCard | None) -> int | None:
        if asking.action == "embed":
            return 0
        if asking.action == "judge":
            return JUDGED_TOKENS
        work = step.work
        parameters = work.parameters if isinstance(work, ToolCall | Agent) else None
        limit = limit_of(parameters, scope)
        return limit if limit is not None else (card.max_output or card.context_window) if card is not None else None

    def _most_input(
        self, asking: ModelStep, step: StepPlan, scope: Scope, card: ModelCard | None, output: int | None
    ) -> int | None:
        """Return the most input tokens of one call: those of the step's prompt if known, else the context window."""
        window = card.context_window if card is not None else None
        work = step.work
        if asking.action not in _ONE_ANSWER or not isinstance(work, ToolCall) or step.check is not None:
            return window
        given = value_of(work.parameters, scope)
        if not isinstance(given, dict) or {"images", "files", "personality"} & given.keys() or output is None:
            return window
        from orchestrator.models.actions.generate import known_form

        form = known_form(given)
        schema = len(json.dumps(form.schema, default=str).encode()) if form is not None else 0
        said = len(json.dumps(given, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass"))
        # A token has at least one byte; a second request includes the first answer.
        most = said + 2 * schema + output + _AROUND
        return most if window is None else min(most, window)


def _sum(total: int | None, calls: int, each: int | None) -> int | None:
    return None if total is None or each is None else total + calls * each


def _named(told: str) -> ModelName:
    provider, _, model = told.partition(":")
    return ModelName(provider, model or provider)
