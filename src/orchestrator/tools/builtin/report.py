"""Create HTML reports."""

import re
from html import escape
from typing import Annotated, TypedDict

from orchestrator.tools.builtin.access import Mode, checks_paths, file_errors, file_mode, permitted_location
from orchestrator.tools.builtin.filesystem import write_bytes
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool


class ReportResult(TypedDict):
    """The page, its title, and its path (null without `path`)."""

    html: Annotated[str, "The page."]
    title: Annotated[str, "The title of the page."]
    path: Annotated[str | None, "The path of the written file, or null."]


_PAGE = """<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; img-src https: data:">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }}
h1, h2, h3 {{ line-height: 1.25; }}
table {{ border-collapse: collapse; }}
th, td {{ border: 1px solid #8888; padding: .3rem .7rem; text-align: left; }}
pre {{ overflow-x: auto; padding: .8rem; background: #8882; border-radius: .3rem; }}
code {{ font-family: ui-monospace, monospace; font-size: .95em; }}
blockquote {{ margin-left: 0; padding-left: 1rem; border-left: .2rem solid #8888; }}
img {{ max-width: 100%; }}
</style>
</head>
<body>
{body}</body>
</html>
"""


@tool(primary="html", refusal=checks_paths(path="write"))
def html(
    markdown: Annotated[str, "The text in CommonMark, with tables and strikethrough."],
    context: ToolContext,
    title: Annotated[str | None, "The title of the page; default: its first heading."] = None,
    path: Annotated[str | None, "The path of the file to write; default: none."] = None,
    language: Annotated[str, "The language of the text, such as `en` or `de-CH`."] = "en",
    mode: Mode = None,
) -> ReportResult:
    """Render Markdown as a self-contained HTML page for light and dark mode.

    HTML in the text is escaped and scripts do not run, so the text can come from an untrusted source.

    Example:
        - id: page
          tool: report
          parameters:
            markdown: "{{ draft }}"
            path: output/report.html
    """
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).render(markdown)
    heading = re.search(r"^#{1,6}[ \t]+(\S[^\n]*)$", markdown, re.MULTILINE)
    chosen = title if title is not None else heading[1].strip().rstrip("#").strip() if heading else "Report"
    page = _PAGE.format(language=escape(language), title=escape(chosen), body=body)
    if path is not None:
        place = permitted_location(context, path, "write")
        with file_errors("write", path):
            write_bytes(place, page.encode(), mode=file_mode(mode))
    return {"html": page, "title": chosen, "path": path}
