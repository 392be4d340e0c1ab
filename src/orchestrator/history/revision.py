"""What a run keeps when it goes on differently: with an edited pipeline, with other inputs, or with a step done again.

Pure functions over plans as JSON data (`Plan.to_dict`) and over what was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from orchestrator.expressions import parse_expression, parse_template
from orchestrator.history.invalidation import roots
from orchestrator.paths import is_at_or_below

if TYPE_CHECKING:
    from orchestrator.journal.state.resume_state import Recorded

Data = Mapping[str, Any]

INERT: Final = frozenset({
    "name", "description", "version", "digest", "metadata", "line",
    "dependencies", "max_parallel", "retry", "timeout", "cache", "on_resume",
    "budget", "max_turns", "call_timeout",
})  # fmt: skip
"""What does not change the result that a step has given: names, limits, and what is compared by itself."""

_CONDITIONS: Final = frozenset({"condition", "while", "until"})
_WITHIN: Final = frozenset({"steps", "step", "cases", "default", "on_error"})


@dataclass(frozen=True, slots=True)
class StepChange:
    """What becomes of one step, and why. `ran`: something is recorded of it, which is lost unless it is kept."""

    path: str
    action: Literal["keep", "run", "remove"]
    reason: str = ""
    ran: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What a run keeps, runs again, and drops when it goes on with another pipeline.

    `steps` has every step, in the file's order, then those that the pipeline has no more. `forget` are the paths whose
    records are dropped.
    """

    run_id: str
    steps: tuple[StepChange, ...]
    forget: tuple[str, ...] = field(default=(), repr=False)

    @property
    def kept(self) -> tuple[str, ...]:
        """The steps whose results are taken as they are."""
        return tuple(step.path for step in self.steps if step.action == "keep")

    @property
    def to_run(self) -> tuple[str, ...]:
        """The steps that run, for the first time or again."""
        return tuple(step.path for step in self.steps if step.action == "run")

    @property
    def removed(self) -> tuple[str, ...]:
        """The steps that the pipeline has no more."""
        return tuple(step.path for step in self.steps if step.action == "remove")

    def to_dict(self) -> dict[str, Any]:
        """Return the changes as JSON data."""
        return {
            "run_id": self.run_id,
            "steps": [
                {"path": step.path, "action": step.action, "reason": step.reason, "ran": step.ran}
                for step in self.steps
            ],
        }


def compare(
    run_id: str, old: Data, new: Data, recorded: Recorded, *, failed: str = "", changed_inputs: Iterable[str] = ()
) -> Changes:
    """Say what of a run with the plan `old` is kept when it goes on with `new`.

    A step is kept if it has ended, does the same as before, and everything that it reads or waits for is kept. `failed`
    is the path of the failure that ended the run.
    """
    return _Comparison(old, new, recorded, failed, frozenset(changed_inputs)).changes(run_id)


def inputs_read(plan: Data, inputs: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return which of these inputs each top-level step reads, itself or through variables; none that reads none."""
    wanted = set(inputs)
    names = _hyphenated(plan)
    behind = {name: _reach(name, plan, names) & wanted for name in plan.get("variables", {})}
    found = {}
    for step in plan["steps"]:
        read = _names_read(step, names)
        inner = (wanted & read).union(*(behind[name] for name in read & set(behind)))
        if inner:
            found[step["id"]] = tuple(sorted(inner))
    return found


class _Comparison:
    def __init__(self, old: Data, new: Data, recorded: Recorded, failed: str, changed_inputs: frozenset[str]) -> None:
        self._old = {step["id"]: step for step in old["steps"]}
        self._new = {step["id"]: step for step in new["steps"]}
        self._pipelines = (old.get("pipelines", {}), new.get("pipelines", {}))
        self._recorded = recorded
        self._failed = failed
        self._hyphenated = _hyphenated(new)
        self._changed = _changed_names(old, new, self._hyphenated) | {
            name: f"the input `{name}`" for name in changed_inputs
        }
        self._ran = roots(recorded)
        self._stale: dict[str, str] = {}

    def changes(self, run_id: str) -> Changes:
        for step_id in _in_order(self._new):
            self._stale[step_id] = self._why_again(step_id)
        steps = [self._change(step_id) for step_id in self._new]
        gone = [step_id for step_id in self._old if step_id not in self._new]
        steps += [
            StepChange(step_id, "remove", "the pipeline has it no more", step_id in self._ran) for step_id in gone
        ]
        forget = [step.path for step in steps if step.ran and (step.action == "remove" or self._stale[step.path])]
        return Changes(run_id, tuple(steps), tuple(forget))

    def _change(self, step_id: str) -> StepChange:
        """What becomes of a step, for people: why it runs, be it that what it had achieved is stale or not enough."""
        ran = step_id in self._ran
        if step_id not in self._old:
            return StepChange(step_id, "run", "new")
        record = self._recorded.steps.get(step_id)
        again = self._stale[step_id]
        if record is not None and record.settled:
            return StepChange(step_id, "run" if again else "keep", again, ran)
        if self._failed and is_at_or_below(self._failed, step_id):
            reason = "it had failed"
        elif not ran:
            reason = "it has not run yet"
        else:
            reason = "it had not ended"
        items = self._recorded.items.get(step_id)
        if again and ran:
            reason += f", and {again}"
        elif items:
            reason += f"; {len(items)} that are done of its items are kept"
        return StepChange(step_id, "run", reason, ran)

    def _why_again(self, step_id: str) -> str:
        """Why what is recorded of a step is of no use; "" if it is."""
        old, new = self._old.get(step_id), self._new[step_id]
        if old is None:
            return "new"
        if difference := self._difference(old, new):
            return difference
        read = _names_read(new, self._hyphenated)
        for name, words in self._changed.items():
            if name in read:
                return f"it reads {words}, which changed"
        for other in dict.fromkeys((*new["dependencies"], *old["dependencies"])):
            verb = "reads" if other in read else "waits for"
            if other not in self._new:
                return f"it waited for `{other}`, which is gone"
            if self._stale.get(other) and (other in self._ran or other not in self._old):
                how = "runs again" if other in self._ran else "is new"
                return f"it {verb} `{other}`, which {how}"
        return ""

    def _difference(self, old: Data, new: Data) -> str:
        if old.get("kind") != new.get("kind"):
            return "it does something else now"
        keys = dict.fromkeys((*new, *old))
        for key in keys:
            inner = _is_structure(key)
            before, after = (_limitless(key, _essence(one.get(key), data=not inner)) for one in (old, new))
            if key not in INERT and before != after:
                return _words(key, old.get(key), new.get(key))
        for source in _sources(new, self._pipelines[1]):
            old_called, new_called = (pipelines.get(source) for pipelines in self._pipelines)
            if _essence(old_called) != _essence(new_called):
                return f"the pipeline `{source}` changed"
        return ""


def _words(key: str, old: Any, new: Any) -> str:
    if key in _WITHIN:
        before, after = (dict(_steps_by_id(block)) for block in (old, new))
        for step_id in dict.fromkeys((*after, *before)):
            if _essence(before.get(step_id)) != _essence(after.get(step_id)):
                return f"`{step_id}` within it changed"
    name = {"tool_version": "tool's version"}.get(key, f"`{key}`")
    return f"its {name} changed"


def _steps_by_id(block: Any) -> Iterator[tuple[str, Any]]:
    """The steps of a block, of a loop's own step, of cases or of handlers."""
    if isinstance(block, Mapping):
        if "id" in block:
            yield block["id"], block
        else:
            yield from _steps_by_id(block.get("steps"))
    elif isinstance(block, list):
        for entry in block:
            yield from _steps_by_id(entry)


def _essence(value: Any, *, data: bool = False) -> Any:
    """A definition without what does not change a result. Below `parameters` and the like every key counts."""
    if data or not isinstance(value, Mapping | list):
        return value
    if isinstance(value, list):
        return [_essence(entry) for entry in value]
    return {
        key: _limitless(key if _is_definition(value) else "", _essence(entry, data=not _is_structure(key)))
        for key, entry in value.items()
        if key not in INERT or not _is_definition(value)
    }


def _limitless(key: str, value: Any) -> Any:
    """What a step is defined by under a key, without the limit that a `check` has: how many answers may be given."""
    if key != "check" or not isinstance(value, Mapping):
        return value
    return {name: entry for name, entry in value.items() if name != "max_attempts"}


def _is_structure(key: str) -> bool:
    return key in _WITHIN or key in ("pipelines", "finally", "error_handlers")


def _is_definition(value: Data) -> bool:
    """Whether it defines a step or a pipeline, whose inert keys are ours, and is not just data."""
    return "id" in value


def _sources(definition: Any, pipelines: Data) -> Iterator[str]:
    """The keys of all pipelines that a step calls, at any depth."""
    seen: set[str] = set()
    stack = [definition]
    while stack:
        entry = stack.pop()
        if isinstance(entry, list):
            stack.extend(entry)
        elif isinstance(entry, Mapping):
            source = entry.get("pipeline") if entry.get("kind") == "pipeline" else None
            if source is not None and source not in seen:
                seen.add(source)
                yield source
                stack.append(pipelines.get(source))
            stack.extend(entry[key] for key in entry if _is_structure(key))


def _changed_names(old: Data, new: Data, hyphenated: frozenset[str]) -> dict[str, str]:
    """The variables that have another definition, or read one that has, with the words for each."""
    before, after = old.get("variables", {}), new.get("variables", {})
    changed: dict[str, str] = {}
    for name, value in after.items():  # a variable reads only those above it
        if name not in before or before[name] != value or _names_read(value, hyphenated) & set(changed):
            changed[name] = f"the variable `{name}`"
    return changed


def _reach(name: str, plan: Data, hyphenated: frozenset[str]) -> set[str]:
    """All names that a variable reads, through other variables too."""
    variables = plan.get("variables", {})
    found: set[str] = set()
    stack = [name]
    while stack:
        for read in _names_read(variables.get(stack.pop()), hyphenated):
            if read not in found:
                found.add(read)
                stack.append(read)
    return found


def _names_read(value: Any, hyphenated: frozenset[str], key: str = "") -> set[str]:
    """The names that the expressions in a definition read: `a`, `inputs.a`, `variables.a` and `steps.a` are `a`."""
    if isinstance(value, Mapping):
        parts = [_names_read(entry, hyphenated, str(inner)) for inner, entry in value.items() if inner != "pipelines"]
        return set().union(*parts)
    if isinstance(value, list):
        return set().union(*(_names_read(entry, hyphenated) for entry in value))
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


def _hyphenated(plan: Data) -> frozenset[str]:
    names = {step["id"] for step in plan["steps"]} | {*plan.get("inputs", ()), *plan.get("variables", ())}
    return frozenset(name for name in names if "-" in name)


def _in_order(steps: Mapping[str, Data]) -> list[str]:
    """The steps, each after those that it depends on."""
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
