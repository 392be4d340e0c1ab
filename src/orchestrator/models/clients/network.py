"""The ModelClient that speaks to providers over the network, through the `direct` interface of Pydantic AI."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.models.clients.answer_bounds import MOST_BYTES, MOST_PARTS, HttpExchange, current
from orchestrator.models.clients.endpoints import Endpoint, endpoint_of
from orchestrator.models.media import require_media
from orchestrator.models.messages import note_request_sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model

    from orchestrator.models.clients.connections import Connection
    from orchestrator.models.clients.translation import ProviderCall
    from orchestrator.models.media import MediaReply, MediaRequest
    from orchestrator.models.messages import Embeddings, ModelName, ModelReply, ModelRequest


class ProviderClient:
    """Calls models at the endpoints that `find` returns. Libraries are loaded and connections made by the first call.

    It does not retry: the caller decides about that.
    """

    def __init__(self, find: Callable[[ModelName], Endpoint] = endpoint_of) -> None:
        self._find = find
        self._connections: dict[Endpoint, asyncio.Task[Connection]] = {}

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """Return the answer to one request; see `orchestrator.models.messages.ModelClient`."""
        note_request_sent(sent=False)
        endpoint = self._find(name)
        connection = await self._connection(endpoint)
        from orchestrator.models.clients.translation import call_of, reply_of

        if request.timeout is None and endpoint.provider.timeout is not None:
            request = replace(request, timeout=endpoint.provider.timeout)
        began = time.perf_counter()
        provider = endpoint.provider
        if not provider.stream:
            on_text = None
        listener = None if on_text is None else partial(_listen, on_text)
        exchange = HttpExchange(name, provider.max_bytes or MOST_BYTES, on_text=listener)
        with _exchanged(connection, exchange):
            # OpenAI's Responses API has neither.
            model = connection.model(name.model, chat=bool(request.stop) or request.seed is not None)
            call = call_of(request, model, endpoint.provider.kind)
            if listener is None:
                response = await _answer(model, call)
            else:
                response = await _streamed(model, call, listener, exchange)
            _refuse_too_large(response, exchange)
            reply = reply_of(response, call, name, request, latency=time.perf_counter() - began)
        return replace(reply, limits=exchange.limits, ignored=call.ignored)

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of some texts."""
        note_request_sent(sent=False)
        endpoint = self._find(name)
        connection = await self._connection(endpoint)
        from orchestrator.models.clients.embeddings import embed

        exchange = HttpExchange(name, endpoint.provider.max_bytes or MOST_BYTES, vectors=True)
        with _exchanged(connection, exchange):
            vectors = await embed(connection, name, texts)
        return replace(vectors, limits=exchange.limits)

    async def make(self, name: ModelName, request: MediaRequest) -> MediaReply:
        """Return pictures, speech or a transcript."""
        note_request_sent(sent=False)
        endpoint = self._find(name)
        connection = await self._connection(endpoint)
        from orchestrator.models.clients.errors import no_media

        if connection.media is None:
            raise no_media(name, endpoint)
        began = time.perf_counter()
        exchange = HttpExchange(name, endpoint.provider.max_bytes or MOST_BYTES, vectors=True)
        with _exchanged(connection, exchange):
            reply = await connection.media(name.model, request)
            require_media(reply, request, name)
        return replace(reply, latency=time.perf_counter() - began, limits=exchange.limits)

    async def aclose(self) -> None:
        """Close all connections."""
        connections, self._connections = self._connections, {}
        for task in connections.values():
            if task.done() and not task.cancelled() and task.exception() is None:
                await task.result().close()
            else:
                task.cancel()

    async def _connection(self, endpoint: Endpoint) -> Connection:
        """Return the connection to an endpoint, made by a thread: the first import of an SDK takes a second."""
        task = self._connections.get(endpoint)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._connections[endpoint] = asyncio.ensure_future(asyncio.to_thread(_connect, endpoint))
        # A cancelled call does not close it for the others.
        return task.result() if task.done() else await asyncio.shield(task)


class _ListenerFailed(Exception):
    """An error that `on_text` raised, not the model."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


@contextmanager
def _exchanged(connection: Connection, exchange: HttpExchange) -> Iterator[None]:
    """A call. What goes wrong in it becomes an error of ours."""
    from orchestrator.models.clients.errors import fault_of

    noting = current.set(exchange)
    try:
        with connection.during():
            yield
    except _ListenerFailed as failed:
        raise failed.error from None
    except Exception as error:
        fault = fault_of(error, exchange, connection.endpoint)
        fault.limits = exchange.limits
        if fault is error:
            raise
        raise fault from error
    finally:
        current.reset(noting)


def _connect(endpoint: Endpoint) -> Connection:
    from orchestrator.models.clients.protocols import connect

    connection = connect(endpoint)
    # Loaded here rather than in the event loop.
    import orchestrator.models.clients.embeddings
    import orchestrator.models.clients.errors
    import orchestrator.models.clients.translation  # noqa: F401

    return connection


async def _answer(model: Model[object], call: ProviderCall) -> ModelResponse:
    from pydantic_ai.direct import model_request

    return await model_request(
        model, call.messages, model_settings=call.settings, model_request_parameters=call.parameters, instrument=False
    )


async def _streamed(
    model: Model[object], call: ProviderCall, on_text: Callable[[str], None], exchange: HttpExchange
) -> ModelResponse:
    try:
        return await _in_pieces(model, call, on_text, exchange)
    except _ListenerFailed:
        raise
    except Exception:
        if exchange.whole is None:
            raise
    # The server has answered at once. That answer is read as one that was not to be streamed.
    response = await _answer(model, call)
    on_text(response.text or "")
    return response


async def _in_pieces(
    model: Model[object], call: ProviderCall, on_text: Callable[[str], None], exchange: HttpExchange
) -> ModelResponse:
    from pydantic_ai.direct import model_request_stream

    from orchestrator.models.clients.errors import connection_lost
    from orchestrator.models.clients.translation import piece_of

    stream = model_request_stream(
        model, call.messages, model_settings=call.settings, model_request_parameters=call.parameters, instrument=False
    )
    count, measured = 0, 0
    async with stream as events:
        async for event in events:
            if piece := exchange.unheard(piece_of(event)):
                on_text(piece)
            count += 1
            if count % _MEASURED_EVERY == 0 or exchange.received - measured > _MEASURED_BYTES:
                measured = exchange.received
                _refuse_too_large(events.get(), exchange)
        response = events.get()
    # Reasons that Pydantic AI does not know are in the details.
    if response.finish_reason is None and not (response.provider_details or {}).get("finish_reason"):
        raise connection_lost(exchange.name)
    return response


_MEASURED_EVERY, _MEASURED_BYTES = 1_000, 256 * 1024
"""After how many events, or bytes, the answer that has come so far is measured."""


def _refuse_too_large(response: ModelResponse, exchange: HttpExchange) -> None:
    """Refuse an answer that is larger than any can be, however small the pieces that it came in."""
    from orchestrator.models.clients.errors import too_large

    if len(response.parts) > MOST_PARTS:
        raise too_large(exchange, f"an answer of more than {MOST_PARTS:,} parts")
    size = 0
    for part in response.parts:
        content = getattr(part, "content", None) or getattr(part, "args", None)
        size += len(content) if isinstance(content, str) else 0
    if size > exchange.max_text:
        raise too_large(exchange, f"an answer of more than {exchange.max_text:,} characters")


def _listen(on_text: Callable[[str], None], piece: str) -> None:
    if piece:
        try:
            on_text(piece)
        except Exception as error:
            raise _ListenerFailed(error) from error
