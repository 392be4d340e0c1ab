"""Explains reads of unknown names: unknown steps, and steps that are not visible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator import codes
from orchestrator.compiler.ir.names import LOCAL_NAMES
from orchestrator.compiler.rules.foreign_namespaces import explain_namespace, section_of
from orchestrator.expressions import Templated
from orchestrator.expressions.types.operators import alternatives
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, PlacedTemplate, SourceStep
    from orchestrator.diagnostics import Span
    from orchestrator.expressions import Problem, Type


def explain_unknown(context: CompilationContext, place: PlacedTemplate, problem: Problem) -> Problem:
    """Explain an undefined name or field that is known elsewhere in the file."""
    if problem.code == codes.UNKNOWN_FIELD:
        return explain_namespace(context, place, problem) or _explain_field(context, place, problem)
    if problem.code != codes.UNDEFINED_NAME:
        return problem
    name = place.template.text[problem.start : problem.end]
    if name in context.inside:
        message, help = out_of_reach(context, name, place.scope, context.holder(place), place)
        return replace(
            problem,
            code=codes.NAME_OUT_OF_SCOPE,
            message=message,
            help=help,
            label="not visible here",
            replacement=None,
        )
    known = _where_known(context, name, place)
    if known is not None:
        return replace(problem, help=known, replacement=None)
    return (
        _explain_item(context, place, problem)
        or explain_namespace(context, place, problem)
        or _without_own(context, place, problem)
    )


def _explain_item(context: CompilationContext, place: PlacedTemplate, problem: Problem) -> Problem | None:
    """Explain a name that is a field of an item, or what the list of the items is called in the singular."""
    name = place.template.text[problem.start : problem.end]
    for scope in place.scope.chain():
        if "is_first" not in scope.targets:
            continue  # not of a `for_each`
        item = next(target.name for target in scope.targets.values() if target.word == "item")
        if name in _fields(scope.names[item]):
            meant = f"{item}.{name}"
            return replace(problem, help=f"did you mean `{meant}`?", replacement=meant)
        source = next((source for source in _sources(context, place, scope) if _is_one_of(name, source)), None)
        if source is not None:
            named = "" if item != "item" else f", unless you name it with `as: {name}`"
            return replace(problem, help=f"the item of `{source}` is called `{item}` here{named}", replacement=item)
    return None


def _fields(type_: Type) -> set[str]:
    return {name for option in alternatives(type_) if option.kind == "object" for name in option.properties}


def _sources(context: CompilationContext, place: PlacedTemplate, scope: NameScope) -> Iterator[str]:
    """Yield the names of the list whose items a loop names in `scope`: `rows` for `inputs.rows` and `fetch.rows`."""
    holder = context.holder(place)
    for step in holder.ancestors() if holder is not None else ():
        items = step.work.items_of(scope) if step.work is not None else None
        if isinstance(items, Templated):
            for reference in items.template.references:
                yield next((part for part in reversed(reference.path) if isinstance(part, str)), reference.name)


def _is_one_of(name: str, source: str) -> bool:
    """Whether a name is that of a list with a shorter ending: `city` of `cities`, `row` of `rows`."""
    return len(name) < len(source) and source.startswith(name[:-1] if len(name) > 2 else name)


def _without_own(context: CompilationContext, place: PlacedTemplate, problem: Problem) -> Problem:
    """Remove the steps that cannot be read at the place of the problem from its help line."""
    own = _own(context.holder(place))
    if problem.help is None or not any(f"`{id}`" in problem.help for id in own):
        return problem
    near = place.scope.vocabulary.near(place.template.text[problem.start : problem.end], without=own)
    names = [name for name in place.scope.vocabulary.smallest() if name not in own]
    help = f"did you mean `{near}`?" if near else f"available names: {quoted_list(names, most=12)}"
    return replace(problem, help=help, replacement=near)


def _explain_field(context: CompilationContext, place: PlacedTemplate, problem: Problem) -> Problem:
    """Explain an unknown field of a step that is the name of a step inside it."""
    at = place.template.reference_at(problem.start)
    parts = () if at is None else (at.name, *at.path)
    names = [part for part in parts if isinstance(part, str)]  # an item, as in `rows[0].text`, is a part of its loop
    if names and names[0] == "steps":
        del names[0]
    target = place.scope.step(names[0]) if len(names) > 1 else None
    written = place.template.text[problem.start : problem.end].strip("'\"")
    if target is None or target.block is None or names[1] != written:
        return problem
    id, name = names[:2]
    outer = target.block.steps[target.block.ids[id]]
    called = outer.work.called if outer.work is not None else None
    if called is not None:
        file = called.source.name
        if all(step.id != name for step in called.spec.steps):
            return problem
        message = f"`{name}` is a step of `{file}`, not an output"
        return replace(problem, message=message, help=f'add `{name}: "{{{{ {name} }}}}"` under `outputs:` of `{file}`')
    inner = next((step for step in context.inside.get(name, ()) if step.block.owner is outer), None)
    if inner is None or inner.block.kind not in _WAYS_OUT:
        return problem
    message, help = f"`{name}` is inside `{id}`", _WAYS_OUT[inner.block.kind](name, outer)
    return replace(
        problem, code=codes.NAME_OUT_OF_SCOPE, message=message, help=help, label="not visible here", replacement=None
    )


def _where_known(context: CompilationContext, name: str, place: PlacedTemplate) -> str | None:
    """Return where a name of a loop, a handler or a step is known; None for other names."""
    holder = context.holder(place)
    if holder is not None and holder.work is not None and holder.work.item_scope is not None:
        own = holder.work.item_scope.targets
        if name in own:
            return (
                f"the condition applies to the whole loop, so it cannot read `{name}`; write `steps:` with a step that "
                "has the condition, or filter the items first: `rows | selectattr('ready')`"
            )
    word, step = context.within.get(name, ("", ""))
    if word and name not in LOCAL_NAMES:
        return f"`{name}` is the {word} of `{step}` and is known only inside it"
    if name not in LOCAL_NAMES:
        return None
    called = next((t.name for scope in place.scope.chain() for t in scope.targets.values() if t.word == name), None)
    return f"the {name} is called `{called}` here" if called else f"`{name}` is known only {LOCAL_NAMES[name]}"


def report_unknown_reads(context: CompilationContext) -> None:
    """Report reads of unknown steps as `steps.name`."""
    for place, reference in context.unknown:
        if not reference.path or not isinstance(name := reference.path[0], str):
            continue
        span = place.scalar.span_of(reference.start, reference.end)
        message = f"unknown step `{name}`"
        report_unknown_step(
            context, codes.UNKNOWN_STEP, span, message, name, place.scope, holder=context.holder(place), fix=False
        )


def report_unknown_step(
    context: CompilationContext,
    code: str,
    span: Span,
    message: str,
    name: str,
    scope: NameScope,
    *,
    holder: SourceStep | None = None,
    fix: bool = True,
) -> None:
    """Report an unknown step `name` in `scope`.

    With `fix`, `span` is the name itself, as in `dependencies:`, and can be replaced by a suggestion.
    """
    if name in context.inside:
        message, help = out_of_reach(context, name, scope, holder)
        outer = around(context, name, scope) if fix else None
        if outer is not None and holder is not None and outer in holder.ancestors():
            outer = None  # it cannot wait for what it is a part of
        if outer is not None:
            help = f"name the step that contains it: `{outer.id}`"
        replacement = outer.id if outer is not None else None
        context.diagnostics.add(
            codes.NAME_OUT_OF_SCOPE, span, message, label="not visible here", help=help, replacement=replacement
        )
        return
    section = section_of(context, scope, name)
    if section is not None and not fix:
        help = f"write `{section}.{name}`"
        context.diagnostics.add(code, span, message, label="unknown step", help=help)
        return
    own = _own(holder)
    steps = scope.step_vocabulary
    near = steps.near(name, without=own) if steps is not None else None
    ids = [id for id in steps.first() if id not in own] if steps is not None else []
    help = f"did you mean `{near}`?" if near else f"steps: {quoted_list(ids, most=12)}"
    if near is None and not ids:
        help = "no other step is available here"
    context.diagnostics.add(code, span, message, label="unknown step", help=help, replacement=near if fix else None)


def _own(holder: SourceStep | None) -> set[str]:
    """Return the ids of a step and of the steps that contain it, which it cannot depend on."""
    return set() if holder is None else {part.id for part in holder.ancestors()}


def around(context: CompilationContext, name: str, scope: NameScope) -> SourceStep | None:
    """Return the step that is visible from `scope` and contains the first inner step called `name`."""
    inner = context.inside[name][0]
    outer = (step for step in inner.ancestors() if step is not inner)
    return next((step for step in outer if (seen := scope.step(step.id)) and seen.block is step.block), None)


def out_of_reach(
    context: CompilationContext,
    name: str,
    scope: NameScope,
    holder: SourceStep | None,
    place: PlacedTemplate | None = None,
) -> tuple[str, str]:
    """Return where the step `name` is, which is not visible from `scope`, and how its value can be read.

    `holder` is the step that contains the name, `place` the template, if it is in one.
    """
    inner = context.inside[name][0]
    steps = list(inner.ancestors())[1:]
    outer = around(context, name, scope)
    block = steps[-1].block if steps else inner.block
    if outer is None and block.kind == "finally":
        return f"`{name}` is a step of `finally`", "steps of `finally` run after all others; only they can read it"
    if outer is None or not steps:
        return f"`{name}` is a step of a handler", "only the steps of the same handler can read it"
    message = f"`{name}` is inside `{steps[0].id}`"
    if holder is not None and outer in holder.ancestors():
        return message, _within(name, outer, steps[0], holder, place)
    if outer is not steps[0]:
        return (
            f"{message}, which is inside `{outer.id}`",
            f"read the value of `{outer.id}`: {_read(outer)}",
        )
    return message, _WAYS_OUT[inner.block.kind](name, outer)


def _within(name: str, outer: SourceStep, inner: SourceStep, holder: SourceStep, place: PlacedTemplate | None) -> str:
    """Return what to do if a step inside `outer` is read in `outer` itself, which has no value yet."""
    handles = any(part.block.kind == "handler" and part.block.owner is outer for part in holder.ancestors())
    if outer is holder and place is not None:
        handles = any(place is each for handler in holder.handlers for each in handler.places)
        if holder.check is not None and any(place is each for each in holder.check.places):
            return f"in `check`, the value of `{outer.id}` is `output`"
    if handles:
        return (
            f"`{outer.id}` has failed, so it has no value: `error` describes the failure; a handler that reads "
            f"`{name}` belongs to a step inside `{inner.id}`"
        )
    if outer is holder:
        return f"this is evaluated before `{name}` runs; read a step outside `{outer.id}`"
    return f"it is in another branch of `{outer.id}`, of which one runs; read a step outside `{outer.id}`"


def _read(step: SourceStep) -> str:
    return f"`{{{{ {step.id} }}}}`"


_WAYS_OUT = {
    "group": lambda name, outer: f"read `{{{{ {outer.id}.{name} }}}}`",
    "parallel": lambda name, outer: f"read `{{{{ {outer.id}.{name} }}}}`",
    "for_each": lambda name, outer: (
        f'add `collect: "{{{{ {name} }}}}"` to `{outer.id}`, and read the list of the items\' values: {_read(outer)}'
    ),
    "repeat": lambda name, outer: (
        f'add `collect: "{{{{ {name} }}}}"` to `{outer.id}`, and read the value of the last round: {_read(outer)}'
    ),
    "case": lambda name, outer: f"the value of the chosen case's last step is {_read(outer)}",
    "handler": lambda name, outer: f"the value of the handler's last step is {_read(outer)}",
    "undo": lambda name, outer: f"only the steps of the same `undo` of `{outer.id}` can read it",
    "pipeline": lambda name, outer: f"read {_read(outer)}",
    "finally": lambda name, outer: f"read {_read(outer)}",
}
"""How to read a value of each kind of block from outside."""
