"""The table `[limits]` of `orchestrator.toml`: how often a provider or a model may be called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.config.project_file import ProjectFile
from orchestrator.models.catalog.names import provider_named
from orchestrator.models.catalog.settings import model_named, provider_names, unknown_provider
from orchestrator.models.limits.windows import PROVIDER, Rate

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_WAIT = 600.0
"""Seconds that a call waits for its turn at most, where the settings do not say it."""


class LimitSettings(Struct, frozen=True):
    """The table `[limits]`: rates by provider, and by model at each, and the longest wait in seconds."""

    rates: Mapping[str, Mapping[str, Rate]] = field(default_factory=dict)
    longest_wait: float = LONGEST_WAIT

    @classmethod
    def load(cls, directory: str | Path = ".") -> LimitSettings:
        """Read them from `orchestrator.toml` in `directory`.

        Raises:
            ConfigurationError: The file is not TOML, or has a setting that is unknown or of the wrong type.
        """
        file = ProjectFile.load(directory)
        if not file.has("limits"):
            return cls()
        known = provider_names(file)

        def named(key: str) -> tuple[str, str]:
            if provider := provider_named(key, known):
                return provider, PROVIDER
            if not {":", "/"} & set(key):
                raise unknown_provider(key, known)
            name = model_named(key, known)
            return name.provider, name.model

        from orchestrator.config.tables.models import LimitSection

        table = file.read(LimitSection, file.refused("limits", named)).limits
        rates: dict[str, dict[str, Rate]] = {}
        for key, rate in table.entries.items():
            provider, model = named(key)
            rates.setdefault(provider, {})[model] = Rate(rate.requests_per_minute, rate.tokens_per_minute)
        return cls(rates, LONGEST_WAIT if table.longest_wait is None else table.longest_wait)
