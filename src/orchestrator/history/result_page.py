"""A run's result as a Markdown page."""
# ruff: noqa: D102 - the properties are documented in `Result`

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.history.event_log import RunEvents
from orchestrator.history.step_tree import TreeLine, step_summary, step_tree
from orchestrator.journal.payloads import PAYLOADS
from orchestrator.remedies import advice, remedies_from
from orchestrator.text.words import plural, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.history.step_results import StepResults
    from orchestrator.journal import Event
    from orchestrator.journal.state.usage import Spending

_LONGEST_LINE = 200
_LOG_ENDS = 1_000  # events shown of the log's beginning, and of its end


class PageContent(Protocol):
    """What the page shows; `Result` has it."""

    @property
    def run_id(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def outputs(self) -> Mapping[str, Any]: ...
    @property
    def steps(self) -> StepResults: ...
    @property
    def error(self) -> Mapping[str, Any] | None: ...
    @property
    def log(self) -> Sequence[Event]: ...
    @property
    def spending(self) -> Spending: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


def result_page(result: PageContent) -> str:
    """Return the page: outputs, error, a table of the steps, and the first and last events of the log."""
    return "\n".join(_page(result)) + "\n"


def _page(result: PageContent) -> Iterator[str]:
    yield f"# Run {result.run_id}: {result.state}"
    if result.spending:
        yield from ("", f"{plural(result.spending.calls, 'model call')}: {result.spending}.")
    for message in result.warnings:
        yield from ("", f"Warning: {_one_line(message)}")
    if result.error is not None:
        yield from ("", "## Error", "")
        where = (
            f"step `{result.error['step']}`, attempt {result.error['attempt']}: " if result.error.get("step") else ""
        )
        yield f"{where}{_one_line(result.error.get('message'))} [{result.error.get('code')}]"
        if help := advice(result.error.get("help"), remedies_from(result.error.get("remedies"))):
            yield from ("", f"Help: {_one_line(help)}")
    if result.outputs:
        yield from ("", "## Outputs")
        for name, value in result.outputs.items():
            yield from ("", f"### {name}", "", *_block(value))
    yield from ("", "## Steps", "", "| Step | State | Attempts | Took | |", "| --- | --- | ---: | ---: | --- |")
    for line in step_tree(result.steps):
        yield _row(line)
    yield from ("", "## Log", "")
    yield from _log(result)


def _row(line: TreeLine) -> str:
    name = "· " * line.depth + (line.label if line.left_out else f"`{line.label}`")
    step = line.step
    if step is None:
        return f"| {name} | | | | |"
    about = (step.error or {}).get("message") or step.reason or step_summary(step) or str(step.spending)
    attempts = str(step.attempts) if step.attempts and not step.kind else ""
    return f"| {name} | {step.state} | {attempts} | {step.elapsed:.3f} s | {_cell(about)} |"


def _log(result: PageContent) -> Iterator[str]:
    log = result.log.without_values if isinstance(result.log, RunEvents) else result.log
    count = len(log)
    left_out = range(_LOG_ENDS, max(_LOG_ENDS, count - _LOG_ENDS))
    yield from (_line(log[number]) for number in range(min(count, left_out.start)))
    if left_out:
        yield f"- … {len(left_out):,} more events"
    yield from (_line(log[number]) for number in range(left_out.stop, count))


def _line(event: Event) -> str:
    return f"- {iso_time(event.at)} {_describe(event)}"


def _describe(event: Event) -> str:
    about = [f"attempt {event.attempt}"] if event.attempt > 1 else []
    about += event.payload.describe() if event.type in PAYLOADS else []
    path = f" `{event.path}`" if event.path else ""
    return f"**{event.type}**{path}" + (f": {_one_line(', '.join(about))}" if about else "")


def _block(value: Any) -> list[str]:
    """Return a value as Markdown: short text as text, the rest in a fenced block."""
    if isinstance(value, str) and "\n" not in value:
        return [value]
    text, language = (
        (value, "") if isinstance(value, str) else (json.dumps(value, indent=2, ensure_ascii=False), "json")
    )
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return [f"{fence}{language}", text.rstrip("\n"), fence]


def _cell(text: Any) -> str:
    return _one_line(text).replace("|", "\\|")


def _one_line(text: Any) -> str:
    return shorten(str(text or ""), _LONGEST_LINE)


def iso_time(seconds: float) -> str:
    """Return seconds since the epoch as text, to the millisecond, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
