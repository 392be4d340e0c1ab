"""Checks that a server of tools that a step names is one of `orchestrator.toml`."""

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
    """Whether there is a server; if there is none, report that. `written` is how the file would name another one."""
    from orchestrator.tools.mcp import load_servers

    servers = load_servers(context.session.permissions.directory)
    if server in servers:
        return True
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
