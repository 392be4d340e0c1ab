"""What the tests of tools share: a context that records, and a way to call an action as the runtime does."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.tools import Permissions, Tool, Unresolved, builtin_registry, call_action, to_tool

REGISTRY = builtin_registry()


@dataclass
class FakeContext:
    permissions: Permissions
    run_id: str = "run"
    step: str = "step"
    attempt: int = 1
    idempotency_key: str = "key"
    lines: list[tuple[str, str]] = field(default_factory=list)
    reports: list[tuple[float | None, str]] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        return self.permissions.directory

    def progress(self, fraction: float | None, message: str = "") -> None:
        self.reports.append((fraction, message))

    def log(self, message: str, level: str = "info") -> None:
        self.lines.append((level, message))

    def service(self, kind: type[Any]) -> Any:
        return kind()

    def wrote(self, path: str | os.PathLike[str]) -> None:
        self.written.append(self.directory / path)


class Workplace:
    """A working directory and what is allowed in it; `workplace("filesystem.read", path=...)` calls a built-in."""

    def __init__(self, directory: Path, **allowed: Any) -> None:
        self.directory = directory
        self.permissions = Permissions(directory).extended(**allowed)
        self.context = FakeContext(self.permissions)

    def __call__(self, name: str, /, **parameters: Any) -> Any:
        return asyncio.run(self.acall(name, **parameters))

    async def acall(self, name: str, /, **parameters: Any) -> Any:
        resolved = REGISTRY.resolve(None, name)
        assert not isinstance(resolved, Unresolved), resolved
        return await call_action(resolved[1], parameters, self.context)


def call_tool(obj: Any, parameters: Mapping[str, Any], directory: Path = Path()) -> Any:
    """Call the only action of whatever can be a tool."""
    tool: Tool = to_tool(obj)
    assert tool.only_action is not None
    return asyncio.run(call_action(tool.only_action, parameters, FakeContext(Permissions(directory))))
