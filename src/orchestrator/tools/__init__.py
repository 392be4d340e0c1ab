"""Tools: their contract, the registry, permissions, the built-in tools and the MCP client."""

from __future__ import annotations

from orchestrator.lazy_exports import lazy_exports

_EXPORTS = {
    "orchestrator.tools.call": ("call_action",),
    "orchestrator.tools.contract": (
        "Action",
        "Parameter",
        "Tool",
        "ToolContext",
        "check_parameter",
    ),
    "orchestrator.tools.default_tools": (
        "builtin_registry",
        "entry_point_tools",
    ),
    "orchestrator.tools.executor": (
        "LocalExecutor",
        "ToolExecutor",
    ),
    "orchestrator.tools.extras": ("missing_requirement",),
    "orchestrator.tools.functions.definition": (
        "to_tool",
        "tool",
    ),
    "orchestrator.tools.loader": (
        "load_tools",
        "to_tools",
    ),
    "orchestrator.tools.registry": (
        "Registry",
        "Unresolved",
    ),
    "orchestrator.tools.sandbox.permissions": ("Permissions",),
    "orchestrator.tools.sandbox.refusal": ("Refusal",),
}
"""Each module with its names that the package has too."""

__getattr__ = lazy_exports(__name__, _EXPORTS)
