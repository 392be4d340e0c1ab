"""Translates requests for Pydantic AI, and its answers back. Imported with the first call only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from msgspec import Struct
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.messages import ModelRequest as Said
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from orchestrator.errors import ModelRefused
from orchestrator.json_schema import embedded
from orchestrator.models.messages import ModelReply, ToolRequest, Usage
from orchestrator.models.output.texts import NOTHING, empty_answer, file_in_words, invalid_answer, json_in, loaded
from orchestrator.text.json_text import valid_unicode
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_ai.models import Model
    from pydantic_ai.usage import RequestUsage

    from orchestrator.models.messages import Finish, Media, Message, ModelName, ModelRequest

ANSWER = "answer"
"""The tool through which a model without native schemas answers, and the field of a wrapped value."""

MOST_REPORTED: Final = 1_000_000_000
"""Tokens of one call that a provider may report: a hundred times what any model reads."""

Mode = Literal["text", "native", "tool", "prompted"]


class ProviderCall(Struct, frozen=True):
    """A request for Pydantic AI. `wrapped`: the value of the answer is in a field of an object.

    `ignored` are the settings of the request that the model does not have.
    """

    messages: list[ModelMessage]
    settings: ModelSettings
    parameters: ModelRequestParameters
    mode: Mode
    wrapped: bool
    ignored: tuple[str, ...] = ()


def call_of(request: ModelRequest, model: Model[Any], kind: str) -> ProviderCall:
    """Return a request as Pydantic AI takes it."""
    tools = [
        ToolDefinition(name=tool.name, description=tool.description, parameters_json_schema=dict(tool.parameters))
        for tool in request.tools
    ]
    mode = _mode(request, model, kind)
    parameters, wrapped = ModelRequestParameters(function_tools=tools), False
    if request.schema is not None:
        schema, wrapped = _object_schema(request.schema)
        if mode == "tool":
            answer = ToolDefinition(
                name=ANSWER, description="Give the answer.", parameters_json_schema=schema, kind="output"
            )
            parameters = ModelRequestParameters(
                function_tools=tools, output_mode="tool", output_tools=[answer], allow_text_output=False
            )
        else:
            form = OutputObjectDefinition(json_schema=schema, name=ANSWER)
            parameters = ModelRequestParameters(
                function_tools=tools, output_mode=mode, output_object=form, allow_text_output=True
            )
    ignored = ("effort",) if request.effort is not None and not _can_reason(model) else ()
    return ProviderCall(_messages(request), _settings(request, model, kind), parameters, mode, wrapped, ignored)


def _mode(request: ModelRequest, model: Model[Any], kind: str) -> Mode:
    """Return how a model is given a schema: natively, else as a tool, else in the prompt."""
    if request.schema is None:
        return "text"
    profile = cast("Mapping[str, object]", model.profile)
    # Before Gemini 3, a schema and tools exclude each other.
    beside_tools = not request.tools or kind != "google" or profile.get("google_supports_tool_combination", False)
    if profile.get("supports_json_schema_output", False) and beside_tools:
        return "native"
    return "tool" if profile.get("supports_tools", True) else "prompted"


def _object_schema(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a schema of an object, as all providers ask for, and whether the value had to be put into a field."""
    if schema.get("type") == "object":
        return dict(schema), False
    definitions: dict[str, Any] = {}
    inner = embedded(schema, ANSWER, definitions)
    outer = {"type": "object", "properties": {ANSWER: inner}, "required": [ANSWER], "additionalProperties": False}
    return outer | ({"$defs": definitions} if definitions else {}), True


def _settings(request: ModelRequest, model: Model[Any], kind: str) -> ModelSettings:
    settings = ModelSettings()
    reasons = request.effort is not None and _can_reason(model)
    if reasons:
        settings["thinking"] = cast("Any", request.effort)
    # Claude rejects a temperature while it reasons.
    if request.temperature is not None and not _always_reasons(model) and not (reasons and kind == "anthropic"):
        settings["temperature"] = request.temperature
    if request.max_tokens is not None:
        settings["max_tokens"] = request.max_tokens
    if request.seed is not None:
        settings["seed"] = request.seed
    if request.stop:
        settings["stop_sequences"] = list(request.stop)
    if request.timeout is not None:
        settings["request_timeout"] = request.timeout
    return settings


def _can_reason(model: Model[Any]) -> bool:
    """Whether the effort of a model can be set."""
    profile = cast("Mapping[str, object]", model.profile)
    return bool(profile.get("supports_thinking", False) or profile.get("thinking_always_enabled", False))


def _always_reasons(model: Model[Any]) -> bool:
    """Whether it is an OpenAI model that reasons by default: these reject a temperature."""
    profile = cast("Mapping[str, object]", model.profile)
    can_do_without = profile.get("openai_supports_reasoning_effort_none", False)
    starts_with = profile.get("thinking_enabled_by_default", False)
    return bool(profile.get("openai_supports_reasoning", False) and (starts_with or not can_do_without))


# --- messages


def _messages(request: ModelRequest) -> list[ModelMessage]:
    found: list[ModelMessage] = []
    told: list[ModelRequestPart] = []
    for message in request.messages:
        if message.role == "assistant":
            if told:
                found.append(Said(parts=told))
                told = []
            found.append(ModelResponse(parts=_answered(message)))
        else:
            told.append(_told(message))
    if told:
        found.append(Said(parts=told))
    if request.system:
        for said in reversed(found):
            if isinstance(said, Said):
                said.instructions = request.system
                break
    return found


def _told(message: Message) -> ModelRequestPart:
    content = _content(message.content)
    if message.role == "tool":
        returned = content if isinstance(content, str) or len(content) != 1 else content[0]
        return ToolReturnPart(tool_name=message.name, content=returned, tool_call_id=message.request_id)
    return UserPromptPart(content=content)


def _answered(message: Message) -> list[ModelResponsePart]:
    content = message.content if isinstance(message.content, tuple) else (message.content,)
    text = "".join(part for part in content if isinstance(part, str))
    parts: list[ModelResponsePart] = [TextPart(content=text)] if text else []
    parts += (
        ToolCallPart(tool_name=asked.name, args=dict(asked.arguments), tool_call_id=asked.id)
        for asked in message.requests
    )
    return parts


def _content(content: str | tuple[str | Media, ...]) -> str | list[str | BinaryContent]:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: str | Media) -> str | BinaryContent:
    if isinstance(part, str):
        return part
    text = file_in_words(part)
    return BinaryContent(data=part.content, media_type=part.media_type) if text is None else text


# --- answers


def piece_of(event: object) -> str:
    """Return the text that an event of a stream adds to the answer."""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


_FINISH: Mapping[str | None, Finish] = {
    "stop": "stop",
    "length": "length",
    "tool_call": "tools",
    "content_filter": "refused",
}


def reply_of(
    response: ModelResponse, call: ProviderCall, name: ModelName, request: ModelRequest, *, latency: float
) -> ModelReply:
    """Return an answer in our words; raise ModelRefused or ModelAnswerInvalid for one that is none."""
    text: str = valid_unicode("".join(part.content for part in response.parts if isinstance(part, TextPart)))
    asked = [part for part in response.parts if isinstance(part, ToolCallPart)]
    answers = [part for part in asked if call.mode == "tool" and part.tool_name == ANSWER]
    reply = ModelReply(
        text=text,
        usage=_usage(response.usage),
        finish=_FINISH.get(response.finish_reason, "other"),
        model=response.model_name or name.model,
        latency=latency,
    )
    if reply.finish == "refused":
        raise _refused(response, name, reply)
    if answers:
        value, problem = _arguments(answers[0], reply)
        if problem:
            raise invalid_answer(f"`{name}` did not return JSON: {problem}", name, reply, request)
        return _with(reply, text=text or json.dumps(value, ensure_ascii=False), data=_unwrapped(value, call))
    requests = tuple(_tool_request(part, reply) for part in asked)
    if requests:
        return _with(reply, requests=requests, finish="tools")
    if request.schema is not None:
        return _with(reply, data=_unwrapped(json_in(text, name, reply, request), call))
    if not text.strip():
        raise empty_answer(name, reply, request)
    return reply


def _with(
    reply: ModelReply,
    *,
    text: str | None = None,
    data: Any = None,
    requests: tuple[ToolRequest, ...] = (),
    finish: Finish | None = None,
) -> ModelReply:
    return ModelReply(
        text=reply.text if text is None else text,
        data=data,
        requests=requests,
        usage=reply.usage,
        # Providers differ in what they call an answer by a tool; ours is an answer.
        finish=finish or ("stop" if reply.finish == "tools" else reply.finish),
        model=reply.model,
        latency=reply.latency,
    )


def _usage(usage: RequestUsage) -> Usage:
    details = usage.details
    reasoning = details.get("reasoning_tokens") or details.get("thoughts_tokens") or details.get("thinking_tokens") or 0
    read = count(usage.input_tokens)
    return Usage(
        input=read,
        output=count(usage.output_tokens),
        cached=min(count(usage.cache_read_tokens), read),
        reasoning=count(reasoning),
        requests=1,
    )


def count(reported: object) -> int:
    """Return a number of tokens as a provider reports it; one that cannot be right is as good as none."""
    return int(reported) if isinstance(reported, int | float) and 0 <= reported <= MOST_REPORTED else 0


def _refused(response: ModelResponse, name: ModelName, reply: ModelReply) -> ModelRefused:
    details = response.provider_details or {}
    words = details.get("refusal") or reply.text or details.get("block_reason") or details.get("finish_reason")
    return ModelRefused(
        f"`{name}` refused to answer" + (f": {shorten(str(words), 200)}" if words else ""),
        provider=name.provider,
        model=name.model,
        help="change the prompt or what is put into it, or name a further model to ask",
        reply=reply,
    )


def _tool_request(part: ToolCallPart, reply: ModelReply) -> ToolRequest:
    arguments, problem = _arguments(part, reply)
    return ToolRequest(part.tool_call_id, valid_unicode(part.tool_name), arguments, problem)


def _arguments(part: ToolCallPart, reply: ModelReply) -> tuple[dict[str, Any], str]:
    """Return what a tool is to be given, and what is wrong with the way in which the model wrote it."""
    if isinstance(part.args, dict):
        return cast("dict[str, Any]", valid_unicode(part.args)), ""
    written = valid_unicode(part.args or "").strip()
    value = loaded(written or "{}")
    if isinstance(value, dict):
        return value, ""
    if reply.finish == "length":
        return {}, f"the arguments are cut off, as the answer reached its limit of tokens: {shorten(written, 200)}"
    kind = "not JSON" if value is NOTHING else "not a JSON object"
    return {}, f"the arguments are {kind}: {shorten(written, 200)}"


def _unwrapped(value: Any, call: ProviderCall) -> Any:
    # A model that was told the schema in words may leave the wrapping out.
    return value[ANSWER] if call.wrapped and isinstance(value, dict) and value.keys() == {ANSWER} else value
