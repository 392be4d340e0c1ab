"""The models that the steps of a pipeline would call, in order, and why. None is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.models.calls.gateway import ModelChoice
from orchestrator.models.selection.candidates import Needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.expressions import Value
    from orchestrator.models.catalog.keys import Keys
    from orchestrator.models.catalog.providers import Provider
    from orchestrator.models.selection.candidates import AvailableModels, Candidate
    from orchestrator.plan.model import Plan
    from orchestrator.plan.steps import StepPlan
    from orchestrator.tools.contract import Makes

_CHOOSING = ("model", "requires_model", "selection")


class ModelStep(Struct, frozen=True):
    """A step that calls models. `unknown`: why its models are not known before a run."""

    path: str
    action: str
    choice: ModelChoice | None
    needs: Needs
    unknown: str = ""

    @property
    def makes_media(self) -> bool:
        """Whether it makes pictures, speech or transcripts, whose tokens and cost are not forecast."""
        return self.needs.purpose not in ("text", "embeddings")


def model_steps(plan: Plan) -> Iterator[ModelStep]:
    """Yield the steps that call models, at any depth, in the file's order."""
    from orchestrator.plan.steps import Agent, ToolCall
    from orchestrator.plan.walk import item_step
    from orchestrator.testing.stubs import own_work, steps_of

    for path, step in steps_of(plan).items():
        match own_work(step):
            case ToolCall(action=action, parameters=parameters) if action.uses_model:
                yield _model_step(path, action.name, parameters, makes=action.makes)
            case Agent() as agent:
                offers = (agent.tools, agent.servers, agent.pipelines, agent.roles)
                yield _model_step(path, "agent", agent.parameters, uses_tools=any(offers))
                for role in agent.roles:
                    if not {"model", "requires_model"}.isdisjoint(getattr(role.parameters, "entries", ())):
                        yield _model_step(path, "agent", role.parameters, uses_tools=True)
        if (item := item_step(step)) is not None:
            yield from _judges(path, item)
        yield from _judges(path, step)


def _judges(path: str, step: StepPlan) -> Iterator[ModelStep]:
    if step.check is not None and step.check.judge is not None:
        from orchestrator.expressions.values import MappingValue

        yield _model_step(path, "judge", MappingValue({"model": step.check.judge.model}))


def _model_step(
    path: str, action: str, parameters: Value, *, uses_tools: bool = False, makes: Makes = "text"
) -> ModelStep:
    from orchestrator.expressions import constant_of
    from orchestrator.expressions.values import Constant, MappingValue
    from orchestrator.models.selection.requirements import choice_of

    given: Mapping[str, Any] = {}
    if isinstance(parameters, MappingValue):
        given = parameters.entries
    elif isinstance(parameters, Constant) and isinstance(parameters.value, Mapping):
        given = {name: Constant(value) for name, value in parameters.value.items()}
    wanted = {"tools"} if uses_tools else set()
    if given.get("images") is not None:
        wanted.add("vision")
    needs = Needs(makes, frozenset(wanted))
    written = {name: given[name] for name in _CHOOSING if given.get(name) is not None}
    open_ones = [name for name, value in written.items() if not value.is_constant]
    if open_ones:
        return ModelStep(path, action, None, needs, f"`{open_ones[0]}` is known only during the run")
    choice = choice_of(**{name: constant_of(value) for name, value in written.items()})
    return ModelStep(path, action, choice, needs)


def models_told(step: ModelStep, here: AvailableModels) -> dict[str, Any]:
    """Return the models that a step may call, as JSON data."""
    from orchestrator.errors import ModelMissing
    from orchestrator.models.selection.candidates import candidates

    problem, models = step.unknown, []
    if step.choice is not None:
        try:
            models = [_model(each, here) for each in candidates(step.choice, step.needs, here)]
        except ModelMissing as error:
            problem = error.message
    return {"step": step.path, "action": step.action, "models": models, "problem": problem or None}


def _model(candidate: Candidate, here: AvailableModels) -> dict[str, Any]:
    state = missing_access(here.catalogue.providers[candidate.name.provider], here.keys)
    return {
        "model": str(candidate.name),
        "ready": not state and not candidate.problem,
        "lacks": state or None,
        "why": candidate.why,
        "problem": candidate.problem or None,
    }


def missing_access(provider: Provider, keys: Keys) -> str:
    """Return what a provider lacks here, as text; empty if it can be used."""
    from orchestrator.models.clients.endpoints import missing_extra

    lacking = [] if keys.suffices(provider) else ["no key"]
    if missing_extra(provider) is not None:
        lacking.append("no extra")
    return ", ".join(lacking)
