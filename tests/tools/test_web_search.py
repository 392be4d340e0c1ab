"""Searches of the web, against local servers that speak the documented forms of each provider."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.errors import ConfigurationError, StepError
from orchestrator.models.recordings.clients import RecordingClient, ReplayClient
from orchestrator.testing import FakeModel
from orchestrator.tools import Permissions
from orchestrator.tools.web.engines import ENGINES
from orchestrator.tools.web.queries import SearchQuery, search_query
from orchestrator.tools.web.search import WebSearch
from tests.tools.web_server import Server, server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["server"]

KEYS = {"BRAVE_API_KEY": "brave-key", "TAVILY_API_KEY": "tavily-key", "EXA_API_KEY": "exa-key"}

ANSWERS: dict[str, Any] = {
    # what each provider answers, in its documented form
    "searxng": {
        "query": "tides",
        "number_of_results": 0,
        "results": [
            {"url": "https://a.example/", "title": "Tides", "content": "The sea\nrises.", "engine": "brave",
             "publishedDate": "2026-01-31T10:00:00"},
            {"url": "https://b.example/", "title": "Moon", "content": "", "publishedDate": None},
        ],
        "answers": [], "corrections": [], "infoboxes": [], "suggestions": [], "unresponsive_engines": [],
    },
    "brave": {
        "type": "search",
        "query": {"original": "tides"},
        "web": {
            "type": "search",
            "results": [
                {"title": "Tides", "url": "https://a.example/", "description": "The sea rises.",
                 "page_age": "2026-01-31T10:00:00"},
                {"title": "Moon", "url": "https://b.example/"},
            ],
        },
    },
    "tavily": {
        "query": "tides", "answer": None, "images": [], "response_time": 0.5,
        "results": [
            {"title": "Tides", "url": "https://a.example/", "content": "The sea rises.", "score": 0.9,
             "published_date": "Sat, 31 Jan 2026 10:00:00 GMT"},
            {"title": "Moon", "url": "https://b.example/", "content": "", "score": 0.5},
        ],
    },
    "exa": {
        "requestId": "1",
        "results": [
            {"id": "1", "title": "Tides", "url": "https://a.example/", "text": "The sea rises.", "score": 0.2,
             "publishedDate": "2026-01-31T10:00:00.000Z"},
            {"id": "2", "title": "Moon", "url": "https://b.example/", "publishedDate": None},
        ],
    },
}  # fmt: skip

FOUND = [
    {"title": "Tides", "url": "https://a.example/", "snippet": "The sea rises.", "published": "2026-01-31"},
    {"title": "Moon", "url": "https://b.example/", "snippet": "", "published": None},
]


class Searches:
    """Searches in a directory, at a local server instead of the providers."""

    def __init__(self, directory: Path, server: Server, environ: Mapping[str, str] = KEYS, **options: Any) -> None:
        urls = dict.fromkeys(("searxng", "brave", "tavily", "exa"), server.url)
        self.web = WebSearch(directory, environ=environ, urls=urls, **options)
        self.permissions = Permissions(directory)

    def __call__(self, provider: str | None, query: SearchQuery) -> list[dict[str, Any]]:
        return asyncio.run(self.find(provider, query))

    async def find(self, provider: str | None, query: SearchQuery) -> list[dict[str, Any]]:
        _, found = await self.web.search(query, self.permissions, provider=provider)
        return [result.data() for result in found]


@pytest.mark.parametrize("provider", ANSWERS)
def test_every_provider_gives_the_same_form_of_results(provider: str, server: Server, tmp_path: Path) -> None:
    server.answers(ANSWERS[provider])
    assert Searches(tmp_path, server)(provider, SearchQuery("tides")) == FOUND
    ((method, path, headers, given),) = server.asked
    assert given.get("q", given.get("query")) == "tides"
    assert (method, path) == {
        "searxng": ("GET", "/search"),
        "brave": ("GET", "/res/v1/web/search"),
        "tavily": ("POST", "/search"),
        "exa": ("POST", "/search"),
    }[provider]
    keys = {name: headers.get(name) for name in ("x-subscription-token", "authorization", "x-api-key")}
    assert {name: key for name, key in keys.items() if key} == {
        "searxng": {},
        "brave": {"x-subscription-token": "brave-key"},
        "tavily": {"authorization": "Bearer tavily-key"},
        "exa": {"x-api-key": "exa-key"},
    }[provider]


@pytest.mark.parametrize(
    ("provider", "given", "sent"),
    [
        ("searxng", {"region": "ch-fr", "since": "month"}, {"language": "fr-CH", "time_range": "month"}),
        ("searxng", {"region": "at"}, {"language": "de-AT"}),
        ("brave", {"region": "de-de", "since": "week"}, {"country": "DE", "search_lang": "de", "freshness": "pw"}),
        ("brave", {"since": "2026-01-01", "until": "2026-01-31"}, {"freshness": "2026-01-01to2026-01-31"}),
        ("brave", {"until": "2026-01-31"}, {"freshness": "1970-01-01to2026-01-31"}),
        ("brave", {"max_results": 50}, {"count": "20"}),
        ("tavily", {"since": "day", "max_results": 3}, {"time_range": "day", "max_results": 3}),
        (
            "tavily",
            {"since": "2026-01-01", "until": "2026-01-31"},
            {"start_date": "2026-01-01", "end_date": "2026-01-31"},
        ),
        ("exa", {"region": "de", "max_results": 3}, {"userLocation": "DE", "numResults": 3}),
        ("exa", {"since": "2026-01-01"}, {"startPublishedDate": "2026-01-01T00:00:00.000Z"}),
        ("exa", {"until": "2026-01-31"}, {"endPublishedDate": "2026-01-31T23:59:59.999Z"}),
    ],
)
def test_region_dates_and_number_are_sent_in_the_form_of_the_provider(
    provider: str, given: dict[str, Any], sent: dict[str, Any], server: Server, tmp_path: Path
) -> None:
    server.answers(ANSWERS[provider])
    wanted = search_query("tides", **{"max_results": 10, "region": None, "since": None, "until": None, **given})
    Searches(tmp_path, server)(provider, wanted)
    ((_, _, _, asked),) = server.asked
    assert sent.items() <= asked.items()


@pytest.mark.parametrize(
    ("provider", "given", "reason"),
    [
        ("tavily", {"region": "de"}, "`tavily` cannot search in a region"),
        ("searxng", {"until": "2026-01-31"}, "`searxng` cannot search between dates"),
        ("ddgs", {"since": "2026-01-31"}, "`ddgs` cannot search between dates"),
        ("searxng", {"since": "week"}, "`searxng` cannot search in the last week"),
        ("brave", {"since": "yesterday"}, "`since`: `yesterday` is not a date"),
        ("brave", {"until": "week"}, "`until`: `week` is not a date"),
        ("brave", {"region": "Germany"}, "`Germany` is not a region"),
        ("brave", {"max_results": 0}, "`max_results` must be from 1 to 50, not 0"),
    ],
)
def test_what_a_provider_cannot_do_is_refused(
    provider: str, given: dict[str, Any], reason: str, server: Server, tmp_path: Path
) -> None:
    def find() -> None:
        wanted = search_query("tides", **{"max_results": 10, "region": None, "since": None, "until": None, **given})
        Searches(tmp_path, server)(provider, wanted)

    with pytest.raises(StepError, match=reason) as refused:
        find()
    assert not refused.value.retryable
    assert refused.value.help
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "headers", "retryable", "after"),
    [
        (401, {}, False, None),
        (429, {"Retry_After": "7"}, True, 7.0),
        (503, {}, True, None),
        (302, {"Location": "/x"}, False, None),
    ],
)
def test_a_refusal_by_the_provider_says_whether_to_try_again(
    status: int, headers: dict[str, str], retryable: bool, after: float | None, server: Server, tmp_path: Path
) -> None:
    server.answers(b"brave-key is wrong", status, **headers)
    with pytest.raises(StepError, match=f"`brave` returned {status}") as refused:
        Searches(tmp_path, server)("brave", SearchQuery("tides"))
    assert (refused.value.retryable, refused.value.retry_after) == (retryable, after)
    assert "brave-key" not in f"{refused.value} {refused.value.help}"


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"web": {"results": {}}}', b'{"web": []}'])
def test_an_answer_in_another_form_is_an_error(answer: bytes, server: Server, tmp_path: Path) -> None:
    server.answers(answer)
    with pytest.raises(StepError, match=r"`brave` (answered in an unknown form|did not answer with JSON)"):
        Searches(tmp_path, server)("brave", SearchQuery("tides"))


def test_nothing_found_is_no_error_and_entries_without_address_are_left_out(server: Server, tmp_path: Path) -> None:
    searches = Searches(tmp_path, server)
    server.answers({"type": "search"})
    assert searches("brave", SearchQuery("nothing")) == []
    server.answers({"results": [{"title": "No address"}, "text", {"url": "https://c.example/", "title": None}]})
    assert [each["url"] for each in searches("searxng", SearchQuery("tides"))] == ["https://c.example/"]


def test_a_provider_without_its_key_names_the_variable(server: Server, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="`tavily` needs a key") as refused:
        Searches(tmp_path, server, {})("tavily", SearchQuery("tides"))
    assert "TAVILY_API_KEY" in (refused.value.help or "")
    assert server.asked == []


def test_the_settings_name_the_provider_and_the_server(server: Server, tmp_path: Path) -> None:
    server.answers(ANSWERS["searxng"])
    (tmp_path / "orchestrator.toml").write_text(f'[web]\nprovider = "searxng"\nsearxng_url = "{server.url}/"\n')
    web = WebSearch(tmp_path)
    name, found = asyncio.run(web.search(SearchQuery("tides"), Permissions(tmp_path)))
    assert (name, [each.data() for each in found]) == ("searxng", FOUND)
    (tmp_path / "orchestrator.toml").write_text('[web]\nprovider = "searxng"\n')
    with pytest.raises(ConfigurationError, match="needs the address of a server"):
        asyncio.run(WebSearch(tmp_path).search(SearchQuery("tides"), Permissions(tmp_path)))


def test_the_same_search_is_asked_once_until_its_time_is_over(server: Server, tmp_path: Path) -> None:
    server.answers(ANSWERS["exa"])
    searches = Searches(tmp_path, server)
    assert searches("exa", SearchQuery("tides")) == searches("exa", SearchQuery("tides"))
    assert len(server.asked) == 1
    searches("exa", SearchQuery("tides", max_results=1))
    assert len(server.asked) == 2
    (tmp_path / "orchestrator.toml").write_text('[web]\nkeep = "0s"\n')
    always = Searches(tmp_path, server)
    always("exa", SearchQuery("tides"))
    always("exa", SearchQuery("tides"))
    assert len(server.asked) == 4


def test_searches_are_spread_over_time(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    server.answers(ANSWERS["brave"])
    searches = Searches(tmp_path, server)
    monkeypatch.setattr("orchestrator.tools.web.search.asyncio.sleep", sleep)

    async def three() -> None:
        await asyncio.gather(*(searches.find("brave", SearchQuery(f"tides {n}")) for n in range(3)))

    asyncio.run(three())
    assert [round(seconds) for seconds in sorted(waits)] == [0, 1, 2]


PAGE = """<html><body><div class="links_main result__body"><h2><a href="https://a.example/">Tides</a></h2>
<a class="result__snippet" href="https://a.example/">The sea
rises.</a></div><div class="links_main result__body"><h2><a href="https://b.example/">Moon</a></h2>
<a class="result__snippet" href="https://b.example/"></a></div></body></html>"""


@pytest.fixture
def engine(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The only search engine of DDGS, at the local server."""
    from ddgs.engines import ENGINES as PUBLIC
    from ddgs.engines.duckduckgo import Duckduckgo

    class Local(Duckduckgo):
        search_url = f"{server.url}/html/"

    monkeypatch.setitem(PUBLIC, "text", {"duckduckgo": Local})
    server.answers(PAGE.encode(), Content_Type="text/html")
    return server


def test_public_search_engines_are_asked_without_a_key(engine: Server, tmp_path: Path) -> None:
    wanted = SearchQuery("tides", max_results=2, country="de", since="week")
    found = Searches(tmp_path, engine, {})(None, wanted)
    assert [(each["title"], each["url"], each["snippet"]) for each in found] == [
        ("Tides", "https://a.example/", "The sea rises."),
        ("Moon", "https://b.example/", ""),
    ]
    ((method, path, _, given),) = engine.asked
    assert (method, path) == ("POST", "/html/")
    assert (given["q"], given["l"], given["df"]) == ("tides", "de-de", "w")


def test_public_search_engines_that_find_nothing_or_cannot_be_reached(engine: Server, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text('[web]\nkeep = "0s"\nper_second = 1000\n')
    searches = Searches(tmp_path, engine)
    engine.answers(b"<html><body><p>Nothing</p></body></html>", Content_Type="text/html")
    assert searches("ddgs", SearchQuery("nothing")) == []
    engine.shutdown()
    engine.server_close()
    with pytest.raises(StepError, match="the search failed") as refused:
        searches("ddgs", SearchQuery("tides"))
    assert "SearXNG" in (refused.value.help or "")


PIPELINE = """
steps:
  - id: found
    tool: web
    action: search
    parameters: {query: tides, provider: searxng}
  - id: shown
    tool: log
    parameters: {message: "{{ found.count }} by {{ found.provider }}: {{ found[0].url }}"}
outputs: {shown: "{{ shown }}"}
"""


def test_a_search_is_recorded_and_replayed_like_an_answer_of_a_model(server: Server, tmp_path: Path) -> None:
    server.answers(ANSWERS["searxng"])
    (tmp_path / "orchestrator.toml").write_text(f'[web]\nsearxng_url = "{server.url}"\n')
    recorder = RecordingClient(FakeModel(), tmp_path / "recordings")
    with orc.Orchestrator(store=f"sqlite:///{tmp_path}/runs.db", directory=tmp_path, models=recorder) as client:
        shown = client.compile(PIPELINE).run().outputs["shown"]
    assert shown == "2 by searxng: https://a.example/"
    assert len(server.asked) == 1
    player = ReplayClient(tmp_path / "recordings")
    with orc.Orchestrator(store=f"sqlite:///{tmp_path}/runs.db", directory=tmp_path, models=player) as client:
        assert client.compile(PIPELINE).run().outputs["shown"] == shown
        with pytest.raises(orc.RunFailed, match="the request of step `found` to `searxng`; the nearest is") as missing:
            client.compile(PIPELINE.replace("query: tides", "query: moon")).run()
    assert "query: [-tides-]{+moon+}" in str(missing.value)
    assert len(server.asked) == 1
    assert player.models == frozenset()


def test_every_engine_is_a_provider_of_the_settings_and_of_the_tool() -> None:
    from typing import get_args

    from orchestrator.config.vocabulary import SearchProvider

    assert tuple(ENGINES) == get_args(SearchProvider)
