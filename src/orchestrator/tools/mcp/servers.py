"""The servers of tools of one project while they are in use: started when first needed, ended together.

They live on an event loop of their own, in a thread of its own, so that runs on any loop share them.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.diagnostics import suggest
from orchestrator.errors import McpError
from orchestrator.tools.mcp.settings import load_servers

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

    from orchestrator.tools.mcp.connection import McpConnection, McpResult, McpTool
    from orchestrator.tools.mcp.settings import McpServer

T = TypeVar("T")

_CLOSE_SECONDS = 8.0
"""For all servers to end; a program that does not is killed, with all that it started, after half of that."""


class McpServers:
    """Calls the servers that `orchestrator.toml` in a directory names. Safe to use from any thread and event loop.

    Their programs run in `working`, by default that directory, where relative paths of programs start in any case.
    """

    def __init__(self, directory: Path, *, working: Path | None = None) -> None:
        self._directory = directory
        self._working = working or directory
        self._lock = threading.Lock()
        self._settings: Mapping[str, McpServer] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._connections: dict[str, McpConnection] = {}
        self._ending: set[McpConnection] = set()

    async def tools(self, server: str) -> tuple[McpTool, ...]:
        """Return what a server offers.

        Raises:
            McpError: There is no such server, it cannot be reached, or it refuses.
        """
        found = self._server(server)
        return await self._on_loop(self._tools(found), found)

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> McpResult:
        """Call a tool of a server. When this is cancelled, the server is told so.

        Raises:
            McpError: There is no such server, it cannot be reached, or the tool failed.
        """
        found = self._server(server)
        return await self._on_loop(self._call(found, tool, arguments), found)

    def close(self) -> None:
        """End all servers. Nothing can be called any more."""
        with self._lock:
            self._closed = True
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSE_SECONDS)

    def _server(self, name: str) -> McpServer:
        if self._settings is None:
            self._settings = load_servers(self._directory)
        found = self._settings.get(name)
        if found is None:
            near = suggest(name, self._settings)
            raise McpError(
                f"there is no server of tools `{name}`",
                server=name,
                help=f"did you mean `{near}`?" if near else f"add a table `[mcp.{name}]` to orchestrator.toml",
                retryable=False,
            )
        return found

    # --- on the servers' own loop

    async def _on_loop(self, work: Coroutine[Any, Any, T], server: McpServer) -> T:
        """Have something done on the servers' loop, and wait for it on the caller's."""
        try:
            loop = self._started(server)
        except BaseException:
            work.close()
            raise
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

    def _started(self, server: McpServer) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise McpError(f"`{server.name}` cannot be called: its orchestrator is closed", server=server.name)
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._serve, args=(self._loop,), name="orchestrator-mcp", daemon=True
                )
                self._thread.start()
            return self._loop

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(self._end_all())
        finally:
            loop.close()

    async def _end_all(self) -> None:
        connections, self._connections = [*self._connections.values(), *self._ending], {}
        await asyncio.gather(*(connection.close() for connection in connections), return_exceptions=True)
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _tools(self, server: McpServer) -> tuple[McpTool, ...]:
        return await self._connection(server).tools()

    async def _call(self, server: McpServer, tool: str, arguments: Mapping[str, Any]) -> McpResult:
        return await self._connection(server).call(tool, arguments)

    def _connection(self, server: McpServer) -> McpConnection:
        """The connection to a server; a new one if the last one has ended."""
        from orchestrator.tools.mcp.connection import McpConnection

        connection = self._connections.get(server.name)
        if connection is None or connection.ended:
            self._ending = {each for each in (connection, *self._ending) if each is not None and not each.is_gone}
            connection = self._connections[server.name] = McpConnection(server, self._directory, self._working)
        return connection
