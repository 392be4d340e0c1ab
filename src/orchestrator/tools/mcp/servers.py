"""The MCP servers of one project: started when first needed, and closed together.

They run on a separate event loop in a separate thread, so that runs on any loop share them.
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
"""Seconds for all servers to end; after half of that, their processes are killed."""


class McpServers:
    """Calls the servers in the `orchestrator.toml` of a directory. Safe to use from any thread and event loop.

    Their programs run in `working`, by default that directory, which relative paths of programs are always relative to.
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
        """Return the tools of a server.

        Raises:
            McpError: The server is unknown, cannot be reached, or refuses.
        """
        found = self._server(server)
        return await self._on_loop(self._tools(found), found)

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> McpResult:
        """Call a tool of a server. Cancelling this cancels the call on the server.

        Raises:
            McpError: The server is unknown, cannot be reached, or the tool failed.
        """
        found = self._server(server)
        return await self._on_loop(self._call(found, tool, arguments), found)

    def close(self) -> None:
        """Close all servers. No more calls are possible."""
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
                f"unknown MCP server `{name}`",
                server=name,
                help=f"did you mean `{near}`?" if near else f"add a table `[mcp.{name}]` to orchestrator.toml",
                retryable=False,
            )
        return found

    # --- on the loop of the servers

    async def _on_loop(self, work: Coroutine[Any, Any, T], server: McpServer) -> T:
        """Run a coroutine on the loop of the servers, and wait for it on the caller's loop."""
        try:
            loop = self._started(server)
        except BaseException:
            work.close()
            raise
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))

    def _started(self, server: McpServer) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise McpError(f"`{server.name}` cannot be called: the orchestrator is closed", server=server.name)
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
        """Return the connection to a server, or a new one if it has ended."""
        from orchestrator.tools.mcp.connection import McpConnection

        connection = self._connections.get(server.name)
        if connection is None or connection.ended:
            self._ending = {each for each in (connection, *self._ending) if each is not None and not each.is_gone}
            connection = self._connections[server.name] = McpConnection(server, self._directory, self._working)
        return connection
