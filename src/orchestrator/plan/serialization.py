"""A plan as JSON data: for the journal, for people, and for the digest that identifies what a plan does."""

from __future__ import annotations

import hashlib
import json
import weakref
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from orchestrator.expressions.types.schema import to_json_schema
from orchestrator.plan.detached_run import DetachedRun
from orchestrator.plan.limits import LIMITS
from orchestrator.plan.loop_items import CombinedItems, FileItems, MatrixItems, RangeItems, ZippedItems
from orchestrator.plan.policies import FAIL, MODEL_RETRY, NO_RETRY, Check, OnFailure, RetryPolicy
from orchestrator.plan.steps import (
    Agent,
    Approve,
    Ask,
    Block,
    CaseKey,
    ForEach,
    Handler,
    RepeatLoop,
    StepGroup,
    StepPlan,
    SubPipeline,
    Switch,
    ToolCall,
    Wait,
    Work,
)
from orchestrator.plan.value_text import source_of
from orchestrator.plan.values import Computation, End, Failure
from orchestrator.plan.walk import walk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.expressions import Value
    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.plan.agent_tools import AgentRole, CallPolicy
    from orchestrator.plan.auto_values import AutoValue
    from orchestrator.plan.model import Plan
    from orchestrator.plan.policies import Audience

Data = dict[str, Any]


def plan_data(plan: Plan) -> Data:
    """Return the plan as JSON data: without functions, templates as text, nested steps under the keys of the file."""
    return _PlanWriter(everything=True).plan(plan)


def shared_plan_data(plan: Plan) -> Data:
    """Return the same as `plan_data`, made once for each plan: all runs of a pipeline record it. Do not change it."""
    key = id(plan)
    found = _shared.get(key)
    if found is None or found[0]() is not plan:
        found = _shared[key] = (weakref.ref(plan, lambda _: _shared.pop(key, None)), plan_data(plan))
    return found[1]


_shared: dict[int, tuple[weakref.ref[Plan], Data]] = {}


def step_data(step: StepPlan, *, everything: bool = True) -> Data:
    """Return one step as JSON data, with all steps inside it.

    Without `everything`, names, descriptions and metadata are left out: what remains defines what the step does.
    """
    return _PlanWriter(everything=everything).step(step)


def with_digest(plan: Plan) -> Plan:
    """Return the plan with its digest."""
    return replace(plan, digest=digest_of(plan))


def digest_of(plan: Plan) -> str:
    """Return the SHA-256 of what the plan does: of the file's steps and of all pipelines that it calls.

    Display names, descriptions, versions and metadata do not count. A tool is identified by its name and version.
    """
    text = json.dumps(_PlanWriter(everything=False).plan(plan), sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def standalone(plan: Plan, key: str) -> Plan:
    """Return a called pipeline of a plan as the plan of a run of its own, with all that it calls."""
    needed: dict[str, Plan] = {}
    pending = [key]
    while pending:
        called = plan.pipelines[pending.pop()]
        for visit in walk(called):
            work = visit.step.work
            if isinstance(work, SubPipeline | DetachedRun) and work.source not in needed:
                needed[work.source] = plan.pipelines[work.source]
                pending.append(work.source)
    return with_digest(replace(plan.pipelines[key], pipelines=needed))


class _PlanWriter(Struct, frozen=True):
    """Serializes a plan: completely, or only what defines what it does."""

    everything: bool

    def plan(self, plan: Plan) -> Data:
        entry: Data = {"id": plan.id}
        if self.everything:
            entry |= {
                "name": plan.name,
                "description": plan.description,
                "version": plan.version,
                "digest": plan.digest,
            }
        entry |= {
            "inputs": {name: self._input(spec) for name, spec in plan.inputs.items()},
            "variables": _sources(plan.variables),
            "steps": [self.step(step) for step in plan.steps],
            "outputs": {
                name: {"value": source_of(output.value), "type": to_json_schema(output.type)}
                for name, output in plan.outputs.items()
            },
            "max_parallel": plan.max_parallel,
        }
        if plan.finally_ is not None:
            entry["finally"] = self._block(plan.finally_)
        if plan.error_handlers:
            entry["error_handlers"] = [self._handler(handler) for handler in plan.error_handlers]
        if plan.budget is not None:
            entry["budget"] = plan.budget.to_dict()
        if plan.timeout is not None:
            entry["timeout"] = plan.timeout
        if plan.pipelines:
            entry["pipelines"] = {key: self.plan(called) for key, called in plan.pipelines.items()}
        if self.everything:
            entry |= _given(judge_models=list(plan.judge_models) or None)
            entry["metadata"] = dict(plan.metadata)
            entry |= _given(labels=[source_of(label) for label in plan.labels] or None)
            entry |= _given(concurrency=plan.concurrency.to_dict() if plan.concurrency is not None else None)
            entry |= _given(triggers={each.name: each.to_dict() for each in plan.triggers} or None)
            entry |= _given(notify=plan.notify.to_dict() or None)
            entry |= _given(autos=[_auto(auto) for auto in plan.autos] or None)
        return entry

    def step(self, step: StepPlan) -> Data:
        entry: Data = {
            "id": step.id,
            "kind": step.work.kind,
            **self._work(step.work),
            "dependencies": list(step.dependencies),
        }
        if self.everything:
            entry |= _given(name=step.name if step.name not in ("", step.id) else None)
        entry |= _given(
            condition=step.condition.text if step.condition is not None else None,
            timeout=step.timeout,
            on_success=step.on_success,
            on_false=step.on_false,
            retry=_retry(step.retry) if step.retry not in (NO_RETRY, MODEL_RETRY) else None,
            on_failure=_failure(step.on_failure) if step.on_failure != FAIL else None,
            on_error=[self._handler(handler) for handler in step.on_error] or None,
            undo=self._block(step.undo) if step.undo is not None else None,
            on_resume=step.on_resume if step.on_resume != "rerun" or step.happens_once else None,
        )
        for name, value in step.limits.items():
            _enter(entry, LIMITS[name].path, source_of(value))
        if step.cache is not None:
            entry["cache"] = {
                "ttl": step.cache.ttl,
                **_source_if_any("key", step.cache.key),
                "scope": step.cache.scope,
            }
        if step.check is not None:
            entry["check"] = check_data(step.check)
        entry |= _given(result_names=dict(step.result_names) or None)
        entry |= _given(produces=[source_of(path) for path in step.produces] or None)
        if step.budget is not None:
            entry["budget"] = step.budget.to_dict()
        if self.everything:
            entry |= _given(metadata=dict(step.metadata) or None)
        return entry

    def _work(self, work: Work) -> Data:
        match work:
            case ToolCall(tool, action, parameters):
                return {
                    "tool": tool.name,
                    "tool_version": tool.version,
                    "action": action.name,
                    "parameters": source_of(parameters),
                }
            case ForEach():
                return self._for_each(work)
            case RepeatLoop():
                return {
                    work.kind: work.condition.text,
                    "max_iterations": work.max_iterations,
                    "on_limit": work.on_limit,
                    "initial": _sources(work.initial),
                    "update": _sources(work.update),
                    **_source_if_any("collect", work.collect),
                    "steps": self._block(work.body),
                }
            case Switch(subject, cases, default):
                return {
                    "switch": source_of(subject),
                    "cases": [{**_case(key), "steps": self._block(block)} for key, block in cases],
                    **_given(default=self._block(default) if default is not None else None),
                }
            case StepGroup():
                said = _given(wait_for=work.wait_for, compensate=work.compensate or None)
                return {**said, "steps": self._block(work.body)}
            case SubPipeline(source, inputs, max_depth):
                return {"pipeline": source, "inputs": source_of(inputs), **_given(max_depth=max_depth)}
            case DetachedRun(source, inputs):
                return {"pipeline": source, "inputs": source_of(inputs), "detach": True}
            case Agent():
                return _agent(work)
            case Ask():
                return self._ask(work)
            case Approve():
                return {
                    "approve": source_of(work.title),
                    "content": source_of(work.content),
                    "editable": work.editable,
                    **_source_if_any("default", work.default),
                    **_audience(work.audience),
                }
            case Wait(until, duration):
                return {**_source_if_any("wait_until", until), **_source_if_any("sleep", duration)}
            case Computation(value):
                return {"value": source_of(value)}
            case Failure(message, code):
                return {"fail": source_of(message), **_given(code=code or None)}
            case End(outputs):
                return {"end": {name: source_of(value) for name, value in outputs.items()} or True}

    def _ask(self, work: Ask) -> Data:
        return {
            "ask": source_of(work.prompt),
            "answer": self._input(work.answer),
            **_source_if_any("choices", work.choices),
            **_source_if_any("default", work.default),
            **_given(questions={name: self._ask(part) for name, part in work.questions.items()} or None),
            **_audience(work.audience),
        }

    def _for_each(self, loop: ForEach) -> Data:
        entry: Data = {
            "for_each": _items(loop.items),
            "as": loop.name,
            **_given(max_parallel=loop.max_parallel, min_success=loop.min_success, wait_for=loop.wait_for),
            **_source_if_any("collect", loop.collect),
            **({"initial": _sources(loop.initial), "update": _sources(loop.update)} if loop.is_fold else {}),
        }
        if loop.on_item_failure != FAIL:
            entry["on_item_failure"] = _failure(loop.on_item_failure)
        if isinstance(loop.body, StepPlan):
            return entry | {"step": self.step(loop.body)}
        return entry | {"steps": self._block(loop.body)}

    def _block(self, block: Block) -> list[Data]:
        return [self.step(step) for step in block.steps]

    def _handler(self, handler: Handler) -> Data:
        return {
            "error_types": list(handler.error_types),
            "error_patterns": list(handler.error_patterns),
            **_given(
                retry=_retry(handler.retry) if handler.retry is not None else None,
                steps=self._block(handler.body) if handler.body is not None else None,
            ),
            **_source_if_any("fallback_value", handler.fallback),
        }

    def _input(self, spec: InputSpec) -> Data:
        entry = spec.model_dump(mode="json", exclude_none=True, exclude={"items", "properties"})
        if spec.has_default:
            entry["default"] = spec.default
        if spec.items is not None:
            entry["items"] = self._input(spec.items)
        if spec.properties is not None:
            entry["properties"] = {name: self._input(field) for name, field in spec.properties.items()}
        if not self.everything:
            entry.pop("description", None)
        return entry


def _auto(auto: AutoValue) -> Data:
    locked = auto.locked.to_dict() if auto.locked is not None else None
    return {"at": auto.at, "text": auto.text, "type": dict(auto.schema), "varies": auto.varies, "locked": locked}


def _audience(audience: Audience) -> Data:
    escalate = {
        **_source_if_any("after", audience.escalate_after),
        **_source_if_any("to", audience.escalate_to),
    }
    return {
        **_source_if_any("assignee", audience.assignee),
        **_source_if_any("remind", audience.remind),
        **_given(escalate=escalate or None),
    }


def _agent(agent: Agent) -> Data:
    roles = [
        {
            "name": role.name,
            "description": role.description,
            "parameters": source_of(role.parameters),
            **_tools_of(role),
        }
        for role in agent.roles
    ]
    return {
        "parameters": source_of(agent.parameters),
        **_tools_of(agent),
        **_given(roles=roles or None),
        "max_turns": source_of(agent.max_turns),
        "parallel": agent.parallel,
        **_given(call_timeout=agent.timeout),
    }


def _tools_of(agent: Agent | AgentRole) -> Data:
    tools = [
        {
            "name": one.name,
            "tool": one.tool.name,
            "tool_version": one.tool.version,
            "action": one.action.name,
            **_given(description=one.description or None),
            **_call_policy(one.policy),
        }
        for one in agent.tools
    ]
    servers = [{"server": one.server, **_given(tool=one.tool), **_call_policy(one.policy)} for one in agent.servers]
    pipelines = [
        {"name": one.name, "pipeline": one.source, "description": one.description, **_call_policy(one.policy)}
        for one in agent.pipelines
    ]
    return {"tools": tools, "servers": servers, **_given(pipelines=pipelines or None)}


def _call_policy(policy: CallPolicy) -> Data:
    approve = policy.approve if isinstance(policy.approve, bool) else policy.approve.text
    return _given(approve=approve or None, max_calls=policy.max_calls, timeout=policy.timeout)


def check_data(check: Check) -> Data:
    """Return the check of an output as JSON data."""
    judge = check.judge
    return {
        "conditions": [condition.text for condition in check.conditions],
        "max_attempts": check.max_attempts,
        **_given(
            schema=check.schema,
            judge={"rubric": source_of(judge.rubric), "model": source_of(judge.model), "min_score": judge.min_score}
            if judge is not None
            else None,
        ),
    }


def _case(key: CaseKey) -> Data:
    return {"case": key.text} if key.value == key.text else {"case": key.text, "value": key.value}


def _items(items: Value | FileItems | RangeItems | CombinedItems) -> Any:
    match items:
        case FileItems(path, format, delimiter, encoding, types):
            layout = _given(format=format, delimiter=delimiter, encoding=encoding, types=types)
            return {"file": source_of(path), **layout}
        case RangeItems(start, stop, step):
            return {"range": [source_of(start), source_of(stop), source_of(step)]}
        case MatrixItems(lists, exclude, include):
            others = {**_source_if_any("exclude", exclude), **_source_if_any("include", include)}
            return {"matrix": _sources(lists), **others}
        case ZippedItems(lists):
            return {"zip": _sources(lists)}
        case _:
            return source_of(items)


def _retry(retry: RetryPolicy) -> Data:
    return {**_given(**asdict(retry)), "on": list(retry.on)}


def _enter(entry: Data, path: tuple[str, ...], source: Any) -> None:
    *around, key = path
    for name in around:
        entry = entry.setdefault(name, {})
    entry[key] = source


def _failure(failure: OnFailure) -> Data:
    return {"kind": failure.kind, **_given(target=failure.target), **_source_if_any("value", failure.value)}


def _sources(values: Mapping[str, Value]) -> Data:
    return {name: source_of(value) for name, value in values.items()}


def _given(**fields: Any) -> Data:
    """Return the fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def _source_if_any(name: str, value: Value | None) -> Data:
    """Return a field, even if its value in the file is null; nothing if it has none."""
    return {} if value is None else {name: source_of(value)}
