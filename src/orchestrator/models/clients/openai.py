"""OpenAI's client, without what makes it slow: a third of the processor time of a call, and of a stream.

Before it sends a request, the SDK holds each message to the types of all messages that there are, to rename fields and
encode files. What Pydantic AI gives it needs none of that, so the body is given to the SDK's `post`, which is there for
custom requests. And it builds each piece of an answer field by field, so as to take also what is not as it should
be; here that is left for those. Measured by `bench/model_calls.py`. Imported with the first call only.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI, AsyncStream, NotGiven, Omit
from openai.resources.chat import AsyncChat
from openai.resources.chat.completions import AsyncCompletions
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import ValidationError

if TYPE_CHECKING:
    from openai._types import RequestOptions

_SENDING = {"extra_headers": "headers", "extra_query": "params", "extra_body": "extra_json", "timeout": "timeout"}
"""The arguments that say how to send, and not what."""


class PlainOpenAI(AsyncOpenAI):
    """Sends chats as they are, and takes answers that are as they should be as they come."""

    @cached_property
    def chat(self) -> AsyncChat:
        """Chats."""
        return _Chat(self)

    def _process_response_data(self, *, data: object, cast_to: Any, response: Any) -> Any:
        if cast_to in (ChatCompletion, ChatCompletionChunk):
            try:
                return cast_to.model_validate(data)
            except ValidationError:  # the SDK's own way takes whatever comes
                pass
        return super()._process_response_data(data=data, cast_to=cast_to, response=response)


class _Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return _Completions(self._client)


class _Completions(AsyncCompletions):
    async def create(  # type: ignore[override]  # it has three forms there, and one here
        self, *, stream: bool = False, **given: Any
    ) -> ChatCompletion | AsyncStream[ChatCompletionChunk]:
        said = {key: value for key, value in given.items() if not isinstance(value, Omit | NotGiven)}
        said["messages"] = _with_one_system_message(said["messages"])
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


def _with_one_system_message(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the instructions that Pydantic AI sends one by one: the templates of many models take one such message."""
    count = 0
    for message in messages:
        if message.get("role") != "system" or not isinstance(message.get("content"), str):
            break
        count += 1
    if count < 2:
        return messages
    joined = "\n\n".join(text for message in messages[:count] if (text := message["content"].strip()))
    return [{**messages[0], "content": joined}, *messages[count:]]
