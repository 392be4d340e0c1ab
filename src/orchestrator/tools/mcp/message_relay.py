"""Relays the messages of a server process: detects its end, and fails the call of an unreadable response."""

from __future__ import annotations

import logging
import re
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from contextlib import AbstractAsyncContextManager

    from anyio.streams.memory import MemoryObjectSendStream

_ID = re.compile(r'"id"\s*:\s*(?:(\d{1,18})|"([^"\\]{1,100})")')
_SHOWN = 200

# Without a handler it would print each unreadable line with a traceback.
logging.getLogger("mcp.client.stdio").addHandler(logging.NullHandler())


class MessageRelay:
    """Relays the messages of one process.

    `ended`: it has stopped sending. `noise`: the last line of its output that is not a message.
    """

    def __init__(self) -> None:
        self.ended = False
        self.noise = ""
        self._waiting: dict[int | str, None] = {}

    @asynccontextmanager
    async def over(self, transport: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
        """Open a transport of the SDK, and relay its messages."""
        async with transport as (raw_read, raw_write):
            incoming, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
            write, outgoing = anyio.create_memory_object_stream[SessionMessage](0)
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._receive, raw_read, incoming)
                    tasks.start_soon(self._send, outgoing, raw_write)
                    try:
                        yield read, write
                    finally:
                        tasks.cancel_scope.cancel()
            finally:
                for stream in (incoming, read, write, outgoing):
                    stream.close()

    async def _receive(self, raw: Any, incoming: MemoryObjectSendStream[SessionMessage | Exception]) -> None:
        async with incoming:
            with suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                async for item in raw:
                    for message in [item] if isinstance(item, SessionMessage) else self._unreadable(item):
                        await self._pass_on(message, incoming)
            self.ended = True

    async def _pass_on(
        self, item: SessionMessage, incoming: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> None:
        message = item.message
        if isinstance(message, mcp_types.JSONRPCError) and message.id is None:
            for failed in self._failed(list(self._waiting), message.error):
                await incoming.send(failed)
            return
        if isinstance(message, mcp_types.JSONRPCResponse | mcp_types.JSONRPCError) and message.id is not None:
            self._waiting.pop(message.id, None)
        await incoming.send(item)

    async def _send(self, outgoing: Any, raw: Any) -> None:
        try:
            async for item in outgoing:
                if isinstance(item.message, mcp_types.JSONRPCRequest):
                    self._waiting[item.message.id] = None
                await raw.send(item)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            self.ended = True
        finally:
            outgoing.close()

    def _unreadable(self, error: Exception) -> list[SessionMessage]:
        """Return failures for the calls that an unreadable line should have answered."""
        found = _read(error)
        if isinstance(found, dict):
            known = found.get("id")
            text = str(found)
        else:
            text = str(found).strip()
            match = _ID.search(text)
            known = None if match is None else int(match[1]) if match[1] else match[2]
            if known is None and not text.startswith(("{", "[")):
                self.noise = text[:_SHOWN] or self.noise
                return []
        shown = shorten(text, _SHOWN)
        failure = mcp_types.ErrorData(
            code=mcp_types.PARSE_ERROR, message=f"its response is not an MCP message: {shown}"
        )
        return self._failed([known] if known in self._waiting else list(self._waiting), failure)

    def _failed(self, ids: Iterable[Any], error: mcp_types.ErrorData) -> list[SessionMessage]:
        for each in ids:
            self._waiting.pop(each, None)
        return [SessionMessage(mcp_types.JSONRPCError(jsonrpc="2.0", id=each, error=error)) for each in ids]


def _read(error: Exception) -> Any:
    """Return the unreadable line: its text, or its data if it is JSON."""
    if not isinstance(error, ValidationError):
        return str(error)
    inputs = [each["input"] for each in error.errors(include_url=False)]
    return next((each for each in inputs if isinstance(each, dict) and "id" in each), inputs[0] if inputs else "")
