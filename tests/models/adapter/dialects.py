"""How each provider says the same things on the wire, as their documentation has it."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.clients import Endpoint
from orchestrator.models.messages import ModelName
from tests.models.adapter.wire import Answer

KEY = "sk-abcdefgh-12345678"


@dataclass(frozen=True)
class Dialect:
    """One protocol. All say that 100 tokens went in, 40 of them from a cache, and 30 came out.

    `refusals` are ways to refuse; `ending` is how many of a stream's last pieces say that it is complete.
    """

    name: str
    provider: str
    model: str
    path: str
    whole: Callable[[str, str], Any]
    pieces: Callable[[tuple[str, ...]], tuple[bytes, ...]]
    refusals: tuple[Any, ...]
    error: Callable[[int, str], Any]
    reasoning: int = 10
    api: str | None = None
    ending: int = 2
    kind: str = "text/event-stream"
    key: str | None = KEY

    @property
    def model_name(self) -> ModelName:
        """The model that is asked."""
        return ModelName(self.provider, self.model)

    def endpoint(self, url: str) -> Endpoint:
        """Return where it is asked."""
        return Endpoint(PROVIDERS[self.provider], url + self.path, self.key, api=self.api)  # type: ignore[arg-type]

    def answer(self, text: str, finish: str = "stop") -> Answer:
        """Return a whole answer; `finish` is `stop` or `length`."""
        return Answer(json.dumps(self.whole(text, finish)).encode())

    def stream(self, *texts: str, then: Any = "end", few: int | None = None) -> Answer:
        """Return an answer in pieces; with `few` only the first of them."""
        return Answer(pieces=self.pieces(texts)[:few], kind=self.kind, then=then)

    def failure(self, status: int, message: str = "it is so", **headers: str) -> Answer:
        """Return an error."""
        return Answer(json.dumps(self.error(status, message)).encode(), status=status, headers=headers)


def _event(data: Any, name: str | None = None) -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(data).encode() + b"\n\n"


# --- OpenAI: Chat Completions

_CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 30,
    "total_tokens": 130,
    "prompt_tokens_details": {"cached_tokens": 40},
    "completion_tokens_details": {"reasoning_tokens": 10},
}


def _chat(text: str | None, finish: str, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, **more}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {
        "id": "chat_1",
        "object": "chat.completion",
        "created": 1,
        "model": "said",
        "choices": [choice],
        "usage": _CHAT_USAGE,
    }


def _chat_pieces(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        head = {"id": "chat_1", "object": "chat.completion.chunk", "created": 1, "model": "said"}
        return _event(head | {"choices": choices} | more)

    last = chunk({}, "stop", usage=_CHAT_USAGE, x_groq={"id": "r", "usage": _CHAT_USAGE})
    first = chunk({"role": "assistant", "content": ""})
    return (first, *(chunk({"content": text}) for text in texts), last, b"data: [DONE]\n\n")


def _openai_error(status: int, message: str) -> Any:
    return {"error": {"message": message, "type": "an_error", "param": None, "code": None}}


# --- OpenAI: Responses


def _response(content: list[dict[str, Any]], status: str, **more: Any) -> dict[str, Any]:
    message = {"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": content}
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 0},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 10},
        "total_tokens": 130,
    }
    head = {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "said", "error": None}
    rest = {"output": [message], "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    return head | {"incomplete_details": None} | rest | more


def _responses(text: str, finish: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    if finish == "length":
        return _response(content, "incomplete", incomplete_details={"reason": "max_output_tokens"})
    return _response(content, "completed")


def _responses_pieces(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    whole = "".join(texts)
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": whole, "annotations": []}
    empty = _response([], "in_progress") | {"output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": empty},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", "part": part | {"text": ""}, **place},
        *({"type": "response.output_text.delta", "delta": text, "logprobs": [], **place} for text in texts),
        {"type": "response.output_text.done", "text": whole, "logprobs": [], **place},
        {"type": "response.content_part.done", "part": part, **place},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": item | {"status": "completed", "content": [part]},
        },
        {"type": "response.completed", "response": _responses(whole, "stop")},
    ]
    return tuple(_event(event | {"sequence_number": n}, event["type"]) for n, event in enumerate(events))


# --- Anthropic


def _anthropic(text: str, finish: str) -> dict[str, Any]:
    reasons = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}
    usage = {
        "input_tokens": 60,
        "cache_read_input_tokens": 40,
        "cache_creation_input_tokens": 0,
        "output_tokens": 30,
        "service_tier": "standard",
    }
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "said",
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": reasons[finish],
        "stop_sequence": None,
        "usage": usage,
    }


def _anthropic_pieces(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    start = _anthropic("", "stop") | {"stop_reason": None}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start | {"usage": start["usage"] | {"output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 30},
        },
        {"type": "message_stop"},
    ]
    return tuple(_event(event, event["type"]) for event in events)


_ANTHROPIC_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def _anthropic_error(status: int, message: str) -> Any:
    return {"type": "error", "error": {"type": _ANTHROPIC_ERRORS.get(status, "api_error"), "message": message}}


# --- Google


def _google(text: str, finish: str) -> dict[str, Any]:
    reasons = {"stop": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY"}
    candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": reasons[finish], "index": 0}
    return {"candidates": [candidate], "usageMetadata": _GOOGLE_USAGE, "modelVersion": "said"}


_GOOGLE_USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 40,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 10,
    "totalTokenCount": 130,
}


def _google_pieces(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    def chunk(text: str, **more: Any) -> bytes:
        candidate = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}
        return _event({"candidates": [candidate], "usageMetadata": _GOOGLE_USAGE, "modelVersion": "said"})

    *some, last = texts
    return (*(chunk(text) for text in some), chunk(last, finishReason="STOP"))


_GOOGLE_ERRORS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def _google_error(status: int, message: str) -> Any:
    return {"error": {"code": status, "message": message, "status": _GOOGLE_ERRORS.get(status, "INTERNAL")}}


# --- Bedrock


def _bedrock(text: str, finish: str) -> dict[str, Any]:
    reasons = {"stop": "end_turn", "length": "max_tokens", "refusal": "guardrail_intervened"}
    return {
        "output": {"message": {"role": "assistant", "content": [{"text": text}] if text else []}},
        "stopReason": reasons[finish],
        "usage": _BEDROCK_USAGE,
        "metrics": {"latencyMs": 1},
    }


_BEDROCK_USAGE = {
    "inputTokens": 60,
    "cacheReadInputTokens": 40,
    "cacheWriteInputTokens": 0,
    "outputTokens": 30,
    "totalTokens": 130,
}


def _bedrock_pieces(texts: tuple[str, ...]) -> tuple[bytes, ...]:
    return (
        _framed("messageStart", {"role": "assistant"}),
        *(_framed("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}) for text in texts),
        _framed("contentBlockStop", {"contentBlockIndex": 0}),
        _framed("messageStop", {"stopReason": "end_turn"}),
        _framed("metadata", {"usage": _BEDROCK_USAGE, "metrics": {"latencyMs": 1}}),
    )


def _framed(event: str, data: Any) -> bytes:
    """Return one message of the encoding `application/vnd.amazon.eventstream`."""
    told = {":message-type": "event", ":event-type": event, ":content-type": "application/json"}
    headers = b"".join(
        struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(value)) + value.encode()
        for name, value in told.items()
    )
    body = json.dumps(data).encode()
    start = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    message = start + struct.pack(">I", zlib.crc32(start)) + headers + body
    return message + struct.pack(">I", zlib.crc32(message))


def _bedrock_error(status: int, message: str) -> Any:
    return {"message": message}


def _chat_dialect(provider: str, model: str, path: str = "/v1", **more: Any) -> Dialect:
    return Dialect(
        more.pop("name", provider),
        provider,
        model,
        path,
        _chat,
        _chat_pieces,
        more.pop("refusals", (_chat(None, "stop", refusal="I cannot help with that."), _chat(None, "content_filter"))),
        _openai_error,
        **more,
    )


DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            "openai",
            "openai",
            "gpt-4.1-mini",
            "/v1",
            _responses,
            _responses_pieces,
            (_response([{"type": "refusal", "refusal": "I cannot help with that."}], "completed"),),
            _openai_error,
            api="responses",
        ),
        _chat_dialect("openai", "gpt-4.1-mini", name="openai-chat", api="chat"),
        Dialect(
            "anthropic",
            "anthropic",
            "claude-haiku-4-5",
            "",
            _anthropic,
            _anthropic_pieces,
            (_anthropic("", "refusal"),),
            _anthropic_error,
            reasoning=0,
        ),
        Dialect(
            "google",
            "google",
            "gemini-2.5-flash",
            "",
            _google,
            _google_pieces,
            (_google("", "refusal"), {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": _GOOGLE_USAGE}),
            _google_error,
            ending=1,
        ),
        Dialect(
            "bedrock",
            "bedrock",
            "amazon.nova-lite-v1:0",
            "",
            _bedrock,
            _bedrock_pieces,
            (_bedrock("", "refusal"),),
            _bedrock_error,
            reasoning=0,
            ending=2,
            kind="application/vnd.amazon.eventstream",
            key=None,
        ),
        _chat_dialect("ollama", "llama3.2"),
        _chat_dialect("vllm", "tiny"),
        _chat_dialect("huggingface", "Qwen/Qwen3-8B"),
        _chat_dialect("groq", "llama-3.3-70b-versatile", "", refusals=()),
        _chat_dialect("mistral", "mistral-small-latest", "", refusals=(), reasoning=0),
    )
}
"""By name."""
