"""OpenAI's client, without its rewriting of requests that are in their last form already.

Before it sends a request, the SDK holds each message to the types of all messages that there are, to rename fields and
encode files. What Pydantic AI gives it needs none of that, and it is a third of the processor time of a call (0.35 of
1.2 ms, `bench/model_calls.py`). So the body is given to the SDK's `post`, which is there for requests of one's own.
Imported with the first call only.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI, AsyncStream, NotGiven, Omit
from openai.resources.chat import AsyncChat
from openai.resources.chat.completions import AsyncCompletions
from openai.types.chat import ChatCompletion, ChatCompletionChunk

if TYPE_CHECKING:
    from openai._types import RequestOptions

_SENDING = {"extra_headers": "headers", "extra_query": "params", "extra_body": "extra_json", "timeout": "timeout"}
"""The arguments that say how to send, and not what."""


class PlainOpenAI(AsyncOpenAI):
    """Sends chats as they are."""

    @cached_property
    def chat(self) -> AsyncChat:
        """Chats."""
        return _Chat(self)


class _Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return _Completions(self._client)


class _Completions(AsyncCompletions):
    async def create(  # type: ignore[override]  # it has three forms there, and one here
        self, *, stream: bool = False, **given: Any
    ) -> ChatCompletion | AsyncStream[ChatCompletionChunk]:
        said = {key: value for key, value in given.items() if not isinstance(value, Omit | NotGiven)}
        options: RequestOptions = {"security": {"bearer_auth": True}}
        for argument, option in _SENDING.items():
            if (value := said.pop(argument, None)) is not None:
                options[option] = value  # type: ignore[literal-required]
        return await self._client.post(
            "/chat/completions",
            body={**said, "stream": stream},
            options=options,
            cast_to=ChatCompletion,
            stream=stream,
            stream_cls=AsyncStream[ChatCompletionChunk],
        )
