"""The active steps of a run as a tree of limited size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.cli.terminal.output import printable, seconds
from orchestrator.journal.audience import question_in_words
from orchestrator.journal.state.status import ActiveStep
from orchestrator.paths import parent_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


BAR_WIDTH: Final = 16


class Nested(Struct, frozen=True):
    """An active step with its place in the tree; `label` is the part of its path below its parent."""

    depth: int
    label: str
    step: ActiveStep


def nested(active: Sequence[ActiveStep], room: int) -> tuple[list[Nested], int]:
    """Return at most `room` of the active steps as a tree, and how many are left out.

    What is further out comes before what is further in, and of each step the first within it before the second: so
    there is something of everything.
    """
    paths = {step.path for step in active}
    inner: dict[str, list[ActiveStep]] = {}
    for step in active:
        inner.setdefault(_around(step.path, paths), []).append(step)
    kept: set[str] = set()
    ranked = [(0, number, step.path) for number, step in enumerate(inner.get("", ()))]
    while ranked and len(kept) < room:
        following = []
        for depth, _, path in sorted(ranked, key=lambda rank: rank[:2])[: room - len(kept)]:
            kept.add(path)
            following += [(depth + 1, number, step.path) for number, step in enumerate(inner.get(path, ()))]
        ranked = following
    found: list[Nested] = []
    waiting = [(0, "", step) for step in reversed(inner.get("", ()))]
    while waiting:
        depth, around, step = waiting.pop()
        if step.path in kept:
            found.append(Nested(depth, step.path[len(around) :].removeprefix("."), step))
            waiting += [(depth + 1, step.path, below) for below in reversed(inner.get(step.path, ()))]
    return found, len(active) - len(found)


def _around(path: str, paths: Iterable[str]) -> str:
    path = parent_of(path)
    while path and path not in paths:
        path = parent_of(path)
    return path


def progress_text(step: ActiveStep, width: int = BAR_WIDTH) -> str:
    """Format the progress of a step: a bar of `width` and counts of its parts, or its own fraction."""
    if not step.kind:
        return "" if step.fraction is None else f"{step.fraction:.0%}"
    counts = f"{step.done} of {step.of}" if step.of is not None else f"{step.done} done"
    failed = f", {step.failed} failed" if step.failed else ""
    return f"{bar(step.done / step.of, width)} {counts}{failed}" if step.of else f"{counts}{failed}"


def doing(step: ActiveStep, now: float) -> str:
    """Describe what a step does: its message, or what it waits for and for how long."""
    if step.state != "waiting":
        return printable(step.message)
    if step.question is not None:
        if step.answered:
            return "answered"
        return printable(question_in_words(step.question))
    return printable(waiting_words(step.waiting_on, step.waiting_until, now))


def waiting_words(reason: str, until: float | None, now: float) -> str:
    """Describe what is waited for, and for how long."""
    left = f" in {seconds(max(0.0, until - now))}" if until is not None else ""
    known = {"time": "continues", "handler": "its error is handled", "retry": "retry", "judge": "retry of its judge"}
    said = known.get(reason)
    if said is None:  # a sentence, such as that of a limit: "`openai:gpt-5`: 500 requests per minute"
        said = f"{reason}; continues" if reason and left else reason
    return (said + left).strip()


def bar(fraction: float, width: int) -> str:
    """Draw how much is done."""
    filled = round(min(1.0, max(0.0, fraction)) * width)
    return "━" * filled + "╌" * (width - filled)
