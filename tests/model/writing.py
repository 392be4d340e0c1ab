"""A plan as the files that a user would write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from tests.model.agents import write_scripts
from tests.model.plans import (
    Act,
    Agent,
    Approve,
    Ask,
    Compute,
    End,
    Fail,
    ForEach,
    Group,
    Handler,
    Hang,
    Items,
    Launch,
    Nap,
    Offer,
    Plan,
    Policy,
    Repeat,
    Step,
    Sub,
    Sum,
    Switch,
    Test,
    Work,
    everything,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def write(plan: Plan, directory: Path) -> Path:
    """Write the pipeline, those that it calls, and the files that it reads; return the first."""
    for step in everything(plan.steps):
        match step.work:
            case Sub() as sub:
                write_pipeline(sub, directory)
            case Agent(pipelines=pipelines):
                for sub in pipelines:
                    write_pipeline(sub, directory)
            case Launch(name=name):
                steps_of_run = [{"id": "one", "value": 1}, {"id": "two", "value": "{{ one + 1 }}"}]
                dump(directory / f"{name}.yaml", {"id": "launched", "steps": steps_of_run})
            case ForEach(items=Items(kind="file", values=values)):
                rows = "".join(json.dumps({"n": value}) + "\n" for value in values)
                (directory / f"{step.id}.jsonl").write_text(rows)
            case _:
                pass
    document = {"id": "model", **in_order(plan.in_order), "steps": block(plan.steps, in_order=plan.in_order)}
    if plan.finally_:
        document["finally"] = block([plan.finally_])
    if plan.error_handler:
        document["error_handlers"] = [{"steps": block([plan.error_handler])}]
    document["outputs"] = {step.id: expression(step.id) for step in plan.steps}
    write_scripts(plan, directory)
    return dump(directory / "pipeline.yaml", document)


def write_pipeline(sub: Sub, directory: Path) -> None:
    """Write a pipeline that is called."""
    document = {
        "inputs": {name: {"type": "integer"} for name in sub.inputs},
        **in_order(sub.in_order),
        "steps": block(sub.steps, in_order=sub.in_order),
        "outputs": {name: expression(ref) for name, ref in sub.outputs.items()},
    }
    dump(directory / f"{sub.name}.yaml", {key: value for key, value in document.items() if value})


def dump(path: Path, document: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(document, sort_keys=False, width=120))
    return path


def expression(ref: str) -> str:
    return f"{{{{ {ref} }}}}"


def computed(limit: int) -> int | str:
    """A limit, which stands in the file as a number, or as a template if it is even."""
    return limit if limit % 2 else f"{{{{ {limit // 2} * 2 }}}}"


def sums(update: Mapping[str, Sum]) -> dict[str, str]:
    return {name: plus(total) for name, total in update.items()}


def plus(total: Sum) -> str:
    return expression(f"{number(total.left)} + {number(total.right)}")


def number(ref: str) -> str:
    """A reference to a number or null, as a number."""
    return f"({ref} | default(0, true))"


def condition(test: Test) -> str:
    return f"{number(test.ref)} % {test.a} == {test.b}" if test.op == "mod" else f"{number(test.ref)} < {test.a}"


def in_order(said: bool) -> dict[str, bool]:
    return {"in_order": True} if said else {}


def block(steps: Iterable[Step], *, in_order: bool = False) -> list[dict[str, Any]]:
    return [entry(step, chained=in_order and number > 0) for number, step in enumerate(steps)]


def entry(step: Step, *, chained: bool = False) -> dict[str, Any]:
    """A step as it stands in a file; of one that is `chained`, the last of its `after` is said by the block."""
    found: dict[str, Any] = {"id": step.id, **work(step.work, step.id)}
    if after := step.after[:-1] if chained else step.after:
        found["dependencies"] = list(after)
    if step.condition:
        found["condition"] = condition(step.condition)
    if step.on_failure.kind != "fail":
        found["on_failure"] = policy(step.on_failure)
    if step.handlers:
        found["on_error"] = [handler(one) for one in step.handlers]
    if step.undo:
        found["undo"] = work(step.undo, step.id)
    if step.produces:
        found["produces"] = [produced(step.id)]
        found["parameters"] = {**found["parameters"], "writes": produced(step.id)}
    return found | {key: value for key in ("on_success", "on_false") if (value := getattr(step, key))}


def produced(id: str) -> str:
    """The file that a step writes."""
    return f"{id}.txt"


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
            retry = {"retry": {"max_attempts": computed(one.attempts), "delay": 0}} if one.attempts > 1 else {}
            return {"tool": "think" if one.pure else "act", "parameters": parameters, **retry}
        case Hang() | Launch():
            return {"tool": "hang"} if isinstance(one, Hang) else {"pipeline": f"{one.name}.yaml", "detach": True}
        case Ask() | Approve() | Nap():
            return waiting(one)
        case Compute(sum=total):
            return {"value": plus(total)}
        case Fail(salt=salt, code=code):
            message = f"boom {salt}"
            return {"fail": {"message": message, "code": code} if code else message}
        case End(outputs=outputs):
            return {"end": {name: expression(ref) for name, ref in outputs.items()} or True}
        case ForEach():
            return for_each(one, id)
        case Repeat():
            found = {
                one.kind: condition(one.condition),
                "max_iterations": computed(one.max_iterations),
                "on_limit": one.on_limit,
            }
            if one.initial:
                found["initial"] = dict(one.initial)
            if one.update:
                found["update"] = sums(one.update)
            return found | ({"collect": expression(one.collect)} if one.collect else {}) | {"steps": block(one.body)}
        case Switch():
            found = {
                "switch": f"{{{{ {number(one.subject)} % {one.modulus} }}}}",
                "cases": {str(key): block(steps) for key, steps in one.cases.items()},
            }
            return found | ({"default": block(one.default)} if one.default is not None else {})
        case Group(steps=steps, parallel=parallel, wait_for=wait_for, in_order=said, compensate=compensate):
            found = {**in_order(said), "parallel" if parallel else "steps": block(steps, in_order=said)}
            found |= {"compensate": True} if compensate else {}
            return found | ({"wait_for": wait_for} if wait_for else {})
        case Sub():
            found = {"pipeline": f"./{one.name}.yaml"}
            inputs = {name: expression(number(ref)) for name, ref in one.inputs.items()}
            return found | ({"inputs": inputs} if inputs else {})
        case Agent() as agent:
            found = {
                "prompt": " ".join([expression("0"), *(expression(number(ref)) for ref in agent.reads)]),
                "model": "ollama:m",
                "tools": [tool(offer) for offer in agent.offers],
                "max_turns": computed(agent.max_turns),
            }
            found |= {"schema": {"n": "integer"}} if agent.form else {}
            found |= {} if agent.parallel else {"parallel": False}
            found |= {"retry": {"max_attempts": agent.attempts, "delay": 0}} if agent.attempts > 1 else {}
            roles = {
                role: {
                    "description": "Another.",
                    "system": f"You are {role}.",
                    "tools": [tool(offer) for offer in offers],
                }
                for role, offers in agent.roles.items()
            }
            return found | ({"hand_over": roles} if roles else {})


def tool(offer: Offer) -> dict[str, Any]:
    """An entry of the tools of an agent."""
    found: dict[str, Any] = {"tool": offer.name}
    if offer.pipeline is not None:
        found = {"pipeline": f"{offer.pipeline.name}.yaml", "name": offer.name, "description": "A pipeline."}
    argument = "arguments.n" if offer.pipeline is not None else "arguments.salt"
    conditions = {"always": True, "even": f"{argument} % 2 == 0", "lost": "arguments.missing > 1"}
    found |= {"approve": conditions[offer.approve]} if offer.approve else {}
    found |= {"max_calls": offer.max_calls} if offer.max_calls is not None else {}
    return found | {"timeout": 0.01 if offer.name == "hang" else 600}


def waiting(one: Ask | Approve | Nap) -> dict[str, Any]:
    if isinstance(one, Ask):
        asked = {"prompt": "How many?", "type": "integer"}
        questions = {"a": asked, "b": {**asked, "default": 3}}
        return {"ask": {"questions": questions, "assignee": ["ada", "managers"]} if one.several else asked}
    if isinstance(one, Approve):
        return {"approve": {"title": "Go on?"}}
    return {one.kind: 0 if one.kind == "sleep" else "2020-02-02T02:02:02Z"}


def items_of(items: Items, id: str) -> Any:
    """What stands behind `for_each`."""
    match items.kind:
        case "mapping":
            return {f"k{n}": value for n, value in enumerate(items.values)}
        case "range":
            return {"range": len(items.values)}
        case "file":
            return {"file": f"{id}.jsonl"}
        case "matrix" | "zip":
            lists = {items.kind: {"n": list(items.values), "m": list(items.others)}}
            return lists if items.without is None else {**lists, "exclude": [{"n": items.without}]}
        case "ref":
            return expression(f"{items.ref} | default([], true)")
    return list(items.values)


def for_each(one: ForEach, id: str) -> dict[str, Any]:
    found: dict[str, Any] = {"for_each": items_of(one.items, id)}
    if one.name != "item":
        found["as"] = one.name
    if one.max_parallel:
        found["max_parallel"] = computed(one.max_parallel)
    if one.on_item.kind != "fail":
        found["on_item_failure"] = policy(one.on_item)
    if one.min_success is not None:
        found["min_success"] = one.min_success
    if one.wait_for is not None:
        found["wait_for"] = one.wait_for
    if one.initial:
        found["initial"] = dict(one.initial)
    if one.update:
        found["update"] = sums(one.update)
    if one.collect:
        found["collect"] = expression(one.collect)
    if isinstance(one.body, Act):
        return found | work(one.body, id)
    return found | in_order(one.in_order) | {"steps": block(one.body, in_order=one.in_order)}
