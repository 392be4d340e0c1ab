"""Quality rules: problems of a result that can be found without asking a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from orchestrator.history.event_log import events_of_types
from orchestrator.history.quality import Finding
from orchestrator.history.step_outline import outline_of
from orchestrator.journal.run_payloads import RunRevisedPayload
from orchestrator.journal.step_payloads import StepModelPayload, StepUndonePayload, StepWarningPayload
from orchestrator.paths import is_at_or_below
from orchestrator.runtime.values.answers import as_text
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from orchestrator.history.quality import Level
    from orchestrator.history.result import Result

_MOST_WARNINGS: Final = 20
_FEW_ITEMS: Final = 3
_TYPES: Final = ("run.revised", "step.undone", "step.warning", "step.model")
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
    yield from _of_events(result)


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
            last = text[-_LONG:].split()[-4:]
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
    """Yield findings about the steps; of a long run about those that an outline has, and all that failed or warned."""
    skipped = []
    steps = outline_of(result.steps)
    for path in steps:
        step = steps.head(path)
        if step.state == "failed" and result.state == "succeeded":
            message = (step.error or {}).get("message", "")
            yield Finding("warning", path, f"failed, and the run continued without its result: {_excerpt(message)}")
        elif step.state == "skipped" and "[" not in path and "." not in path:
            skipped.append(path)
        elif step.attempts > 1 and step.state == "succeeded" and not step.kind:
            yield Finding("note", path, f"needed {step.attempts} attempts")
        if step.items and step.items.get("failed"):
            yield Finding("warning", path, f"{step.items['failed']} of {step.items.get('count', 0)} items failed")
    if skipped:
        yield Finding("note", "", f"skipped: {quoted_list(skipped)}")


def _of_events(result: Result) -> Iterator[Finding]:
    """Yield the warnings of steps, and findings about model calls, such as answers that were cut off.

    Those of many items are merged. Of a long run in a store, no other events are read.
    """
    warnings: list[Finding] = []
    more = 0
    calls: dict[tuple[Level, str, str], _Places] = {}
    for event in events_of_types(result.log, _TYPES):
        match event.payload:
            case RunRevisedPayload(forget=forgotten) | StepUndonePayload(forget=forgotten):
                warnings = [
                    each for each in warnings if not any(is_at_or_below(each.where, path) for path in forgotten)
                ]
            case StepWarningPayload(message=message) if len(warnings) < _MOST_WARNINGS:
                warnings.append(Finding("warning", event.path, message))
            case StepWarningPayload():
                more += 1
            case StepModelPayload() as call:
                for level, message in _of_call(call):
                    calls.setdefault((level, _INDEX.sub("", event.path), message), _Places()).add(event.path)
            case _:
                pass
    yield from warnings
    if more:
        yield Finding("warning", "", f"{more} more step warnings")
    for (level, step, message), places in calls.items():
        for where, count in places.counts(step).items():
            yield Finding(level, where, message + (f" ({count} times)" if count > 1 else ""))


class _Places:
    """How often something was found, by the paths of steps while they are few."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._total = 0

    def add(self, path: str) -> None:
        self._total += 1
        if len(self._counts) <= _FEW_ITEMS:
            self._counts[path] += 1

    def counts(self, step: str) -> Mapping[str, int]:
        """Return the counts; those of many items as one of their `step`."""
        return self._counts if len(self._counts) <= _FEW_ITEMS else {step: self._total}


def _of_call(call: StepModelPayload) -> Iterator[tuple[Level, str]]:
    if call.error:
        yield "note", f"a call to {call.model} failed: {_excerpt(call.error.get('message', ''))}"
        return
    if call.finish == "length":
        yield "warning", "an answer reached `max_tokens` and was cut off"
    if call.cost is None:
        yield "note", f"the price of {call.model} is unknown, so its cost is not counted"


def _excerpt(value: object) -> str:
    return shorten(as_text(value), 80)
