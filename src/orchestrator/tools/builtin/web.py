"""Search the web, and read pages and documents as Markdown."""

import codecs
from typing import Annotated, TypedDict

from orchestrator import codes
from orchestrator.config.vocabulary import SearchProvider
from orchestrator.errors import StepError
from orchestrator.tools.builtin.http import Timeout, Url, request_refusal
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.web.queries import search_query
from orchestrator.tools.web.search import WebSearch


class FoundPage(TypedDict):
    """One result of a search."""

    title: Annotated[str, "The title of the page."]
    url: Annotated[str, "The address of the page."]
    snippet: Annotated[str, "An excerpt of the page."]
    published: Annotated[str | None, "The date of the page, such as `2026-01-31`; null if it is not known."]


class FoundPages(TypedDict):
    """The results of a search, the best first."""

    results: Annotated[list[FoundPage], "The results, the best first."]
    count: Annotated[int, "The number of results."]
    query: Annotated[str, "The search."]
    provider: Annotated[str, "The provider that searched."]


class PageText(TypedDict):
    """A page or a document as Markdown."""

    content: Annotated[str, "The text in Markdown, with links."]
    title: Annotated[str, "The title of the page, or an empty string."]
    url: Annotated[str, "The final URL after redirects, without its query."]
    kind: Annotated[str, "The kind of document: `html`, `pdf`, `docx`, `pptx`, `xlsx`, `epub` or `text`."]
    truncated: Annotated[bool, "Whether the text exceeded `max_characters` and was cut."]


@tool(primary="results", requires="web")
async def search(
    query: Annotated[str, "What to search for."],
    context: ToolContext,
    max_results: Annotated[int, "The maximum number of results, from 1 to 50."] = 10,
    region: Annotated[str | None, "The country, or the country and the language: `de`, `ch-fr`."] = None,
    since: Annotated[str | None, "The age of results: `day`, `week`, `month`, `year`, or a date."] = None,
    until: Annotated[str | None, "The latest date of results, such as `2026-01-31`."] = None,
    provider: Annotated[
        SearchProvider | None, "The provider; default: that of `[web]` in orchestrator.toml, else `ddgs`."
    ] = None,
) -> FoundPages:
    """Search the web.

    `ddgs` asks public search engines without a key. `searxng` needs `searxng_url` below `[web]` in orchestrator.toml;
    `brave`, `tavily` and `exa` need a key: `BRAVE_API_KEY`, `TAVILY_API_KEY`, `EXA_API_KEY`. What a provider cannot do,
    such as a region, is refused. Searches are recorded and replayed with `--record` and `--replay`, like answers of
    models.

    Example:
        - id: found
          tool: web
          action: search
          parameters:
            query: tidal power plants
            max_results: 5
            since: year
    """
    wanted = search_query(query, max_results, region, since, until)
    name, results = await context.service(WebSearch).search(
        wanted, context.permissions, provider=provider, step=context.step
    )
    found: list[FoundPage] = [
        {"title": each.title, "url": each.url, "snippet": each.snippet, "published": each.published} for each in results
    ]
    return {"results": found, "count": len(found), "query": wanted.query, "provider": name}


@tool(primary="content", requires="documents", refusal=request_refusal)
async def read(
    url: Url,
    context: ToolContext,
    main_only: Annotated[bool, "Leave out navigation, headers, footers and sidebars of a page."] = True,
    robots: Annotated[bool, "Refuse pages that the site excludes for programs in its `robots.txt`."] = True,
    max_bytes: Annotated[int, "The maximum size of the page or document, in bytes."] = 20_000_000,
    max_characters: Annotated[int, "The maximum length of the text."] = 200_000,
    timeout: Timeout = 60,  # noqa: ASYNC109 - the name that pipelines use
) -> PageText:
    """Read a web page, or a PDF, Word, PowerPoint, Excel or EPUB document, as Markdown.

    Links are kept. Scripts do not run, so what a page adds with them is missing. The conversion runs in a separate
    process, with limits on memory and time.

    Example:
        - id: page
          tool: web
          action: read
          parameters:
            url: https://example.org/tides
    """
    from orchestrator.tools.builtin.http import check_status, exchange
    from orchestrator.tools.documents.conversion import KINDS, document_kind, to_markdown
    from orchestrator.tools.sandbox.network import public_url, read_limited, safe_url
    from orchestrator.tools.web.robots import AGENT, check_robots

    if robots:
        await check_robots(context, url)
    async with exchange(context, "GET", url, timeout, headers={"User-Agent": AGENT}) as response:
        body = b"".join([piece async for piece in read_limited(response, max_bytes)])
        check_status(response, body)
        media_type, charset = response.headers.get("content-type", "").partition(";")[0], response.charset_encoding
        address, final = public_url(response.url), str(response.url)
    if robots and final != url:  # a redirect can lead to another site
        await check_robots(context, final)
    kind = document_kind(media_type, address)
    if kind is None:
        raise StepError(
            f"{safe_url(url)} is `{media_type}`, which cannot be read as text",
            code=codes.INVALID_TOOL_INPUT,
            help=f"it must be one of {', '.join(KINDS)}; `http.download` saves any file",
            retryable=False,
        )
    if kind == "text":
        text = (
            body.decode(charset or "utf-8", errors="replace") if _is_known(charset) else body.decode(errors="replace")
        )
        cut = len(text) > max_characters
        return {"content": text[:max_characters], "title": "", "url": address, "kind": kind, "truncated": cut}
    found = await to_markdown(
        body, kind, url=final, charset=charset, main_only=main_only, longest=max_characters, timeout=timeout
    )
    return {
        "content": found.text,
        "title": found.title,
        "url": address,
        "kind": kind,
        "truncated": found.truncated,
    }


def _is_known(charset: str | None) -> bool:
    try:
        codecs.lookup(charset or "utf-8")
    except LookupError:
        return False
    return True
