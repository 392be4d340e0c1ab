"""Tools: their contract, the registry, permissions, the built-in tools and the MCP client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from orchestrator.tools.call import call_action, check_parameter
    from orchestrator.tools.contract import Action, Parameter, Tool, ToolContext
    from orchestrator.tools.default_tools import builtin_registry, entry_point_tools
    from orchestrator.tools.executor import LocalExecutor, ToolExecutor
    from orchestrator.tools.extras import missing_requirement
    from orchestrator.tools.functions.definition import to_tool, tool
    from orchestrator.tools.loader import load_tools, to_tools
    from orchestrator.tools.registry import Registry, Unresolved
    from orchestrator.tools.sandbox.permissions import Permissions
    from orchestrator.tools.sandbox.refusal import Refusal

__all__ = [
    "Action",
    "LocalExecutor",
    "Parameter",
    "Permissions",
    "Refusal",
    "Registry",
    "Tool",
    "ToolContext",
    "ToolExecutor",
    "Unresolved",
    "builtin_registry",
    "call_action",
    "check_parameter",
    "entry_point_tools",
    "load_tools",
    "missing_requirement",
    "to_tool",
    "to_tools",
    "tool",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Action": "contract",
        "LocalExecutor": "executor",
        "Parameter": "contract",
        "Permissions": "sandbox.permissions",
        "Refusal": "sandbox.refusal",
        "Registry": "registry",
        "Tool": "contract",
        "ToolContext": "contract",
        "ToolExecutor": "executor",
        "Unresolved": "registry",
        "builtin_registry": "default_tools",
        "call_action": "call",
        "check_parameter": "call",
        "entry_point_tools": "default_tools",
        "load_tools": "loader",
        "missing_requirement": "extras",
        "to_tool": "functions.definition",
        "to_tools": "loader",
        "tool": "functions.definition",
    },
)
