"""One connection to a server of tools, on the official SDK. Imported with the first call only."""

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
from dataclasses import dataclass
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
_SAID_CHARACTERS = 500
_CLOSED = ("Connection closed", "SSE stream")
"""How the SDK's own errors begin where a connection over HTTP has ended."""


@dataclass(frozen=True, slots=True)
class McpTool:
    """A tool of a server: its name, what it does, the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class McpResult:
    """What a tool of a server returned: its text, and data if it gave some."""

    text: str
    data: Any = None


class McpConnection:
    """A server that is in use. It is begun with the first call, and ended by `close` or when the server ends."""

    def __init__(self, server: McpServer, directory: Path, working: Path) -> None:
        """The relative path of a program starts in `directory`; the program runs in `working`."""
        self._server = server
        self._directory = directory
        self._working = working
        self._said: IO[str] | None = None
        self._link = MessageRelay()
        self._stop = asyncio.Event()
        # Not `Task.cancel`: the SDK ends its program in a scope that is shielded, which only scopes respect.
        self._scope = anyio.CancelScope()
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._serve(), name=f"server of tools {server.name}")
        self.ended = False
        """Whether it is of no use any more: a new one is to be made."""

    async def tools(self) -> tuple[McpTool, ...]:
        """Return what the server offers."""
        found: list[mcp_types.Tool] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            client = await self._client()
            page = await self._asked(client.list_tools(cursor=cursor), "its tools")
            found += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        return tuple(McpTool(tool.name, tool.description or tool.title or "", tool.input_schema) for tool in found)

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> McpResult:
        """Call a tool. When that is cancelled, the server is told so."""
        client = await self._client()
        result = await self._asked(client.call_tool(tool, dict(arguments)), f"`{tool}`")
        text = "\n".join(_text_of(block) for block in result.content)
        if result.is_error:
            raise await self._failed(tool, text)
        data = result.structured_content
        return McpResult(text or ("" if data is None else json.dumps(data, ensure_ascii=False)), data)

    async def _failed(self, tool: str, text: str) -> McpError:
        """Return the error of a call that failed: a tool that the server does not have is told with those it has."""
        name, offered = self._server.name, [each.name for each in await self.tools()]
        if tool not in offered:
            near = suggest(tool, offered)
            help = f"did you mean `{near}`?" if near else f"it has: {quoted_list(offered)}"
            return McpError(f"`{name}` has no tool `{tool}`", server=name, help=help)
        message = f"`{tool}` of `{name}` failed: {shorten(text, _SAID_CHARACTERS) or 'it says no more'}"
        return McpError(message, server=name, help="fix what it is given, or the server")

    async def close(self) -> None:
        """End the connection, and the program that was started for it."""
        self.ended = True
        self._stop.set()
        if not self._ready.done():
            self._scope.cancel()
        await asyncio.wait([self._task])

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it is left, also no program that is still being ended."""
        return self._task.done()

    # --- the life of the connection: one task, as the SDK asks for

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
            failure = None if self._ready.done() else self._not_ready(error)  # later, callers hear of it from the SDK
        finally:
            self.ended = True
            if not self._ready.done():
                name = self._server.name
                self._ready.set_exception(failure or McpError(f"`{name}` was stopped", server=name))
                self._ready.exception()  # it may be that nobody waits for it any more
            if self._said is not None:
                self._said.close()

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        server = self._server
        if server.url:
            headers = {header: self._variable(name) for header, name in server.headers_env.items()}
            async with create_mcp_http_client(headers=headers) as http:
                yield streamable_http_client(server.url, http_client=http)
            return
        # What a server writes to its standard error is its log: kept, for when it cannot start.
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed by _serve
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
        yield self._link.over(stdio_client(program, errlog=self._said))

    def _require_program(self, environment: Mapping[str, str]) -> None:
        """Refuse a program that is not there; a guardian would only say so in its log."""
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
                f"`{self._server.name}` needs the variable `{name}`, which is not set",
                server=self._server.name,
                help=f"set it: export {name}=...",
                retryable=False,
            )
        return value

    async def _client(self) -> Client:
        """The client, once the server is ready."""
        seconds = self._server.start_timeout
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            self.ended = True
            words = self._last_words()
            self._scope.cancel()
            raise McpError(
                f"`{self._server.name}` was not ready within {seconds:g} s{words}",
                server=self._server.name,
                help=f"see that it speaks MCP, or give it longer: `start_timeout` below `[mcp.{self._server.name}]`",
            ) from None

    async def _asked(self, work: Coroutine[Any, Any, Any], what: str) -> Any:
        name = self._server.name
        try:
            return await work
        except MCPError as error:
            if self._is_lost(error):
                self._give_up()
                raise McpError(
                    f"`{name}` did not give {what}: {self._how_lost(error)}{self._last_words()}",
                    server=name,
                    help="it is started again with the next call",
                    retryable=True,
                ) from error
            unreadable = error.code == mcp_types.PARSE_ERROR
            raise McpError(
                f"`{name}` did not give {what}: {shorten(error.message, _SAID_CHARACTERS)}",
                server=name,
                help="fix the server" if unreadable else "see what the server can do with `list`",
                retryable=False,
            ) from error
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            self._give_up()
            raise McpError(
                f"`{name}` did not give {what}: the connection is lost{self._last_words()}", server=name
            ) from error
        except ValueError as error:  # what it sent is not as the protocol, or its own schema, says
            raise McpError(
                f"`{name}` did not give {what}: {shorten(str(error), _SAID_CHARACTERS)}",
                server=name,
                help="fix the server",
            ) from error

    def _is_lost(self, error: MCPError) -> bool:
        """Whether an error says that the connection has ended. Servers use the SDK's code for that for other errors."""
        if error.code != mcp_types.CONNECTION_CLOSED:
            return False
        return error.message.startswith(_CLOSED) if self._server.url else self._link.ended

    def _how_lost(self, error: MCPError) -> str:
        return (
            f"the connection is lost: {shorten(error.message, _SAID_CHARACTERS)}"
            if self._server.url
            else "the server has ended"
        )

    def _give_up(self) -> None:
        self.ended = True
        self._stop.set()

    def _not_ready(self, error: BaseException) -> McpError:
        """Why the server could not be made ready, from whatever the SDK raised."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, McpError):
            return error
        server = self._server
        if server.url:
            what = f"`{server.name}` cannot be reached at {urlsplit(server.url).hostname}"
            help = "see that it runs, and that its `url` in orchestrator.toml is right"
        else:
            what = f"`{server.name}` cannot be started"
            help = f"see that this works in a shell: {shlex.join(server.command)}"
        if isinstance(error, FileNotFoundError):
            return McpError(
                f"{what}: there is no program `{server.command[0]}`", server=server.name, help=help, retryable=False
            )
        lost = isinstance(error, MCPError) and error.code == mcp_types.CONNECTION_CLOSED
        said = (
            "it has ended" if lost and not server.url else shorten(str(error), _SAID_CHARACTERS) or type(error).__name__
        )
        return McpError(f"{what}: {said}{self._last_words()}", server=server.name, help=help)

    def _last_words(self) -> str:
        """The end of what the program wrote to its standard error, or among its messages."""
        if self._said is not None and not self._said.closed:
            self._said.seek(0)
            lines = self._said.read()[-4 * _SAID_CHARACTERS :].strip().splitlines()
            if lines:
                return f"; the last line of its log: {shorten(lines[-1], _SAID_CHARACTERS)}"
        return (
            f"; its standard output has no message but: {shorten(self._link.noise, _SAID_CHARACTERS)}"
            if self._link.noise
            else ""
        )


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
