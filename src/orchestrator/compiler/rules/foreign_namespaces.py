"""Namespaces of other workflow tools, such as `tasks.fetch` and `loop.index`, and their equivalents."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from orchestrator import codes
from orchestrator.text.words import quoted_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import NameScope, PlacedTemplate
    from orchestrator.expressions import Problem, Reference

_ELSEWHERE: Final = {
    **dict.fromkeys(("parameters", "params", "param", "parameter", "args", "arguments", "input"), "inputs"),
    **dict.fromkeys(("vars", "var", "variable", "constants", "globals"), "variables"),
    **dict.fromkeys(("tasks", "task", "jobs", "nodes", "stages", "results", "outputs", "step_results"), "steps"),
    **dict.fromkeys(("workflow", "flow", "dag", "job"), "pipeline"),
}
"""The names of a pipeline's namespaces in other tools."""

_SECTIONS: Final = {"input": "inputs", "variable": "variables", "step": "steps"}
_DECLARED: Final = {"inputs": "input", "variables": "variable"}


def explain_namespace(context: CompilationContext, place: PlacedTemplate, problem: Problem) -> Problem | None:
    """Explain an undefined name that is used like a namespace; None if it is not known.

    `problem` is about an undefined name (ORC301), or a field that a namespace does not have (ORC303).
    """
    if place.scope.get("inputs") is None:  # in a trigger, which is evaluated before a run
        return None
    read = _read(place, problem)
    if read is None:
        return None
    if problem.code == codes.UNDEFINED_NAME:
        if read.name in ("loop", "forloop"):
            return _explain_loop(place, problem, read)
        if read.name in _ENVIRONMENT:
            return _explain_environment(problem, read)
    holder = context.holder(place)
    explain = _explain_name if problem.code == codes.UNDEFINED_NAME else _explain_member
    return explain(context, place.scope, problem, read, holder.id if holder is not None else "")


def _read(place: PlacedTemplate, problem: Problem) -> Reference | None:
    """Return the reference that contains a problem."""
    return place.template.reference_at(problem.start)


def _explain_name(
    context: CompilationContext, scope: NameScope, problem: Problem, read: Reference, own: str
) -> Problem | None:
    """`parameters.topic`, `tasks.fetch`, `workflow.inputs.topic`."""
    member = read.path[0] if read.path and isinstance(read.path[0], str) else None
    meant = _ELSEWHERE.get(read.name)
    if member is None:
        if meant is None or meant not in scope or read.path:
            return None
        return replace(problem, help=f"`{read.name}` is called `{meant}` here", replacement=meant)
    if member in ("inputs", "variables", "steps") and len(read.path) > 1:
        rest = read.path[1]
        if isinstance(rest, str) and section_of(context, scope, rest, own) == member:
            return replace(problem, help=f"write `{member}.{rest}`", replacement=None)
    section = section_of(context, scope, member, own)
    if section is not None:
        return replace(problem, help=f"write `{section}.{member}`", replacement=section)
    if meant == "pipeline" and member in ("id", "name", "version"):
        return replace(problem, help=f"write `pipeline.{member}`", replacement="pipeline")
    if meant in _DECLARED:
        help = f"declare the {_DECLARED[meant]} `{member}` below `{meant}:`, and write `{meant}.{member}`"
        return replace(problem, help=help, replacement=None)
    return None


def _explain_member(
    context: CompilationContext, scope: NameScope, problem: Problem, read: Reference, own: str
) -> Problem | None:
    """`inputs.x` where `x` is a variable or a step, `pipeline.inputs.x`."""
    if read.name not in ("inputs", "variables", "pipeline", "run", "step") or not read.path:
        return None
    member = read.path[0]
    if not isinstance(member, str):
        return None
    if member in ("inputs", "variables", "steps") and len(read.path) > 1 and isinstance(read.path[1], str):
        return replace(problem, help=f"write `{member}.{read.path[1]}`", replacement=None)
    section = section_of(context, scope, member, own)
    if section is not None:
        word = next(word for word, name in _SECTIONS.items() if name == section)
        help = f"`{member}` is {'an' if word == 'input' else 'a'} {word}: write `{section}.{member}`"
        return replace(problem, help=help, replacement=None)
    if read.name in _DECLARED and problem.replacement is None:
        return replace(problem, help=f"declare it below `{read.name}:`, or read one of these names")
    return None


def section_of(context: CompilationContext, scope: NameScope, name: str, own: str = "") -> str | None:
    """Return the namespace of a name: `inputs`, `variables` or `steps`. The step `own` cannot read itself."""
    target = context.scope.targets.get(name)
    if target is not None and target.kind in ("input", "variable"):
        return _SECTIONS[target.kind]
    return "steps" if name != own and scope.step(name) is not None else None


def _explain_environment(problem: Problem, read: Reference) -> Problem | None:
    """`env.API_URL`, `secrets.API_KEY`."""
    member = read.path[0] if read.path else None
    if not isinstance(member, str) or not _VARIABLE.fullmatch(member):
        return None
    secret = ", secret: true" if read.name in ("secrets", "secret") else ""
    name = member.lower()
    declared = f"{name}: {{type: string, default_from_env: {member}{secret}}}"
    return replace(problem, help=f"declare `{declared}` under `inputs:`, and write `inputs.{name}`", replacement=None)


_ENVIRONMENT: Final = frozenset({"env", "environ", "environment", "ENV", "secrets", "secret", "os"})
_VARIABLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


_IN_FOR_EACH: Final = {
    **dict.fromkeys(("index", "index0", "counter", "counter0", "i"), "`{index}`, which counts from 0"),
    **dict.fromkeys(("iteration", "number", "index1", "round"), "`{index} + 1`"),
    **dict.fromkeys(("first", "is_first"), "`{is_first}`"),
    **dict.fromkeys(("last", "is_last"), "`{is_last}`"),
    **dict.fromkeys(("item", "value", "current", "element"), "`{item}`"),
    **dict.fromkeys(("key", "name"), "`{item}.key`"),
}
"""The equivalents of the fields of `loop` in a `for_each`."""

_IN_REPEAT: Final = {
    **dict.fromkeys(("iteration", "index", "count", "number", "round", "counter", "index1"), "`iteration`"),
    **dict.fromkeys(("index0", "counter0"), "`iteration - 1`"),
    **dict.fromkeys(("first", "is_first"), "`iteration == 1`"),
    **dict.fromkeys(("previous", "previtem", "last_result", "result"), "`previous`"),
}
"""The equivalents in a loop with `while` or `until`."""


def _explain_loop(place: PlacedTemplate, problem: Problem, read: Reference) -> Problem | None:
    """Explain `loop.index` in a loop of steps; `loop` exists only in a `{% for %}` of a template."""
    known = _names_of_loop(place.scope)
    if not known:
        return None
    field = read.path[0] if read.path else ""
    repeats = "iteration" in known
    meant = (_IN_REPEAT if repeats else _IN_FOR_EACH).get(str(field))
    if meant is None:
        names = quoted_list(known.values())
        help = f"`loop` exists only inside `{{% for %}}`; in this loop of steps, use {names}"
    else:
        help = f"in a loop of steps, write {meant.format_map(known)}"
    return replace(problem, help=help, replacement=None)


def _names_of_loop(scope: NameScope) -> Mapping[str, str]:
    """Return the names of the innermost loop around a place, by their meaning."""
    for each in scope.chain():
        for names in (_REPEAT_NAMES, _FOR_EACH_NAMES):
            if names[-1] in each.targets:
                item = next((target.name for target in each.targets.values() if target.word == "item"), None)
                return {**({"item": item} if item else {}), **{name: name for name in names}}
    return {}


_FOR_EACH_NAMES: Final = ("index", "is_first", "is_last")
_REPEAT_NAMES: Final = ("previous", "iteration")
