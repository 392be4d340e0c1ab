"""Quality rules: problems of a result that can be found without asking a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from orchestrator.history.quality import Finding
from orchestrator.journal.payloads import StepModelPayload
from orchestrator.runtime.values.answers import as_text
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from orchestrator.history.quality import Level
    from orchestrator.history.result import Result
    from orchestrator.journal import Event

_MOST_WARNINGS: Final = 20
_FEW_ITEMS: Final = 3
_INDEX: Final = re.compile(r"\[\d+\]")
_LONG: Final = 200  # characters from which a text is expected to end as sentences do
_ENDS: Final = frozenset(".!?…\"'`)]}>*_|:;。！？」』”’»")
_LEFT_OVER: Final = (
    (re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL), "an unrendered template"),
    (re.compile(r"</?AUTO>"), "an unanswered `<AUTO>`"),
    (re.compile(r"\b(TODO|FIXME|TBD)\b|\blorem ipsum\b", re.IGNORECASE), "a placeholder"),
    (re.compile(r"\[(?:insert|your|add)\b[^\]]{0,60}\]", re.IGNORECASE), "a placeholder"),
    (
        re.compile(
            r"\bas an ai (?:language )?model\b|\bi(?:'m| am) sorry, but i (?:can(?:no|')t|am unable)", re.IGNORECASE
        ),
        "a model's refusal",
    ),
)


def findings_of(result: Result) -> Iterator[Finding]:
    """Yield the findings about the run, its outputs, its steps and its model calls."""
    if result.state != "succeeded":
        message = (result.error or {}).get("message", "")
        yield Finding("problem", "", f"the run {_state(result.state)}" + (f": {message}" if message else ""))
    for name, value in result.outputs.items():
        yield from _of_output(f"outputs.{name}", value)
    if result.state == "succeeded" and not result.outputs:
        yield Finding("note", "", "the run has no outputs", "declare `outputs:` to give it a result")
    yield from _of_steps(result)
    yield from _of_calls(result)


def _state(state: str) -> str:
    return {"failed": "failed", "cancelled": "was cancelled"}.get(state, f"is {state}")


def _of_output(where: str, value: Any) -> Iterator[Finding]:
    if value is None:
        yield Finding(
            "warning", where, "is null", "a step that it is computed from was skipped, or failed and was ignored"
        )
        return
    if value in ("", [], {}):
        kind = "text" if value == "" else "list" if value == [] else "object"
        yield Finding("warning", where, f"is an empty {kind}")
        return
    for path, text in _texts(where, value):
        for pattern, what in _LEFT_OVER:
            found = pattern.search(text)
            if found is not None:
                yield Finding("warning", path, f"contains {what}: {_excerpt(found[0])}")
        if len(text) >= _LONG and text.rstrip()[-1:] not in _ENDS and not text.rstrip()[-1:].isdigit():
            last = text.split()[-4:]
            yield Finding("note", path, f"may be cut off: it ends with “{_excerpt(' '.join(last))}”")


def _texts(where: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if value.strip():
            yield where, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(f"{where}.{name}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(f"{where}[{index}]", inner)


def _of_steps(result: Result) -> Iterator[Finding]:
    told = 0
    skipped = []
    for path in result.steps:
        step = result.steps.head(path)
        if step.state == "failed" and result.state == "succeeded":
            message = (step.error or {}).get("message", "")
            yield Finding("warning", path, f"failed, and the run continued without its result: {_excerpt(message)}")
        elif step.state == "skipped" and "[" not in path and "." not in path:
            skipped.append(path)
        elif step.attempts > 1 and step.state == "succeeded" and not step.kind:
            yield Finding("note", path, f"needed {step.attempts} attempts")
        if step.items and step.items.get("failed"):
            yield Finding("warning", path, f"{step.items['failed']} of {step.items.get('count', 0)} items failed")
        for warning in step.warnings:
            told += 1
            if told <= _MOST_WARNINGS:
                yield Finding("warning", path, warning)
    if told > _MOST_WARNINGS:
        yield Finding("warning", "", f"{told - _MOST_WARNINGS} more step warnings")
    if skipped:
        yield Finding("note", "", f"skipped: {quoted_list(skipped)}")


def _of_calls(result: Result) -> Iterator[Finding]:
    """Yield findings about model calls, such as answers that were cut off; those of many items are merged."""
    seen: dict[tuple[Level, str, str], Counter[str]] = {}
    for event in result.log:
        if event.type == "step.model":
            for level, where, message in _of_call(event):
                seen.setdefault((level, _INDEX.sub("", where), message), Counter())[where] += 1
    for (level, step, message), items in seen.items():
        for where, count in items.items() if len(items) <= _FEW_ITEMS else [(step, items.total())]:
            yield Finding(level, where, message + (f" ({count} times)" if count > 1 else ""))


def _of_call(event: Event) -> Iterator[tuple[Level, str, str]]:
    call = StepModelPayload.from_data(event.data)
    if call.error:
        yield "note", event.path, f"a call to {call.model} failed: {_excerpt(call.error.get('message', ''))}"
        return
    if call.finish == "length":
        yield "warning", event.path, "an answer reached `max_tokens` and was cut off"
    if call.cost is None:
        yield "note", event.path, f"the price of {call.model} is unknown, so its cost is not counted"


def _excerpt(value: object) -> str:
    return shorten(as_text(value), 80)
