"""An MCP server with the official SDK: over stdio, or with `http` over streamable HTTP, at a port that it logs."""

import os
import subprocess
import sys
import time

import anyio
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("tests")


@server.tool()
def add(a: int, b: int) -> int:
    """Return the sum."""
    return a + b


@server.tool()
def whoami() -> dict[str, str | int | None]:
    """Say what the server knows of itself."""
    return {"pid": os.getpid(), "token": os.environ.get("TOOLS_TOKEN"), "level": os.environ.get("LEVEL")}


@server.tool()
def token(context: Context) -> str:  # type: ignore[type-arg]
    """Say with which key it was asked."""
    return (context.headers or {}).get("authorization", "none")


@server.tool()
def fail(message: str) -> str:
    """Fail."""
    raise ValueError(message)


@server.tool()
def die() -> str:
    """End the server in the middle of the call."""
    print("the disk is on fire", file=sys.stderr, flush=True)
    os._exit(3)


@server.tool()
async def hang(directory: str) -> str:
    """Never answer; note when the call has begun, and when it is cancelled."""
    await anyio.Path(directory, "begun").touch()
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.Path(directory, "cancelled").touch()
    return ""


@server.tool()
def spawn() -> int:
    """Start a process that stays, and return its id."""
    return subprocess.Popen(["sleep", "60"]).pid


def stay() -> None:
    """Go on after the end of the input, as a badly written server would."""
    while True:
        time.sleep(1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["http"]:
        server.run("streamable-http", host="127.0.0.1", port=0)
    else:
        server.run("stdio")
        if sys.argv[1:2] == ["stay"]:
            stay()
