"""Amazon Bedrock: its SDK waits in threads, so a call that is given up has to have its socket shut from outside."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.config import Config
from botocore.session import Session
from botocore.tokens import FrozenAuthToken

from orchestrator.models.clients.answer_bounds import MOST_OF_ERRORS, BoundExceeded, HttpExchange, current
from orchestrator.models.clients.connections import Connection
from orchestrator.models.clients.embeddings import by_model
from orchestrator.models.clients.errors import too_large
from orchestrator.models.clients.transport import CONNECT, READ, BoundedDocument
from orchestrator.models.messages import note_request_sent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.models.clients.endpoints import Endpoint


def connect(endpoint: Endpoint) -> Connection:
    """Connect to an endpoint."""
    from pydantic_ai.embeddings.bedrock import BedrockEmbeddingModel
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    client = runtime_client(endpoint.key, endpoint.base_url or None, connect=CONNECT, read=READ)
    provider = BedrockProvider(bedrock_client=client)
    return Connection(
        endpoint,
        lambda name, _: BedrockConverseModel(name, provider=provider),
        partial(close, client),
        by_model(lambda name: BedrockEmbeddingModel(name, provider=provider)),
        texts_at_once=96,
        during=hanging_up,
    )


class _BedrockCall:
    """The sockets of one call. Its threads and its task reach it at the same time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._used: list[socket.socket] = []
        self._given_up = False

    def uses(self, one: socket.socket) -> None:
        with self._lock:
            self._used.append(one)
            if self._given_up:
                _shut(one)

    def give_up(self) -> None:
        with self._lock:
            self._given_up = True
            for one in self._used:
                _shut(one)


_call: ContextVar[_BedrockCall | None] = ContextVar("the call that a thread works for", default=None)


@contextmanager
def hanging_up() -> Iterator[None]:
    """Shut the connections of the call inside when it does not end well: no thread stays with an answer to come."""
    call = _BedrockCall()
    token = _call.set(call)
    try:
        yield
    except BaseException:
        call.give_up()
        raise
    finally:
        _call.reset(token)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        one.shutdown(socket.SHUT_RDWR)


class _Noted:
    """A connection that tells the call which socket it uses. Threads run in a copy of the call's context."""

    sock: socket.socket | None

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        note_request_sent(sent=True)

    def getresponse(self) -> Any:
        """Put bounds on an answer before it is read. botocore takes all of it, or its events, from `stream`."""
        response = super().getresponse()  # type: ignore[misc]
        if (exchange := current.get()) is not None:
            response.stream = partial(_bounded, response, response.stream, exchange)
        return response

    def request(self, *arguments: Any, **more: Any) -> Any:
        if self.sock is not None:  # it was used before
            note_request_sent(sent=True)
        done = super().request(*arguments, **more)  # type: ignore[misc]
        if (call := _call.get()) is not None and self.sock is not None:
            call.uses(self.sock)
        return done


def _bounded(
    response: Any, stream: Callable[..., Iterator[bytes]], exchange: HttpExchange, *arguments: Any, **more: Any
) -> Iterator[bytes]:
    """Yield a body; refuse one that is too large. The length of an event is bounded by botocore.

    A response that is not read to its end is closed: closing its connection alone leaves the socket open.
    """
    answers = response.status < 300
    document = BoundedDocument(exchange)
    whole = False
    try:
        for piece in stream(*arguments, **more):
            exchange.received += len(piece)
            try:
                if exchange.received > (exchange.max_bytes if answers else MOST_OF_ERRORS):
                    raise BoundExceeded(too_large(exchange, f"more than {exchange.max_bytes:,} bytes"))
                if answers and not exchange.streams:
                    document.add(piece)
            except BoundExceeded as exceeded:
                if not answers:
                    return
                exchange.fault = exceeded.fault
                raise
            yield piece
        whole = True
    finally:
        if not whole:
            response.close()


class _Connection(_Noted, AWSHTTPConnection):  # type: ignore[misc]
    pass


class _SafeConnection(_Noted, AWSHTTPSConnection):  # type: ignore[misc]
    pass


class _Pool(AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _Connection


class _SafePool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _SafeConnection


class _BearerSession(Session):  # type: ignore[misc]
    """A session whose only credential is a key of Bedrock's."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key

    def get_auth_token(self, **_: Any) -> Any:
        return FrozenAuthToken(self._key)

    def get_credentials(self) -> None:
        return None


def runtime_client(key: str | None, address: str | None, *, connect: float, read: float) -> Any:
    """Return a client of the runtime, without retries; `connect` and `read` are timeouts in seconds.

    Without a key, credentials and the region are looked for where boto3 does.
    """
    config = Config(
        connect_timeout=connect, read_timeout=read, retries={"total_max_attempts": 1}, max_pool_connections=100
    )
    if key is None:
        session = boto3.Session()
    else:
        session = boto3.Session(botocore_session=_BearerSession(key))
        config = config.merge(Config(signature_version="bearer"))
    client = session.client("bedrock-runtime", config=config, endpoint_url=address)
    client._endpoint.http_session._pool_classes_by_scheme.update(http=_Pool, https=_SafePool)  # noqa: SLF001 - of botocore, which has no public way
    return client


async def close(client: Any) -> None:
    """Close a client's connections."""
    await asyncio.to_thread(client.close)
