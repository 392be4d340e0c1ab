"""The table `[memory]` of orchestrator.toml: which namespaces steps may use, and how much they may keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.config.project_file import ProjectFile

if TYPE_CHECKING:
    from pathlib import Path

MOST_KEYS: Final = 10_000
"""The keys of a namespace, where the settings do not say."""

LARGEST_VALUE: Final = 100_000
"""The bytes of a value as JSON, where the settings do not say."""

_ALL: Final = "*"


class MemorySettings(Struct, frozen=True):
    """What steps may keep. A namespace in a list stands for itself; with `*` at its end, for all that begin with it."""

    project: str = ""
    namespaces: tuple[str, ...] = (_ALL,)
    read_only: tuple[str, ...] = ()
    max_keys: int = MOST_KEYS
    max_value: int = LARGEST_VALUE
    ttl: float | None = None

    @classmethod
    def load(cls, directory: str | Path = ".") -> MemorySettings:
        """Read the settings from `orchestrator.toml` in `directory`.

        Raises:
            ConfigurationError: The file is not valid TOML, or a setting is unknown or has the wrong type.
        """
        file = ProjectFile.load(directory)
        if not file.has("memory"):
            return cls()
        from orchestrator.config.tables.memory import MemorySection

        table = file.read(MemorySection).memory
        return cls(
            table.project or "",
            (_ALL,) if table.namespaces is None else table.namespaces,
            table.read_only,
            MOST_KEYS if table.max_keys is None else table.max_keys,
            LARGEST_VALUE if table.max_value is None else table.max_value,
            table.ttl,
        )

    def can_read(self, namespace: str) -> bool:
        """Return whether steps may use a namespace."""
        return _is_among(namespace, self.namespaces)

    def can_write(self, namespace: str) -> bool:
        """Return whether steps may change a namespace."""
        return self.can_read(namespace) and not _is_among(namespace, self.read_only)


def _is_among(namespace: str, patterns: tuple[str, ...]) -> bool:
    return any(
        namespace.startswith(pattern[:-1]) if pattern.endswith(_ALL) else namespace == pattern for pattern in patterns
    )
