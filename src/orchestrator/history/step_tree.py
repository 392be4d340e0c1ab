"""A run's steps as a tree: every step, but of a loop only its first items and the failed or unfinished ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.history.step_outline import outline_of
from orchestrator.history.step_results import StepResult
from orchestrator.paths import is_at_or_below, item_of, parent_of
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.history.step_results import StepResults
    from orchestrator.journal.state.usage import Spending

FIRST_ITEMS: Final = 3
OTHER_ITEMS: Final = 10
"""How many items of a loop are shown: of the succeeded ones, and of the failed or unfinished ones."""

_HANDLERS: Final = ("on_error", "error_handlers")


class TreeLine(Struct, frozen=True):
    """One line of the tree: a step (without its output), an item or handler, or the number of omitted items.

    `label` is what the path adds to that of its parent line. Only steps have a `step`.
    """

    depth: int
    path: str
    label: str
    step: StepResult | None = None
    left_out: int = 0


def step_tree(steps: StepResults) -> Iterator[TreeLine]:
    """Yield the lines, in the file's order, with a bounded number of lines for each loop."""
    steps = outline_of(steps)
    chosen: dict[str, frozenset[int]] = {}
    around: list[str] = []
    hidden = ""
    for path in steps:
        if hidden and is_at_or_below(path, hidden):
            continue
        hidden = ""
        while around and not is_at_or_below(path, around[-1]):
            yield from _left_out(steps, chosen, around)
        for ancestor in _missing(path, around):
            item = item_of(ancestor)
            if item is not None:
                loop, index = item
                if loop not in chosen:
                    chosen[loop] = _chosen(steps, loop)
                if index not in chosen[loop]:
                    hidden = ancestor
                    break
            if ancestor not in steps and ancestor.endswith(_HANDLERS):
                continue  # each handler has a line, but their list has none
            label = ancestor[len(around[-1]) if around else 0 :].removeprefix(".")
            yield TreeLine(len(around), ancestor, label, steps.head(ancestor) if ancestor in steps else None)
            around.append(ancestor)
    while around:
        yield from _left_out(steps, chosen, around)


def step_summary(step: StepResult) -> str:
    """Return what is shown of a composite step: its counts, or the chosen case."""
    if step.items is not None:
        what = {"for_each": "item", "agent": "turn"}.get(step.kind, "round")
        words = [plural(step.items.get("count", 0), what)]
        if step.kind == "for_each" or step.items.get("failed"):
            words += [f"{step.items[state]} {state}" for state in ("succeeded", "failed") if step.items.get(state)]
        return ", ".join(words)
    if step.run is not None:
        return f"run {step.run}"
    return f"case {step.case}" if step.kind == "switch" and step.case is not None else ""


def spending_cells(spending: Spending) -> tuple[str, str]:
    """Return the cells of a step for its tokens and its cost."""
    if not spending:
        return "", ""
    return f"{spending.tokens:,}", "unknown" if spending.cost is None else spending.price


def _missing(path: str, around: list[str]) -> list[str]:
    """Return the path and its ancestors below the parent line, outermost first."""
    last = around[-1] if around else ""
    found: list[str] = []
    while path and path != last:
        found.append(path)
        path = parent_of(path)
    return found[::-1]


def _chosen(steps: StepResults, loop: str) -> frozenset[int]:
    """Return the indices of the items that are shown."""
    well: list[int] = []
    other: list[int] = []
    for index in steps.items_of(loop):
        kept, most = (
            (well, FIRST_ITEMS)
            if steps.state_of(f"{loop}[{index}]") in ("succeeded", "skipped")
            else (other, OTHER_ITEMS)
        )
        if len(kept) < most:
            kept.append(index)
    return frozenset((*well, *other))


def _left_out(steps: StepResults, chosen: dict[str, frozenset[int]], around: list[str]) -> Iterator[TreeLine]:
    """Leave the innermost parent line, and yield a line with the number of its omitted items."""
    path = around.pop()
    count = steps.item_count(path) - len(chosen.get(path, ())) if path in chosen else 0
    if count:
        yield TreeLine(len(around) + 1, path, f"… {count} more", left_out=count)
