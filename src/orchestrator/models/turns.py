"""One turn of an agent: a call of a model that may ask for tools instead of answering. The runtime makes the turns."""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from orchestrator.errors import ModelAnswerInvalid, StepError
from orchestrator.expressions.schema import to_json_schema
from orchestrator.expressions.types import (
    ANY,
    BOOLEAN,
    INTEGER,
    NULL,
    NUMBER,
    STRING,
    Type,
    array_of,
    object_of,
    union_of,
)
from orchestrator.models.exchange import Message, ModelReply, ModelRequest, ToolOffer, ToolRequest
from orchestrator.models.gateway import ModelGateway
from orchestrator.models.requirements import Required, choice_of
from orchestrator.models.structured import SchemaError, Structure, accepted, structure_of
from orchestrator.tools.contract import Action, Parameter, Tool, ToolContext
from orchestrator.tools.definition import to_action

MOST_NAME: Final = 64
"""Characters of a tool's name; no provider takes longer ones."""

RESERVED_NAMES: Final = frozenset({"answer"})
"""Names that no tool is offered by: a structured answer may be given by a tool of this name."""

MAX_TURNS: Final = 10
"""How many turns an agent may make, where it does not say."""


async def turn(
    context: ToolContext,
    prompt: Annotated[str, "What the model is asked to do."],
    history: list[dict[str, Any]],
    tools: list[dict[str, Any]],
    system: Annotated[str | None, "What the model is told before anything else."] = None,
    schema: Annotated[
        Any, "The form of the answer: a JSON Schema, or the short form `{title: string, score: number}`."
    ] = None,
    response_format: Annotated[Any, "`text`, or the form of the answer as in `schema`."] = None,
    vars: Annotated[dict[str, Any] | None, "The fields of the answer, each with its description or type."] = None,
    model: Annotated[str | list[str] | None, "The model; of a list, the first that answers. Default: `auto`."] = None,
    requires_model: Annotated[Required | None, "What the model must be, where it is not named."] = None,
    selection: Annotated[
        Literal["balanced", "cost", "speed", "quality"] | None, "What counts most among the models that fit."
    ] = None,
    temperature: Annotated[float | None, "How much chance there is in the answers, from 0."] = None,
    max_tokens: Annotated[int | None, "The most tokens of each answer."] = None,
    seed: Annotated[int | None, "Makes answers repeatable, where the provider can."] = None,
    stop: Annotated[str | list[str] | None, "Texts at which an answer ends."] = None,
) -> dict[str, Any]:
    """Ask a model that may ask for tools. `history` is what was said after the prompt, `tools` what it is offered."""
    structure = form_of({"schema": schema, "response_format": response_format, "vars": vars})
    request = ModelRequest(
        messages=(Message("user", prompt), *map(_said, history)),
        system=system or "",
        schema=None if structure is None else structure.request,
        tools=tuple(ToolOffer(each["name"], each["description"], each["parameters"]) for each in tools),
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
    )
    try:
        choice = choice_of(model, requires_model, selection)
    except ValueError as error:
        raise StepError(str(error), code="ORC425", retryable=False) from error

    def accept(reply: ModelReply) -> Any:
        if reply.requests:
            return None
        if structure is not None:
            return accepted(structure, reply)
        if not reply.text.strip():
            raise ModelAnswerInvalid("it has neither answered nor asked for a tool", model=reply.model, reply=reply)
        return None

    answer = await context.service(ModelGateway).ask(choice, request, accept=accept)  # type: ignore[type-abstract]
    reply = answer.reply
    usage = reply.usage
    return {
        "text": reply.text,
        "requests": [{"id": each.id, "name": each.name, "arguments": dict(each.arguments)} for each in reply.requests],
        **({"data": answer.value} if structure is not None and not reply.requests else {}),
        "model": str(answer.model),
        "usage": {name: getattr(usage, name) for name in _USAGE.properties} | {"requests": usage.requests or 1},
        "cost": answer.cost,
        "why": answer.why,
    }


def _said(entry: Mapping[str, Any]) -> Message:
    requests = entry.get("requests", ())
    return Message(
        entry["role"],
        entry["content"],
        tuple(ToolRequest(each["id"], each["name"], each["arguments"]) for each in requests),
        entry.get("request_id", ""),
        entry.get("name", ""),
    )


def form_of(parameters: Mapping[str, Any]) -> Structure | None:
    """Return the form that an agent's answer must have; None for text.

    Raises:
        StepError: It is written wrongly.
    """
    written, described = parameters.get("schema"), False
    if written is None and parameters.get("vars") is not None:
        written, described = parameters["vars"], True
    if written is None:
        written = parameters.get("response_format")
        if written in (None, "text"):
            return None
        if written == "json":
            written = "any"
    try:
        return structure_of(written, described=described)
    except SchemaError as error:
        help = error.problems[0].help if error.problems else None
        raise StepError(
            f"the form of the answer is wrong: {error}", code="ORC426", help=help, retryable=False
        ) from error


_USAGE: Final = object_of(dict.fromkeys(("input", "output", "cached", "reasoning", "requests"), INTEGER))

TURN: Final = replace(to_action(turn), uses_model=True)

TURN_CALL: Final = (Tool("model", {"turn": TURN}), TURN)
"""The tool and the action that a turn calls. They are in no registry: only an agent makes turns."""

_OWN: Final = (
    Parameter("tools", array_of(ANY), "What it may use: `[http.get, json, mcp:files]`.", False),
    Parameter("max_turns", INTEGER, "How many turns it may make.", False, MAX_TURNS),
    Parameter("parallel", BOOLEAN, "Whether the calls of one turn are made side by side.", False, True),
)

OWN_PARAMETERS: Final = tuple(parameter.name for parameter in _OWN)
"""The parameters of an agent that are not those of its turns."""


def _agent() -> Action:
    given = {name: each for name, each in TURN.parameters.items() if name not in ("history", "tools")}
    given |= {parameter.name: parameter for parameter in _OWN}
    description = "Have a model work in turns, with tools, until it answers."
    return replace(TURN, name="agent", parameters=given, description=description, primary="text")


AGENT: Final = _agent()
"""What a step with `action: agent` is checked against. It is not called: the runtime makes the turns."""


def result_type(parameters: Mapping[str, Any]) -> Type:
    """Return the type of an agent's result, as far as its constant parameters say."""
    fields = {
        "text": STRING,
        "turns": INTEGER,
        "model": STRING,
        "usage": _USAGE,
        "cost": union_of((NUMBER, NULL)),
    }
    try:
        structure = form_of(parameters)
    except StepError:
        fields["data"] = ANY  # that is reported in its own right
    else:
        if structure is not None:
            fields["data"] = structure.type
    return object_of(fields)


def offered_name(name: str, taken: Collection[str]) -> str:
    """Return the name by which a tool is offered: one that every provider takes, and that no other tool has."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)[:MOST_NAME]
    plain = plain if plain[:1].isalpha() or plain[:1] == "_" else f"_{plain}"[:MOST_NAME]
    return numbered(plain, taken)


def numbered(name: str, taken: Collection[str]) -> str:
    """Return a name, with a number where others have it: `fetch`, `fetch_2`."""
    found, number = name, 2
    while found in taken:
        ending = f"_{number}"
        found, number = name[: MOST_NAME - len(ending)] + ending, number + 1
    return found


def parameters_schema(action: Action) -> dict[str, Any]:
    """Return the JSON Schema of what an action is given."""
    properties = {}
    for parameter in action.parameters.values():
        properties[parameter.name] = to_json_schema(parameter.type)
        if parameter.description:
            properties[parameter.name]["description"] = parameter.description
        if not parameter.required and parameter.default is not None:
            properties[parameter.name]["default"] = parameter.default
    required = [parameter.name for parameter in action.parameters.values() if parameter.required]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": action.accepts_extra,
    }
