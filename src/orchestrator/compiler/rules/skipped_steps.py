"""Warns of steps that every path skips, and of reads of steps that may be skipped, or have not run, and are null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.compiler.ir.nodes import fields_read
from orchestrator.plan.auto_values import is_auto

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.jumps import Jump, JumpKind
    from orchestrator.compiler.ir.nodes import PlacedTemplate, SourceBlock, SourceStep, Target
    from orchestrator.expressions import Reference
    from orchestrator.expressions.problem import Fact
    from orchestrator.language.yaml.nodes import Scalar

_ALWAYS_THERE: Final = frozenset({"status", "success", "error", "attempts", "duration"})
"""Fields of a step that have a value even when it was skipped."""

_ORDERINGS: Final = frozenset({"<", "<=", ">", ">="})

_WHEN: Final[dict[JumpKind, str]] = {"on_success": "succeeds", "on_failure": "fails", "on_false": "is skipped"}


def report_skipped_steps(context: CompilationContext) -> None:
    """Report steps that every path skips, and unguarded reads of steps that may be skipped."""
    for block in dict.fromkeys(step.block for step in context.steps):
        _report_jumped_over(context, block)
    if not any(step.block.conditions for step in context.steps):
        return
    for step in context.steps:
        _report_reads(context, step.guards, step)
        _report_reads(context, step.templates, step)
        _report_reads(context, step.limit_places, step)
        if step.work is not None:
            outcomes = {id(place) for place in step.work.outcomes}
            _report_reads(context, (place for place in step.work.places if not _is_bare(place, outcomes)), step)
        for handler in step.handlers:
            _report_reads(context, handler.places, step)
        if step.check is not None:
            _report_reads(context, step.check.places, step)
    _report_reads(context, context.output_places, None)


def _is_bare(place: PlacedTemplate, outcomes: set[int]) -> bool:
    """Return whether a value is collected unchanged, so that a skipped step is null in the list."""
    text, reads = place.template.text, place.template.references
    whole = text.removeprefix("{{").removesuffix("}}").strip()
    return id(place) in outcomes and len(reads) == 1 and text[reads[0].start : reads[0].end] == whole


# --- steps that never run


def _report_jumped_over(context: CompilationContext, block: SourceBlock) -> None:
    """Report the steps that an earlier step jumps over in every case."""
    end, source = 0, ""
    over: list[Jump] = []
    for position, step in enumerate(block.steps):
        if position < end and not is_auto(step.id):
            words = " and ".join(f"when it {_WHEN[jump.kind]}" for jump in over)
            context.diagnostics.add(
                codes.UNREACHABLE_STEP,
                step.id_span,
                f"step `{step.id}` never runs: `{source}` jumps over it {words}",
                label="jumped over on every path",
                help=f"make `{source}` jump to `{step.id}` in one of these cases, or remove the step",
                related=[(f"`{jump.kind}` jumps to `{block.steps[jump.target].id}`", jump.node.span) for jump in over],
            )
        surely = [] if position < end else _surely(block, step)
        if surely and min(jump.end for jump in surely) > end:
            source, over = step.id, surely
            end = min(jump.end for jump in surely)
            if position in block.flow.covers:  # jumps over this one may end before
                end = min(end, block.flow.covers[position].first.end)


def _surely(block: SourceBlock, step: SourceStep) -> list[Jump]:
    """Return the jumps of a step if it always takes one of them; empty if it may continue to the next step."""
    jumps = block.flow.jumps.get(step.id, {})
    kinds: list[JumpKind] = ["on_success"]
    ends_run = step.spec.on_failure is None or step.spec.on_failure.kind == "fail"
    if not ends_run or block.kind == "parallel":
        kinds.append("on_failure")
    if step.condition is not None:
        kinds.append("on_false")
    if any(kind not in jumps for kind in kinds) or step.handlers:
        return []
    return [jumps[kind] for kind in kinds]


# --- reads of steps that may be skipped


def _report_reads(context: CompilationContext, places: Iterable[PlacedTemplate], reader: SourceStep | None) -> None:
    for place in places:
        for reference, scalar in place.references():
            target = place.scope.target(reference)
            if target is None or target.block is None or not target.block.conditions or _is_guarded(reference):
                continue
            if reader is not None and reader.undoes(target.name, target.block):
                continue
            if not reference.operator and _is_condition(place, reader):
                continue  # null is false
            example = _way_around(target, target.block, reader, place, reference)
            if example is None:
                continue
            read = place.template.text[reference.start : reference.end]
            fails, operator = "", reference.operator
            guard = f"`{{{{ {target.name} | default('...') }}}}`, or `{{% if {target.name} %}}`"
            if operator:
                operation = "comparing it with" if operator in _ORDERINGS else "computing with it by"
                fails = f", and {operation} `{operator}` fails"
                guard = f"`{target.name} and {read} {operator} ...`, or give a number: `({read} | default(0, true))`"
            context.diagnostics.add(
                codes.UNGUARDED_NULL,
                scalar.span_of(reference.start, reference.end),
                f"step `{target.name}` may be skipped; `{read}` is then null here{fails}"
                if operator
                else f"step `{target.name}` may be skipped and is then null here",
                label="may be null",
                notes=(f"for example: {example}",),
                help=f"guard it: {guard}",
            )


def _is_guarded(reference: Reference) -> bool:
    fields = fields_read(reference)
    return reference.guarded or bool(fields and fields[0] in _ALWAYS_THERE)


def _way_around(
    target: Target, block: SourceBlock, reader: SourceStep | None, place: PlacedTemplate, reference: Reference
) -> str | None:
    """Describe a path on which `reader` runs and the step that it reads does not; None if there is none."""
    name = target.name
    if name not in block.conditions or (reader is not None and _is_asked(target, reader, place, reference)):
        return None
    step = reader.within(block) if reader is not None else None
    if step is not None and step.id == name:
        return None
    position, own = block.ids[name], block.ids.get(step.id, -1) if step is not None else -1
    runs = f"`{reader.id}` runs" if reader is not None else "the outputs are computed"
    if reader is not None and _is_condition(place, reader):
        runs = f"the condition of `{reader.id}` is evaluated"
    condition = block.steps[position].condition
    if condition is not None and not condition.follows_from(_given(block, reader, place, reference)):
        jump = block.flow.jumps.get(name, {}).get("on_false")
        if jump is None or not jump.source < own < jump.end:
            return f"{_skipped(block, name, None)}, and {runs}"
    cover = block.flow.covers.get(position)
    if cover is not None:
        for jump in (cover.first, cover.last):
            if not jump.source < own < jump.end:
                return f"{_skipped(block, name, jump)}, and {runs}"
    return None


def _skipped(block: SourceBlock, name: str, jump: Jump | None) -> str:
    if jump is not None:
        source, to = block.steps[jump.source].id, block.steps[jump.target].id
        return f"`{source}` {_WHEN[jump.kind]} and jumps to `{to}`, so `{name}` is skipped"
    condition = block.conditions[name]
    because = f"`{condition}` is false" if condition else "a jump skips it"
    return f"{because}, so `{name}` is skipped"


def _given(
    block: SourceBlock, reader: SourceStep | None, place: PlacedTemplate, reference: Reference
) -> Iterator[Fact]:
    """Return the conditions that hold where a step is read, in the scope of its block."""
    known = [(place.scope, reference.given)]
    for step in reader.ancestors() if reader is not None else ():
        if step.condition is not None and not (step is reader and _is_condition(place, reader)):
            known.append((step.block.scope, step.condition.facts))
        if step.block is block:
            break
    for scope, found in known:
        for fact in found:
            if all(scope.find(name) == block.scope.find(name) for name in fact.names):
                yield fact


def _is_asked(target: Target, reader: SourceStep, place: PlacedTemplate, reference: Reference) -> bool:
    """Return whether conditions around a read depend on the step that is read.

    A condition that itself computes with the value fails.
    """
    fails = reference.operator and _is_condition(place, reader)
    return any(_asks(target, step) for step in reader.ancestors() if not (fails and step is reader))


def _is_condition(place: PlacedTemplate, reader: SourceStep | None) -> bool:
    return reader is not None and any(guard is place for guard in reader.guards)


def _asks(target: Target, step: SourceStep) -> bool:
    """Return whether the condition of a step reads another step."""
    return any(
        place.scope.target(reference) == target for place in step.guards for reference in place.template.references
    )


# --- outputs after an early end


def report_outputs_after_ends(context: CompilationContext) -> None:
    """Report each output that a step with `end` leaves to be computed from a step that may not have run."""
    reported: set[str] = set()
    for end in context.steps:
        around = end.within(context.block) if context.block is not None and end.spec.end is not None else None
        if around is None:
            continue
        before = {around.id, *around.block.flow.all_before(around.id)}
        for name, places in context.places_of_outputs.items():
            if name not in (end.spec.end or ()) and name not in reported:
                reads = (read for place in places for read in _computing(place, around.block, before))
                if (read := next(reads, None)) is not None:
                    reported.add(name)
                    _report_after_end(context, end, name, *read)


def _computing(
    place: PlacedTemplate, block: SourceBlock, before: set[str]
) -> Iterator[tuple[PlacedTemplate, Reference, Scalar]]:
    """Yield the reads of an output that compute with a step of the pipeline other than those that had ended."""
    for reference, scalar in place.references():
        target = place.scope.target(reference)
        if target is None or target.block is not block or target.name in before:
            continue
        if reference.operator and not reference.guarded:
            yield place, reference, scalar


def _report_after_end(
    context: CompilationContext,
    end: SourceStep,
    name: str,
    place: PlacedTemplate,
    reference: Reference,
    scalar: Scalar,
) -> None:
    target = place.scope.target(reference)
    read = place.template.text[reference.start : reference.end]
    key = end.spec.node.key("end")
    context.diagnostics.add(
        codes.UNGUARDED_NULL,
        scalar.span_of(reference.start, reference.end),
        f"`{target.name if target is not None else read}` may not have run when `{end.id}` ends the pipeline; `{read}` "
        f"is then null here, and computing with it by `{reference.operator}` fails",
        label="may be null",
        help=f"have `{end.id}` give it: `end: {{{name}: ...}}`, or give a number: `({read} | default(0, true))`",
        related=[("ends the pipeline", key.span)] if key is not None else [],
    )
