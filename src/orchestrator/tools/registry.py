"""The tools that a pipeline can call, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import ConfigurationError
from orchestrator.tools.contract import Action, Tool
from orchestrator.tools.loader import to_tools

if TYPE_CHECKING:
    from pathlib import Path

Loader = Callable[[], Tool]

_WITHOUT_NAME = "model"
"""The tool whose actions can be named without it, as in `action: generate_text`."""


class Unresolved(Struct, frozen=True):
    """Why `tool` and `action` of a step name no action: the code, the wrong key, and the valid names.

    `actions` are those that can be named without their tool.
    """

    code: str
    key: str
    message: str
    candidates: tuple[str, ...]
    actions: tuple[str, ...] = ()


class Registry:
    """An immutable set of tools.

    Args:
        tools: The tools; duplicate names are refused.
        loaders: Functions that create tools on first use, so that a registry of many costs nothing.
    """

    def __init__(self, tools: Iterable[Tool] = (), *, loaders: Mapping[str, Loader] | None = None) -> None:
        self._loaders = dict(loaders or {})
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools or tool.name in self._loaders:
                raise ConfigurationError(f"duplicate tool name `{tool.name}`", help="rename one with `@tool(name=...)`")
            self._tools[tool.name] = tool

    def get(self, name: str) -> Tool | None:
        """Return the tool with this name."""
        tool = self._tools.get(name)
        if tool is None and name in self._loaders:
            tool = self._tools[name] = self._loaders[name]()
        return tool

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self._tools.keys() | self._loaders.keys()))

    def __iter__(self) -> Iterator[Tool]:
        for name in self.names():
            tool = self.get(name)
            if tool is not None:
                yield tool

    def __len__(self) -> int:
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._tools or name in self._loaders

    def has(self, tool: str | None, action: str | None = None) -> bool:
        """Return whether a step with these names calls an action of one of the tools."""
        return not isinstance(self.resolve(tool, action), Unresolved)

    def resolve(self, tool: str | None, action: str | None = None) -> tuple[Tool, Action] | Unresolved:
        """Find the action that a step names with `tool` and `action`.

        Both: that action of that tool. `tool` alone: its only action. `action` alone: `tool.action`, the only action of
        the tool with that name, or an action of the tool `model`, in this order.
        """
        key = "tool"
        if tool is None:
            key = "action"
            if action is None:
                return Unresolved(codes.STEP_WITHOUT_WORK, key, "the step has no tool", self.names())
            tool, _, rest = action.partition(".")
            action = rest or None
        found = self.get(tool)
        if found is None and key == "action":
            model = self.get(_WITHOUT_NAME)
            own = model.find(tool) if model is not None and action is None else None
            if model is not None and own is not None:
                return model, own
            names = tuple(model.actions) if model is not None else ()
            return Unresolved(codes.UNKNOWN_TOOL, key, f"unknown tool `{tool}`", self.names(), names)
        if found is None:
            return Unresolved(codes.UNKNOWN_TOOL, key, f"unknown tool `{tool}`", self.names())
        if action is None:
            if found.only_action is None:
                message = f"the tool `{tool}` has several actions, so the step needs an `action`"
                return Unresolved(codes.ACTION_NOT_NAMED, key, message, tuple(found.actions))
            return found, found.only_action
        chosen = found.find(action)
        if chosen is None:
            message = f"unknown action `{action}` of the tool `{tool}`"
            return Unresolved(codes.UNKNOWN_ACTION, "action", message, tuple(found.actions))
        return found, chosen

    def __or__(self, other: Registry) -> Registry:
        """Return the tools of both; on a conflict, those of the other. Loads nothing."""
        merged = Registry(loaders={**self._loaders, **other._loaders})
        merged._tools = {name: tool for name, tool in self._tools.items() if name not in other} | other._tools
        return merged

    def with_tools(self, *objects: Any, directory: Path | None = None) -> Registry:
        """Return a registry with more tools: functions, classes, instances, modules, or names of modules.

        A tool replaces the one with the same name. Modules are also searched in `directory`, by default the current
        directory.
        """
        return self | Registry(tool for item in objects for tool in to_tools(item, directory=directory))
