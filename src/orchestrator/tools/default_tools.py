"""The tools available to every project: the built-in ones, and those of installed plugins."""

from __future__ import annotations

import warnings
from functools import partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from orchestrator.tools.call import is_from_keyboard
from orchestrator.tools.contract import Tool
from orchestrator.tools.functions.definition import to_tool
from orchestrator.tools.functions.tracebacks import exception_text
from orchestrator.tools.registry import Registry

GROUP = "orchestrator.tools"

_BUILTIN = (
    *(
        "archive",
        "browser",
        "chart",
        "data",
        "email",
        "filesystem",
        "http",
        "json",
        "log",
        "mcp",
        "memory",
        "python",
        "report",
        "sleep",
        "sql",
        "storage",
        "terminal",
        "text",
        "vector",
        "web",
    ),
)


def builtin_registry() -> Registry:
    """Return the built-in tools; each is created on first use."""
    return Registry(loaders={name: partial(_builtin, name) for name in _BUILTIN})


def _builtin(name: str) -> Tool:
    return to_tool(import_module(f"orchestrator.tools.builtin.{name}"), name=name)


def entry_point_tools() -> Registry:
    """Return the tools of installed plugins: the entry points of the group `orchestrator.tools`.

    The name of the entry point is the name of the tool. A plugin is imported when its tool is first used. A broken
    plugin is reported as a warning, and its tool has no actions.
    """
    return Registry(loaders={point.name: partial(_plugin, point) for point in entry_points(group=GROUP)})


def _plugin(point: EntryPoint) -> Tool:
    try:
        tool = to_tool(point.load())
        return Tool(point.name, tool.actions, tool.description, tool.version, tool.extras)
    except BaseException as error:
        if is_from_keyboard(error):
            raise
        owner = point.dist.name if point.dist else point.value
        warnings.warn(
            f"the plugin `{owner}` cannot provide the tool `{point.name}`: {exception_text(error)}", stacklevel=2
        )
        return Tool(point.name, {}, f"unavailable: the plugin `{owner}` is broken")
