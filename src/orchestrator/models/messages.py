"""Requests to models and their replies, the same for every provider: plain frozen data without any library."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from msgspec import Struct, field
from msgspec.structs import asdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Effort = Literal["minimal", "low", "medium", "high"]
"""How much a model should reason before it answers."""

Finish = Literal["stop", "length", "tools", "refused", "other"]
"""Why an answer ended: complete, limited by `max_tokens`, tool calls, refused or filtered, or another reason."""


class ModelName(Struct, frozen=True):
    """A model at a provider: `openai:gpt-5-mini`. `provider` is one of ours or the name of a server in the settings.

    `auto` is both at once, and written alone.
    """

    provider: str
    model: str

    def __str__(self) -> str:
        return self.model if self.model == self.provider else f"{self.provider}:{self.model}"


class Media(Struct, frozen=True):
    """An image or another file as part of a message: its bytes and their media type, such as `image/png`."""

    content: bytes
    media_type: str
    name: str = ""


class ToolOffer(Struct, frozen=True):
    """A tool that a model may ask for: its name, what it does, the JSON Schema of its parameters."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class ToolRequest(Struct, frozen=True):
    """A model asks for a tool. `id` ties the result to it.

    `problem` is the reason why the arguments are invalid; the tool is then not called, and the model gets the reason.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]
    problem: str = ""


class Message(Struct, frozen=True):
    """One message. With role `tool` it is the result of the request `request_id`; `requests` are an assistant's."""

    role: Literal["user", "assistant", "tool"]
    content: str | tuple[str | Media, ...] = ""
    requests: tuple[ToolRequest, ...] = ()
    request_id: str = ""
    name: str = ""


class Counted(Struct, frozen=True):
    """About how many `tokens` the first `messages` of a request have, so that a long history is not counted again."""

    messages: int = 0
    tokens: int = 0


class ModelRequest(Struct, frozen=True):
    """One request. `schema`: the answer must be JSON that satisfies it. Settings that are absent are the provider's.

    `timeout` in seconds, of the whole answer. `counted` has the tokens of messages that were counted before; it stays
    true when messages are added.
    """

    messages: tuple[Message, ...]
    system: str = ""
    schema: Mapping[str, Any] | None = None
    tools: tuple[ToolOffer, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    timeout: float | None = None
    effort: Effort | None = None
    counted: Counted = Counted()


class Usage(Struct, frozen=True):
    """What a call used, in tokens. `input` includes `cached`, `output` includes `reasoning`."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0
    requests: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cached + other.cached,
            self.reasoning + other.reasoning,
            self.requests + other.requests,
        )

    def to_dict(self) -> dict[str, int]:
        """Return the counts as JSON data."""
        return asdict(self)


class ModelReply(Struct, frozen=True):
    """The answer. `data` is its JSON if a schema was given; it has not been validated against the schema yet.

    `model` is the model that the provider reports, `latency` the seconds to the end of the answer. `limits` are the
    headers about rate limits, by their lower-case names. `ignored` are the settings of the request that the model does
    not have.
    """

    text: str
    data: Any = None
    requests: tuple[ToolRequest, ...] = ()
    usage: Usage = field(default_factory=Usage)
    finish: Finish = "stop"
    model: str = ""
    latency: float = 0.0
    limits: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


class Embeddings(Struct, frozen=True):
    """A vector for each text, in their order. `limits` as in `ModelReply`."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    latency: float = 0.0
    limits: Mapping[str, str] = field(default_factory=dict)


current_step: ContextVar[str] = ContextVar("the step that asks", default="")
"""The path of the step that a model is being asked for. It is not sent: clients for tests answer by it."""


class Sending(Struct):
    """Whether the request of a call has been sent to who may send a bill for it. None: the client does not tell."""

    sent: bool | None = None


current_sending: ContextVar[Sending | None] = ContextVar("the call that is being made", default=None)


def note_request_sent(*, sent: bool) -> None:
    """Tell whether the request of the call that is being made has been sent, for the case that it is broken off."""
    call = current_sending.get()
    if call is not None:
        call.sent = sent


JUDGE: Final = ":judge"
"""What stands behind that path while it is the judge of the step who asks."""


class ModelClient(Protocol):
    """Speaks to models. One for a process; safe to use by many tasks of one event loop at once.

    Raises for all methods: ModelError and its subclasses (see `orchestrator.errors`). Cancelling closes the connection.
    An interrupted call counts as sent unless its client reports with `note_request_sent` that it was not.
    """

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """Return the answer to one request. With `on_text` it is streamed, and each piece of text is given to it."""

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of some texts."""

    async def aclose(self) -> None:
        """Close all connections."""
