"""The agent: what a step that is one is checked against, and the turn that it is made of. The runtime makes the turns.

In a turn a model is asked, and may ask for tools instead of answering.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, Final, TypedDict

from msgspec.structs import replace

from orchestrator.errors import StepError
from orchestrator.expressions.types.schema import to_json_schema
from orchestrator.expressions.types.value_types import ANY, BOOLEAN, INTEGER, OBJECT, STRING, Type, array_of, object_of
from orchestrator.models.actions.action_call import DETAILS, ActionCall, is_cut, model_action, warn_of_ignored
from orchestrator.models.actions.attachments import checks_files, no_urls, read_media
from orchestrator.models.actions.generate import (
    Files,
    Images,
    ResponseFormat,
    Vars,
    content_of,
    form_of,
    hidden,
    known_form,
)
from orchestrator.models.calls.token_estimate import messages_tokens
from orchestrator.models.messages import Counted, Message, ModelReply, ModelRequest, ToolOffer, ToolRequest
from orchestrator.models.output.schemas import accepted
from orchestrator.tools.contract import Action, Parameter

MOST_NAME: Final = 64
"""Characters of a tool's name; no provider takes longer ones."""

RESERVED_NAMES: Final = frozenset({"answer"})
"""Names that no tool is offered by: a structured answer may be given by a tool of this name."""

MAX_TURNS: Final = 10
"""How many turns an agent may make, where it does not say."""


class RequestedBase(TypedDict):
    """What a model asks for: a tool by the name that it was offered by, and what to give it."""

    id: Annotated[str, "The id of the request."]
    name: Annotated[str, "The name under which the tool was offered."]
    arguments: Annotated[dict[str, Any], "The arguments of the tool."]


class Requested(RequestedBase, total=False):
    """The same, with the reason why the arguments cannot be read."""

    problem: Annotated[str, "Why the arguments are invalid."]


class Turned(TypedDict):
    """What came of a turn: requests for tools, or without any the answer; `data` where it was to have a form."""

    text: Annotated[str, "The answer, as text."]
    data: Annotated[Any, "The answer as data, if a schema was given."]
    requests: Annotated[list[Requested], "The tool calls that the model requests."]


async def turn(
    call: ActionCall,
    prompt: Annotated[str, "The task of the model."],
    history: list[dict[str, Any]],
    tools: list[dict[str, Any]],
    history_tokens: int,
    schema: Annotated[
        Any, "The schema of the answer: `{title: string, tags: [string], score: number?}`, or JSON Schema."
    ] = None,
    vars: Vars = None,
    response_format: ResponseFormat = None,
    images: Images = None,
    files: Files = None,
) -> Turned:
    """Call a model that can request tools. `history` are the messages after the prompt, `tools` the offered tools.

    The history grows with each turn, so its tokens are not counted here: they are `history_tokens`.
    """
    structure = form_of(schema=schema, vars=vars, response_format=response_format)
    content = content_of(prompt, await read_media(call.context, images, files))
    first = Message("user", content)
    request = ModelRequest(
        messages=(first, *map(_said, history)),
        system=call.system,
        schema=structure.schema if structure else None,
        tools=tuple(ToolOffer(each["name"], each["description"], each["parameters"]) for each in tools),
        effort=call.effort,
        temperature=call.temperature,
        max_tokens=call.max_tokens,
        seed=call.seed,
        stop=call.stop,
        counted=Counted(1 + len(history), messages_tokens([first]) + history_tokens),
    )

    def accept(reply: ModelReply) -> Any:
        if reply.requests:
            return None
        return None if structure is None else accepted(structure, reply)

    answer = await call.gateway.ask(call.choice, request, accept=accept)
    call.answers.append(answer)
    if not history:
        warn_of_ignored(call, answer)
    if not answer.reply.requests:
        is_cut(call, answer)
    requests: list[Requested] = [
        {"id": each.id, "name": each.name, "arguments": dict(each.arguments)}
        if not each.problem
        else {"id": each.id, "name": each.name, "arguments": {}, "problem": each.problem}
        for each in answer.reply.requests
    ]
    return {"text": answer.reply.text, "data": answer.value, "requests": requests}


def tokens_of_entries(entries: Iterable[Mapping[str, Any]]) -> int:
    """Return about how many tokens some messages of a history have."""
    return messages_tokens(map(_said, entries))


def _said(entry: Mapping[str, Any]) -> Message:
    requests = (ToolRequest(each["id"], each["name"], each["arguments"]) for each in entry.get("requests", ()))
    return Message(entry["role"], entry["content"], tuple(requests), entry.get("request_id", ""), entry.get("name", ""))


TURN: Final = model_action(
    turn,
    primary="text",
    refusal=checks_files("images", "files"),
    reads=("images", "files"),
    converts={"images": no_urls, "files": no_urls},
)

_OWN: Final = (
    Parameter(
        "tools",
        array_of(ANY),
        "The tools that it may use: `[http.get, json, mcp:files, {pipeline: refund.yaml, approve: true}]`.",
        False,
    ),
    Parameter(
        "hand_over",
        OBJECT,
        "The agents that it can hand over to, with the conversation, by name: "
        "`{refunds: {description: ..., system: ..., tools: [...]}}`.",
        False,
    ),
    Parameter("max_turns", INTEGER, "The maximum number of turns.", False, MAX_TURNS),
    Parameter("parallel", BOOLEAN, "Whether the calls of one turn run in parallel.", False, True),
)

OWN_PARAMETERS: Final = tuple(parameter.name for parameter in _OWN)
"""The parameters of an agent that are not those of its turns."""


async def _not_called(**_: Any) -> None:
    raise StepError("an agent is a step and cannot be called as a tool", retryable=False)


def _result_type(known: Mapping[str, Any]) -> Type:
    """The type of an agent's result, as far as its constant parameters say."""
    form = known_form(known)
    fields = {
        "text": replace(STRING, description="The answer of the agent."),
        "turns": replace(INTEGER, description="The number of turns that it took."),
        **DETAILS.properties,
    }
    if form is not None:
        fields = {name: type_ for name, type_ in fields.items() if name not in hidden(form)}
        fields["data"] = form.type
    elif not {"schema", "vars", "response_format"}.isdisjoint(known):
        return Type("object", properties={"data": ANY})
    return object_of(fields)


_OF_THE_RUNTIME: Final = ("history", "tools", "history_tokens")
"""The parameters of a turn that the runtime gives, and no pipeline."""


def _agent() -> Action:
    given = {name: each for name, each in TURN.parameters.items() if name not in _OF_THE_RUNTIME}
    return replace(
        TURN,
        name="agent",
        function=_not_called,
        parameters={"prompt": given.pop("prompt"), **{parameter.name: parameter for parameter in _OWN}, **given},
        returns=_result_type({}),
        result_type=_result_type,
        takes_context=False,
        description="Let a model work in turns with tools, each call a step of the run, until it answers.\n\n"
        "Tools are named as in steps; the model has only the permissions of the project.",
        example=_EXAMPLE,
    )


_EXAMPLE: Final = """\
- id: research
  action: agent
  model: auto
  prompt: Which of these numbers is prime, 91 or 97?
  tools: [json.query]
  max_turns: 5
"""

AGENT: Final = _agent()
"""What a step with `action: agent` is checked against. It is never called: the runtime makes the turns."""


def agent_output(last: Mapping[str, Any], turns: Collection[Mapping[str, Any]], *, has_form: bool) -> dict[str, Any]:
    """Return the result of an agent: its last turn's answer, and what all turns took."""
    usage: dict[str, int] = {}
    for each in turns:
        for name, count in each["usage"].items():
            usage[name] = usage.get(name, 0) + count
    costs = [each["cost"] for each in turns]
    told = {
        "text": last["text"],
        "turns": len(turns),
        "model": last["model"],
        "why": last["why"],
        "usage": usage,
        "cost": None if None in costs else sum(costs),
    }
    if not has_form:
        return told
    data = last["data"]
    hides = data.keys() - {"data"} if isinstance(data, Mapping) else ()
    return {"data": data, **{name: value for name, value in told.items() if name not in hides}}


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
