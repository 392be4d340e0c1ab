"""A plan as the files that a user would write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from tests.model.plans import (
    Act,
    Approve,
    Ask,
    ForEach,
    Group,
    Handler,
    Hang,
    Items,
    Nap,
    Plan,
    Policy,
    Repeat,
    Step,
    Sub,
    Switch,
    Test,
    Work,
    everything,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def write(plan: Plan, directory: Path) -> Path:
    """Write the pipeline, those that it calls, and the files that it reads; return the first."""
    for step in everything(plan.steps):
        match step.work:
            case Sub(name=name, inputs=inputs, steps=steps, outputs=outputs):
                document = {
                    "inputs": {name: {"type": "integer"} for name in inputs},
                    "steps": block(steps),
                    "outputs": {name: expression(ref) for name, ref in outputs.items()},
                }
                dump(directory / f"{name}.yaml", {key: value for key, value in document.items() if value})
            case ForEach(items=Items(kind="file", values=values)):
                rows = "".join(json.dumps({"n": value}) + "\n" for value in values)
                (directory / f"{step.id}.jsonl").write_text(rows)
            case _:
                pass
    document = {"id": "model", "steps": block(plan.steps)}
    if plan.finally_:
        document["finally"] = block([plan.finally_])
    if plan.error_handler:
        document["error_handlers"] = [{"steps": block([plan.error_handler])}]
    document["outputs"] = {step.id: expression(step.id) for step in plan.steps}
    return dump(directory / "pipeline.yaml", document)


def dump(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(document, sort_keys=False, width=120))
    return path


def expression(ref: str) -> str:
    return f"{{{{ {ref} }}}}"


def number(ref: str) -> str:
    """A reference to a number or null, as a number."""
    return f"({ref} | default(0, true))"


def condition(test: Test) -> str:
    return f"{number(test.ref)} % {test.a} == {test.b}" if test.op == "mod" else f"{number(test.ref)} < {test.a}"


def block(steps: Iterable[Step]) -> list[dict[str, Any]]:
    return [entry(step) for step in steps]


def entry(step: Step) -> dict[str, Any]:
    """A step as it stands in a file."""
    found: dict[str, Any] = {"id": step.id, **work(step.work, step.id)}
    if step.after:
        found["dependencies"] = list(step.after)
    if step.condition:
        found["condition"] = condition(step.condition)
    if step.on_failure.kind != "fail":
        found["on_failure"] = policy(step.on_failure)
    if step.handlers:
        found["on_error"] = [handler(one) for one in step.handlers]
    return found | {key: value for key in ("on_success", "on_false") if (value := getattr(step, key))}


def policy(one: Policy) -> Any:
    match one.kind:
        case "value":
            return {"value": expression(one.value) if isinstance(one.value, str) else one.value}
        case "jump":
            return one.target
    return one.kind


def handler(one: Handler) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if one.type:
        found["error_types"] = [one.type]
    if one.pattern:
        found["error_patterns"] = [one.pattern]
    if one.steps:
        found["steps"] = block(one.steps)
    if one.fallback is not None:
        found["fallback_value"] = one.fallback
    return found


def work(one: Work, id: str) -> dict[str, Any]:
    match one:
        case Act():
            parameters: dict[str, Any] = {"salt": one.salt, "reads": [expression(ref) for ref in one.reads]}
            unusual = {"failures": one.failures, "error": one.error, "transient": one.transient}
            usual = {"failures": 0, "error": "boom", "transient": False}
            parameters |= {key: value for key, value in unusual.items() if value != usual[key]}
            retry = {"retry": {"max_attempts": one.attempts, "delay": 0}} if one.attempts > 1 else {}
            return {"tool": "think" if one.pure else "act", "parameters": parameters, **retry}
        case Hang():
            return {"tool": "hang"}
        case Ask():
            return {"ask": {"prompt": "How many?", "type": "integer"}}
        case Approve():
            return {"approve": {"title": "Go on?"}}
        case Nap(kind=kind):
            return {kind: 0 if kind == "sleep" else "2020-02-02T02:02:02Z"}
        case ForEach():
            return for_each(one, id)
        case Repeat():
            found = {one.kind: condition(one.condition), "max_iterations": one.max_iterations, "on_limit": one.on_limit}
            if one.initial:
                found["initial"] = dict(one.initial)
            if one.update:
                sums = {name: f"{number(total.left)} + {number(total.right)}" for name, total in one.update.items()}
                found["update"] = {name: expression(text) for name, text in sums.items()}
            return found | ({"collect": expression(one.collect)} if one.collect else {}) | {"steps": block(one.body)}
        case Switch():
            found = {
                "switch": f"{{{{ {number(one.subject)} % {one.modulus} }}}}",
                "cases": {str(key): block(steps) for key, steps in one.cases.items()},
            }
            return found | ({"default": block(one.default)} if one.default is not None else {})
        case Group(steps=steps, parallel=parallel, wait_for=wait_for):
            found = {"parallel" if parallel else "steps": block(steps)}
            return found | ({"wait_for": wait_for} if wait_for else {})
        case Sub():
            found = {"pipeline": f"./{one.name}.yaml"}
            inputs = {name: expression(number(ref)) for name, ref in one.inputs.items()}
            return found | ({"inputs": inputs} if inputs else {})


def for_each(one: ForEach, id: str) -> dict[str, Any]:
    items: Any = None
    match one.items.kind:
        case "list":
            items = list(one.items.values)
        case "mapping":
            items = {f"k{n}": value for n, value in enumerate(one.items.values)}
        case "range":
            items = {"range": len(one.items.values)}
        case "file":
            items = {"file": f"{id}.jsonl"}
        case "ref":
            items = expression(f"{one.items.ref} | default([], true)")
    found: dict[str, Any] = {"for_each": items}
    if one.name != "item":
        found["as"] = one.name
    if one.max_parallel:
        found["max_parallel"] = one.max_parallel
    if one.on_item.kind != "fail":
        found["on_item_failure"] = policy(one.on_item)
    if one.min_success is not None:
        found["min_success"] = one.min_success
    if one.collect:
        found["collect"] = expression(one.collect)
    return found | (work(one.body, id) if isinstance(one.body, Act) else {"steps": block(one.body)})
