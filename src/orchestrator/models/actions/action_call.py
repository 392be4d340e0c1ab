"""What the actions of the tool `model` share: the choice of the model, its settings, and common fields of results."""

from __future__ import annotations

import asyncio
import inspect
import typing
from functools import reduce, wraps
from operator import add
from typing import TYPE_CHECKING, Annotated, Any, Final, TypedDict, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.errors import BudgetExceeded
from orchestrator.models.actions.attachments import read_text
from orchestrator.models.actions.parameters import at_least, invalid_parameter, is_personality_file
from orchestrator.models.calls.gateway import ModelAnswer, ModelChoice, ModelGateway, Selection
from orchestrator.models.messages import Effort, Message, ModelReply, ModelRequest, Usage
from orchestrator.models.output.schemas import Structure, accepted
from orchestrator.models.selection.requirements import Required, choice_of
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import describe_annotation
from orchestrator.tools.functions.definition import to_action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping

    from orchestrator.expressions.types.value_types import Type
    from orchestrator.models.messages import Media
    from orchestrator.tools.contract import Action, Makes, RefusalCheck


T = TypeVar("T")


class UsageResult(TypedDict):
    """Tokens; `input` includes `cached`, `output` includes `reasoning`."""

    input: Annotated[int, "Input tokens, including `cached`."]
    output: Annotated[int, "Output tokens, including `reasoning`."]
    cached: Annotated[int, "Input tokens that the provider read from its cache."]
    reasoning: Annotated[int, "Output tokens that the model used for reasoning."]
    requests: Annotated[int, "The number of requests."]


class Details(TypedDict):
    """Who answered, and at what price. Every result has these fields too."""

    model: Annotated[str, "The model that answered."]
    why: Annotated[str, "Why this model was chosen."]
    usage: Annotated[UsageResult, "The tokens and requests of the call."]
    cost: Annotated[float | None, "The cost of the call in USD; null if the price is unknown."]


DETAILS: Final = describe_annotation(Details, "out").type
"""The type of `Details`."""


class ActionCall(Struct, frozen=True):
    """A call of an action: where it asks, whom, with which settings; and what it was answered, in `answers`."""

    context: ToolContext
    choice: ModelChoice
    system: str = ""
    effort: Effort | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    answers: list[ModelAnswer] = field(default_factory=list)

    @property
    def gateway(self) -> ModelGateway:
        """Where models are asked."""
        return self.context.service(ModelGateway)  # type: ignore[type-abstract] # the host finds it by its protocol


ModelParameter = Annotated[
    str | list[str] | None,
    "The model, such as `openai:gpt-5-mini` or `auto`; for a list, the first one that answers.",
]
RequiresParameter = Annotated[
    Required | None, "Requirements for the model, instead of a name: `{capabilities: [vision], context: 128k}`."
]
SelectionParameter = Annotated[Selection | None, "What matters most among the models that fit; default `balanced`."]


async def action_call(
    context: ToolContext,
    model: ModelParameter = None,
    requires_model: RequiresParameter = None,
    selection: SelectionParameter = None,
    system: Annotated[str | None, "The system prompt."] = None,
    personality: Annotated[
        str | None, "The personality of the model: a text, or a file that ends in `.md` or `.txt`."
    ] = None,
    effort: Annotated[Effort | None, "How much the model should reason before it answers."] = None,
    temperature: Annotated[float | None, "The randomness of the answer: from 0 (low) to 1 (high)."] = None,
    max_tokens: Annotated[int | None, "The maximum number of tokens of an answer."] = None,
    seed: Annotated[int | None, "Makes answers repeatable, if the provider supports it."] = None,
    stop: Annotated[str | list[str] | None, "One or more texts at which the answer ends."] = None,
) -> ActionCall:
    """Return what the common parameters say. Their names and types are taken from here."""
    parts = [await personality_text(context, personality), system]
    return ActionCall(
        context,
        chosen(model, requires_model, selection),
        system="\n\n".join(part.strip() for part in parts if part and part.strip()),
        effort=effort,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
    )


async def embedding_action_call(
    context: ToolContext,
    model: ModelParameter = None,
    requires_model: RequiresParameter = None,
    selection: SelectionParameter = None,
) -> ActionCall:
    """Return the same for an action that only chooses a model."""
    return ActionCall(context, chosen(model, requires_model, selection))


def chosen(
    model: str | list[str] | None, requires: Mapping[str, Any] | None, selection: Selection | None
) -> ModelChoice:
    """Return which models may answer."""
    try:
        return choice_of(model, requires, selection)
    except ValueError as error:
        raise invalid_parameter(f"invalid `requires_model`: {error}") from error


async def personality_text(context: ToolContext, personality: str | None) -> str | None:
    """Return the text of a personality, from its file if it is one."""
    if personality is None or not is_personality_file(personality):
        return personality
    return await read_text(context, personality)


def _personality(given: Mapping[str, Any]) -> Iterable[str]:
    personality = given.get("personality")
    return [personality] if isinstance(personality, str) and is_personality_file(personality) else []


# --- asking


async def ask(
    call: ActionCall,
    content: str | tuple[str | Media, ...] | tuple[Message, ...],
    *,
    system: str = "",
    structure: Structure | None = None,
    final: bool = True,
    max_tokens: int | None = None,
) -> ModelAnswer:
    """Ask once, and take note of the answer. With a structure its value is of that form, else it is the text.

    `system` goes before the system prompt of the step; `max_tokens` replaces its own.
    """
    messages = content if _are_messages(content) else (Message("user", typing.cast("Any", content)),)
    request = ModelRequest(
        typing.cast("tuple[Message, ...]", messages),
        system="\n\n".join(part for part in (system, call.system) if part),
        schema=structure.schema if structure else None,
        effort=call.effort,
        temperature=call.temperature,
        max_tokens=max_tokens or call.max_tokens,
        seed=call.seed,
        stop=call.stop,
    )

    def accept(reply: ModelReply) -> Any:
        return reply.text if structure is None else accepted(structure, reply)

    answer = await call.gateway.ask(call.choice, request, accept=accept, final=final)
    call.answers.append(answer)
    warn_of_ignored(call, answer)
    return answer


def warn_of_ignored(call: ActionCall, answer: ModelAnswer) -> None:
    """Log the settings of a call that the model does not have."""
    for setting in answer.reply.ignored:
        call.context.log(f"`{answer.model}` has no setting `{setting}`, so it was ignored", "warning")


async def run_together(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Wait for all calls, and give their results in order. When one fails, the others are cancelled, and waited for.

    Where a budget is used up they may end: they are within it, and what they give is kept.
    """
    tasks = [asyncio.create_task(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BudgetExceeded:
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _are_messages(content: Any) -> bool:
    return isinstance(content, tuple) and bool(content) and isinstance(content[0], Message)


def is_cut(call: ActionCall, answer: ModelAnswer) -> bool:
    """Whether an answer reached its limit of tokens; the log then has a warning."""
    if answer.reply.finish != "length":
        return False
    limit = f" of {call.max_tokens} tokens" if call.max_tokens else ""
    message = f"the answer of `{answer.model}` reached its limit{limit} and is cut off; give a larger `max_tokens`"
    call.context.log(message, "warning")
    return True


# --- results


def details(answers: Iterable[ModelAnswer]) -> Details:
    """Say who answered last, and what all answers together took."""
    found = list(answers)
    usage = reduce(add, (answer.reply.usage for answer in found), Usage())
    costs = [answer.cost for answer in found]
    known = [cost for cost in costs if cost is not None]
    return {
        "model": str(found[-1].model) if found else "",
        "why": found[-1].why if found else "no call was needed",
        "usage": typing.cast("UsageResult", usage.to_dict()),
        "cost": sum(known) if len(known) == len(costs) else None,
    }


def with_details(result: Type, *, shadowed: Iterable[str] = ()) -> Type:
    """Return the type of a result with the fields of `Details`, but for those that the answer itself has."""
    added = {name: part for name, part in DETAILS.properties.items() if name not in frozenset(shadowed)}
    properties = {**result.properties, **added}
    return replace(result, properties=properties, required=result.required | added.keys())


# --- actions


def model_action(
    function: Callable[..., Awaitable[Any]],
    *,
    primary: str,
    result_type: Callable[[Mapping[str, Any], Type], Type] | None = None,
    shadows: Callable[[Mapping[str, Any]], frozenset[str]] | None = None,
    refusal: RefusalCheck | None = None,
    reads: tuple[str, ...] = (),
    files: Callable[[Mapping[str, Any]], Iterable[str]] | None = None,
    one_of: tuple[str, ...] = (),
    converts: Mapping[str, Callable[[Any], Any]] | None = None,
    common: Callable[..., Awaitable[ActionCall]] = action_call,
    makes: Makes = "text",
) -> Action:
    """Return the action of a function whose first parameter is an `ActionCall`, with the common parameters added.

    Its result gets the fields of `Details`, but for those that `shadows` names. `result_type` makes the exact type of
    a result from the constant parameters and the type of any result.
    """
    own, shared = inspect.signature(function), inspect.signature(common)
    names = [name for name in shared.parameters if name != "context"]

    @wraps(function)
    async def called(*, context: ToolContext, **given: Any) -> Any:
        hidden = shadows(given) if shadows else frozenset()
        made = await common(context, **{name: given.pop(name) for name in names})
        result = await function(made, **given)
        told = details(made.answers)
        return {**result, **{name: value for name, value in told.items() if name not in hidden}}

    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in list(own.parameters.values())[1:]]
    parameters += [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in shared.parameters.values()]
    hints = typing.get_type_hints(common, include_extras=True) | typing.get_type_hints(function, include_extras=True)
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # what `signature` goes by
    called.__annotations__ = {name: hint for name, hint in hints.items() if name != "call"}
    action = to_action(called)
    limits = {**_LIMITS, **(converts or {})}
    returns = with_details(action.returns)
    return replace(
        action,
        parameters={
            name: replace(parameter, convert=limits.get(name, parameter.convert))
            for name, parameter in action.parameters.items()
        },
        returns=returns,
        primary=primary,
        refusal=refusal,
        reads=reads,
        one_of=one_of,
        files=lambda given: [*_personality(given), *(files(given) if files else ())],
        uses_model=True,
        makes=makes,
        result_type=None if result_type is None else lambda known: result_type(known, returns),
    )


def _named(value: Any) -> Any:
    """Reject empty model names: they do not mean `auto`."""
    names = value if isinstance(value, list) else [value]
    if value is not None and not (names and all(str(name).strip() for name in names)):
        raise ValueError("must name a model: write `auto` for any available model, or omit it")
    return value


def _requirements(value: Any) -> Any:
    if value is not None:
        choice_of(requires_model=value)
    return value


_LIMITS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "model": _named,
    "max_tokens": at_least(1),
    "temperature": at_least(0),
    "requires_model": _requirements,
}
