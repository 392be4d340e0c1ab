"""Looks up the definition of a step in a plan as JSON data by its path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.errors import RunError
from orchestrator.paths import is_in_handler, is_in_undo
from orchestrator.plan.agent_tools import APPROVAL
from orchestrator.plan.serialization import plan_data
from orchestrator.plan.walk import call_of_agent, inner_steps, tools_of_agent, walk, walk_step

if TYPE_CHECKING:
    from orchestrator.plan.model import Plan

Data = Mapping[str, Any]

LOOPS = ("for_each", "while", "until")
_PART = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)")


def definition_at(plan: Data, path: str, *, numbered: bool = False) -> Data | None:
    """Return the definition of the step at `path`, None if the plan has no such step.

    With `numbered`, a path into a loop must include the number of the item or round, like the path of a step that ran.
    An item of a loop (`translate[2]`) is the step that the loop repeats, or of kind `item`; it has no dependencies.
    """
    found, _ = _found(plan, path, numbered=numbered)
    return found if found is not None and "kind" in found else None


def steps_within(plan: Data, path: str, *, case: str | None = None) -> list[Data]:
    """Return the definitions of the steps directly inside a step, an item or a block; the pipeline's own for "".

    Of a switch, those of one `case` if that is given. The steps of an agent's turn are not part of a plan.
    """
    if not path:
        return list(plan.get("steps", ()))
    found, _ = _found(plan, path, numbered=False)
    if found is None:
        return []
    if found.get("kind") == "pipeline":
        return list(_called(found, plan).get("steps", ()))
    if "step" in found:
        return [found["step"]]
    if case is not None and found.get("kind") == "switch":
        chosen = next((each["steps"] for each in found["cases"] if each["case"] == case), None)
        return list(found.get("default", ()) if chosen is None else chosen)
    return inner_steps(found, {})


def _found(plan: Data, path: str, *, numbered: bool) -> tuple[Data | None, list[Data]]:
    """Return the definition of the step at `path` and those of the steps in its block."""
    parts = path.split(".")
    if not parts or any(_PART.fullmatch(part) is None for part in parts):
        return None, []
    block = _steps_of(plan)
    found: Data | None = None
    numbers_before: list[int] = []
    for part in parts:
        name, numbers = _split(part)
        if found is not None:
            if numbered and not numbers_before and found.get("kind") in LOOPS and name not in ("on_error", "undo"):
                return None, []
            within = _steps_of(_called(found, plan)) if found.get("kind") == "pipeline" else inner_steps(found, {})
            others = [{"id": "on_error", "handlers": found.get("on_error", ())}]
            others += [{"id": "undo", "steps": found["undo"]}] if "undo" in found else []
            block = [*within, *others]
        around = found
        found = next((step for step in block if step.get("id") == name), None)
        if found is None and around is not None and "agent" in around:
            found = step_of_agent(around["agent"], name)
        if found is None:
            return None, []
        for number in numbers:
            found = _item(found, number)
            if found is None:
                return None, []
        numbers_before = numbers
    return found, block


def jump_over(plan: Data, jumper: str, skipped: str) -> tuple[str, str] | None:
    """Return the kind and the target of the jump of one step that skips another; None if it has no such jump."""
    found, block = _found(plan, jumper, numbered=False)
    places = {str(step["id"]): place for place, step in enumerate(block)}
    own = places.get(skipped.rpartition(".")[2], -1)
    for kind in ("on_success", "on_false", "on_failure"):
        target = (found or {}).get(kind)
        if isinstance(target, Mapping):
            target = target.get("target")
        if places.get(str(target), -1) > own:
            return kind, str(target)
    return None


def require_shared(plan: Plan, paths: Iterable[str]) -> None:
    """Raise RunError (ORC809) if one of these paths names no step, or a step without a `cache` in it.

    Paths may include the numbers of items.
    """
    paths = list(paths)
    data = plan_data(plan) if paths else {}
    for path in paths:
        if definition_at(data, path) is None:
            near = suggest(path, list(paths_of(data)))
            help = f"did you mean `{near}`?" if near else "name a step by its path, such as `translate.draft`"
            raise RunError(f"the pipeline `{plan.id}` has no step `{path}`", code=codes.STEP_NOT_FOUND, help=help)
        if not any(_is_shared(step, data) for step in _asked_for(data, path)):
            raise RunError(
                f"the step `{path}` of `{plan.id}` has no `cache`, so it has no shared result to refresh",
                code=codes.STEP_NOT_FOUND,
                help="its calls are made again in every run; to share their results, add `cache: true`",
            )


def _asked_for(plan: Data, path: str) -> Iterator[Data]:
    """Yield the step at a path, and the agent that contains it, if any, whose `cache` applies to its calls."""
    parts = path.split(".")
    for count in range(1, len(parts) + 1):
        found = definition_at(plan, ".".join(parts[:count]))
        if found is not None and (count == len(parts) or "agent" in (found["kind"], *found)):
            yield found.get("agent", found)


def _is_shared(step: Data, plan: Data) -> bool:
    """Return whether a step, or a step inside it, has a `cache`."""
    inner = (visit.step for visit in walk_step(step, plan.get("pipelines", {})))
    return any(each.get("cache") is not None for each in (step, *inner))


def paths_of(plan: Data) -> Iterator[str]:
    """Yield the paths of all steps but those of handlers and `undo`, at any depth; items of loops without numbers."""
    for visit in walk(plan):
        late = is_in_handler(visit.path) or is_in_undo(visit.path)
        if visit.within.role not in ("item", "turn") and not late:
            yield visit.shape


def _split(part: str) -> tuple[str, list[int]]:
    name, bracket, rest = part.partition("[")
    return name, [int(number) for number in rest.rstrip("]").split("][")] if bracket else []


def _item(found: Data, number: int) -> Data | None:
    if "handlers" in found:
        handlers = found["handlers"]
        return {"id": number, "steps": handlers[number].get("steps", ())} if number < len(handlers) else None
    if found.get("kind") == "agent":
        return {"id": found["id"], "kind": "item", "dependencies": [], "agent": found}
    if found.get("kind") not in LOOPS:
        return None
    if "step" in found:
        return {**found["step"], "dependencies": []}
    return {"id": found["id"], "kind": "item", "dependencies": [], "steps": found.get("steps", ())}


def step_of_agent(agent: Data, name: str) -> Data | None:
    """Return the definition of a step in an agent's turn, None if no step of a turn can have this name.

    The steps of a turn are known only when the model has asked for them; further calls are numbered: `fetch_2`.
    """
    if name == "answer":
        return {"id": name, "kind": "tool", "tool": "model", "action": "turn", "dependencies": []}
    if name.endswith(APPROVAL):
        return {"id": name, "kind": "approve", "dependencies": ["answer"]}
    unnumbered = re.sub(r"_\d+$", "", name)
    pipelines, tools = tools_of_agent(agent, "pipelines"), tools_of_agent(agent, "tools")
    for each in (name, unnumbered):
        if each in pipelines:
            return call_of_agent(pipelines[each], name)
        if each in tools:
            called = {key: tools[each][key] for key in ("tool", "tool_version", "action")}
            return {"id": name, "kind": "tool", **called, "dependencies": ["answer"]}
    servers = [server["server"] for each in (agent, *agent.get("roles", ())) for server in each["servers"]]
    if any(name.startswith(f"{server}_") for server in servers):
        return {"id": name, "kind": "tool", "tool": "mcp", "action": "call", "dependencies": ["answer"]}
    return None


def _steps_of(plan: Data) -> list[Data]:
    """Return the steps of a pipeline, its error handlers and its `finally` block."""
    closing = [
        {"id": "finally", "steps": plan.get("finally", ())},
        {"id": "error_handlers", "handlers": plan.get("error_handlers", ())},
    ]
    return [*plan.get("steps", ()), *closing]


def _called(call: Data, plan: Data) -> Data:
    called: Data = plan.get("pipelines", {}).get(call["pipeline"], {})
    return called
