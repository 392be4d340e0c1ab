"""Call tools of the MCP servers configured under `[mcp]` in `orchestrator.toml`."""

from typing import Annotated, Any, TypedDict

from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.mcp.servers import McpServers


class CallResult(TypedDict):
    """The result of the tool: its text, and structured data if any."""

    text: Annotated[str, "The text returned by the tool."]
    data: Annotated[Any, "The structured data returned by the tool, or null."]


class OfferedTool(TypedDict):
    """A tool of a server, with the JSON Schema of its arguments."""

    name: Annotated[str, "The name of the tool."]
    description: Annotated[str, "The description of the tool by the server."]
    parameters: Annotated[dict[str, Any], "The JSON Schema of its arguments."]


class OfferedTools(TypedDict):
    """The tools of a server."""

    tools: Annotated[list[OfferedTool], "The tools of the server."]


@tool(primary="text", requires="mcp")
async def call(
    context: ToolContext,
    server: Annotated[str, "The server: the NAME of a table `[mcp.NAME]` in orchestrator.toml."],
    tool: Annotated[str, "The name of the tool; the action `list` lists them."],
    arguments: Annotated[dict[str, Any] | None, "The arguments of the tool."] = None,
) -> CallResult:
    """Call a tool of a server and return its text.

    Example:
        - id: readme
          tool: mcp
          action: call
          parameters:
            server: files
            tool: read_file
            arguments: {path: README.md}
    """
    result = await context.service(McpServers).call(server, tool, arguments or {})
    return {"text": result.text, "data": result.data}


@tool(name="list", primary="tools", requires="mcp")
async def list_tools(
    context: ToolContext,
    server: Annotated[str, "The server: the NAME of a table `[mcp.NAME]` in orchestrator.toml."],
) -> OfferedTools:
    """List the tools of a server.

    Example:
        - id: offered
          tool: mcp
          action: list
          parameters:
            server: files
    """
    found = await context.service(McpServers).tools(server)
    return {
        "tools": [
            {"name": each.name, "description": each.description, "parameters": dict(each.parameters)} for each in found
        ]
    }
