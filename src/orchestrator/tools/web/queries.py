"""Searches and their results, the same for every provider."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_RESULTS: Final = 50
SPANS: Final = ("day", "week", "month", "year")
"""The words for the age of a result."""

_REGION: Final = re.compile(r"([a-z]{2})(?:-([a-z]{2}))?", re.IGNORECASE)


class SearchQuery(Struct, frozen=True):
    """One search. `country` and `language` are codes of two letters, `since` a word of `SPANS` or a date."""

    query: str
    max_results: int = 10
    country: str | None = None
    language: str | None = None
    since: str | None = None
    until: str | None = None

    def data(self, provider: str) -> dict[str, Any]:
        """Return it as JSON data: what identifies a search."""
        given = {
            "provider": provider,
            "query": self.query,
            "max_results": self.max_results,
            "region": "-".join(filter(None, (self.country, self.language))) or None,
            "since": self.since,
            "until": self.until,
        }
        return {key: value for key, value in given.items() if value is not None}


class SearchResult(Struct, frozen=True):
    """One result. `published` is an ISO date, None if the provider does not say it."""

    title: str
    url: str
    snippet: str = ""
    published: str | None = None

    def data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"title": self.title, "url": self.url, "snippet": self.snippet, "published": self.published}

    @classmethod
    def restored(cls, data: Mapping[str, Any]) -> SearchResult:
        """Return the result that `data` describes."""
        return cls(str(data["title"]), str(data["url"]), str(data.get("snippet", "")), data.get("published"))


def search_query(query: str, max_results: int, region: str | None, since: str | None, until: str | None) -> SearchQuery:
    """Return a valid search.

    Raises:
        StepError: A parameter is invalid.
    """
    if not query.strip():
        raise invalid_search("`query` is empty", "write what to search for")
    if not 1 <= max_results <= MOST_RESULTS:
        raise invalid_search(
            f"`max_results` must be from 1 to {MOST_RESULTS}, not {max_results}", "change `max_results`"
        )
    country = language = None
    if region is not None:
        found = _REGION.fullmatch(region.strip())
        if found is None:
            raise invalid_search(
                f"`{region}` is not a region", "write a country, or a country and a language: `de`, `ch-fr`"
            )
        country, language = found[1].lower(), (found[2] or "").lower() or None
    if since is not None and since not in SPANS:
        _check_date("since", since)
    if until is not None:
        _check_date("until", until)
    return SearchQuery(" ".join(query.split()), max_results, country, language, since, until)


def _check_date(name: str, text: str) -> None:
    try:
        date.fromisoformat(text)
    except ValueError:
        words = f"{', '.join(f'`{span}`' for span in SPANS)}, or " if name == "since" else ""
        raise invalid_search(f"`{name}`: `{text}` is not a date", f"write {words}a date such as `2026-01-31`") from None


def invalid_search(message: str, help: str) -> StepError:
    """Return the error for a search that cannot be made."""
    return StepError(message, code=codes.INVALID_PARAMETER, help=help, retryable=False)
