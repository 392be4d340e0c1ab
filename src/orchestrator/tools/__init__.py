"""Tools: their contract, the registry, permissions, the built-in tools and the MCP client."""

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
