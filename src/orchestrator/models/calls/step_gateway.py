"""Calls models for one attempt of a step: one after another, within budgets and rate limits, all recorded."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from msgspec.structs import replace

from orchestrator.errors import (
    BudgetExceeded,
    ModelAnswerInvalid,
    ModelError,
    ModelMissing,
    ModelRateLimited,
    ModelRefused,
    ModelUnavailable,
)
from orchestrator.models.calls.gateway import ModelAnswer
from orchestrator.models.calls.gateway_call import GatewayCall
from orchestrator.models.calls.media_cost import estimate_of_media, media_cost
from orchestrator.models.calls.token_estimate import estimate_of, estimate_of_embedding, output_tokens, prompt_tokens
from orchestrator.models.media import not_made
from orchestrator.models.messages import Embeddings, Message, ModelReply
from orchestrator.models.output.texts import empty_answer
from orchestrator.models.recordings.format import embedding_request_data, request_data
from orchestrator.models.selection.candidates import Candidate, Needs, needs_of
from orchestrator.remedies import ListModels
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from orchestrator.models.budget import Estimate, Ledger
    from orchestrator.models.calls.answer_memo import Describe, Entry, Kept
    from orchestrator.models.calls.gateway import CallHost, ModelChoice
    from orchestrator.models.catalog.entries import Catalogue, ModelCard
    from orchestrator.models.limits import Limits
    from orchestrator.models.media import MediaReply, MediaRequest
    from orchestrator.models.messages import ModelClient, ModelName, ModelRequest

T = TypeVar("T")

_WANT_A_LIMIT: Final = ("anthropic",)
"""Kinds of providers that answer no request without `max_tokens`."""

_USUAL_OUTPUT: Final = 1000
"""Tokens of an answer without `max_tokens` that count towards a limit a minute until it is known how many it has: a
budget has to hold in the worst case, but a rate may be a little off."""


class ModelSource(Protocol):
    """Where the gateway of a step gets models from: `ModelService` is one."""

    @property
    def catalogue(self) -> Catalogue:
        """The model catalogue."""

    @property
    def limits(self) -> Limits | None:
        """What decides when a call may be made; None: nothing is limited."""

    async def client(self) -> ModelClient:
        """Return the client that calls models."""

    async def candidates(self, choice: ModelChoice, needs: Needs) -> list[Candidate]:
        """Return the models to call, in order."""

    async def project_ledger(self) -> Ledger | None:
        """Return the ledger of the project, up to date; None: the project has no budget."""


class StepGateway:
    """The `ModelGateway` of one attempt of a step."""

    def __init__(self, source: ModelSource, host: CallHost, ledgers: Sequence[Ledger], label: str) -> None:
        self._source = source
        self._host = host
        self._ledgers = tuple(ledgers)
        self._label = label

    async def ask(
        self,
        choice: ModelChoice,
        request: ModelRequest,
        *,
        accept: Callable[[ModelReply], Any] | None = None,
        final: bool = True,
    ) -> ModelAnswer:
        """Return an answer that `accept` takes; see `orchestrator.models.calls.gateway.ModelGateway`."""
        if final:
            request = _with_feedback(request, self._host)
        sent = prompt_tokens(request)
        found = await self._source.candidates(choice, needs_of(request, sent))
        keeping = _Keeping(self._host, final, lambda name: partial(request_data, name, request))
        for candidate, kept in keeping.among(each for each in found if not self._left_out(each)):
            if isinstance(kept.outcome, ModelReply):
                with suppress(ModelAnswerInvalid):  # it was accepted then, so it is now
                    value = _value(kept.outcome, request, accept, candidate.name)
                    return ModelAnswer(kept.outcome, value, candidate.name, _again(candidate), kept.cost)

        async def answered(candidate: Candidate, why: str) -> ModelAnswer:
            return await self._accepted(candidate, why, request, sent, accept, keeping)

        return await self._first(found, answered)

    async def embed(
        self, choice: ModelChoice, texts: Sequence[str], *, final: bool = True
    ) -> tuple[Embeddings, ModelAnswer]:
        """Return the vectors of some texts, and who made them."""
        found = await self._source.candidates(choice, Needs("embeddings", frozenset()))
        keeping = _Keeping(self._host, final, lambda name: partial(embedding_request_data, name, texts))
        for candidate, kept in keeping.among(each for each in found if not self._left_out(each)):
            if isinstance(kept.outcome, Embeddings):
                return kept.outcome, _of_vectors(kept.outcome, candidate.name, _again(candidate), kept.cost)
        client, catalogue = await self._source.client(), self._source.catalogue

        async def made(candidate: Candidate, why: str) -> tuple[Embeddings, ModelAnswer]:
            name = candidate.name
            call = self._call(name, why, estimate_of_embedding(name, texts, catalogue))
            vectors = await call.made(lambda: client.embed(name, texts), await self.ledgers())
            cost = call.end(vectors, kept=keeping.entry(name, vectors))
            return vectors, _of_vectors(vectors, name, why, cost)

        return await self._first(found, made)

    async def make(self, choice: ModelChoice, request: MediaRequest) -> tuple[MediaReply, ModelAnswer]:
        """Return pictures, speech or a transcript, and who made them."""
        found = await self._source.candidates(choice, Needs(request.makes))
        client, catalogue = await self._source.client(), self._source.catalogue
        make = getattr(client, "make", None)

        async def made(candidate: Candidate, why: str) -> tuple[MediaReply, ModelAnswer]:
            name = candidate.name
            if make is None:
                raise not_made(name)
            call = self._call(name, why, estimate_of_media(name, request, catalogue))
            reply = await call.made(lambda: make(name, request), await self.ledgers())
            cost = call.end(reply, cost=media_cost(name, request, reply, catalogue))
            answer = ModelReply(reply.text, usage=reply.usage, model=reply.model, ignored=reply.ignored)
            return reply, ModelAnswer(answer, reply.text, name, why, cost)

        return await self._first(found, made)

    async def card(self, choice: ModelChoice) -> ModelCard | None:
        """Return what is known of the model that would be asked first."""
        found = await self._source.candidates(choice, Needs())
        return next((each.card for each in found if not self._left_out(each)), None)

    def _left_out(self, candidate: Candidate) -> str:
        if candidate.name in self._host.passed_over:
            return "its answers were not accepted"
        return candidate.problem

    async def _first(self, found: Sequence[Candidate], ask: Callable[[Candidate, str], Awaitable[T]]) -> T:
        """Return what the first of some models gives that gives anything."""
        failed: list[tuple[ModelName, ModelError]] = []
        for candidate in found:
            if problem := self._left_out(candidate):
                failed.append((candidate.name, _not_asked(candidate.name, problem)))
                continue
            after = "; ".join(shorten(error.message, 160) for _, error in failed)
            try:
                return await ask(candidate, f"{candidate.why}, after {after}" if after else candidate.why)
            except ModelError as error:
                failed.append((candidate.name, error))
        raise _all_failed(failed)

    async def _accepted(
        self,
        candidate: Candidate,
        why: str,
        request: ModelRequest,
        sent: int,
        accept: Callable[[ModelReply], Any] | None,
        keeping: _Keeping,
    ) -> ModelAnswer:
        """Return a model's answer; one that cannot be used is asked for once more, with the reason."""
        for last in (False, True):
            try:
                return await self._answered(candidate, why, request, sent, accept, keeping)
            except ModelAnswerInvalid as error:
                if last or error.reply is None:
                    raise
                request = _asked_again(request, error.reply, error.message)
                sent = prompt_tokens(request)
                why = f"{why}; called again because its answer could not be used"
        raise AssertionError("a second time is the last")

    async def _answered(
        self,
        candidate: Candidate,
        why: str,
        request: ModelRequest,
        sent: int,
        accept: Callable[[ModelReply], Any] | None,
        keeping: _Keeping,
    ) -> ModelAnswer:
        client, catalogue = await self._source.client(), self._source.catalogue
        name, card = candidate.name, candidate.card
        ledgers = await self.ledgers()
        request = _with_limit(request, sent, name, card, ledgers, catalogue)
        expected = sent + (request.max_tokens or _USUAL_OUTPUT)
        call = self._call(name, why, estimate_of(name, request, catalogue, sent), sent, expected)
        streams = keeping.final and (card is None or not card.lacks("streaming"))
        reply = await call.made(lambda: client.ask(name, request, on_text=call.piece if streams else None), ledgers)
        try:
            value = _value(reply, request, accept, name)
        except ModelAnswerInvalid as error:
            error.provider, error.model = error.provider or name.provider, error.model or name.model
            error.reply = reply
            call.end(reply, error)
            raise
        except BaseException as error:
            call.end(reply, error)
            raise
        return ModelAnswer(reply, value, name, why, call.end(reply, kept=keeping.entry(name, reply)))

    def _call(
        self, name: ModelName, why: str, estimate: Estimate, sent: int | None = None, expected: int | None = None
    ) -> GatewayCall:
        source = self._source
        return GatewayCall(
            self._host, self._label, source.limits, source.catalogue, name, why, estimate, sent, expected
        )

    @property
    def host(self) -> CallHost:
        """The attempt that asks."""
        return self._host

    async def ledgers(self) -> tuple[Ledger, ...]:
        """Return every ledger that a call has to fit in."""
        project = await self._source.project_ledger()
        return self._ledgers if project is None else (*self._ledgers, project)


class _Keeping:
    """Keeps the answers to one request, by the models that it may be put to; those that are final are not kept."""

    def __init__(self, host: CallHost, final: bool, describe: Callable[[ModelName], Describe]) -> None:
        self.final = final
        self._place = None if final else host.kept
        self._describe = describe

    def among(self, candidates: Iterable[Candidate]) -> Iterator[tuple[Candidate, Kept]]:
        """Yield the models that have answered it before, with their answers."""
        if self._place is not None:
            for candidate in candidates:
                kept = self._place.find(self._place.digest(self._describe(candidate.name)))
                if kept is not None:
                    yield candidate, kept

    def entry(self, name: ModelName, reply: ModelReply | Embeddings) -> Entry | None:
        """Return what is to be recorded of an answer, so that it is kept."""
        if self._place is None:
            return None
        return self._place.entry(self._place.digest(self._describe(name)), reply)


# --- what has come


def _value(
    reply: ModelReply, request: ModelRequest, accept: Callable[[ModelReply], Any] | None, name: ModelName
) -> Any:
    if reply.finish == "refused":
        said = f": {shorten(reply.text, 160)}" if reply.text.strip() else ""
        raise ModelRefused(f"`{name}` refused to answer{said}", reply=reply)
    if reply.data is None and not reply.text.strip() and not reply.requests:
        raise empty_answer(name, reply, request)
    if accept is not None:
        return accept(reply)
    return reply.data if request.schema is not None else reply.text


def _of_vectors(vectors: Embeddings, name: ModelName, why: str, cost: float | None) -> ModelAnswer:
    reply = ModelReply("", usage=vectors.usage, model=vectors.model, latency=vectors.latency)
    return ModelAnswer(reply, vectors.vectors, name, why, cost)


def _again(candidate: Candidate) -> str:
    return f"{candidate.why}; it had answered before the step was restarted"


# --- what is sent


def rejection_message(reason: str) -> str:
    """Say to a model why its answer is of no use."""
    return f"That answer cannot be used: {reason.rstrip('.')}. Fix this, and give the whole answer again."


def _with_feedback(request: ModelRequest, host: CallHost) -> ModelRequest:
    """Add the earlier answers of this attempt that a check did not accept, and why."""
    said: list[Message] = []
    for each in host.feedback:
        said += [Message("assistant", each.answer)] if each.answer.strip() else []
        said.append(Message("user", rejection_message("; ".join(each.reasons))))
    return replace(request, messages=(*request.messages, *said)) if said else request


def _asked_again(request: ModelRequest, reply: ModelReply, reason: str) -> ModelRequest:
    told = rejection_message(reason)
    text = reply.text or ("" if reply.data is None else json.dumps(reply.data, ensure_ascii=False))
    said: list[Message] = []
    if text.strip() or reply.requests:
        said.append(Message("assistant", text, requests=reply.requests))
    if reply.requests:  # providers want a result for each
        said += [Message("tool", told, request_id=each.id, name=each.name) for each in reply.requests]
    else:
        said.append(Message("user", told))
    return replace(request, messages=(*request.messages, *said))


def _with_limit(
    request: ModelRequest,
    sent: int,
    name: ModelName,
    card: ModelCard | None,
    ledgers: Sequence[Ledger],
    catalogue: Catalogue,
) -> ModelRequest:
    """Limit the answer where the provider wants that, and where a budget could not be held otherwise."""
    provider = catalogue.providers.get(name.provider)
    wanted = provider is not None and provider.kind in _WANT_A_LIMIT
    free = card is not None and card.free
    counted = any(each.budget.tokens is not None or (each.budget.usd is not None and not free) for each in ledgers)
    if request.max_tokens is not None or not (wanted or counted):
        return request
    return replace(request, max_tokens=output_tokens(request, card, sent))


# --- what went wrong


def _not_asked(name: ModelName, problem: str) -> ModelMissing:
    return ModelMissing(
        f"`{name}` is not called: {problem}",
        provider=name.provider,
        model=name.model,
        help="name a model that fits",
        remedies=[ListModels()],
    )


def _all_failed(failed: Sequence[tuple[ModelName, ModelError]]) -> ModelError:
    """Return one error for all: a temporary error decides whether to retry, else a budget, else the last one."""
    if len(failed) == 1:
        return failed[0][1]
    errors = [error for _, error in failed]
    again = [error for error in errors if error.retryable]
    budgets = [error for error in errors if isinstance(error, BudgetExceeded)]
    passing = [error for error in again if isinstance(error, ModelRateLimited | ModelUnavailable)]
    lead = (passing or again or budgets or errors)[-1]
    listed = "; ".join(
        f"{'' if str(name) in error.message else f'`{name}`: '}{error.message} [{error.code}]" for name, error in failed
    )
    waits = [error.retry_after or 0.0 for error in again]
    found = type(lead)(
        f"all {len(failed)} models failed: {listed}",
        provider=lead.provider,
        model=lead.model,
        status=lead.status,
        code=lead.code,
        help=lead.help,
        retryable=bool(again),
        retry_after=min(waits, default=0.0) or None,
        reply=lead.reply,
    )
    if isinstance(found, BudgetExceeded) and isinstance(lead, BudgetExceeded):
        found.scope, found.needs = lead.scope, lead.needs
    found.longest_wait = max((error.longest_wait for error in again), default=found.longest_wait)
    found.__cause__ = lead
    return found
