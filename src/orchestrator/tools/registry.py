"""The tools that a pipeline may call, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.errors import ConfigurationError
from orchestrator.tools.contract import Action, Tool
from orchestrator.tools.loader import to_tools

if TYPE_CHECKING:
    from pathlib import Path

Loader = Callable[[], Tool]

_WITHOUT_NAME = "model"
"""The tool whose actions can be named without it: what a model is asked reads like a step's own work."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why a step's `tool` and `action` name no action: the code, which key is at fault, and the names there are.

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
        tools: The tools; two of one name are refused.
        loaders: Tools that are made when they are first asked for, so that a registry of many costs nothing.
    """

    def __init__(self, tools: Iterable[Tool] = (), *, loaders: Mapping[str, Loader] | None = None) -> None:
        self._loaders = dict(loaders or {})
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools or tool.name in self._loaders:
                raise ConfigurationError(
                    f"there are two tools of the name `{tool.name}`", help="rename one with `@tool(name=...)`"
                )
            self._tools[tool.name] = tool

    def get(self, name: str) -> Tool | None:
        """Return the tool of this name."""
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

    def resolve(self, tool: str | None, action: str | None = None) -> tuple[Tool, Action] | Unresolved:
        """Find what a step means by `tool` and `action`.

        Both: that action of that tool. `tool` alone: its only action. `action` alone: `tool.action`, the only action of
        the tool of that name, or an action of the tool `model`. What another tool of that name has goes first.
        """
        key = "tool"
        if tool is None:
            key = "action"
            if action is None:
                return Unresolved(codes.STEP_WITHOUT_WORK, key, "the step names no tool", self.names())
            tool, _, rest = action.partition(".")
            action = rest or None
        found = self.get(tool)
        if found is None and key == "action":
            model = self.get(_WITHOUT_NAME)
            own = model.find(tool) if model is not None and action is None else None
            if model is not None and own is not None:
                return model, own
            names = tuple(model.actions) if model is not None else ()
            return Unresolved(codes.UNKNOWN_TOOL, key, f"there is no tool `{tool}`", self.names(), names)
        if found is None:
            return Unresolved(codes.UNKNOWN_TOOL, key, f"there is no tool `{tool}`", self.names())
        if action is None:
            if found.only_action is None:
                message = f"the tool `{tool}` has several actions, and the step names none"
                return Unresolved(codes.ACTION_NOT_NAMED, key, message, tuple(found.actions))
            return found, found.only_action
        chosen = found.find(action)
        if chosen is None:
            message = f"the tool `{tool}` has no action `{action}`"
            return Unresolved(codes.UNKNOWN_ACTION, "action", message, tuple(found.actions))
        return found, chosen

    def __or__(self, other: Registry) -> Registry:
        """Return the tools of both; of two with one name, the other's. Nothing is loaded by it."""
        merged = Registry(loaders={**self._loaders, **other._loaders})
        merged._tools = {name: tool for name, tool in self._tools.items() if name not in other} | other._tools
        return merged

    def with_tools(self, *objects: Any, directory: Path | None = None) -> Registry:
        """Return a registry with more tools: functions, classes, instances, modules, or names of modules.

        One that has the name of a tool of this registry takes its place. Modules are found in `directory` too, by
        default the current one.
        """
        return self | Registry(tool for item in objects for tool in to_tools(item, directory=directory))
