"""Visit web pages with Chromium: click, fill, read, take pictures, download."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from orchestrator.tools.builtin.http import Url, request_refusal
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.annotations import Checked
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from orchestrator.tools.browser.visit import VisitOutcome


def _check_actions(actions: list[Any] | None) -> None:
    from orchestrator.tools.browser.interactions import read_actions

    read_actions(actions)


def _check_extract(extract: dict[str, Any] | None) -> None:
    from orchestrator.tools.browser.interactions import read_extractions

    read_extractions(extract)


def _check_picture(path: str) -> None:
    from orchestrator.tools.browser.interactions import check_picture

    check_picture("path", path)


def _check_target(target: Any) -> None:
    from orchestrator.tools.browser.interactions import read_target

    if target is not None:
        read_target("of", target)


Actions = Annotated[
    list[dict[str, Any]] | None,
    "What to do on the page, in order; each is one of `click`, `fill`, `select`, `check`, `uncheck`, `hover`, `press`, "
    "`wait_for`, `open`, `download` and `screenshot`.",
    Checked(_check_actions),
]
Wait = Annotated[float, "How long to wait for an element or a page, in seconds."]
Timeout = Annotated[float, "The timeout of the whole visit, in seconds."]
MaxBytes = Annotated[int, "The maximum number of bytes from the network, and of each file."]
MaxPages = Annotated[int, "The maximum number of pages that are opened one after another."]
Width = Annotated[int, "The width of the window in pixels."]
Height = Annotated[int, "The height of the window in pixels."]
Check = Annotated[bool, "Fail if an opened page has an error status (400 and above)."]


class BrowserFile(TypedDict):
    """A file that was saved."""

    path: Annotated[str, "The path, as given."]
    size: Annotated[int, "The size in bytes."]
    name: Annotated[str, "The name that the page gave to a download."]


class VisitedPage(TypedDict):
    """The page at the end of the visit."""

    content: Annotated[str, "The text of the page in Markdown, with links."]
    title: Annotated[str, "The title of the page."]
    url: Annotated[str, "The final URL, without its query."]
    status: Annotated[int | None, "The status of the last page that was opened by its address."]
    extracted: Annotated[dict[str, Any], "The values of `extract`, by name."]
    files: Annotated[list[BrowserFile], "The saved downloads and pictures, in order."]
    refused: Annotated[list[str], "The hosts and ports that the page was not permitted to reach."]
    truncated: Annotated[bool, "Whether texts exceeded `max_characters` and were cut."]


class PagePicture(TypedDict):
    """The picture that was saved."""

    path: Annotated[str, "The path of the picture, as given."]
    size: Annotated[int, "The size in bytes."]
    title: Annotated[str, "The title of the page."]
    url: Annotated[str, "The final URL, without its query."]


def _refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    from orchestrator.tools.browser.interactions import opened_addresses, written_paths

    found = request_refusal(known, permissions)
    for path in written_paths(known.get("actions")):
        found = found or permissions.check_write(path, parameter="actions")
    for url in opened_addresses(known.get("actions")):
        found = found or request_refusal({"url": url}, permissions)
    return found


@tool(primary="content", requires=("browser",), refusal=_refusal)
async def visit(
    url: Url,
    context: ToolContext,
    actions: Actions = None,
    extract: Annotated[
        dict[str, Any] | None,
        "What to take from the page at the end, by name; each is one of `text`, `texts`, `markdown`, `html`, `links`, "
        "`table`, `value`, `attribute` and `count`.",
        Checked(_check_extract),
    ] = None,
    main_only: Annotated[bool, "Leave out navigation, headers, footers and sidebars in `content`."] = True,
    check: Check = True,
    width: Width = 1280,
    height: Height = 800,
    locale: Annotated[str, "The language of the browser, such as `de-CH`."] = "en-US",
    wait: Wait = 15,
    timeout: Timeout = 120,  # noqa: ASYNC109 - the name that pipelines use
    max_bytes: MaxBytes = 100_000_000,
    max_pages: MaxPages = 20,
    max_characters: Annotated[int, "The maximum length of all texts together."] = 200_000,
) -> VisitedPage:
    """Open a page in a new browser, act on it, and return its text and parts of it.

    Scripts run. The browser has no cookies at first, reaches only permitted hosts, and ends with the step, whatever
    happens. An element is a CSS selector, or how a person finds it: `{role: button, name: Search}`, `{label: Name}`,
    `{text: ...}`, `{placeholder: ...}`, `{test_id: ...}`; with several, the first is used, or `nth: 2`.

    Example:
        - id: found
          tool: browser
          action: visit
          parameters:
            url: https://example.org/search
            actions:
              - {fill: {label: Search}, value: "{{ topic }}"}
              - {click: {role: button, name: Search}}
              - {wait_for: .results}
            extract:
              heading: h1
              results: {links: .results}
    """
    from orchestrator.tools.browser.interactions import check_address, read_actions, read_extractions
    from orchestrator.tools.browser.visit import VisitOrder, make_visit

    check_address("url", url)
    order = VisitOrder(
        url=url,
        actions=read_actions(actions),
        extract=read_extractions(extract),
        main_only=main_only,
        check=check,
        width=width,
        height=height,
        locale=locale,
        wait=wait,
        timeout=timeout,
        max_bytes=max_bytes,
        max_pages=max_pages,
        max_characters=max_characters,
    )
    return _result(context, await make_visit(context, order))


@tool(primary="path", requires=("browser",), refusal=request_refusal)
async def screenshot(
    url: Url,
    path: Annotated[str, "The path of the picture: `.png` or `.jpg`.", Checked(_check_picture)],
    context: ToolContext,
    of: Annotated[Any, "The element to show; default: the page.", Checked(_check_target)] = None,
    full_page: Annotated[bool, "Show the whole page, up to 20,000 pixels high, not only what fits the window."] = False,
    actions: Actions = None,
    check: Check = True,
    width: Width = 1280,
    height: Height = 800,
    wait: Wait = 15,
    timeout: Timeout = 120,  # noqa: ASYNC109 - the name that pipelines use
    max_bytes: MaxBytes = 100_000_000,
) -> PagePicture:
    """Open a page, and save a picture of it.

    Example:
        - id: picture
          tool: browser
          action: screenshot
          parameters:
            url: https://example.org
            path: output/example.png
    """
    from orchestrator.tools.browser.interactions import check_address, read_actions
    from orchestrator.tools.browser.visit import VisitOrder, make_visit

    check_address("url", url)
    last: dict[str, Any] = {"screenshot": path, "full_page": full_page}
    if of is not None:
        last["of"] = of
    order = VisitOrder(
        url=url,
        actions=read_actions([*(actions or ()), last]),
        content=False,
        check=check,
        width=width,
        height=height,
        wait=wait,
        timeout=timeout,
        max_bytes=max_bytes,
    )
    found = _result(context, await make_visit(context, order))
    picture = found["files"][-1]
    return {"path": picture["path"], "size": picture["size"], "title": found["title"], "url": found["url"]}


def _result(context: ToolContext, done: "VisitOutcome") -> VisitedPage:
    import httpx2

    from orchestrator.tools.sandbox.network import public_url

    if done.refused:
        context.log(f"the page was not permitted to reach {', '.join(done.refused)}", "warning")
    found = done.found
    return {
        "content": found["content"],
        "title": found["title"],
        "url": public_url(httpx2.URL(found["url"])) if found["url"].startswith("http") else found["url"],
        "status": found["status"],
        "extracted": found["extracted"],
        "files": [{"path": each.path, "size": each.size, "name": each.name} for each in done.files],
        "refused": list(done.refused),
        "truncated": found["truncated"],
    }
