"""What the tests of choosing and paying share: a host that remembers, a client that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from orchestrator.models.calls.answer_memo import KeptAnswers
from orchestrator.models.calls.gateway import Feedback, ModelCall
from orchestrator.models.messages import Embeddings, Message, ModelName, ModelReply, ModelRequest, Usage, current_step

Answers = Callable[[ModelName, ModelRequest], Awaitable[ModelReply]]

HELLO = ModelRequest((Message("user", "Say hello."),), max_tokens=100)


@dataclass
class Host:
    """One attempt of a step: keeps what is recorded, shown and waited for."""

    feedback: Sequence[Feedback] = ()
    passed_over: frozenset[ModelName] = frozenset()
    kept: KeptAnswers | None = None
    calls: list[ModelCall] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    showing: asyncio.Event = field(default_factory=asyncio.Event)

    def record(self, call: ModelCall) -> None:
        self.calls.append(call)

    def partial(self, text: str) -> None:
        self.shown.append(text)
        self.showing.set()

    @asynccontextmanager
    async def waiting(self, reason: str, until: float | None) -> AsyncIterator[None]:
        self.waits.append(reason)
        yield

    @property
    def models(self) -> list[str]:
        """The models that were asked, in order."""
        return [str(call.model) for call in self.calls]


@dataclass
class Client:
    """A `ModelClient` that answers with what `answers` has for each model, one after another, the last again and again.

    An answer is a text, a reply or an error.
    """

    answers: dict[str, list[str | ModelReply | Exception]] = field(default_factory=dict)
    asked: list[tuple[str, ModelRequest, str]] = field(default_factory=list)

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        self.asked.append((str(name), request, current_step.get()))
        await asyncio.sleep(0)
        answers = self.answers.get(str(name), ["Hello."])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        reply = answer if isinstance(answer, ModelReply) else replied(answer)
        if on_text is not None:
            on_text(reply.text)
        return reply

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        self.asked.append((str(name), ModelRequest(()), current_step.get()))
        return Embeddings(tuple((float(len(text)),) for text in texts), Usage(input=len(texts), requests=1), str(name))

    async def aclose(self) -> None:
        pass


def replied(text: str, output: int = 10) -> ModelReply:
    """Return a reply that has used 20 tokens, and some for itself."""
    return ModelReply(text, usage=Usage(input=20, output=output, requests=1), model="said")
