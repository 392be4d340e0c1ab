"""The table of web searches."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestrator.config import setting_types as kinds
from orchestrator.config.tables.base import Section, SettingsTable, setting


class WebTable(SettingsTable):
    """How steps search the web. Keys come from the environment: `BRAVE_API_KEY`, `TAVILY_API_KEY`, `EXA_API_KEY`."""

    elsewhere: ClassVar = {
        **dict.fromkeys(("engine", "backend", "search", "search_provider"), "provider"),
        **dict.fromkeys(("url", "base_url", "searxng", "server"), "searxng_url"),
        **dict.fromkeys(("cache", "ttl"), "keep"),
        **dict.fromkeys(("rate", "rate_limit", "requests_per_second"), "per_second"),
    }

    provider: kinds.SearchProvider = setting(
        '"searxng"',
        "the provider of searches that name none: `ddgs` (default), `searxng`, `brave`, `tavily` or `exa`",
        "ddgs",
    )
    searxng_url: kinds.Url | None = setting(
        '"https://search.example.org"', "the address of your SearXNG server, with the format `json` enabled"
    )
    keep: kinds.Duration | None = setting(
        '"1h"', "how long the results of a search are used again in the same process; by default 15m, `0s` for never"
    )
    per_second: kinds.Number | None = setting(
        "0.5", "the maximum number of searches in a second, by default as the provider allows"
    )


class WebSection(Section):
    """Web searches."""

    web: WebTable = Field(default_factory=WebTable)
