"""Create reports from Markdown: HTML pages, PDF files and Word documents."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from anyio import to_thread

from orchestrator import codes
from orchestrator.errors import StepError
from orchestrator.tools.builtin.access import Mode, check_access, file_errors, file_mode, permitted_location
from orchestrator.tools.builtin.filesystem import read_bytes, write_bytes
from orchestrator.tools.contract import ToolContext
from orchestrator.tools.functions.definition import tool
from orchestrator.tools.reports.pages import Appearance, PaperSize, Theme, report_title
from orchestrator.tools.reports.pictures import (
    LARGEST_PICTURE,
    PICTURE_KINDS,
    WORD_PICTURE_KINDS,
    embed_pictures,
    leave_out_pictures,
    picture_paths,
)
from orchestrator.tools.sandbox.permissions import Permissions
from orchestrator.tools.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from orchestrator.tools.reports.markdown import MarkdownReport

_LONGEST = 5_000_000
_CHECKED = 10_000
"""How many characters of a text are looked at before the call: each picture is checked again when it is read."""


class ReportResult(TypedDict):
    """The page, its title, and its path (null without `path`)."""

    html: Annotated[str, "The page."]
    title: Annotated[str, "The title of the page."]
    path: Annotated[str | None, "The path of the written file, or null."]


class PdfResult(TypedDict):
    """The written PDF file."""

    path: Annotated[str, "The path of the written file."]
    title: Annotated[str, "The title of the report."]
    pages: Annotated[int, "The number of pages."]
    size: Annotated[int, "The size in bytes."]


class WordResult(TypedDict):
    """The written Word document."""

    path: Annotated[str, "The path of the written file."]
    title: Annotated[str, "The title of the report."]
    size: Annotated[int, "The size in bytes."]


def _pictures(known: Mapping[str, Any]) -> Iterator[str]:
    """Return the paths of the pictures of a text that is not long."""
    text = known.get("markdown")
    if isinstance(text, str) and "![" in text and len(text) <= _CHECKED:
        from orchestrator.tools.reports.markdown import read_markdown

        yield from picture_paths(read_markdown(text))


def _refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
    path = known.get("path")
    if isinstance(path, str) and (refusal := check_access(permissions, path, "write", "path")) is not None:
        return refusal
    found = (check_access(permissions, picture, "read", "markdown") for picture in _pictures(known))
    return next((refusal for refusal in found if refusal is not None), None)


Text = Annotated[str, "The text in CommonMark, with tables, strikethrough and footnotes (`[^1]`)."]
Title = Annotated[str | None, "The title; default: the first heading."]
Author = Annotated[str | None, "The author, shown below the title; default: none."]
Date = Annotated[str | None, "The date, shown below the title as it is written; default: none."]
Language = Annotated[str, "The language of the text, such as `en` or `de-CH`."]
Contents = Annotated[bool, "Add a table of contents."]
Css = Annotated[str, "CSS rules to add to those of the theme. They cannot load anything."]


@tool(primary="html", refusal=_refusal)
def html(
    markdown: Text,
    context: ToolContext,
    title: Title = None,
    path: Annotated[str | None, "The path of the file to write; default: none."] = None,
    author: Author = None,
    date: Date = None,
    language: Language = "en",
    theme: Annotated[Theme, "How it looks: `plain`, or `report` with serifs and colour."] = "plain",
    contents: Contents = False,
    css: Css = "",
    mode: Mode = None,
) -> ReportResult:
    """Render Markdown as a self-contained HTML page for light and dark mode.

    HTML in the text is escaped and scripts do not run, so the text can come from an untrusted source. Pictures that are
    local files become a part of the page.

    Example:
        - id: page
          tool: report
          action: html
          parameters:
            markdown: "{{ draft }}"
            path: output/report.html
    """
    from orchestrator.tools.reports.pages import screen_page

    report, _ = _read(context, markdown, PICTURE_KINDS)
    appearance = Appearance(title, author, date, language, theme, contents, css)
    page = screen_page(report, appearance)
    if path is not None:
        _write(context, path, page.encode(), mode)
    return {"html": page, "title": report_title(report, appearance), "path": path}


@tool(primary="path", requires="pdf", refusal=_refusal)
async def pdf(
    markdown: Text,
    path: Annotated[str, "The path of the file to write."],
    context: ToolContext,
    title: Title = None,
    author: Author = None,
    date: Date = None,
    language: Language = "en",
    theme: Annotated[Theme, "How it looks: `plain`, or `report` with a cover, serifs and colour."] = "report",
    contents: Contents = False,
    css: Css = "",
    paper: Annotated[PaperSize, "The size of the pages."] = "A4",
    max_pages: Annotated[int, "The maximum number of pages."] = 500,
    timeout: Annotated[float, "The maximum time, in seconds."] = 120,  # noqa: ASYNC109 - the name that pipelines use
    mode: Mode = None,
) -> PdfResult:
    """Render Markdown as a PDF file with page numbers, bookmarks and links.

    A picture that is a local file, alone in its paragraph, is a figure; its title is the caption. Nothing is loaded
    from the network: a picture with an address is replaced by its text, and a line in the log says so. The file is made
    in a separate process, with limits on memory and time. It needs the library Pango.

    Example:
        - id: report
          tool: report
          action: pdf
          parameters:
            markdown: "{{ draft }}"
            path: output/report.pdf
            author: Ada Lovelace
            contents: true
    """
    from orchestrator.tools.reports.conversion import to_pdf
    from orchestrator.tools.reports.pages import paper_page, paper_styles

    report, elsewhere = await to_thread.run_sync(_read, context, markdown, PICTURE_KINDS)
    _say_left_out(context, report, elsewhere)
    appearance = Appearance(title, author, date, language, theme, contents, css)
    page = await to_thread.run_sync(paper_page, report, appearance)
    printed = await to_pdf(page, paper_styles(appearance, paper), max_pages=max_pages, timeout=timeout)
    for remark in printed.remarks:
        context.log(remark, "warning")
    await to_thread.run_sync(_write, context, path, printed.content, mode)
    return {
        "path": path,
        "title": report_title(report, appearance),
        "pages": printed.pages,
        "size": len(printed.content),
    }


@tool(primary="path", requires="docx", refusal=_refusal)
async def docx(
    markdown: Text,
    path: Annotated[str, "The path of the file to write."],
    context: ToolContext,
    title: Title = None,
    author: Author = None,
    date: Date = None,
    language: Language = "en",
    contents: Contents = False,
    paper: Annotated[PaperSize, "The size of the pages."] = "A4",
    timeout: Annotated[float, "The maximum time, in seconds."] = 120,  # noqa: ASYNC109 - the name that pipelines use
    mode: Mode = None,
) -> WordResult:
    """Render Markdown as a Word document with the styles of Word, so that its look can be changed there.

    Pictures are PNG, JPEG or GIF files. Nothing is loaded from the network: a picture with an address is replaced by
    its text, and a line in the log says so. The file is made in a separate process, with limits on memory and time.

    Example:
        - id: report
          tool: report
          action: docx
          parameters:
            markdown: "{{ draft }}"
            path: output/report.docx
    """
    from orchestrator.tools.reports.conversion import to_docx
    from orchestrator.tools.reports.pages import paper_page

    report, elsewhere = await to_thread.run_sync(_read, context, markdown, WORD_PICTURE_KINDS)
    _say_left_out(context, report, elsewhere)
    appearance = Appearance(title, author, date, language, contents=contents)
    page = await to_thread.run_sync(paper_page, report, appearance)
    shown = report_title(report, appearance)
    content = await to_docx(page, title=shown, author=author, language=language, paper=paper, timeout=timeout)
    await to_thread.run_sync(_write, context, path, content, mode)
    return {"path": path, "title": shown, "size": len(content)}


def _read(context: ToolContext, markdown: str, kinds: Sequence[str]) -> "tuple[MarkdownReport, list[str]]":
    """Read a text with its pictures, and return it with the addresses of those that are elsewhere."""
    from orchestrator.tools.reports.markdown import read_markdown

    if len(markdown) > _LONGEST:
        message = f"the text has {len(markdown):,} characters, of {_LONGEST:,} at most"
        raise StepError(message, code=codes.INVALID_TOOL_INPUT, help="write several reports", retryable=False)
    report = read_markdown(markdown)
    return report, embed_pictures(report, lambda path: read_bytes(context, path, LARGEST_PICTURE), kinds=kinds)


def _say_left_out(context: ToolContext, report: "MarkdownReport", elsewhere: Sequence[str]) -> None:
    leave_out_pictures(report)
    for address in elsewhere:
        context.log(f"the picture {address} is not loaded: save it with `http.download` first", "warning")


def _write(context: ToolContext, path: str, content: bytes, mode: str | None) -> None:
    place = permitted_location(context, path, "write")
    with file_errors("write", path):
        write_bytes(place, content, mode=file_mode(mode))
    context.wrote(place.path)
