"""A run as one HTML file to keep or to send: what it made, its steps drawn, when they worked, and what they cost.

It needs nothing else: no script, no font, no picture from elsewhere. Texts of the run are escaped, never markup.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.history.result_page import iso_time
from orchestrator.history.step_page import step_page
from orchestrator.history.step_tree import TreeLine, spending_cells, step_summary, step_tree
from orchestrator.history.timeline import Segment, TimelineRow, timeline_of, worked_until
from orchestrator.remedies import advice, remedies_from
from orchestrator.text.words import plural, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from orchestrator.history.files import RecordedFile
    from orchestrator.history.result import Result
    from orchestrator.history.timeline import SegmentKind
    from orchestrator.journal import RunRecord, RunStatus, Store

MOST_TEXT: Final = 100_000
"""How many characters of one output are shown."""

MOST_FILES: Final = 200
"""How many of the files of a run are listed."""

_LONGEST_CELL: Final = 200
_NARROWEST: Final = 0.3  # percent of the width: shorter segments could not be seen

KINDS: Final[Mapping[SegmentKind, str]] = {
    "attempt": "working",
    "steps": "its steps work",
    "place": "waits for a place",
    "retry": "waits for its next attempt",
    "limit": "waits for a rate limit",
    "person": "waits for a person",
    "time": "waits for its time",
    "handler": "its error is handled",
}
"""What a step does in a segment of the timeline, in words."""


def html_report(
    store: Store,
    record: RunRecord,
    status: RunStatus,
    result: Result,
    files: Sequence[RecordedFile],
    *,
    drawing: str,
) -> str:
    """Return the report of a run as of its status.

    `drawing` is its graph as SVG; empty where its pipeline does not compile any more.
    """
    rows = timeline_of(store, status, step_page(result.steps, record.plan).rows, _began(status))
    until = worked_until(store, status) or time.time()
    return "\n".join(
        [
            _HEAD.format(
                title=_html(f"{record.name or record.pipeline}: {status.state}"),
                style=_STYLE.read_text(encoding="utf-8"),
            ),
            *_heading(record, status),
            *_error(result),
            *_outputs(result.outputs),
            *_graph(drawing),
            *_timeline(rows, _began(status), until),
            *_steps(result),
            *_values("Inputs", record.inputs),
            *_files(files),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _began(status: RunStatus) -> float:
    return status.started_at or status.created_at


def _heading(record: RunRecord, status: RunStatus) -> Iterator[str]:
    yield f"<header><h1>{_html(record.name or record.pipeline)}</h1>"
    yield f'<p class="state {status.state}">{status.state}</p></header>'
    facts = {
        "Run": status.run_id,
        "Pipeline": f"{record.pipeline}, from {record.source_name}",
        "Began": f"{iso_time(_began(status))} UTC",
        "Ended": f"{iso_time(status.ended_at)} UTC" if status.ended_at else "",
        "Worked for": f"{status.elapsed:.2f} s",
        "Steps": ", ".join(f"{count:,} {state}" for state, count in status.counts.items() if count),
    }
    if spending := status.spending:
        usage = spending.usage
        facts["Models"] = f"{plural(spending.calls, 'call')}, {usage.input:,} tokens in, {usage.output:,} out"
        facts["Cost"] = spending.price
    if status.reason:
        facts["Reason"] = status.reason
    facts["Labels"] = ", ".join(label for label in record.labels if not label.startswith("orchestrator:"))
    yield "<dl>" + "".join(f"<dt>{name}</dt><dd>{_html(text)}</dd>" for name, text in facts.items() if text) + "</dl>"
    yield from (f'<p class="warning">{_html(message)}</p>' for message in status.warnings)


def _error(result: Result) -> Iterator[str]:
    error = result.error
    if error is None:
        return
    where = f" in step <code>{_html(str(error['step']))}</code>" if error.get("step") else ""
    yield f'<section class="error"><h2>Error <code>{_html(str(error.get("code")))}</code>{where}</h2>'
    yield f"<pre>{_html(_bounded(str(error.get('message') or '')))}</pre>"
    if help := advice(error.get("help"), remedies_from(error.get("remedies"))):
        yield f"<p>{_html(help)}</p>"
    yield "</section>"


def _outputs(outputs: Mapping[str, Any]) -> Iterator[str]:
    if outputs:
        texts = {name: _text(value) for name, value in outputs.items()}
        short = [(name, text) for name, text in texts.items() if len(text) <= _LONGEST_CELL and "\n" not in text]
        yield "<section><h2>Outputs</h2>"
        if short:
            yield _table(("Name", "Value"), short)
        for name in (name for name in texts if name not in dict(short)):
            yield f"<h3>{_html(name)}</h3><pre>{_html(texts[name])}</pre>"
        yield "</section>"


def _values(title: str, values: Mapping[str, Any]) -> Iterator[str]:
    if values:
        rows = ((name, shorten(_text(value), _LONGEST_CELL)) for name, value in values.items())
        yield f"<section><h2>{title}</h2>{_table(('Name', 'Value'), rows)}</section>"


def _graph(drawing: str) -> Iterator[str]:
    if drawing:
        picture = f"data:image/svg+xml;base64,{b64encode(drawing.encode()).decode()}"
        yield f'<section><h2>Graph</h2><div class="wide"><img src="{picture}" alt="the steps and their states"></div>'
        yield "</section>"


def _timeline(rows: Sequence[TimelineRow], began: float, until: float) -> Iterator[str]:
    """Draw when each of the steps at the top worked and waited, by its share of the time of the run."""
    ends = [each.end or until for row in rows for each in row.segments]
    if not ends:
        return
    width = max([until, *ends]) - began or 1.0
    used = dict.fromkeys((_class(each), _words(each)) for row in rows for each in row.segments if not each.forgotten)
    yield '<section><h2>Timeline</h2><div class="timeline">'
    for row in rows:
        bars = "".join(_bar(each, began, width, until) for each in row.segments if not each.forgotten)
        critical = ' class="critical" title="a faster one would have ended the run earlier"' if row.critical else ""
        yield f'<span{critical}>{_html(row.row.id)}</span><div class="bars">{bars}</div><span>{_took(row)}</span>'
    yield '</div><p class="legend">'
    yield " ".join(f'<span><i class="{kind}"></i>{words}</span>' for kind, words in sorted(used))
    yield f"<span>bold: on the critical path</span> <span>the whole width: {width:.2f} s</span></p></section>"


def _bar(segment: Segment, began: float, width: float, until: float) -> str:
    left = max(0.0, (segment.begin - began) / width * 100)
    wide = max(_NARROWEST, ((segment.end or until) - segment.begin) / width * 100)
    words = f"attempt {segment.attempt}: {_words(segment)}" if segment.attempt > 1 else _words(segment)
    style = f"left:{min(left, 100 - _NARROWEST):.2f}%;width:{min(wide, 100 - left):.2f}%"
    return f'<i class="{_class(segment)}" style="{style}" title="{words}"></i>'


def _class(segment: Segment) -> str:
    return f"attempt {segment.outcome}".strip() if segment.kind == "attempt" else segment.kind


def _words(segment: Segment) -> str:
    return segment.outcome or KINDS["attempt"] if segment.kind == "attempt" else KINDS[segment.kind]


def _took(row: TimelineRow) -> str:
    head = row.row.head
    return f"{head.elapsed:.2f} s" if head.ended_at and head.started_at else _html(head.state)


def _steps(result: Result) -> Iterator[str]:
    lines = list(step_tree(result.steps))
    costs = bool(result.spending)
    names = ("Step", "State", "Attempts", "Took", *(("Tokens", "Cost") if costs else ()), "")
    yield f"<section><h2>Steps</h2>{_table(names, (_row(line, costs=costs) for line in lines), depth=lines)}</section>"


def _row(line: TreeLine, *, costs: bool) -> tuple[str, ...]:
    step = line.step
    if step is None:
        return (line.label, *[""] * (6 if costs else 4))
    about = (step.error or {}).get("message") or step.reason or step_summary(step)
    return (
        line.label,
        step.state,
        str(step.attempts) if step.attempts and not step.kind else "",
        f"{step.elapsed:.2f} s" if step.ended_at else "",
        *(spending_cells(step.spending) if costs else ()),
        shorten(str(about or ""), _LONGEST_CELL),
    )


def _files(files: Sequence[RecordedFile]) -> Iterator[str]:
    if files:
        rows = ((file.path, f"{file.size:,} B", file.step) for file in files[:MOST_FILES])
        more = f"<p>… {len(files) - MOST_FILES:,} more</p>" if len(files) > MOST_FILES else ""
        yield f"<section><h2>Files</h2>{_table(('File', 'Size', 'Step'), rows)}{more}</section>"


def _table(names: Iterable[str], rows: Iterable[Sequence[str]], depth: Sequence[TreeLine] = ()) -> str:
    """Return a table; with the lines of a tree, its first column is indented as they are."""
    head = "".join(f"<th>{name}</th>" for name in names)
    body = []
    for number, (first, *others) in enumerate(rows):
        indent = f' style="padding-left:{depth[number].depth * 1.2 + 0.5:.1f}em"' if depth else ""
        cells = "".join(f"<td>{_cell(text)}</td>" for text in others)
        body.append(f"<tr><td{indent}>{_html(first)}</td>{cells}</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _cell(text: str) -> str:
    return f'<span class="state {text}">{text}</span>' if text in _STATES else _html(text)


def _text(value: Any) -> str:
    return _bounded(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


def _bounded(text: str) -> str:
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}\n… (only the beginning is shown)"


def _html(text: str) -> str:
    """Return text as HTML shows it, without characters that it does not allow."""
    return escape("".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text))


_STATES: Final = frozenset(
    ("pending", "running", "waiting", "paused", "succeeded", "failed", "skipped", "cancelled", "interrupted")
)

_HEAD: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>"""

_STYLE: Final = Path(__file__).with_suffix(".css")
