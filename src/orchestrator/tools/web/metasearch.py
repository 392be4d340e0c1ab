"""Searches with the library DDGS, which asks public search engines without a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes
from orchestrator.errors import StepError, StepTimeout
from orchestrator.tools.web.queries import SearchResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.tools.web.queries import SearchQuery

TIMEOUT: Final = 15
"""Seconds for one search engine to answer."""


def search(query: SearchQuery) -> list[SearchResult]:
    """Search, blocking. Without results the list is empty.

    Raises:
        StepError: The search engines refuse, or cannot be reached.
    """
    from ddgs import DDGS
    from ddgs.exceptions import DDGSException, RatelimitException, TimeoutException

    region = f"{query.country}-{query.language or query.country}" if query.country is not None else "us-en"
    try:
        found = DDGS(timeout=TIMEOUT).text(
            query.query,
            region=region,
            timelimit=query.since[0] if query.since is not None else None,
            max_results=query.max_results,
        )
    except TimeoutException as error:
        raise StepTimeout(f"the search engines did not respond within {TIMEOUT} s", seconds=TIMEOUT) from error
    except RatelimitException as error:
        help = "search less often, or choose a `provider` with a key or your own SearXNG server"
        raise StepError("the search engines refuse further searches", code=codes.HTTP_FAILED, help=help) from error
    except DDGSException as error:
        if "no results" in str(error).lower():
            return []
        help = "try again later, or choose a `provider` with a key or your own SearXNG server"
        raise StepError(f"the search failed: {error}", code=codes.HTTP_FAILED, help=help) from error
    return list(_results(found))


def _results(found: list[dict[str, Any]]) -> Iterator[SearchResult]:
    for entry in found:
        if entry.get("href"):
            yield SearchResult(
                str(entry.get("title", "")).strip(), str(entry["href"]), " ".join(str(entry.get("body", "")).split())
            )
