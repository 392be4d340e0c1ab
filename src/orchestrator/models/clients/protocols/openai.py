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

from orchestrator.models.clients.connections import Connection
from orchestrator.models.clients.embeddings import by_model
from orchestrator.models.clients.media.openai import OpenAIMedia
from orchestrator.models.clients.transport import READ, http_client

if TYPE_CHECKING:
    import httpx2
    from openai._types import RequestOptions
    from pydantic_ai.models import Model
    from pydantic_ai.profiles.openai import OpenAIModelProfile

    from orchestrator.models.clients.endpoints import Endpoint

OPENAI = "https://api.openai.com/v1"

TEXTS_AT_ONCE = 1000
"""How many texts are embedded in one request: below what OpenAI takes."""


def connect(endpoint: Endpoint) -> Connection:
    """Connect to an endpoint."""
    from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    http = http_client()
    client = client_of(endpoint, http)
    own = not endpoint.base_url
    api = endpoint.api or ("responses" if own else "chat")
    provider: OpenAIProvider | OpenAICompatibleProvider
    if own or api == "responses":
        provider = OpenAIProvider(openai_client=client)
    else:
        provider = OpenAICompatibleProvider(endpoint.provider.name, openai_client=client, profile=profile_of_servers())

    def make(name: str, chat: bool) -> Model[Any]:
        if api == "responses" and not chat:
            return OpenAIResponsesModel(name, provider=provider)
        return OpenAIChatModel(name, provider=provider)

    vectors = by_model(lambda name: OpenAIEmbeddingModel(name, provider=provider))
    media = OpenAIMedia(endpoint, http)
    return Connection(endpoint, make, http.aclose, vectors, media, texts_at_once=TEXTS_AT_ONCE)


def client_of(endpoint: Endpoint, http: httpx2.AsyncClient) -> AsyncOpenAI:
    """Return the client of an endpoint that speaks this protocol."""
    # A custom server can work without a key, but the SDK cannot.
    key = endpoint.key or "none"
    base_url = endpoint.base_url or OPENAI
    return PlainOpenAI(api_key=key, base_url=base_url, http_client=http, max_retries=0, timeout=READ)


def profile_of_servers() -> OpenAIModelProfile:
    """Return what servers that are compatible with OpenAI have in common.

    Most hold an answer to a JSON Schema; some ignore it silently, so the schema is said in words too.
    """
    from pydantic_ai.profiles.openai import OpenAIModelProfile

    return OpenAIModelProfile(
        supports_json_schema_output=True,
        supports_json_object_output=True,
        native_output_requires_schema_in_instructions=True,
        openai_supports_strict_tool_definition=False,
        openai_chat_supports_max_completion_tokens=False,
        openai_chat_streaming_requires_finish_reason=True,
    )


def whole_streams() -> OpenAIModelProfile:
    """Return what holds of all who speak this protocol: a stream without a reason for its end was cut off."""
    from pydantic_ai.profiles.openai import OpenAIModelProfile

    return OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)


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
