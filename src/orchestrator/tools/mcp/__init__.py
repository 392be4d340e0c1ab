"""Servers of tools that speak the Model Context Protocol (MCP): which there are, and calling what they offer."""

from orchestrator.tools.mcp.servers import McpServers
from orchestrator.tools.mcp.settings import McpServer, load_servers

__all__ = ["McpServer", "McpServers", "load_servers"]
