"""Prints one page as PDF. It does not import Orchestrator, and runs in a separate, limited process.

Nothing is loaded, neither from the network nor from files: pictures are in the page.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from typing import Any, Final

MOST_REMARKS: Final = 20


class Remarks(logging.Handler):
    """Keeps the first warnings of WeasyPrint: invalid CSS, links that lead nowhere."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line."""
        if len(self.lines) < MOST_REMARKS:
            self.lines.append(record.getMessage()[:500])


def run_task(task: dict[str, Any]) -> dict[str, Any]:
    """Write the PDF file, and return what the outcome is."""
    warnings.simplefilter("ignore")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            import weasyprint
    except OSError as error:
        return {"missing": str(error).splitlines()[0]}
    from weasyprint.text.fonts import FontConfiguration
    from weasyprint.urls import URLFetcher

    remarks = Remarks()
    weasyprint.LOGGER.handlers = [remarks]
    fetcher = URLFetcher(allowed_protocols=("data",), allow_redirects=False)
    fonts = FontConfiguration()
    styles = [
        weasyprint.CSS(string=style, font_config=fonts, url_fetcher=fetcher, base_url=None) for style in task["styles"]
    ]
    page = weasyprint.HTML(string=task["page"], url_fetcher=fetcher, base_url=None)
    document = page.render(stylesheets=styles, font_config=fonts, pdf_tags=True)
    if len(document.pages) > task["max_pages"]:
        return {"pages": len(document.pages), "too_long": True}
    document.write_pdf(task["target"], pdf_tags=True, custom_metadata=False)
    return {"pages": len(document.pages), "remarks": remarks.lines}
