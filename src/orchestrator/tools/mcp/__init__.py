"""MCP (Model Context Protocol) servers: their settings, connections and tools."""

from orchestrator.tools.mcp.servers import McpServers
from orchestrator.tools.mcp.settings import McpServer, load_servers

__all__ = ["McpServer", "McpServers", "load_servers"]
