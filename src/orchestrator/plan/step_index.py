"""Finds the steps of a plan by the path of a step in a run, and what depends on them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from orchestrator.paths import is_at_or_below
from orchestrator.plan.steps import Agent, ForEach, RepeatLoop, StepPlan, SubPipeline

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from orchestrator.plan.model import Plan

_NUMBER: Final = re.compile(r"_\d+$")
_PART: Final = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)")
_HANDLER: Final = re.compile(r"on_error\[(\d+)\]")
_ITEM: Final = re.compile(r"(?<!\bon_error)\[\d+\]")


class _Block(Struct):
    """The steps of a block: those with an id, and the ids of those that wait for one directly."""

    steps: list[StepPlan]
    by_id: dict[str, list[StepPlan]]
    waiting: dict[str, list[str]]


class StepIndex:
    """The steps of a plan by their paths. Each block is read once, for all items and rounds."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._blocks = {"": _block(plan.steps)}

    def steps_at(self, path: str) -> list[StepPlan]:
        """Return the steps with a path: one, or several if steps in different cases of a `switch` have the same id.

        That of an item of a loop with its own action is the step that it repeats. There is none in `finally`, in
        `error_handlers` and in an `undo`.
        """
        before, _, part = path.rpartition(".")
        match = _PART.fullmatch(part)
        if match is None:
            return []
        if _HANDLER.fullmatch(part):
            return self.steps_at(before)
        name, count = match[1], match[2].count("[")
        block = self._inside(before)
        found = block.by_id.get(name) or _numbered(name, block.steps)
        for _ in range(count):
            found = [_repeated(step) for step in found]
        return found

    def undone_with(self, path: str, within: str = "", *, known: Collection[str] = ()) -> tuple[str, ...]:
        """Return what counts as not done when the success at a path is undone: its step, and what depends on it.

        Only what is inside the group `within` counts, if there is one, and what is `known` is left out: with it, all
        that depends on it is known. A loop whose rounds read the rounds before begins again with the first, an agent
        with its first turn, and so does a step whose error handler contains the undone one.
        """
        found = [path]
        before = ""
        for part in path.split("."):
            name = part.partition("[")[0]
            here = f"{before}{name}"
            counts = not within or (here != within and is_at_or_below(here, within))
            if name == "on_error" and (not within or before.startswith(f"{within}.")):
                found[0] = before[:-1]
                break
            block = self._inside(before[:-1])
            if counts:
                found += _dependents(name, block, before, known)
            step = next(iter(block.by_id.get(name, ())), None)
            if counts and "[" in part and step is not None and isinstance(step.work, RepeatLoop | Agent):
                found[0] = here
                break
            before = f"{before}{part}."
        return tuple(dict.fromkeys(found))

    def _inside(self, path: str) -> _Block:
        """Return the steps directly inside the step, the item or the handler at a path; the plan's own for ""."""
        key = _ITEM.sub("[]", path)
        found = self._blocks.get(key)
        if found is None:
            steps = self.steps_at(path)
            handler = _HANDLER.fullmatch(path.rpartition(".")[2])
            if handler is None:
                found = _block(inner for step in steps for inner in _inside(self._plan, step))
            else:
                found = _block(inner for step in steps for inner in _in_handler(step, int(handler[1])))
            self._blocks[key] = found
        return found


def _block(steps: Iterable[StepPlan]) -> _Block:
    block = _Block(list(steps), {}, {})
    for step in block.steps:
        block.by_id.setdefault(step.id, []).append(step)
        for on in step.dependencies:
            block.waiting.setdefault(on, []).append(step.id)
    return block


def _dependents(id: str, block: _Block, before: str, known: Collection[str]) -> Iterator[str]:
    """Yield the paths of the steps of a block that wait for one, directly or through others, unless they are known."""
    pending, seen = [id], {id}
    while pending:
        for each in block.waiting.get(pending.pop(), ()):
            if each not in seen and (path := f"{before}{each}") not in known:
                seen.add(each)
                pending.append(each)
                yield path


def _in_handler(step: StepPlan, number: int) -> Sequence[StepPlan]:
    body = step.on_error[number].body if number < len(step.on_error) else None
    return body.steps if body is not None else ()


def _repeated(loop: StepPlan) -> StepPlan:
    """Return the single step that a loop runs for each item, or the loop itself, whose body has the steps of items."""
    work = loop.work
    return work.body if isinstance(work, ForEach) and isinstance(work.body, StepPlan) else loop


def _inside(plan: Plan, step: StepPlan) -> Iterator[StepPlan]:
    work = step.work
    if isinstance(work, SubPipeline):
        called = plan.pipelines.get(work.source)
        yield from called.steps if called is not None else ()
    for block in work.children():
        if block.role in ("body", "case", "default"):
            yield from block.steps
        elif block.role == "turn":  # a model calls the pipelines, in which steps can be undone
            yield from (call for call in block.steps if isinstance(call.work, SubPipeline))


def _numbered(name: str, block: Sequence[StepPlan]) -> list[StepPlan]:
    """Return the call of a pipeline that an agent makes again in one turn: `book_2` is `book`."""
    return [step for step in block if isinstance(step.work, SubPipeline) and step.id == _NUMBER.sub("", name)]
