"""The ModelClient that speaks to providers over the network, through the `direct` interface of Pydantic AI."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.models.adapter.endpoints import Endpoint, endpoint_of
from orchestrator.models.exchange import take_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model

    from orchestrator.models.adapter.connections import Connection
    from orchestrator.models.adapter.translation import Call
    from orchestrator.models.exchange import Embeddings, ModelName, ModelReply, ModelRequest


class ProviderClient:
    """Asks models where `find` says that they are. Libraries are loaded, and connections made, by the first call.

    It makes no second attempt of its own: whoever calls decides about that.
    """

    def __init__(self, find: Callable[[ModelName], Endpoint] = endpoint_of) -> None:
        self._find = find
        self._connections: dict[Endpoint, asyncio.Task[Connection]] = {}

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """Return the answer to one request; see `orchestrator.models.exchange.ModelClient`."""
        take_note(sent=False)
        endpoint = self._find(name)
        connection = await self._connection(endpoint)
        from orchestrator.models.adapter.translation import call_of, reply_of

        if request.timeout is None and endpoint.provider.timeout is not None:
            request = replace(request, timeout=endpoint.provider.timeout)
        began = time.perf_counter()
        with _told(connection, name, endpoint) as limits:
            # OpenAI's Responses API has neither.
            model = connection.model(name.model, chat=bool(request.stop) or request.seed is not None)
            call = call_of(request, model, endpoint.provider.kind)
            response = await (_answer(model, call) if on_text is None else _streamed(model, call, on_text, name))
            return replace(reply_of(response, call, name, request, latency=time.perf_counter() - began), limits=limits)

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        """Return the vectors of some texts."""
        take_note(sent=False)
        endpoint = self._find(name)
        connection = await self._connection(endpoint)
        from orchestrator.models.adapter.embedding import embed

        with _told(connection, name, endpoint) as limits:
            return replace(await embed(connection, name, texts), limits=limits)

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
        # Whoever is cancelled does not take it away from the others.
        return task.result() if task.done() else await asyncio.shield(task)


class _ListenerFailed(Exception):
    """What `on_text` raised, which is no fault of the model."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


@contextmanager
def _told(connection: Connection, name: ModelName, endpoint: Endpoint) -> Iterator[dict[str, str]]:
    """A call. Yields the headers that tell of limits as they come; what goes wrong becomes an error of ours."""
    from orchestrator.models.adapter.connections import told_limits
    from orchestrator.models.adapter.faults import fault_of

    limits: dict[str, str] = {}
    noting = told_limits.set(limits)
    try:
        with connection.during():
            yield limits
    except _ListenerFailed as failed:
        raise failed.error from None
    except Exception as error:
        fault = fault_of(error, name, endpoint)
        fault.limits = limits
        if fault is error:
            raise
        raise fault from error
    finally:
        told_limits.reset(noting)


def _connect(endpoint: Endpoint) -> Connection:
    from orchestrator.models.adapter.connections import connect

    connection = connect(endpoint)
    # Loaded here rather than in the event loop.
    import orchestrator.models.adapter.embedding
    import orchestrator.models.adapter.faults
    import orchestrator.models.adapter.translation  # noqa: F401

    return connection


async def _answer(model: Model[object], call: Call) -> ModelResponse:
    from pydantic_ai.direct import model_request

    return await model_request(
        model, call.messages, model_settings=call.settings, model_request_parameters=call.parameters, instrument=False
    )


async def _streamed(model: Model[object], call: Call, on_text: Callable[[str], None], name: ModelName) -> ModelResponse:
    from pydantic_ai.direct import model_request_stream

    from orchestrator.models.adapter.faults import broken_off
    from orchestrator.models.adapter.translation import piece_of

    stream = model_request_stream(
        model, call.messages, model_settings=call.settings, model_request_parameters=call.parameters, instrument=False
    )
    async with stream as events:
        async for event in events:
            if piece := piece_of(event):
                try:
                    on_text(piece)
                except Exception as error:
                    raise _ListenerFailed(error) from error
        response = events.get()
    # Reasons that Pydantic AI does not know are in the details.
    if response.finish_reason is None and not (response.provider_details or {}).get("finish_reason"):
        raise broken_off(name)
    return response
