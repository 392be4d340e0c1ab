"""The differences between two plans as JSON data that change what a step does or reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from orchestrator.expressions import parse_expression, parse_template
from orchestrator.plan.walk import Data, called_pipeline, children, walk_step

INERT: Final = frozenset({
    "name", "description", "version", "digest", "metadata", "line",
    "dependencies", "max_parallel", "retry", "timeout", "cache", "on_resume",
    "budget", "max_turns", "call_timeout", "undo", "compensate", "result_names",
    "remind", "escalate",
})  # fmt: skip
"""Fields that do not change the result of a step: names, limits, and fields that are compared separately."""

_CONDITIONS: Final = frozenset({"condition", "while", "until"})
_WITHIN: Final = frozenset({"steps", "step", "cases", "default", "on_error"})


def step_difference(old: Data, new: Data, old_pipelines: Data, new_pipelines: Data) -> str:
    """Describe the change that affects the result of a step, "" if there is none."""
    if old.get("kind") != new.get("kind"):
        return "it does different work now"
    keys = dict.fromkeys((*new, *old))
    for key in keys:
        inner = _is_structure(key)
        before, after = (_without_limit(key, _effective(one.get(key), data=not inner)) for one in (old, new))
        if key not in INERT and before != after:
            return _describe_change(key, old, new)
    for source in _pipelines_called(new, new_pipelines):
        if _effective(old_pipelines.get(source)) != _effective(new_pipelines.get(source)):
            return f"the pipeline `{source}` changed"
    return ""


def inputs_read(plan: Data, inputs: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return which of these inputs each top-level step reads, directly or through variables."""
    wanted = set(inputs)
    names = hyphenated_names(plan)
    behind = {name: _reachable(name, plan, names) & wanted for name in plan.get("variables", {})}
    found = {}
    for step in plan["steps"]:
        read = names_read(step, names)
        inner = (wanted & read).union(*(behind[name] for name in read & set(behind)))
        if inner:
            found[step["id"]] = tuple(sorted(inner))
    return found


def _describe_change(key: str, old: Data, new: Data) -> str:
    if key in _WITHIN:
        before, after = (dict(_inner_steps(key, step)) for step in (old, new))
        for step_id in dict.fromkeys((*after, *before)):
            if _effective(before.get(step_id)) != _effective(after.get(step_id)):
                return f"`{step_id}` inside it changed"
    name = {"tool_version": "tool's version"}.get(key, f"`{key}`")
    return f"its {name} changed"


def _effective(value: Any, *, data: bool = False) -> Any:
    """Return a definition without the fields that do not change a result. Below `parameters`, every key counts."""
    if data or not isinstance(value, Mapping | list):
        return value
    if isinstance(value, list):
        return [_effective(entry) for entry in value]
    return {
        key: _without_limit(key if _is_definition(value) else "", _effective(entry, data=not _is_structure(key)))
        for key, entry in value.items()
        if key not in INERT or not _is_definition(value)
    }


def _without_limit(key: str, value: Any) -> Any:
    """Return the value of a key of a step, without the maximum number of answers of a `check`."""
    if key != "check" or not isinstance(value, Mapping):
        return value
    return {name: entry for name, entry in value.items() if name != "max_attempts"}


def _is_structure(key: str) -> bool:
    return key in _WITHIN or key in ("pipelines", "finally", "error_handlers")


def _is_definition(value: Data) -> bool:
    """Return whether a mapping defines a step or a pipeline, and is not user data."""
    return "id" in value


def _inner_steps(key: str, step: Data) -> Iterator[tuple[str, Data]]:
    """Yield the steps directly inside a step that are written under a key, with their ids."""
    for block in children(step):
        if (block.role == "handler") == (key == "on_error"):
            yield from ((inner["id"], inner) for inner in block.steps)


def _pipelines_called(step: Data, pipelines: Data) -> dict[str, None]:
    """Return the keys of all pipelines that a step calls, at any depth."""
    called = (called_pipeline(each) for each in (step, *(visit.step for visit in walk_step(step, pipelines))))
    return dict.fromkeys(source for source in called if source is not None)


def changed_variables(old: Data, new: Data, hyphenated: frozenset[str]) -> dict[str, str]:
    """Return the variables that changed, directly or through another variable, with a description of each."""
    before, after = old.get("variables", {}), new.get("variables", {})
    changed: dict[str, str] = {}
    for name, value in after.items():  # a variable reads only those above it
        if name not in before or before[name] != value or names_read(value, hyphenated) & set(changed):
            changed[name] = f"the variable `{name}`"
    return changed


def _reachable(name: str, plan: Data, hyphenated: frozenset[str]) -> set[str]:
    """Return all names that a variable reads, including through other variables."""
    variables = plan.get("variables", {})
    found: set[str] = set()
    stack = [name]
    while stack:
        for read in names_read(variables.get(stack.pop()), hyphenated):
            if read not in found:
                found.add(read)
                stack.append(read)
    return found


def names_read(value: Any, hyphenated: frozenset[str], key: str = "") -> set[str]:
    """Return the names that a definition's expressions read: `a`, `inputs.a`, `variables.a`, `steps.a` are `a`."""
    if isinstance(value, Mapping):
        parts = [names_read(entry, hyphenated, str(inner)) for inner, entry in value.items() if inner != "pipelines"]
        return set().union(*parts)
    if isinstance(value, list):
        return set().union(*(names_read(entry, hyphenated) for entry in value))
    if not isinstance(value, str):
        return set()
    if key in _CONDITIONS:
        template = parse_expression(value, hyphenated=hyphenated)
    elif "{" in value:
        template = parse_template(value, hyphenated=hyphenated)
    else:
        return set()
    names = set()
    for reference in template.references:
        names.add(reference.name)
        if reference.name in ("inputs", "variables", "steps") and reference.path:
            names.add(str(reference.path[0]))
    return names


def hyphenated_names(plan: Data) -> frozenset[str]:
    """Return the names in a plan that contain a hyphen, which the expression parser must know."""
    names = {step["id"] for step in plan["steps"]} | {*plan.get("inputs", ()), *plan.get("variables", ())}
    return frozenset(name for name in names if "-" in name)


def dependency_order(steps: Mapping[str, Data]) -> list[str]:
    """Return the ids of steps, each after those that it depends on."""
    done: dict[str, None] = {}
    for first in steps:
        stack = [first]
        while stack:
            waiting = [other for other in steps[stack[-1]]["dependencies"] if other in steps and other not in done]
            if waiting and stack[-1] not in done:
                stack.append(waiting[0])
            else:
                done[stack.pop()] = None
    return list(done)
