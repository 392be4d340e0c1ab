"""One call of a model: within budgets and rate limits, recorded exactly once, however it ends."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec.structs import replace

from orchestrator.errors import (
    BudgetExceeded,
    ModelError,
    ModelMissing,
    ModelRateLimited,
    ModelRejected,
    OrchestratorError,
    RecordingMissing,
)
from orchestrator.models.budget import Spent, reserve_all, settle_all
from orchestrator.models.calls.gateway import ModelCall
from orchestrator.models.calls.token_estimate import answer_tokens
from orchestrator.models.media import MediaReply
from orchestrator.models.messages import Embeddings, ModelReply, Sending, Usage, current_sending, current_step
from orchestrator.text.tokens import tokens_of
from orchestrator.text.words import bounded

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from orchestrator.models.budget import Estimate, Ledger, Reservation
    from orchestrator.models.calls.answer_memo import Entry
    from orchestrator.models.calls.gateway import CallHost
    from orchestrator.models.catalog.entries import Catalogue
    from orchestrator.models.limits import Limits, Turn
    from orchestrator.models.messages import ModelName

Replied = TypeVar("Replied", ModelReply, Embeddings, MediaReply)

_LONGEST_MESSAGE: Final = 10_000  # characters of an error that are recorded


class GatewayCall:
    """One call: kept within budgets, made in its turn, settled for and recorded exactly once, however it ends."""

    def __init__(
        self,
        host: CallHost,
        label: str,
        limits: Limits | None,
        catalogue: Catalogue,
        name: ModelName,
        why: str,
        estimate: Estimate,
        sent: int | None = None,
        expected: int | None = None,
    ) -> None:
        self._host = host
        self._label = label
        self._limits = limits
        self._catalogue = catalogue
        self._name = name
        self._why = why
        self._estimate = estimate
        self._sent = estimate.tokens if sent is None else sent
        self._expected = estimate.tokens if expected is None else expected
        self._received: list[str] = []
        self._sending = Sending()
        self._held: list[tuple[Ledger, Reservation]] = []
        self._turn: Turn | None = None
        self._began = 0.0

    def piece(self, text: str) -> None:
        """Take note of a piece of the answer, and show it."""
        self._received.append(text)
        self._host.partial(text)

    async def made(self, send: Callable[[], Awaitable[Replied]], ledgers: Sequence[Ledger]) -> Replied:
        """Make the call within these ledgers. Its reply has to be given to `end`; a failure is recorded here."""
        begun = False
        try:
            await self._reserve(ledgers)
            limits = self._limits
            turn = limits.turn(self._name, self._expected, self._host.waiting) if limits else nullcontext()
            async with turn as self._turn:
                begun, self._began = True, time.perf_counter()
                label, noting = current_step.set(self._label), current_sending.set(self._sending)
                try:
                    reply = await send()
                finally:
                    current_step.reset(label)
                    current_sending.reset(noting)
            if limits is not None:
                limits.told(self._name, reply.limits)
            return self._counted(reply)
        except BaseException as error:
            if begun:
                self._failed(error)
            else:
                settle_all(self._held, Spent())
            raise

    async def _reserve(self, ledgers: Sequence[Ledger]) -> None:
        """Reserve in all ledgers. In-flight calls often reserve too much: wait for them if there is no room."""
        full = self._full(ledgers)
        if full is None:
            return
        async with self._host.waiting(f"the budget of {full.scope} is reserved for in-flight calls", None):
            again = False
            while full is not None:
                await full.changed(again=again)
                before = full
                try:
                    full = self._full(ledgers)
                except BudgetExceeded:
                    before.pass_on()
                    raise
                again = full is before
                if not again:
                    before.pass_on()

    def _full(self, ledgers: Sequence[Ledger]) -> Ledger | None:
        """Reserve in all ledgers and return None, or return one that has no room until an in-flight call ends.

        Raises:
            BudgetExceeded: There will be no room then either.
        """
        while True:
            try:
                self._held = reserve_all(ledgers, self._estimate)
                return None
            except BudgetExceeded:
                if not all(ledger.could_fit(self._estimate) for ledger in ledgers):
                    raise
            full = next((each for each in ledgers if each.is_full_for(self._estimate)), None)
            if full is not None:
                return full

    def _counted(self, reply: Replied) -> Replied:
        """Return a reply with its usage, estimated from its size if the provider does not report it."""
        if isinstance(reply, MediaReply):  # what has a price by the picture or the minute has no tokens
            return replace(reply, usage=replace(reply.usage, requests=max(reply.usage.requests, 1)))
        usage, said = reply.usage, answer_tokens(reply) if isinstance(reply, ModelReply) else 0
        return replace(reply, usage=replace(usage, input=usage.input or self._sent, output=usage.output or said))

    def end(
        self,
        reply: ModelReply | Embeddings | MediaReply,
        error: BaseException | None = None,
        *,
        kept: Entry | None = None,
        cost: float | None = None,
    ) -> float | None:
        """Settle and record a call that was answered, and return its cost; `kept` is what is kept of the answer.

        `cost` is that of media; that of text and vectors follows from their usage.
        """
        usage = replace(reply.usage, requests=max(reply.usage.requests, 1))
        if not isinstance(reply, MediaReply):
            cost = self._catalogue.cost(self._name, usage)
        finish = reply.finish if isinstance(reply, ModelReply) else "stop"
        self._close(usage, cost, error, reply.latency, finish, kept)
        return cost

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, ModelError) and (limits := self._limits) is not None:
            # Waiting does not help with permanent errors.
            if error.retryable and (isinstance(error, ModelRateLimited) or error.retry_after is not None):
                limits.refused(self._name, error.retry_after, error.limits)
            else:
                limits.told(self._name, error.limits)
            limits.bound(error)
        if isinstance(error, ModelError) and error.reply is not None:
            self.end(self._counted(error.reply), error)
            return
        if not self._received and (self._sending.sent is False or isinstance(error, ModelMissing | RecordingMissing)):
            self._close(Usage(), 0.0, error)
        elif not self._received and _is_turned_down(error):
            self._close(Usage(requests=1), 0.0, error)  # this is not billed
        else:  # one that was broken off may have been read, and is paid for as far as it came
            usage = Usage(input=self._sent, output=tokens_of("".join(self._received)), requests=1)
            self._close(usage, self._catalogue.cost(self._name, usage), error)

    def _close(
        self,
        usage: Usage,
        cost: float | None,
        error: BaseException | None,
        latency: float | None = None,
        finish: str = "",
        kept: Entry | None = None,
    ) -> None:
        spent = Spent(cost or 0.0, usage.input + usage.output, usage.requests)
        settle_all(self._held, spent)
        if self._turn is not None and spent.tokens:
            self._turn.used(spent.tokens)
        told = _told(error) if error is not None else None
        latency = time.perf_counter() - self._began if latency is None else latency
        self._host.record(ModelCall(self._name, usage, cost, latency, finish, self._why, told, kept))


def _is_turned_down(error: BaseException) -> bool:
    return isinstance(error, ModelRejected) or (isinstance(error, ModelError) and error.status is not None)


def _told(error: BaseException) -> dict[str, Any]:
    if isinstance(error, OrchestratorError):
        message = bounded(error.message, _LONGEST_MESSAGE)
        return {"code": error.code, "type": type(error).__name__, "message": message}
    return {"code": None, "type": type(error).__name__, "message": str(error) or "the call was cancelled"}
