"""Warns of questions, pauses and early ends that no step waits for: later steps begin before they are over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.plan.auto_values import is_auto

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceBlock, SourceStep

_QUESTIONS: Final = ("ask", "approve")
_PAUSES: Final = ("sleep", "wait_until")
_ENDS: Final = ("end",)
_WITHOUT_EFFECT: Final = {
    "model": None,
    "json": None,
    "text": None,
    "log": None,
    "sleep": None,
    "data": frozenset(
        {
            *("read", "filter", "select", "sort", "aggregate", "join", "pivot", "unpivot", "deduplicate", "sql"),
            *("profile", "validate", "window", "sample"),
        }
    ),
    "filesystem": frozenset({"read", "list", "glob", "exists"}),
    "http": frozenset({"get"}),
}
"""The tools and their actions (None: all) that have no effect outside the run."""


def report_unawaited_steps(context: CompilationContext) -> None:
    """Report each question whose answer no step reads or waits for, if a later step in its block has an effect.

    A pause or an `end` that no step waits for is reported if a later step makes a call. If any step waits for it, it is
    not reported: the other steps are assumed to be independent on purpose.
    """
    kinds = (*_QUESTIONS, *_PAUSES, *_ENDS)
    waits = [step for step in context.steps if step.spec.kind in kinds and step.id and not is_auto(step.id)]
    if not waits:
        return
    read = set(_reads(context))
    for step in waits:
        block, id = step.block, step.id
        waited_for = any(id in edges for edges in block.flow.edges.values())
        if (_key(block), id) in read or waited_for or block.flow.jumps.get(id) or block.kind == "parallel":
            continue
        before = block.flow.all_before(id)
        later = block.steps[block.ids[id] + 1 :]
        others = (each for each in later if each.id not in before and not is_auto(each.id))
        if step.spec.kind not in _QUESTIONS:  # waits side by side are meant to be
            acting = next((each for each in others if _calls(context, each)), None)
        else:
            acting = next((each for each in others if _acts(context, each)), None)
        if acting is not None:
            _report(context, step, acting)


def _report(context: CompilationContext, step: SourceStep, acting: SourceStep) -> None:
    waits = f"`dependencies: [{step.id}]`"
    message = f"`{acting.id}` does not depend on `{step.id}` and can run before the question is answered"
    label = "no step waits for the answer"
    help = f"add {waits} to `{acting.id}`, or read the answer there: `{{{{ {step.id} }}}}`"
    if step.spec.kind == "approve":
        help = f"add `condition: {step.id}` to `{acting.id}`, or {waits} to wait for any answer"
    elif step.spec.kind not in _QUESTIONS:
        message = f"`{acting.id}` does not depend on `{step.id}` and does not wait for its end"
        label = "no step waits for it"
        if step.spec.kind in _ENDS:
            message = f"`{acting.id}` does not depend on `{step.id}` and can start before the pipeline is ended"
        help = f"add {waits} to `{acting.id}`"
        if step.block.kind in ("pipeline", "group", "case", "for_each", "repeat"):
            help += ", or write `in_order: true` above the list: then each step waits for the one above it"
    context.diagnostics.add(
        codes.UNANSWERED_QUESTION,
        step.id_span,
        message,
        label=label,
        help=help,
        related=[("does not wait for it", acting.id_span)],
    )


def _key(block: SourceBlock) -> int:
    """Return the identity of a block, which is what blocks are compared by."""
    return id(block)


def _reads(context: CompilationContext) -> Iterator[tuple[int, str]]:
    """Yield the steps that a template of the file reads, each with its block."""
    places = [place for step in context.steps for place in step.places()]
    places += [place for handler in context.handlers for place in handler.places]
    for place in (*places, *context.output_places):
        for reference in place.template.references:
            target = place.scope.target(reference)
            if target is not None and target.block is not None:
                yield _key(target.block), target.name
            elif reference.name == "steps" and not reference.path:  # all of them
                yield from ((_key(step.block), step.id) for step in context.steps)


def _calls(context: CompilationContext, step: SourceStep) -> bool:
    """Return whether a step, or a step inside it, calls a tool or another pipeline."""
    for each in context.steps:
        if each.work is not None and each.within(step.block) is step:
            work = each.work.item_work or each.work
            if work.called is not None or any(tool != "sleep" for tool, _ in work.possible_calls()):
                return True
    return False


def _acts(context: CompilationContext, step: SourceStep) -> bool:
    """Return whether a step, or a step inside it, may have an effect outside the run."""
    return any(_changes_something(each) for each in context.steps if each.within(step.block) is step)


def _changes_something(step: SourceStep) -> bool:
    if step.work is None:
        return False
    work = step.work.item_work or step.work
    return work.called is not None or any(_has_effect(tool, action) for tool, action in work.possible_calls())


def _has_effect(tool: str, action: str) -> bool:
    if tool not in _WITHOUT_EFFECT:
        return True
    actions = _WITHOUT_EFFECT[tool]
    return actions is not None and action not in actions
