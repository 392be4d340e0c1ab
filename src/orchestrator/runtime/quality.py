"""Quality control of a result: rules about what a run has left behind, and a model's opinion of its outputs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.runtime.host.follow import in_thread
from orchestrator.runtime.steps.answers import as_text

if TYPE_CHECKING:
    from orchestrator.journal import Event
    from orchestrator.runtime.host.engine import Engine
    from orchestrator.runtime.result import Result

Level = Literal["problem", "warning", "note"]

_OFFLINE: Final = "offline"
_MOST_WARNINGS: Final = 20
_FEW_ITEMS: Final = 3
_INDEX: Final = re.compile(r"\[\d+\]")
_LONG: Final = 200  # characters from which a text is expected to end as sentences do
_ENDS: Final = frozenset(".!?…\"'`)]}>*_|:;。！？」』”’»")
_LEFT_OVER: Final = (
    (re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL), "a template that was not filled in"),
    (re.compile(r"</?AUTO>"), "an `<AUTO>` that nobody answered"),
    (re.compile(r"\b(TODO|FIXME|TBD)\b|\blorem ipsum\b", re.IGNORECASE), "a placeholder"),
    (re.compile(r"\[(?:insert|your|add)\b[^\]]{0,60}\]", re.IGNORECASE), "a placeholder"),
    (
        re.compile(
            r"\bas an ai (?:language )?model\b|\bi(?:'m| am) sorry, but i (?:can(?:no|')t|am unable)", re.IGNORECASE
        ),
        "a model's refusal",
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule has to say. `where` is a step's path, `outputs.NAME`, or empty for the whole run."""

    level: Level
    where: str
    message: str
    suggestion: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON data."""
        return {"level": self.level, "where": self.where, "message": self.message, "suggestion": self.suggestion}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a model thinks of one output: `score` from 0 to 1, why, and what would make it better."""

    output: str
    score: float
    reason: str
    suggestions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the judgement as JSON data."""
        return {
            "output": self.output,
            "score": self.score,
            "reason": self.reason,
            "suggestions": list(self.suggestions),
        }


@dataclass(frozen=True, slots=True)
class Quality:
    """What quality control found in a result. `judgements` are there if a model was asked: `model`.

    What asking it has taken (`spending`) is not part of what the run has spent.
    """

    run_id: str
    findings: tuple[Finding, ...]
    judgements: tuple[Judgement, ...] = ()
    model: str = ""
    spending: Spending = NOTHING
    counts: Mapping[Level, int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        found = Counter(finding.level for finding in self.findings)
        levels: tuple[Level, ...] = ("problem", "warning", "note")
        object.__setattr__(self, "counts", {level: found[level] for level in levels})

    @property
    def ok(self) -> bool:
        """Whether no rule found a problem."""
        return not self.counts["problem"]

    @property
    def score(self) -> float | None:
        """The mean of the judged scores; None where nothing was judged."""
        scores = [judgement.score for judgement in self.judgements]
        return sum(scores) / len(scores) if scores else None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "run_id": self.run_id,
            "ok": self.ok,
            "score": self.score,
            "findings": [finding.to_dict() for finding in self.findings],
            "judgements": [judgement.to_dict() for judgement in self.judgements],
            "model": self.model,
            **self.spending.to_dict(),
        }

    def to_markdown(self) -> str:
        """Return the report as a page for people."""
        return "\n".join(self._page()) + "\n"

    def _page(self) -> Iterator[str]:
        yield f"# Quality of run {self.run_id}"
        yield ""
        yield ", ".join(f"{count} {level}{'' if count == 1 else 's'}" for level, count in self.counts.items())
        for finding in self.findings:
            where = f" `{finding.where}`" if finding.where else ""
            more = f" ({finding.suggestion})" if finding.suggestion else ""
            yield (
                "" if finding is not self.findings[0] else "\n"
            ) + f"- **{finding.level}**{where}: {finding.message}{more}"
        for judgement in self.judgements:
            yield from ("", f"## `{judgement.output}`: {judgement.score:.2f}", "", judgement.reason)
            yield from ("- " + suggestion for suggestion in judgement.suggestions)


_NAME_ONE: Final = "name one: `orchestrator:` in the file, `qc --judge --model NAME`, or in Python `qc(judge=...)`"


async def control(
    result: Result, engine: Engine | None, *, judge: bool | str | Sequence[str] = False, rubric: str = ""
) -> Quality:
    """Return the report on a result; see `Result.qc`."""
    findings = await in_thread(lambda: tuple(findings_of(result)))
    if engine is None or judge is False or not result.outputs:
        return Quality(result.run_id, findings)
    plan = (await in_thread(lambda: engine.store.record(result.run_id))).plan
    named: Sequence[str] = plan.get("orchestrator", ())
    if isinstance(judge, str):
        named = [judge]
    elif judge is not True:
        named = judge
    from orchestrator.runtime.judge import judged

    purpose = f"{plan.get('name', '')}. {plan.get('description', '')}".strip(" .")
    judgements, model, spending = await judged(engine.services, named, result.outputs, rubric=rubric, purpose=purpose)
    if model == _OFFLINE:
        no_model = Finding("note", "", "nothing was judged: there is no language model here", _NAME_ONE)
        return Quality(result.run_id, (*findings, no_model))
    return Quality(result.run_id, findings, judgements, model, spending)


def findings_of(result: Result) -> Iterator[Finding]:
    """Yield what the rules find: about the run, its outputs, its steps and its calls of models."""
    if result.state != "succeeded":
        message = (result.error or {}).get("message", "")
        yield Finding("problem", "", f"the run {_state(result.state)}" + (f": {message}" if message else ""))
    for name, value in result.outputs.items():
        yield from _of_output(f"outputs.{name}", value)
    if result.state == "succeeded" and not result.outputs:
        yield Finding("note", "", "the run has no outputs", "declare `outputs:`, so that there is something to look at")
    yield from _of_steps(result)
    yield from _of_calls(result)


def _state(state: str) -> str:
    return {"failed": "failed", "cancelled": "was cancelled"}.get(state, f"is {state}")


def _of_output(where: str, value: Any) -> Iterator[Finding]:
    if value is None:
        yield Finding(
            "warning", where, "is null", "a step that it comes from was skipped, or its failure was passed over"
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
                yield Finding("warning", path, f"holds {what}: {_short(found[0])}")
        if len(text) >= _LONG and text.rstrip()[-1:] not in _ENDS and not text.rstrip()[-1:].isdigit():
            last = text.split()[-4:]
            yield Finding("note", path, f"may be cut off: it ends with “{_short(' '.join(last))}”")


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
            yield Finding("warning", path, f"failed, and the run went on without its result: {_short(message)}")
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
        yield Finding("warning", "", f"there are {told - _MOST_WARNINGS} more warnings of steps")
    if skipped:
        yield Finding("note", "", f"skipped: {', '.join(f'`{path}`' for path in skipped)}")


def _of_calls(result: Result) -> Iterator[Finding]:
    """What the calls of models tell: answers that were cut off, or given by rules; of many items all together."""
    seen: dict[tuple[Level, str, str], Counter[str]] = {}
    for event in result.log:
        if event.type == "step.model":
            for level, where, message in _of_call(event):
                seen.setdefault((level, _INDEX.sub("", where), message), Counter())[where] += 1
    for (level, step, message), items in seen.items():
        for where, count in items.items() if len(items) <= _FEW_ITEMS else [(step, items.total())]:
            yield Finding(level, where, message + (f" ({count} times)" if count > 1 else ""))


def _of_call(event: Event) -> Iterator[tuple[Level, str, str]]:
    data = event.data
    model = data.get("model", "")
    if data.get("error"):
        yield "note", event.path, f"a call of {model} failed: {_short(data['error'].get('message', ''))}"
        return
    if data.get("finish") == "length":
        yield "warning", event.path, "an answer reached `max_tokens` and was cut off"
    if model == _OFFLINE:
        yield "warning", event.path, "was answered by rules (`offline`), and not by a language model"
    if data.get("cost") is None:
        yield "note", event.path, f"the price of {model} is not known, so its cost is not counted"


def _short(text: object) -> str:
    line = " ".join(as_text(text).split())
    return line if len(line) <= 80 else line[:79] + "…"
