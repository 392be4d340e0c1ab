"""Checks that a tool server is configured in `orchestrator.toml`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.language.yaml.nodes import Node


def check_server(context: CompilationContext, node: Node, server: str, written: Callable[[str], str] = str) -> bool:
    """Return whether a tool server is configured, and report it once if not. `written` formats another name."""
    from orchestrator.tools.mcp import load_servers

    servers = load_servers(context.session.permissions.directory)
    if server in servers:
        return True
    if server in context.unknown_servers:
        return False  # reported at the first step that names it
    context.unknown_servers.add(server)
    near = suggest(server, servers)
    help = f"add a table `[mcp.{server}]` to orchestrator.toml"
    if near:
        help = f"did you mean `{written(near)}`?"
    elif servers:
        help = f"the servers are {quoted_list(sorted(servers))}; for another one, {help}"
    context.diagnostics.add(
        codes.UNUSABLE_AGENT_TOOL,
        node.span,
        f"unknown tool server `{server}`",
        label="unknown server",
        help=help,
        replacement=written(near) if near else None,
    )
    return False
