"""The quality report on a result: what rules found, and how models judged its outputs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from orchestrator.journal.state.usage import NOTHING, Spending
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Level = Literal["problem", "warning", "note"]


class Finding(Struct, frozen=True):
    """One finding of a rule. `where` is a step's path, `outputs.NAME`, or empty for the whole run."""

    level: Level
    where: str
    message: str
    suggestion: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON data."""
        return {"level": self.level, "where": self.where, "message": self.message, "suggestion": self.suggestion}


class Judgement(Struct, frozen=True):
    """A model's judgement of one output: the `score` from 0 to 1, the reason, and suggestions."""

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


class Quality(Struct, frozen=True):
    """The quality report on a result. It has `judgements` if a model was asked: `model`.

    The `spending` on judgements is not part of the run's spending.
    """

    run_id: str
    findings: tuple[Finding, ...]
    judgements: tuple[Judgement, ...] = ()
    model: str = ""
    spending: Spending = NOTHING

    @property
    def counts(self) -> Mapping[Level, int]:
        """The number of findings of each level."""
        found = Counter(finding.level for finding in self.findings)
        levels: tuple[Level, ...] = ("problem", "warning", "note")
        return {level: found[level] for level in levels}

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
        """Return the report as a Markdown page."""
        return "\n".join(self._page()) + "\n"

    def _page(self) -> Iterator[str]:
        yield f"# Quality of run {self.run_id}"
        yield ""
        yield ", ".join(plural(count, level) for level, count in self.counts.items())
        for finding in self.findings:
            where = f" `{finding.where}`" if finding.where else ""
            more = f" ({finding.suggestion})" if finding.suggestion else ""
            yield (
                "" if finding is not self.findings[0] else "\n"
            ) + f"- **{finding.level}**{where}: {finding.message}{more}"
        for judgement in self.judgements:
            yield from ("", f"## `{judgement.output}`: {judgement.score:.2f}", "", judgement.reason)
            yield from ("- " + suggestion for suggestion in judgement.suggestions)
