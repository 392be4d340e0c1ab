"""A connection to an endpoint: its SDK's client, made once and without retries, and the models behind it.

Imported with the first call only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from msgspec import Struct, field
from pydantic_ai.models import Model

from orchestrator.models.clients.endpoints import Endpoint
from orchestrator.models.media import MediaReply, MediaRequest
from orchestrator.models.messages import Usage

MakesMedia = Callable[[str, MediaRequest], Awaitable[MediaReply]]
"""Makes pictures, speech or a transcript by the model of a name."""

Vectors = Callable[[str, list[str]], Awaitable[tuple[Sequence[Sequence[float]], Usage, str]]]
"""Returns the vectors of a few texts by the model of a name, with what was used, and the model's full name."""


class Connection(Struct):
    """The models at one endpoint. `make` builds a model by its name; the second argument asks for OpenAI's chat API.

    `vectors` embeds up to `texts_at_once` texts, where the provider has embeddings; `media` makes pictures and
    audio, where it has that. Calls are made within `during`.
    """

    endpoint: Endpoint
    make: Callable[[str, bool], Model[Any]]
    close: Callable[[], Awaitable[None]]
    vectors: Vectors | None = None
    media: MakesMedia | None = None
    texts_at_once: int = 100
    during: Callable[[], AbstractContextManager[None]] = nullcontext
    models: dict[tuple[str, bool], Model[Any]] = field(default_factory=dict)

    def model(self, name: str, *, chat: bool) -> Model[Any]:
        """Return a model; `chat` asks for the Chat Completions API where another one would be taken."""
        if (name, chat) not in self.models:
            self.models[name, chat] = self.make(name, chat)
        return self.models[name, chat]
