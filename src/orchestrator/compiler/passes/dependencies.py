"""The dependencies between the steps of a block: declared ones, reads in expressions, and jumps."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.dependency import Dependency
from orchestrator.compiler.ir.jumps import JUMP_KINDS, Jump, JumpKind, covers, last_jumps
from orchestrator.compiler.ir.node_paths import child
from orchestrator.compiler.rules.unresolved_names import around, report_unknown_step
from orchestrator.diagnostics import suggest
from orchestrator.language.aliases.canonical import written_key
from orchestrator.language.yaml.nodes import Node, Scalar
from orchestrator.language.yaml.nodes import Sequence as SequenceNode
from orchestrator.plan.auto_values import auto_id, is_auto
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import PlacedTemplate, SourceBlock, SourceStep
    from orchestrator.diagnostics import Span
    from orchestrator.expressions import Reference
    from orchestrator.language.spec.pipeline import StepSpec


_IN_ROUNDS: Final = "in a loop with rounds, `iteration` counts them, and `previous` has what the last one made"


def add_read_dependencies(context: CompilationContext, step: SourceStep) -> None:
    """Add the dependencies from the expressions of a step, in the block of the step that is read."""
    for place in step.places():
        for reference in place.template.references:
            context.record_read(place, reference)
            target = place.scope.target(reference)
            if target is not None and target.block is not None and step.id:
                _add_read(context, step, target.block, target.name, place, reference)


def _add_read(
    context: CompilationContext,
    reader: SourceStep,
    block: SourceBlock,
    on: str,
    place: PlacedTemplate,
    reference: Reference,
) -> None:
    step = reader.within(block)
    if step is None or not step.id:  # what runs after all of the block: `finally`, or the loop that it is the body of
        return
    part = (reference.start, reference.end)
    if step.id == on and reader.undoes(step.id, step.block):
        if step.work is not None and step.work.item_scope is not None:
            _report_own(context, reader, step, place.scalar.span_of(*part), "reads")
    elif step.id == on:
        if on not in context.shared:  # it may be the input of the same name that is read
            in_check = reader.check is not None and any(place is each for each in reader.check.places)
            _report_own(context, reader, step, place.scalar.span_of(*part), "is `output`" if in_check else "reads")
    elif on not in block.flow.edges.get(step.id, ()):
        block.flow.add(Dependency(step.id, on, place.scalar, f"{_within(reader, step)} reads `{on}`", part))


def _within(reader: SourceStep, step: SourceStep) -> str:
    return f"`{step.id}`" if reader is step else f"`{reader.id}` in `{step.id}`"


def _report_own(context: CompilationContext, reader: SourceStep, step: SourceStep, span: Span, verb: str) -> None:
    """Report a step that depends on itself, or on a step that contains it."""
    if reader is step:
        message = f"step `{step.id}` reads its own result, which does not exist until it has run"
        help = _IN_ROUNDS if _repeats(step) else "read an earlier step"
        if verb == "is `output`":
            help = f"in `check`, write `output` instead of `{step.id}`"
        elif verb != "reads":
            message, help = f"step `{step.id}` depends on itself", f"remove `{step.id}` from its own dependencies"
        label = "itself"
    elif reader.undoes(step.id, step.block):
        message = f"`{reader.id}` undoes one item of `{step.id}`, and `{step.id}` stands for all of them"
        help, label = "write `output`, the result of the item", "the whole loop"
    elif any(part.block.kind == "handler" and part.block.owner is step for part in reader.ancestors()):
        message = f"`{reader.id}` handles a failure of `{step.id}`, which has no result until its handler ends"
        help, label = "read `error`, which describes the failure", "the step itself"
    else:
        message = f"`{reader.id}` is inside `{step.id}`, which has no result until all steps inside it have ended"
        help, label = _IN_ROUNDS if _repeats(step) else "read a step that ends earlier", "the enclosing step"
    context.diagnostics.add(codes.SELF_REFERENCE, span, message, label=label, help=help)


def _repeats(step: SourceStep) -> bool:
    return step.spec.while_ is not None or step.spec.until is not None


def add_declared_dependencies(context: CompilationContext, block: SourceBlock) -> None:
    """Add the dependencies of `dependencies:`; a step outside the block makes the enclosing step wait."""
    for step in block.steps:
        listed = child(step.spec.node, "dependencies")
        if not isinstance(listed, SequenceNode):
            continue
        for node in listed.items:
            name = node.value if isinstance(node, Scalar) else None
            if not isinstance(name, str):
                continue
            target = block.scope.step(name)
            if target is None or target.block is None:
                message = f"unknown step `{name}`"
                report_unknown_step(context, codes.UNKNOWN_STEP, node.span, message, name, block.scope, holder=step)
                continue
            waiting = step.within(target.block)
            if waiting is None:
                continue
            if waiting.id == name:
                _report_own(context, step, waiting, node.span, "depends")
            elif waiting.id:
                reason = f"{_within(step, waiting)} lists `{name}` in its dependencies"
                target.block.flow.add(Dependency(waiting.id, name, node, reason))


def add_order_dependencies(context: CompilationContext, block: SourceBlock) -> None:
    """Make each step of a block with `in_order` depend on the one above it. `finally` and handlers have no such key."""
    owner = context if block.kind == "pipeline" else block.owner if block.kind in _ORDERED else None
    node = child(owner.spec.node, "in_order") if owner is not None and owner.spec.in_order else None
    if node is None:
        return
    above = ""
    for step in block.steps:
        if not step.id or is_auto(step.id):
            continue
        if above:
            block.flow.add(Dependency(step.id, above, node, f"`{step.id}` comes after `{above}`, by `in_order`"))
        above = step.id


_ORDERED: Final = frozenset({"group", "case", "for_each", "repeat"})


def add_jump_dependencies(context: CompilationContext, block: SourceBlock) -> None:
    """Check the jumps, and add the dependencies that they require.

    A jump from A to B skips every step between them in the order of the file. So that the result never depends on
    timing, each of these steps and B depend on A, or on a later step that may jump over them and depends on A.
    """
    ids, jumps = block.ids, []
    for position, step in enumerate(block.steps):
        for kind in JUMP_KINDS:
            found = _written_jump(step.spec, kind)
            if found is None:
                continue
            target, node = found
            if target not in ids:
                _report_no_target(context, block, position, kind, target, node)
            elif ids[target] <= position:
                where = "itself" if target == step.id else f"the earlier step `{target}`"
                context.diagnostics.add(
                    codes.BACKWARD_JUMP,
                    node.span,
                    f"`{kind}` jumps from `{step.id}` back to {where}",
                    label="jumps only go forward",
                    help="name a later step; to run a step again after a failure, use `retry:`",
                    related=[("the step is here", block.steps[ids[target]].id_span)] if target != step.id else [],
                )
            elif step.id:
                jump = _jump_to(block, position, ids[target], kind, node)
                block.flow.jumps.setdefault(step.id, {})[kind] = jump
                jumps.append(jump)
    for position, jump in last_jumps(jumps).items():
        step = block.steps[position]
        if step.id and (position < jump.end or position == jump.target):
            source, target = block.steps[jump.source].id, block.steps[jump.target].id
            reason = f"`{source}` may jump to `{target}`, so `{step.id}` waits for it"
            block.flow.add(Dependency(step.id, source, jump.node, reason))
    block.flow.covers = covers(jumps)


def _report_no_target(
    context: CompilationContext, block: SourceBlock, position: int, kind: JumpKind, target: str, node: Node
) -> None:
    step = block.steps[position]
    if block.scope.step(target) is None and target not in context.inside:
        _report_no_step(context, block, position, kind, target, node)
        return
    outer = around(context, target, block.scope) if block.scope.step(target) is None else None
    help = "a jump cannot leave its list of steps"
    if outer is not None:
        help += f"; jump to the step that contains it: `{outer.id}`"
    elif block.owner is not None:
        help += f"; to leave `{block.owner.id}`, put the jump on `{block.owner.id}`"
    context.diagnostics.add(
        codes.UNKNOWN_JUMP_TARGET,
        node.span,
        f"`{kind}` of `{step.id}` jumps to `{target}`, which is not in the same list of steps",
        label="in another list",
        help=help,
    )


def _report_no_step(
    context: CompilationContext, block: SourceBlock, position: int, kind: JumpKind, target: str, node: Node
) -> None:
    """Report a jump to an unknown step. A text that is not an id was probably meant as a value."""
    key = block.steps[position].spec.node.key(kind)
    written = written_key(key) if key is not None else kind
    near = suggest(target, _after(block, position))
    later = [*islice(_after(block, position), 13)]
    others = ""
    if kind == "on_failure":
        meant = suggest(target, _OUTCOMES)
        others = (
            f"write `{written}: continue`, `{written}: fail` or `{written}: {{value: {json.dumps(shorten(target))}}}`"
        )
        if near is None and meant is not None:
            near = meant
    if near is not None:
        help = f"did you mean `{near}`?"
    elif later and (_ID.fullmatch(target) or not others):
        help = f"later steps: {quoted_list(later, most=12)}" + (f"; or {others}" if others else "")
    else:
        help = others or "name a later step; this one is the last"
    message = f"`{written}` jumps to unknown step `{shorten(target)}`"
    if not _ID.fullmatch(target):
        message = f"`{written}` is `{shorten(target)}`, which is not a step to jump to"
    context.diagnostics.add(
        codes.UNKNOWN_JUMP_TARGET, node.span, message, label="unknown step", help=help, replacement=near
    )


def _after(block: SourceBlock, position: int) -> Iterator[str]:
    """Return the ids of the steps of the file after a position."""
    steps = (block.steps[later] for later in range(position + 1, len(block.steps)))
    return (step.id for step in steps if step.id and not is_auto(step.id))


_OUTCOMES: Final = ("continue", "fail")
_ID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def _jump_to(block: SourceBlock, source: int, target: int, kind: JumpKind, node: Node) -> Jump:
    """Return a jump of a step; it does not skip the inserted step that asks for the target's `<AUTO>` values."""
    asked = block.steps[target - 1].id == auto_id(block.steps[target].id)
    return Jump(source, target - 1 if asked else target, target, kind, node)


def _written_jump(step: StepSpec, kind: JumpKind) -> tuple[str, Node] | None:
    if kind == "on_failure":
        if step.on_failure is None or step.on_failure.kind != "jump" or not step.on_failure.target:
            return None
        return step.on_failure.target, child(step.node, kind, "target") or child(step.node, kind) or step.node
    target = getattr(step, kind)
    node = child(step.node, kind)
    return (target, node) if isinstance(target, str) and node is not None else None
