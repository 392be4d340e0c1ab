"""The interface through which actions call models: the choice, the answer, and what the host of a call offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct, field

from orchestrator.models.calls.answer_memo import Entry
from orchestrator.models.messages import Embeddings, ModelName, ModelReply, ModelRequest, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from orchestrator.models.calls.answer_memo import KeptAnswers
    from orchestrator.models.catalog.entries import ModelCard
    from orchestrator.models.media import MediaReply, MediaRequest

Selection = Literal["balanced", "cost", "speed", "quality"]
"""What counts most among the models that fit."""


class Requirements(Struct, frozen=True):
    """What a model must be, where it is not named. `max_cost` in USD per million output tokens, sizes in billions.

    `context` is the least context window in tokens; `providers`, if any, are the only ones.
    """

    capabilities: frozenset[str] = frozenset()
    modalities: frozenset[str] = frozenset()
    expertise: frozenset[str] = frozenset()
    providers: tuple[str, ...] = ()
    context: int | None = None
    max_cost: float | None = None
    min_size: float | None = None
    max_size: float | None = None


class ModelChoice(Struct, frozen=True):
    """Which models may answer: those named, in their order; else the best that fits; else what `auto` means."""

    models: tuple[str, ...] = ()
    requires: Requirements | None = None
    selection: Selection = "balanced"


class ModelCall(Struct, frozen=True):
    """One call of a model, as the journal records it (`step.model`). `cost` in USD, None where it is not known.

    `latency` in seconds. `why` is the reason for the choice. `error` is `{code, type, message}` of a failed
    call; `code` is null if it was cancelled. Usage and cost of an interrupted call are estimated from what was sent
    and received.

    `kept` is set for an answer on the way to that of the step: the digest of its request, and itself as JSON data.
    """

    model: ModelName
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    latency: float = 0.0
    finish: str = ""
    why: str = ""
    error: Mapping[str, Any] | None = None
    kept: Entry | None = None


class ModelAnswer(Struct, frozen=True):
    """What came of asking: the reply, what `accept` made of it, who answered, why that model, and the cost in USD."""

    reply: ModelReply
    value: Any
    model: ModelName
    why: str
    cost: float | None


class Feedback(Struct, frozen=True):
    """An answer of this step that a check did not accept, and the reasons."""

    answer: str
    reasons: tuple[str, ...]


class CallHost(Protocol):
    """What the step that asks offers; the runtime gives one to each attempt."""

    @property
    def feedback(self) -> Sequence[Feedback]:
        """Rejected answers of this attempt, which the next answer should fix."""

    @property
    def passed_over(self) -> frozenset[ModelName]:
        """Models that are not to be asked again in this attempt, as their answers were not accepted."""

    @property
    def kept(self) -> KeptAnswers | None:
        """The answers on the way to that of the step that were given before; None: none are kept here."""

    def record(self, call: ModelCall) -> None:
        """Record a call, also one that failed."""

    def partial(self, text: str) -> None:
        """Show a piece of the answer that is just being given. It is not recorded."""

    def waiting(self, reason: str, until: float | None) -> AbstractAsyncContextManager[None]:
        """Show that the step waits, until a time in seconds since the epoch if that is known, and give up its place."""


class ModelGateway(Protocol):
    """Asks models on behalf of one attempt of a step: chooses, waits its turn, keeps to budgets, records.

    Raises for all methods: ModelError and its subclasses, the last one where several models were asked.
    """

    async def ask(
        self,
        choice: ModelChoice,
        request: ModelRequest,
        *,
        accept: Callable[[ModelReply], Any] | None = None,
        final: bool = True,
    ) -> ModelAnswer:
        """Return an answer that `accept` takes; it raises ModelAnswerInvalid for one that it does not.

        Such an answer is asked for once more with the reason, then from the next model of the choice. `final` is false
        for answers that are not the step's own but on the way to it: feedback is not for them, and they do not stream.
        Those are kept until the step has ended: to the same request the same answer is given, without a call.
        """

    async def embed(
        self, choice: ModelChoice, texts: Sequence[str], *, final: bool = True
    ) -> tuple[Embeddings, ModelAnswer]:
        """Return the vectors of some texts, and who made them; `Answer.reply` has no text. `final` as in `ask`."""

    async def make(self, choice: ModelChoice, request: MediaRequest) -> tuple[MediaReply, ModelAnswer]:
        """Return pictures, speech or a transcript, and who made them; `ModelAnswer.reply` has only a text."""

    async def card(self, choice: ModelChoice) -> ModelCard | None:
        """Return what is known of the model that would be asked first."""
