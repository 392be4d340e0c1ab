"""The HTTP interfaces of search providers: how each is asked, and where its results stand in the answer.

Written after the documentation of SearXNG's Search API, Brave's Web Search API, Tavily's `/search` and Exa's `/search`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from msgspec import Struct, field

from orchestrator.tools.web.queries import SPANS, SearchQuery, SearchResult, invalid_search

_DAYS: Final = {"day": 1, "week": 7, "month": 31, "year": 366}


class HttpSearch(Struct, frozen=True):
    """One request: the path below the address of the provider, with query parameters or a JSON body."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None


class SearchEngine(Struct, frozen=True):
    """One provider.

    Attributes:
        name: Its name in pipelines and settings.
        url: Its address; "" if the settings must name one.
        key_variables: The environment variables that may hold its key; none if it needs none.
        key_header: The header with the key, and what stands before the key.
        request: The request for a search.
        results: The list of results in an answer.
        fields: The names of title, address, excerpt and date in a result.
        per_second: How many searches it accepts in a second.
        regions: Whether it can search in a region.
        dates: Whether it can search between dates.
        spans: The words that it accepts for the age of results.
    """

    name: str
    url: str = ""
    key_variables: tuple[str, ...] = ()
    key_header: tuple[str, str] = ("", "")
    request: Callable[[SearchQuery], HttpSearch] = lambda query: HttpSearch("")
    results: tuple[str, ...] = ("results",)
    fields: tuple[str, str, str, str] = ("title", "url", "content", "publishedDate")
    per_second: float = 5.0
    regions: bool = True
    dates: bool = True
    spans: tuple[str, ...] = SPANS


def _searxng(query: SearchQuery) -> HttpSearch:
    params = {"q": query.query, "format": "json"}
    if query.country is not None:
        language = query.language or _SPOKEN.get(query.country, query.country)
        params["language"] = f"{language}-{query.country.upper()}"
    if query.since is not None:
        params["time_range"] = query.since
    return HttpSearch("/search", params)


_SPOKEN: Final = {
    **dict.fromkeys(("us", "gb", "uk", "au", "nz", "ie", "ca", "in", "za"), "en"),
    **dict.fromkeys(("at", "ch"), "de"),
    **dict.fromkeys(("mx", "ar", "co", "cl", "pe"), "es"),
    "br": "pt",
    "be": "nl",
    "se": "sv",
    "dk": "da",
    "no": "nb",
    "jp": "ja",
    "cn": "zh",
    "kr": "ko",
    "cz": "cs",
    "gr": "el",
    "ua": "uk",
    "il": "he",
    "si": "sl",
    "ee": "et",
}
"""The language of a country whose code is another one."""


def _brave(query: SearchQuery) -> HttpSearch:
    params = {"q": query.query, "count": str(min(query.max_results, 20))}
    if query.country is not None:
        params["country"] = query.country.upper()
    if query.language is not None:
        params["search_lang"] = query.language
    if query.until is None and query.since in SPANS:
        params["freshness"] = f"p{str(query.since)[0]}"
    elif query.since is not None or query.until is not None:
        params["freshness"] = f"{_start(query) or '1970-01-01'}to{query.until or _today().isoformat()}"
    return HttpSearch("/res/v1/web/search", params)


def _tavily(query: SearchQuery) -> HttpSearch:
    body: dict[str, Any] = {"query": query.query, "max_results": min(query.max_results, 20)}
    if query.until is None and query.since in SPANS:
        body["time_range"] = query.since
    else:
        body |= {key: text for key, text in (("start_date", _start(query)), ("end_date", query.until)) if text}
    return HttpSearch("/search", json=body)


def _exa(query: SearchQuery) -> HttpSearch:
    body: dict[str, Any] = {
        "query": query.query,
        "numResults": query.max_results,
        "contents": {"text": {"maxCharacters": 500}},
    }
    if query.country is not None:
        body["userLocation"] = query.country.upper()
    if (start := _start(query)) is not None:
        body["startPublishedDate"] = f"{start}T00:00:00.000Z"
    if query.until is not None:
        body["endPublishedDate"] = f"{query.until}T23:59:59.999Z"
    return HttpSearch("/search", json=body)


def _start(query: SearchQuery) -> str | None:
    if query.since in _DAYS:
        return (_today() - timedelta(days=_DAYS[str(query.since)])).isoformat()
    return query.since


def _today() -> date:
    return datetime.now(UTC).date()


_ALL: Final = (
    SearchEngine("ddgs", per_second=1.0, dates=False),
    SearchEngine("searxng", request=_searxng, dates=False, spans=("day", "month", "year")),
    SearchEngine(
        "brave",
        "https://api.search.brave.com",
        ("BRAVE_API_KEY", "BRAVE_SEARCH_API_KEY"),
        ("X-Subscription-Token", ""),
        _brave,
        ("web", "results"),
        ("title", "url", "description", "page_age"),
        per_second=1.0,
    ),
    SearchEngine(
        "tavily",
        "https://api.tavily.com",
        ("TAVILY_API_KEY",),
        ("Authorization", "Bearer "),
        _tavily,
        fields=("title", "url", "content", "published_date"),
        regions=False,
    ),
    SearchEngine(
        "exa",
        "https://api.exa.ai",
        ("EXA_API_KEY",),
        ("x-api-key", ""),
        _exa,
        fields=("title", "url", "text", "publishedDate"),
    ),
)

ENGINES: Final[Mapping[str, SearchEngine]] = {engine.name: engine for engine in _ALL}
"""The providers by name."""


def check_supported(query: SearchQuery, engine: SearchEngine) -> None:
    """Refuse what a provider cannot do, instead of ignoring it.

    Raises:
        StepError: The provider cannot search like this.
    """
    if query.country is not None and not engine.regions:
        raise invalid_search(
            f"`{engine.name}` cannot search in a region", "remove `region`, or choose another `provider`"
        )
    is_date = query.until is not None or (query.since is not None and query.since not in SPANS)
    if is_date and not engine.dates:
        help = (
            f"write one of `day`, `week`, `month`, `year` as `since`, or choose a `provider` with dates: {_WITH_DATES}"
        )
        raise invalid_search(f"`{engine.name}` cannot search between dates", help)
    if query.since in SPANS and query.since not in engine.spans:
        listed = ", ".join(f"`{span}`" for span in engine.spans)
        raise invalid_search(f"`{engine.name}` cannot search in the last {query.since}", f"write one of {listed}")


_WITH_DATES: Final = "`brave`, `tavily`, `exa`"


def read_results(engine: SearchEngine, answer: Any) -> Iterator[SearchResult]:
    """Yield the results in an answer; entries without an address are left out.

    Raises:
        ValueError: The answer has another form.
    """
    found = answer
    for name in engine.results:
        if not isinstance(found, Mapping):
            raise ValueError("it is not an object")
        found = found.get(name)
        if found is None:
            return  # Brave leaves `web` out if nothing is found
    if not isinstance(found, list):
        raise ValueError(f"its `{'.'.join(engine.results)}` is not a list")
    title, url, snippet, published = engine.fields
    for entry in found:
        if isinstance(entry, Mapping) and isinstance(address := entry.get(url), str) and address:
            yield SearchResult(_text(entry.get(title)), address, _text(entry.get(snippet)), _date(entry.get(published)))


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _date(value: Any) -> str | None:
    """Return the date in any of the forms that providers use; None for others."""
    if not isinstance(value, str):
        return None
    for read in (datetime.fromisoformat, lambda text: datetime.strptime(text, "%a, %d %b %Y %H:%M:%S %Z")):
        try:
            return read(value.strip()).date().isoformat()
        except ValueError:
            continue
    return None
