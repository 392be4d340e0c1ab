"""Converts a report to PDF or to a Word document in a process that no style sheet or picture can escape or exhaust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.tools.reports import docx_driver, pdf_driver
from orchestrator.tools.sandbox.isolated_task import run_isolated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

_LIBRARIES: Final = (
    "install it on Debian and Ubuntu with: apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 "
    "(macOS: brew install pango)"
)


class PrintedReport(Struct, frozen=True):
    """A PDF file, its number of pages, and what the style sheets or links are warned of."""

    content: bytes
    pages: int
    remarks: tuple[str, ...] = ()


async def to_pdf(
    page: str,
    styles: Sequence[str],
    *,
    max_pages: int,
    timeout: float,  # noqa: ASYNC109 - the process must have ended before this returns
) -> PrintedReport:
    """Print a page with these style sheets.

    Raises:
        StepTimeout: It took longer than `timeout` seconds and was ended.
        StepError: It has more than `max_pages` pages, needs too much memory, or a library is missing.
    """
    task = {"page": page, "styles": list(styles), "max_pages": max_pages}
    outcome, content = await _converted(pdf_driver, task, "PDF", timeout)
    if "missing" in outcome:
        message = f"PDF files need the library Pango, which is not installed: {outcome['missing']}"
        raise StepError(message, code=codes.EXTRA_MISSING, help=_LIBRARIES, retryable=False)
    if outcome.get("too_long"):
        raise StepError(
            f"the report has {outcome['pages']} pages, and `max_pages` is {max_pages}",
            code=codes.INVALID_TOOL_INPUT,
            help="raise `max_pages`, or shorten the text",
            retryable=False,
        )
    return PrintedReport(content, outcome["pages"], tuple(outcome["remarks"]))


async def to_docx(
    page: str,
    *,
    title: str,
    author: str | None,
    language: str,
    paper: str,
    timeout: float,  # noqa: ASYNC109 - as above
) -> bytes:
    """Write a page as a Word document.

    Raises:
        StepTimeout: It took longer than `timeout` seconds and was ended.
        StepError: A picture is damaged, or it needs too much memory.
    """
    task = {"page": page, "title": title, "author": author, "language": language, "paper": paper}
    _, content = await _converted(docx_driver, task, "DOCX", timeout)
    return content


async def _converted(
    driver: ModuleType,
    task: Mapping[str, Any],
    kind: str,
    timeout: float,  # noqa: ASYNC109 - as above
) -> tuple[Mapping[str, Any], bytes]:
    """Run a driver; return its outcome and the file that it wrote."""
    done = await run_isolated(driver, task, doing=f"the conversion to {kind}", timeout=timeout)
    if done.failure:
        raise StepError(
            f"the report cannot be converted to {kind}: {done.failure}",
            code=codes.INVALID_TOOL_INPUT,
            help="a picture may be damaged, or the report too large",
            retryable=False,
        )
    return done.outcome, done.content or b""
