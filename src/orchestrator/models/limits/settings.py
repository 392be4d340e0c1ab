"""The table `[limits]` of `orchestrator.toml`: how often a provider or a model may be called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.config.project_file import SettingsTable, read_configuration
from orchestrator.language.values.durations import parse_duration
from orchestrator.models.catalog.names import provider_named
from orchestrator.models.catalog.settings import ModelSettings, model_named
from orchestrator.models.limits.windows import PROVIDER, Rate

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.models.catalog.providers import Provider

LONGEST_WAIT = 600.0
"""Seconds that a call waits for its turn at most, where the settings do not say it."""

_RATE = ("requests_per_minute", "tokens_per_minute")


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
        table = read_configuration(directory).table("limits")
        providers = ModelSettings.load(directory).providers
        rates: dict[str, dict[str, Rate]] = {}
        for key, value in table.values.items():
            if isinstance(value, Mapping):
                provider, model = _named(table, key, providers)
                rates.setdefault(provider, {})[model] = _rate(table.table(key))
        single = {key: value for key, value in table.values.items() if not isinstance(value, Mapping)}
        SettingsTable(table.file, table.name, single).only(("longest_wait",))
        return cls(rates, _longest(table))


def _named(table: SettingsTable, key: str, providers: Mapping[str, Provider]) -> tuple[str, str]:
    provider = provider_named(key, providers)
    if provider is not None:
        return provider, PROVIDER
    name = model_named(table, key, providers)
    return name.provider, name.model


def _rate(table: SettingsTable) -> Rate:
    table.only(_RATE)
    return Rate(table.whole("requests_per_minute", "500"), table.whole("tokens_per_minute", "200_000"))


def _longest(table: SettingsTable) -> float:
    value = table.values.get("longest_wait")
    if value is None:
        return LONGEST_WAIT
    try:
        return parse_duration(value)
    except ValueError as error:
        problem = f"`{table.path('longest_wait')}` is not a duration: {error}"
        raise table.error(problem, 'write for example `longest_wait = "10m"`') from error
