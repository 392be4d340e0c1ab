"""One connection to an MCP server, with the official SDK. Imported on the first call only."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import mcp_types
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.exceptions import MCPError
from msgspec import Struct

from orchestrator.diagnostics import suggest
from orchestrator.distribution import VERSION
from orchestrator.errors import McpError
from orchestrator.text.words import quoted_list, shorten
from orchestrator.tools.mcp.message_relay import MessageRelay
from orchestrator.tools.sandbox.processes import guarded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from pathlib import Path

    from orchestrator.tools.mcp.settings import McpServer

_MOST_PAGES = 100
_EXCERPT = 500
_CLOSED = ("Connection closed", "SSE stream")
"""Prefixes of the SDK's errors for an ended HTTP connection."""


class McpTool(Struct, frozen=True):
    """A tool of a server: its name, its description, and the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class McpResult(Struct, frozen=True):
    """The result of a server's tool: its text, and structured data if any."""

    text: str
    data: Any = None


class McpConnection:
    """A connection to a server. It opens on the first call, and ends with `close` or with the server."""

    def __init__(self, server: McpServer, directory: Path, working: Path) -> None:
        """A relative path of a program is relative to `directory`; the program runs in `working`."""
        self._server = server
        self._directory = directory
        self._working = working
        self._log: IO[str] | None = None
        self._relay = MessageRelay()
        self._stop = asyncio.Event()
        # Not `Task.cancel`: the SDK ends its program in a shielded scope, which only scopes respect.
        self._scope = anyio.CancelScope()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._serve(), name=f"MCP server {server.name}")
        self.ended = False
        """Whether the connection is unusable, so that a new one is needed."""

    async def tools(self) -> tuple[McpTool, ...]:
        """Return the tools of the server."""
        found: list[mcp_types.Tool] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            client = await self._client()
            page = await self._request(client.list_tools(cursor=cursor), "its tools")
            found += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        return tuple(McpTool(tool.name, tool.description or tool.title or "", tool.input_schema) for tool in found)

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> McpResult:
        """Call a tool. Cancelling this cancels the call on the server."""
        client = await self._client()
        result = await self._request(client.call_tool(tool, dict(arguments)), f"`{tool}`")
        text = "\n".join(_text_of(block) for block in result.content)
        if result.is_error:
            raise await self._failed(tool, text)
        data = result.structured_content
        return McpResult(text or ("" if data is None else json.dumps(data, ensure_ascii=False)), data)

    async def _failed(self, tool: str, text: str) -> McpError:
        """Return the error of a failed call; for an unknown tool it lists those of the server."""
        name, offered = self._server.name, [each.name for each in await self.tools()]
        if tool not in offered:
            near = suggest(tool, offered)
            help = f"did you mean `{near}`?" if near else f"its tools are {quoted_list(offered)}"
            return McpError(f"unknown tool `{tool}` of the server `{name}`", server=name, help=help)
        message = f"`{tool}` of `{name}` failed: {shorten(text, _EXCERPT) or 'no details'}"
        return McpError(message, server=name, help="fix its arguments, or the server")

    async def close(self) -> None:
        """End the connection and its program."""
        self.ended = True
        self._stop.set()
        if not self._ready.done():
            self._scope.cancel()
        await asyncio.wait([self._task])

    @property
    def is_gone(self) -> bool:
        """Whether the connection and its program have ended."""
        return self._task.done()

    # --- the connection: one task, as the SDK requires

    async def _serve(self) -> None:
        failure: McpError | None = None
        try:
            with self._scope:
                async with self._transport() as transport:
                    info = mcp_types.Implementation(name="orchestrator", version=VERSION)
                    async with Client(transport, client_info=info, cache=None) as client:
                        self._ready.set_result(client)
                        await self._stop.wait()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failure = None if self._ready.done() else self._not_ready(error)  # later, the SDK reports it to callers
        finally:
            self.ended = True
            if not self._ready.done():
                name = self._server.name
                self._ready.set_exception(failure or McpError(f"`{name}` was stopped", server=name))
                self._ready.exception()  # mark it as retrieved, in case nothing waits for it
            if self._log is not None:
                self._log.close()

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        server = self._server
        if server.url:
            headers = {header: self._variable(name) for header, name in server.headers_env.items()}
            async with create_mcp_http_client(headers=headers) as http:
                yield streamable_http_client(server.url, http_client=http)
            return
        # The standard error of a server is its log, which is kept for errors.
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by _serve
        environment = {**server.env, **{name: self._variable(name) for name in server.pass_env}}
        self._require_program(environment)
        command, *arguments = guarded([self._program, *server.command[1:]])
        program = StdioServerParameters(
            command=command,
            args=arguments,
            env=environment,
            cwd=self._working,
            encoding_error_handler="replace",
        )
        yield self._relay.over(stdio_client(program, errlog=self._log))

    def _require_program(self, environment: Mapping[str, str]) -> None:
        """Refuse a program that does not exist; a guardian would only log that."""
        path = environment.get("PATH", os.environ.get("PATH"))
        if shutil.which(self._program, path=path) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._server.command[0])

    @property
    def _program(self) -> str:
        program = self._server.command[0]
        return str(self._directory / program) if os.path.dirname(program) else program  # noqa: PTH120 - `./a` has one

    def _variable(self, name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise McpError(
                f"`{self._server.name}` requires the environment variable `{name}`, which is not set",
                server=self._server.name,
                help=f"set it: export {name}=...",
                retryable=False,
            )
        return value

    async def _client(self) -> Client:
        """Return the client when the server is ready."""
        seconds = self._server.start_timeout
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            self.ended = True
            output = self._last_output()
            self._scope.cancel()
            raise McpError(
                f"`{self._server.name}` was not ready within {seconds:g} s{output}",
                server=self._server.name,
                help=f"check that it is an MCP server, or increase `start_timeout` under `[mcp.{self._server.name}]`",
            ) from None

    async def _request(self, work: Coroutine[Any, Any, Any], what: str) -> Any:
        name = self._server.name
        try:
            return await work
        except MCPError as error:
            if self._is_lost(error):
                self._give_up()
                raise McpError(
                    f"`{name}` failed to return {what}: {self._how_lost(error)}{self._last_output()}",
                    server=name,
                    help="the next call starts it again",
                    retryable=True,
                ) from error
            unreadable = error.code == mcp_types.PARSE_ERROR
            raise McpError(
                f"`{name}` failed to return {what}: {shorten(error.message, _EXCERPT)}",
                server=name,
                help="fix the server" if unreadable else "list the tools of the server with `list`",
                retryable=False,
            ) from error
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            self._give_up()
            raise McpError(
                f"`{name}` failed to return {what}: the connection is lost{self._last_output()}", server=name
            ) from error
        except ValueError as error:  # its response does not match the protocol or its own schema
            raise McpError(
                f"`{name}` failed to return {what}: {shorten(str(error), _EXCERPT)}",
                server=name,
                help="fix the server",
            ) from error

    def _is_lost(self, error: MCPError) -> bool:
        """Whether an error means that the connection has ended. Servers also use the SDK's code for other errors."""
        if error.code != mcp_types.CONNECTION_CLOSED:
            return False
        return error.message.startswith(_CLOSED) if self._server.url else self._relay.ended

    def _how_lost(self, error: MCPError) -> str:
        return (
            f"the connection is lost: {shorten(error.message, _EXCERPT)}"
            if self._server.url
            else "the server has exited"
        )

    def _give_up(self) -> None:
        self.ended = True
        self._stop.set()

    def _not_ready(self, error: BaseException) -> McpError:
        """Return the error for a server that did not start, from the exception of the SDK."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, McpError):
            return error
        server = self._server
        if server.url:
            what = f"`{server.name}` cannot be reached at {urlsplit(server.url).hostname}"
            help = "check that it is running, and its `url` in orchestrator.toml"
        else:
            what = f"`{server.name}` cannot be started"
            help = f"check that this works in a shell: {shlex.join(server.command)}"
        if isinstance(error, FileNotFoundError):
            return McpError(
                f"{what}: the program `{server.command[0]}` is not found",
                server=server.name,
                help=help,
                retryable=False,
            )
        lost = isinstance(error, MCPError) and error.code == mcp_types.CONNECTION_CLOSED
        reason = "it has exited" if lost and not server.url else shorten(str(error), _EXCERPT) or type(error).__name__
        return McpError(f"{what}: {reason}{self._last_output()}", server=server.name, help=help)

    def _last_output(self) -> str:
        """Return the last output of the program on its standard error, or among its messages."""
        if self._log is not None and not self._log.closed:
            self._log.seek(0)
            lines = self._log.read()[-4 * _EXCERPT :].strip().splitlines()
            if lines:
                return f"; the last line of its log: {shorten(lines[-1], _EXCERPT)}"
        return f"; its standard output is not MCP: {shorten(self._relay.noise, _EXCERPT)}" if self._relay.noise else ""


def _text_of(block: Any) -> str:
    match block:
        case mcp_types.TextContent():
            return str(block.text)
        case mcp_types.ImageContent() | mcp_types.AudioContent():
            return f"[{block.mime_type}, {len(block.data) * 3 // 4:,} bytes, not shown]"
        case mcp_types.EmbeddedResource(resource=mcp_types.TextResourceContents() as resource):
            return str(resource.text)
        case mcp_types.EmbeddedResource():
            return f"[{block.resource.uri}, not shown]"
        case mcp_types.ResourceLink():
            return str(block.uri)
        case _:
            return f"[{block.type}, not shown]"
