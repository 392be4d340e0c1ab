"""A visit as a step makes it: finds Chromium, carries the visit out in a guarded process, and puts files into place."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.text.words import byte_size, quoted_list
from orchestrator.tools.browser import driver
from orchestrator.tools.browser.proxy import FilteringProxy
from orchestrator.tools.builtin.access import file_errors, permitted_location
from orchestrator.tools.documents import driver as converter
from orchestrator.tools.sandbox.isolated_task import run_isolated
from orchestrator.tools.sandbox.network import safe_url
from orchestrator.tools.sandbox.trees import replacing

if TYPE_CHECKING:
    from orchestrator.tools.contract import ToolContext
    from orchestrator.tools.sandbox.isolated_task import TaskResult

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_ELSEWHERE: Final = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
_INSTALL: Final = "install it on Debian and Ubuntu with: apt-get install chromium"
_SANDBOX_HELP: Final = (
    "it could not create its sandbox: on Debian and Ubuntu, install it with `apt-get install chromium-sandbox`, or "
    "allow user namespaces"
)
_CHUNK: Final = 1 << 20
_SHORT: Final = 40
_MEMORY: Final = 6_000_000_000
_RETRIED: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class VisitOrder(Struct, frozen=True, kw_only=True):
    """What a visit does. Times are in seconds, `max_bytes` counts what comes from the network."""

    url: str
    actions: Sequence[Mapping[str, Any]] = ()
    extract: Mapping[str, Mapping[str, Any]] = {}
    content: bool = True
    main_only: bool = True
    check: bool = True
    width: int = 1280
    height: int = 800
    locale: str = "en-US"
    wait: float = 15.0
    timeout: float = 120.0
    max_bytes: int = 100_000_000
    max_pages: int = 20
    max_characters: int = 200_000


class SavedFile(Struct, frozen=True):
    """A file of a visit that was put into its place; `name` is what the server called it."""

    path: str
    size: int
    name: str


class VisitOutcome(Struct, frozen=True):
    """What a visit found, the files that it saved, and the hosts that it was refused."""

    found: Mapping[str, Any]
    files: Sequence[SavedFile]
    refused: Sequence[str]
    received: int


def find_program() -> str:
    """Return the path of Chromium.

    Raises:
        StepError: It is not installed.
    """
    for name in (*PROGRAMS, *_ELSEWHERE):
        if found := shutil.which(name):
            return found
    raise StepError("Chromium is not installed", code=codes.TOOL_FAILED, help=_INSTALL, retryable=False)


async def make_visit(context: ToolContext, order: VisitOrder) -> VisitOutcome:
    """Visit a page in a new context of a new browser. When this returns, none of its processes is left.

    Raises:
        PermissionDenied: The page is at an address that is not permitted.
        StepTimeout: The visit took longer than its timeout.
        StepError: The page cannot be opened, has no such element, or exceeds the limits.
    """
    program = find_program()
    with tempfile.TemporaryDirectory(prefix="orc-", dir=_short_directory(), ignore_cleanup_errors=True) as scratch:
        home, files = Path(scratch, "h"), Path(scratch, "f")
        for directory in (home, files):
            directory.mkdir()
        visit: asyncio.Task[TaskResult] | None = None

        def stop() -> None:
            if visit is not None:
                visit.cancel()

        async with FilteringProxy(context.permissions, order.max_bytes, stop) as proxy:
            task = {
                "program": program,
                "proxy": proxy.access,
                "sandbox": _can_have_sandbox(),
                "directory": str(files),
                "converter": str(converter.__file__),
                "url": order.url,
                "actions": list(order.actions),
                "extract": dict(order.extract),
                "content": order.content,
                "main_only": order.main_only,
                "check": order.check,
                "width": order.width,
                "height": order.height,
                "locale": order.locale,
                "patience": order.wait * 1000,
                "longest": order.max_characters,
                "max_pages": order.max_pages,
            }
            visit = asyncio.ensure_future(
                run_isolated(
                    driver,
                    task,
                    doing=f"the visit of {safe_url(order.url)}",
                    timeout=order.timeout,
                    memory=_MEMORY,
                    counted="data",
                    environment=_environment(home),
                )
            )
            try:
                done = await visit
            except asyncio.CancelledError:
                if proxy.exceeded:
                    raise _too_large(order) from None
                raise
        if proxy.exceeded:
            raise _too_large(order)
        if "problem" in done.outcome:
            raise _problem(done.outcome["problem"], order, proxy)
        if done.failure:
            raise StepError(f"the browser failed: {done.failure}", code=codes.TOOL_FAILED)
        saved = [_saved(context, each, order) for each in done.outcome["files"]]
        return VisitOutcome(done.outcome, saved, sorted(proxy.refused), proxy.received)


def _short_directory() -> str:
    """Return a directory for temporary files whose path is short: Chromium makes sockets there, which limits it."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _SHORT or not os.access("/tmp", os.W_OK) else "/tmp"  # noqa: S108 - a new directory


def _can_have_sandbox() -> bool:
    """Whether Chromium can isolate pages from this user: not if that is root."""
    return sys.platform != "linux" or os.geteuid() != 0


def _environment(home: Path) -> dict[str, str]:
    """Return variables by which the browser writes only into a directory that is removed afterwards."""
    names = ("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")
    return {**dict.fromkeys(names, str(home)), "DBUS_SESSION_BUS_ADDRESS": "disabled:"}


def _saved(context: ToolContext, file: Mapping[str, Any], order: VisitOrder) -> SavedFile:
    """Move a file of a visit into its place."""
    path, source = str(file["path"]), Path(str(file["file"]))
    place = permitted_location(context, path, "write")
    size = source.stat().st_size
    if size > order.max_bytes:
        raise _too_large(order)
    with file_errors("write", path), source.open("rb") as content, replacing(place) as target:
        shutil.copyfileobj(content, target, _CHUNK)
    context.wrote(place.path)
    return SavedFile(path, size, str(file["name"]))


def _too_large(order: VisitOrder) -> StepError:
    return StepError(
        f"{safe_url(order.url)} loaded more than {byte_size(order.max_bytes)}",
        code=codes.HTTP_FAILED,
        help="increase `max_bytes`",
        retryable=False,
    )


def _problem(problem: Mapping[str, Any], order: VisitOrder, proxy: FilteringProxy) -> StepError:
    """Return the error for what went wrong on a page."""
    kind, where, message = problem["kind"], problem["where"], problem["message"]
    url = str(problem.get("url", order.url))
    at = "" if where == "url" else f"`{where}`: "
    match kind:
        case "start":
            help = _SANDBOX_HELP if "sandbox" in message.lower() else f"start it by hand to see why; {_INSTALL}"
            return StepError(f"Chromium does not start: {message}", code=codes.TOOL_FAILED, help=help)
        case "navigation":
            return _unreachable(at, url, message, proxy)
        case "download":
            help = "save it with `http.download`, or click on a link to it with the action `download`"
            return _failed(f"{at}{safe_url(url)} is not a page, but a file", help)
        case "failed download":
            return _about(_failed(f"{at}the download of {safe_url(url)} failed: {message}", None), proxy)
        case "status":
            status = int(problem["status"])
            return StepError(
                f"{at}{safe_url(url)} returned {status} {problem['reason']}".rstrip(),
                code=codes.HTTP_FAILED,
                help="set `check: false` to accept any status",
                retryable=status in _RETRIED,
            )
        case "pages":
            return _failed(f"{safe_url(order.url)}: {message}", "increase `max_pages`", retryable=False)
        case "timeout":
            help = f"no such element appeared within {order.wait:g} s; check how it is found, or increase `wait`"
            return _about(_failed(f"{at}{_waiting(message)}", help), proxy)
    return _about(_failed(f"{at}{message}", None), proxy)


def _unreachable(at: str, url: str, message: str, proxy: FilteringProxy) -> StepError:
    parts = urlsplit(url)
    key = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    refusals = [proxy.refused[key]] if key in proxy.refused else list(proxy.refused.values())
    if refusals and key not in proxy.failed:
        return refusals[-1]
    reason = proxy.failed.get(key) or message.removeprefix("Page.goto: ").partition(" at http")[0]
    help = "check the URL, and that the server is running and reachable from here"
    return StepError(f"{at}{safe_url(url)} cannot be opened: {reason}", code=codes.HTTP_FAILED, help=help)


def _waiting(message: str) -> str:
    return "an element was not found" if "Timeout" in message else message


def _about(error: StepError, proxy: FilteringProxy) -> StepError:
    """Name what may be the reason of an error: requests that were refused."""
    if proxy.refused:
        error.help = f"requests of the page to {quoted_list(sorted(proxy.refused), most=5)} were refused"
        error.remedies = next(iter(proxy.refused.values())).remedies
    return error


def _failed(message: str, help: str | None, *, retryable: bool = True) -> StepError:
    return StepError(message, code=codes.HTTP_FAILED, help=help, retryable=retryable)
