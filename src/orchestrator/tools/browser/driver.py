"""Visits pages with Playwright. It does not import Orchestrator, and runs in a separate process.

What it returns is what the page showed, or `problem`: what happened, at which action.
"""

from __future__ import annotations

import re
import runpy
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page, Response

OPTIONS: Final = (
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--dns-prefetch-disable",
    # WebRTC, whose packets would not pass the proxy, may use nothing but the proxy.
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    # No name is resolved by the browser itself.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
TALLEST: Final = 20_000
"""Pixels of a picture of a whole page."""

MOST_ITEMS: Final = 10_000
SLICE: Final = 500.0
"""Milliseconds after which it is looked at which window is the newest."""

_LINKS: Final = """(element, most) => {
    const links = element.matches('a[href]') ? [element] : [...element.querySelectorAll('a[href]')]
    return links.filter(each => /^(https?|mailto):/.test(each.href)).slice(0, most).map(
        each => ({text: each.innerText.trim().replace(/\\s+/g, ' '), url: each.href}))
}"""
_TABLE: Final = """(element, most) => {
    const table = element.matches('table') ? element : element.querySelector('table')
    if (!table) return null
    const grid = []
    const rows = [...table.rows].slice(0, most)
    rows.forEach((row, y) => {
        grid[y] = grid[y] || []
        let x = 0
        for (const cell of row.cells) {
            while (grid[y][x] !== undefined) x++
            const text = cell.innerText.trim().replace(/\\s+/g, ' ')
            for (let down = 0; down < Math.min(cell.rowSpan || 1, rows.length - y, 1000); down++) {
                grid[y + down] = grid[y + down] || []
                for (let right = 0; right < Math.min(cell.colSpan, 100); right++) grid[y + down][x + right] = text
            }
            x += Math.min(cell.colSpan, 100)
        }
    })
    const head = rows.length > 0 && ([...rows[0].cells].some(each => each.tagName === 'TH')
        || rows[0].parentElement.tagName === 'THEAD')
    return {head, cells: grid.map(row => Array.from(row, each => each === undefined ? '' : each))}
}"""


class PageProblem(Exception):
    """What went wrong."""

    def __init__(self, kind: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.data = {"kind": kind, "message": message, **more}


class PageVisit:
    """A visit of one context, whose newest window is the one that is used."""

    def __init__(self, context: BrowserContext, task: dict[str, Any]) -> None:
        self.context = context
        self.task = task
        self.opened = 0
        self.files: list[dict[str, Any]] = []
        self.left = int(task["longest"])
        self.truncated = False
        self.response: Response | None = None
        context.on("page", self._watch)

    @property
    def page(self) -> Page:
        """The newest window that is open."""
        if not self.context.pages:
            raise PageProblem("closed", "the page has closed its last window")
        return self.context.pages[-1]

    def _watch(self, page: Page) -> None:
        page.on("framenavigated", lambda frame: self._count() if frame.parent_frame is None else None)

    def _count(self) -> None:
        self.opened += 1

    def check_pages(self) -> None:
        """Refuse a page that opens one page after another."""
        if self.opened > self.task["max_pages"]:
            raise PageProblem("pages", f"more than {self.task['max_pages']} pages were opened")

    def open(self, url: str) -> None:
        """Open an address."""
        from playwright.sync_api import Error

        if not url.lower().startswith(("http://", "https://")):
            raise PageProblem("navigation", "it is not an HTTP URL", url=url)
        try:
            response = self.page.goto(url, timeout=self.task["patience"])
        except Error as error:
            kind = "download" if "Download is starting" in error.message else "navigation"
            raise PageProblem(kind, first_line(error), url=url) from None
        if response is not None and self.task["check"] and response.status >= 400:
            raise PageProblem("status", "", url=url, status=response.status, reason=response.status_text)
        self.response = response

    def find(self, target: dict[str, Any]) -> Locator:
        """Return the locator of a target: of its first element, unless `nth` says another."""
        page, exact = self.page, target.get("exact", False)
        if "role" in target:
            found = page.get_by_role(
                target["role"], **({"name": target["name"]} if "name" in target else {}), exact=exact
            )
        elif "label" in target:
            found = page.get_by_label(target["label"], exact=exact)
        elif "text" in target:
            found = page.get_by_text(target["text"], exact=exact)
        elif "placeholder" in target:
            found = page.get_by_placeholder(target["placeholder"], exact=exact)
        elif "test_id" in target:
            found = page.get_by_test_id(target["test_id"])
        else:
            found = page.locator(f"css={target['css']}")
        return found.nth(target["nth"]) if "nth" in target else found

    def locate(self, target: dict[str, Any], state: Literal["attached", "detached", "visible", "hidden"]) -> Locator:
        """Wait for an element in the newest window, which can be one that opens meanwhile."""
        from playwright.sync_api import TimeoutError as PlaywrightTimeout

        end = time.monotonic() + self.task["patience"] / 1000
        while True:
            element = self.find(target).first
            left = (end - time.monotonic()) * 1000
            try:
                element.wait_for(state=state, timeout=max(min(left, SLICE), 1))
            except PlaywrightTimeout:
                self.check_pages()
                if left <= SLICE:
                    raise
            else:
                return element

    def act(self, action: dict[str, Any]) -> None:
        """Carry out one action."""
        do, target = action["do"], action.get("target")
        state: Any = action.get("state", "visible") if do == "wait_for" else "attached"
        element = self.locate(target, state) if target is not None else None
        match do:
            case "open":
                self.open(action["text"])
            case "click" | "hover" | "check" | "uncheck":
                getattr(element, do)()
            case "fill":
                element.fill(action["value"])  # type: ignore[union-attr]
            case "select":
                element.select_option(action["value"])  # type: ignore[union-attr]
            case "press":
                self.locate(action.get("on") or {"css": "body"}, "attached").press(action["text"])
            case "wait_for":
                pass
            case "download":
                self.download(element, action["path"])  # type: ignore[arg-type]
            case "screenshot":
                self.screenshot(action)

    def download(self, element: Locator, path: str) -> None:
        """Click on something that starts a download, and save what comes."""
        with self.page.expect_download(timeout=self.task["patience"]) as waiting:
            element.click()
        download = waiting.value
        place = self.place("download")
        if (failure := download.failure()) is not None:
            raise PageProblem("failed download", failure, url=download.url)
        download.save_as(place)
        self.files.append({"path": path, "file": str(place), "name": download.suggested_filename})

    def screenshot(self, action: dict[str, Any]) -> None:
        """Take a picture of the page, all of it or one element."""
        path, place = action["text"], self.place("picture")
        options: dict[str, Any] = {
            "path": place,
            "type": "png" if path.lower().endswith(".png") else "jpeg",
            "animations": "disabled",
        }
        if "of" in action:
            self.locate(action["of"], "visible").screenshot(**options)
        else:
            if action.get("full_page"):
                options["full_page"] = True
                height = self.page.evaluate("() => document.documentElement.scrollHeight")
                if height > TALLEST:
                    options["clip"] = {"x": 0, "y": 0, "width": self.task["width"], "height": TALLEST}
            self.page.screenshot(**options)
        self.files.append({"path": path, "file": str(place), "name": place.name})

    def place(self, kind: str) -> Path:
        """Return a path for another file."""
        return Path(self.task["directory"]) / f"{kind}-{len(self.files)}"

    def extract(self, wanted: dict[str, Any]) -> Any:
        """Return one part of the page."""
        from playwright.sync_api import TimeoutError as PlaywrightTimeout

        kind, target = wanted["kind"], wanted["target"]
        if kind == "count":
            return self.find(target).count()
        if kind == "texts":
            return self.bounded(self.find(target).all_inner_texts()[:MOST_ITEMS])
        if wanted["optional"]:
            element = self.find(target).first
            try:
                element.wait_for(state="attached", timeout=SLICE)
            except PlaywrightTimeout:
                return None
        else:
            element = self.locate(target, "attached")
        return self.bounded(self._extracted(kind, element, wanted))

    def _extracted(self, kind: str, element: Locator, wanted: dict[str, Any]) -> Any:
        match kind:
            case "text":
                return element.inner_text().strip()
            case "markdown":
                return self.markdown(element.evaluate("each => each.outerHTML"), main_only=False)[1]
            case "html":
                return element.evaluate("each => each.outerHTML")
            case "links":
                return element.evaluate(_LINKS, MOST_ITEMS)
            case "table":
                return table_rows(element.evaluate(_TABLE, MOST_ITEMS))
            case "value":
                return element.input_value()
        return element.get_attribute(wanted["name"])

    def markdown(self, html: str, *, main_only: bool) -> tuple[str, str]:
        """Return the title and the Markdown of HTML."""
        convert = runpy.run_path(self.task["converter"])["convert_html"]
        title, text = convert(html.encode(), "utf-8", self.page.url, main_only=main_only)
        return title, re.sub(r"\n{3,}", "\n\n", text).strip()

    def bounded(self, value: Any) -> Any:
        """Return a value of which all texts together are not longer than what is left."""
        if isinstance(value, str):
            kept = value[: self.left]
            self.truncated = self.truncated or len(kept) < len(value)
            self.left -= len(kept)
            return kept
        if isinstance(value, list):
            return [self.bounded(each) for each in value]
        if isinstance(value, dict):
            return {name: self.bounded(each) for name, each in value.items()}
        return value


def table_rows(table: dict[str, Any] | None) -> Any:
    """Return the rows of a table as objects, by the names of its first row if that is a head."""
    if table is None:
        raise PageProblem("table", "the element is not a table, and contains none")
    cells: list[list[str]] = table["cells"]
    width = max(map(len, cells), default=0)
    given = cells[0] if table["head"] and cells else []
    names: list[str] = []
    for index in range(width):
        name = (given[index] if index < len(given) else "") or f"column {index + 1}"
        names.append(name if name not in names else f"{name} {index + 1}")
    rows = cells[1:] if table["head"] else cells
    return [{name: row[index] if index < len(row) else "" for index, name in enumerate(names)} for row in rows]


def first_line(error: Exception) -> str:
    """Return what an error of Playwright says, without its log of calls."""
    text = str(getattr(error, "message", error)).split("\n")[0].strip()
    return text[:500]


def reason(error: Exception) -> str:
    """Return why the browser does not start, by the log that Playwright appends to its error."""
    lines = str(getattr(error, "message", error)).splitlines()
    logged = [line.rpartition("] ")[2] for line in lines if "[err]" in line and "dbus" not in line]
    said = [line for line in logged if any(word in line for word in ("ERROR", "FATAL", "Failed", "sandbox", "error"))]
    return "; ".join(dict.fromkeys(said[:3] or logged[-3:] or [first_line(error)]))[:500]


def visit(context: BrowserContext, task: dict[str, Any]) -> dict[str, Any]:
    """Carry out a visit; return what it found."""
    from playwright.sync_api import Error
    from playwright.sync_api import TimeoutError as PlaywrightTimeout

    context.set_default_timeout(task["patience"])
    run = PageVisit(context, task)
    context.new_page()
    where = "url"
    try:
        run.open(task["url"])
        for index, action in enumerate(task["actions"]):
            where = f"actions[{index}].{action['do']}"
            run.check_pages()
            run.act(action)
        where = "url"
        with suppress(PlaywrightTimeout):
            run.page.wait_for_load_state("load")
        if run.page.url.startswith("chrome-error:"):
            raise PageProblem("navigation", "the last page could not be opened")
        extracted = {}
        for name, wanted in task["extract"].items():
            where = f"extract.{name}"
            extracted[name] = run.extract(wanted)
        where = "url"
        run.check_pages()
        title, text = "", ""
        if task["content"]:
            title, text = run.markdown(run.page.content(), main_only=task["main_only"])
        return {
            "url": run.page.url,
            "title": run.bounded(run.page.title() or title),
            "status": run.response.status if run.response is not None else None,
            "content": run.bounded(text),
            "extracted": extracted,
            "files": run.files,
            "truncated": run.truncated,
        }
    except PageProblem as problem:
        return {"problem": {**problem.data, "where": where}}
    except PlaywrightTimeout as error:
        return {"problem": {"kind": "timeout", "message": first_line(error), "where": where}}
    except Error as error:
        return {"problem": {"kind": "error", "message": first_line(error), "where": where}}


def run_task(task: dict[str, Any]) -> dict[str, Any]:
    """Start a browser, visit, and end it."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=task["program"],
                args=list(OPTIONS),
                chromium_sandbox=task["sandbox"],
                proxy=task["proxy"],
                downloads_path=task["directory"],
                timeout=task["patience"] * 4,
            )
        except Error as error:
            return {"problem": {"kind": "start", "message": reason(error), "where": "url"}}
        context = browser.new_context(
            viewport={"width": task["width"], "height": task["height"]},
            locale=task["locale"],
            accept_downloads=True,
        )
        try:
            return visit(context, task)
        finally:
            with suppress(Error):
                context.close()
                browser.close()
