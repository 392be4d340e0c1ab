"""What a step of a run was given: the expressions of its plan, evaluated again over what the run has recorded.

Nothing of it is recorded a second time. Secrets are not known here: their marks stand for them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator import runtime
from orchestrator.errors import EvaluationError, OrchestratorError, StepError
from orchestrator.journal import step_records
from orchestrator.journal.state.accumulators import RoundState, folded
from orchestrator.journal.step_payloads import StepSucceededPayload
from orchestrator.plan.agent_tools import APPROVAL
from orchestrator.plan.detached_run import DetachedRun
from orchestrator.plan.loop_items import FileItems
from orchestrator.plan.steps import (
    Agent,
    Approve,
    Ask,
    Block,
    ForEach,
    RepeatLoop,
    StepGroup,
    SubPipeline,
    Switch,
    ToolCall,
    Wait,
)
from orchestrator.plan.values import End, Failure
from orchestrator.runtime.steps.error_handlers import error_names_in_scope
from orchestrator.runtime.steps.item_sources import items_of
from orchestrator.runtime.values import step_values
from orchestrator.runtime.values.inputs import bind
from orchestrator.runtime.values.scope import NULL, BlockScope, pipeline_scope
from orchestrator.runtime.values.undo_names import scope_of_names

if TYPE_CHECKING:
    from orchestrator.api.backend import Backend
    from orchestrator.expressions import Entity, Value
    from orchestrator.history.step_results import StepResults
    from orchestrator.journal import RunRecord, StepRecord
    from orchestrator.journal.events import EventType
    from orchestrator.plan.model import Plan
    from orchestrator.plan.steps import StepPlan

REDACTED: Final = "[redacted]"
"""What stands for the secret inputs of a called pipeline."""

MOST_ROUNDS: Final = 10_000
"""How many rounds of a loop, or items before one, are read to find what a round or an item was given."""

_PART: Final = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)")
_STEP_ENDS: Final[tuple[EventType, ...]] = (
    "run.started",
    "run.revised",
    "step.started",
    "step.waiting",
    "step.succeeded",
    "step.failed",
    "step.skipped",
    "step.cancelled",
)


class StepInputs(Struct, frozen=True):
    """What a step was given, by name; `condition` is what its condition was, None without one or if it is unknown.

    `items` are the items of the loops around it, by their names. `problem` is why the values are not known: then there
    are none.
    """

    path: str
    values: Mapping[str, Any]
    condition: bool | None = None
    problem: str = ""
    items: Mapping[str, Any] = {}


class _Unknown(Exception):
    """The values of a step cannot be found, for the reason given."""


def step_inputs(backend: Backend, record: RunRecord, steps: StepResults, path: str) -> StepInputs:
    """Return what the step at a path was given, as far as that follows from what is recorded.

    A step that has not run yet has the values that it would be given now.
    """
    try:
        plan = backend.recompile_for_reading(record)
        resolver = _Resolver(backend, record, steps, plan)
        return resolver.inputs(path)
    except _Unknown as unknown:
        return StepInputs(path, {}, problem=str(unknown))
    except OrchestratorError as error:
        return StepInputs(path, {}, problem=error.message)


class _Resolver:
    """Enters the blocks around a step one after another, as the run did, with what is recorded."""

    def __init__(self, backend: Backend, record: RunRecord, steps: StepResults, plan: Plan) -> None:
        self._record = record
        self._steps = steps
        self._store = backend.store
        self._root = plan
        self._permissions = runtime.permissions_for(backend.permissions, record)
        self._now = datetime.fromtimestamp(record.now, UTC)
        self._around: dict[str, Any] = {}

    def inputs(self, path: str) -> StepInputs:
        scope = pipeline_scope(self._root, self._record.run_id, self._now, self._record.inputs)
        block: Sequence[StepPlan] = self._root.steps
        plan, step, before = self._root, None, ""
        for part in path.split("."):
            found = _PART.fullmatch(part)
            if found is None:
                raise _Unknown(f"`{path}` is not the path of a step")
            name, numbers = found[1], [int(each) for each in re.findall(r"\d+", found[2])]
            if name == "undo" and step is not None:
                scope, block = self._undoing(before), step.undo.steps if step.undo is not None else ()
                before, step = f"{before}.{part}", None
                continue
            if name in ("finally", "error_handlers", "on_error"):
                scope, block = self._handled(scope, plan, step, before, name, numbers)
                before, step = f"{before}.{part}" if before else part, None
                continue
            if step is not None:
                if isinstance(step.work, Agent):
                    return self._of_turn(path, step.work, scope, before, name)
                plan, scope, block = self._enter(plan, step, scope, before)
            step = next((each for each in block if each.id == name), None)
            if step is None:
                raise _Unknown(f"the pipeline has no step `{path}` any more")
            before = f"{before}.{name}" if before else name
            self._enter_dependencies(scope, step, block, before)
            for number in numbers:
                step, scope = self._item(step, scope, before, number)
                before = f"{before}[{number}]"
        if step is None:
            raise _Unknown(f"`{path}` is a block of steps, which is given nothing itself")
        is_block = before.endswith("]") and isinstance(step.work, ForEach | RepeatLoop)  # it is an item itself
        values = {} if is_block else self._values(step, scope, before)
        return StepInputs(path, values, None if is_block else _condition(step, scope), items=dict(self._around))

    # --- blocks

    def _enter(
        self, plan: Plan, step: StepPlan, scope: BlockScope, path: str
    ) -> tuple[Plan, BlockScope, Sequence[StepPlan]]:
        """Return the pipeline, the scope and the steps of the block inside a step."""
        match step.work:
            case SubPipeline() as call:
                called = self._root.pipelines[call.source]
                given: Any = call.inputs.evaluate(scope.scope)
                secrets = {name: REDACTED for name, spec in called.inputs.items() if spec.secret and given.get(name)}
                plain = {name: spec for name, spec in called.inputs.items() if not spec.secret}
                told = {name: value for name, value in given.items() if name in plain}
                bound = bind(plain, told, permissions=self._permissions, environment={})
                values = dict.fromkeys(called.inputs) | dict(bound.values) | secrets
                inner = pipeline_scope(called, self._record.run_id, self._now, values)
                return called, inner, called.steps
            case StepGroup(body=body):
                return plan, scope.child({}), body.steps
            case Switch() as switch:
                case = self._steps.head(path).case if path in self._steps else None
                bodies = {key.text: body for key, body in switch.cases}
                chosen = bodies.get(str(case)) or (switch.default if case is not None else None)
                if chosen is None:
                    raise _Unknown(f"`{path}` has not chosen a case")
                return plan, scope.child({}), chosen.steps
            case ForEach(body=Block() as body) | RepeatLoop(body=body):
                return plan, scope, body.steps  # the item's scope is there already
            case _:
                raise _Unknown(f"`{path}` contains no steps")

    def _item(self, loop: StepPlan, scope: BlockScope, path: str, number: int) -> tuple[StepPlan, BlockScope]:
        """Return what an item of a loop runs, and the scope of it."""
        match loop.work:
            case ForEach() as work:
                names = self._item_names(work, scope, path, number)
                inner = scope.child(names)
                return (work.body if not isinstance(work.body, Block) else loop), inner
            case RepeatLoop() as work:
                return loop, scope.child(self._round_names(work, scope, path, number))
            case Agent():
                return loop, scope
            case _:
                raise _Unknown(f"`{path}` is not a loop")

    def _item_names(self, loop: ForEach, scope: BlockScope, path: str, number: int) -> dict[str, Any]:
        items = items_of(loop, scope.scope, directory=self._root.directory, permissions=self._permissions)
        if number > MOST_ROUNDS and isinstance(loop.items, FileItems):
            raise _Unknown(f"the items of the file are not read as far as item {number:,}")
        try:
            if items.scan is not None:
                asyncio.run(items.scan())
            some = list(islice(items.rows, number, number + 2))
        finally:
            items.rows.close()
        if not some:
            raise _Unknown(f"there is no item {number} any more")
        item, last = some[0], len(some) == 1
        self._around[loop.name] = item
        state = self._state_before(loop, scope, path, number)
        return {loop.name: item, "item": item, "index": number, "is_first": number == 0, "is_last": last, **state}

    def _state_before(self, loop: ForEach | RepeatLoop, scope: BlockScope, path: str, number: int) -> dict[str, Any]:
        """Return the values that a loop carried into an item or a round."""
        state = dict.fromkeys(loop.update)
        state |= {name: value.evaluate(scope.scope) for name, value in loop.initial.items()}
        if not state or not number:
            return state
        if number > MOST_ROUNDS:
            raise _Unknown(f"what `{path}` carries is not read as far as item {number:,}")
        return state | folded(self._records([f"{path}[{index}]" for index in range(number)]))

    def _round_names(self, loop: RepeatLoop, scope: BlockScope, path: str, number: int) -> dict[str, Any]:
        if number > MOST_ROUNDS:
            raise _Unknown(f"the rounds of `{path}` are not read as far as round {number:,}")
        state = dict.fromkeys(loop.update)
        state |= {name: value.evaluate(scope.scope) for name, value in loop.initial.items()}
        previous: Any = NULL
        if number:
            rounds = self._records([f"{path}[{index}]" for index in range(number)])
            if len(rounds) < number:
                raise _Unknown(f"round {number - 1} of `{path}` has not ended")
            state |= folded(rounds)
            last = f"{path}[{number - 1}]"
            previous = {
                step.id: self._entity(step, f"{last}.{step.id}", found.get(f"{last}.{step.id}"))
                for found in [self._by_path([f"{last}.{step.id}" for step in loop.body.steps])]
                for step in loop.body.steps
            }
        return {"iteration": number, "previous": previous, **state}

    def _handled(
        self, scope: BlockScope, plan: Plan, step: StepPlan | None, path: str, name: str, numbers: Sequence[int]
    ) -> tuple[BlockScope, Sequence[StepPlan]]:
        """Return the scope and the steps of what runs after a failure, or at the end."""
        error: Mapping[str, Any] | None
        if name == "on_error" and step is not None:
            error = self._by_path([path])[path].error if path in self._steps else None
            handlers = step.on_error
        else:
            error = self._store.status(self._record.run_id).error
            handlers = plan.error_handlers
            for each in plan.steps:
                self._enter_one(scope, each, f"{path}.{each.id}" if path else each.id)
        names: dict[str, Any] = {"error": error_names_in_scope(error) if error is not None else None}
        if name == "finally":
            return scope.child(names), plan.finally_.steps if plan.finally_ is not None else ()
        number = numbers[0] if numbers else 0
        body = handlers[number].body if number < len(handlers) else None
        return scope.child(names), body.steps if body is not None else ()

    def _undoing(self, path: str) -> BlockScope:
        """Return the scope of what undoes a step: what its last success recorded for that."""
        ends: tuple[EventType, ...] = ("step.succeeded",)
        events = self._store.events(self._record.run_id, 1, 10_000, paths=[path], types=ends, resolve=True)
        recorded = next((event.data["undo"] for event in reversed(events) if "undo" in event.data), None)
        if recorded is None:
            raise _Unknown(f"`{path}` has not succeeded, so there is nothing to undo")
        return scope_of_names(recorded["names"], self._now).child({})

    # --- what steps stand for

    def _enter_dependencies(self, scope: BlockScope, step: StepPlan, block: Sequence[StepPlan], path: str) -> None:
        around = path[: len(path) - len(step.id)]
        known = {each.id: each for each in block}
        wanted = [known[name] for name in step.dependencies if name in known]
        found = self._by_path([f"{around}{each.id}" for each in wanted])
        for each in wanted:
            record = found.get(f"{around}{each.id}")
            if record is not None and record.seq:
                scope.enter(each.id, self._entity(each, record.path, record))

    def _enter_one(self, scope: BlockScope, step: StepPlan, path: str) -> None:
        scope.enter(step.id, self._entity(step, path, self._by_path([path]).get(path)))

    def _entity(self, step: StepPlan, path: str, record: StepRecord | None) -> Entity:
        if record is None or record.state not in ("succeeded", "failed"):
            return step_values.skipped()
        if record.state == "failed":
            return step_values.failed(
                record.output, record.error or {}, attempts=record.attempts, duration=record.duration
            )
        end = StepSucceededPayload(
            output=record.output,
            items=record.items,
            state=record.accumulators,
            values=record.values,
            case=record.case,
        )
        work = step.work
        items = _RecordedItems(self._steps, path, work) if isinstance(work, ForEach | RepeatLoop) else None
        return step_values.succeeded(
            work, end, attempts=record.attempts, duration=record.duration, items=items, names=step.result_names
        )

    def _by_path(self, paths: Sequence[str]) -> dict[str, StepRecord]:
        """Return the records of some steps with their outputs."""
        if not paths:
            return {}
        run_id, last = self._record.run_id, self._steps.last_seq
        events = self._store.events(run_id, 1, 10_000, paths=["", *paths], types=_STEP_ENDS, resolve=True)
        return step_records(event for event in events if event.seq <= last)

    def _records(self, paths: Sequence[str]) -> list[RoundState]:
        found: dict[str, RoundState] = {}
        for event in self._store.events(
            self._record.run_id, 1, 2 * MOST_ROUNDS, paths=paths, types=["step.succeeded"], resolve=True
        ):
            found[event.path] = RoundState(event.data.get("state") or {}, event.data.get("appended") or {})
        return [found[path] for path in paths if path in found]

    # --- what is given

    def _of_turn(self, path: str, agent: Agent, scope: BlockScope, turn: str, name: str) -> StepInputs:
        """Return what a call within a turn of an agent was given: by the answer of the model, if it was a tool."""
        if name == "answer":
            return StepInputs(path, _as_mapping("parameters", agent.parameters, scope))
        about = name.removesuffix(APPROVAL)
        edited = self._by_path([f"{turn}.{about}{APPROVAL}"]).get(f"{turn}.{about}{APPROVAL}")
        if edited is not None and about == name:
            return StepInputs(path, dict(edited.output["content"]))
        answers = self._by_path([f"{turn}.answer"])
        output = answers[f"{turn}.answer"].output if f"{turn}.answer" in answers else None
        seen: dict[str, int] = {}
        for request in (output or {}).get("requests", ()):
            tool = str(request["name"])
            seen[tool] = seen.get(tool, 0) + 1
            if about == (tool if seen[tool] == 1 else f"{tool}_{seen[tool]}"):
                return StepInputs(path, dict(request["arguments"]))
        raise _Unknown(f"the answer of `{turn}` is not recorded")

    def _values(self, step: StepPlan, scope: BlockScope, path: str) -> dict[str, Any]:
        match step.work:
            case ToolCall(parameters=parameters) | Agent(parameters=parameters):
                return _as_mapping("parameters", parameters, scope)
            case SubPipeline(source=source, inputs=inputs) | DetachedRun(source=source, inputs=inputs):
                given = _as_mapping("inputs", inputs, scope)
                specs = self._root.pipelines[source].inputs
                return {name: REDACTED if name in specs and specs[name].secret else given[name] for name in given}
            case ForEach(items=items):
                return {} if isinstance(items, FileItems) or not hasattr(items, "evaluate") else _items(items, scope)
            case RepeatLoop(initial=initial):
                return {name: value.evaluate(scope.scope) for name, value in initial.items()}
            case Switch(subject=subject):
                return {"switch": subject.evaluate(scope.scope)}
            case Ask(prompt=prompt, choices=choices, questions=questions, audience=audience):
                asked = {name: part.prompt.evaluate(scope.scope) for name, part in questions.items()}
                found = _evaluated({"prompt": prompt, "choices": choices, "assignee": audience.assignee}, scope)
                return {**found, "questions": asked} if asked else found
            case Approve(title=title, content=content, audience=audience):
                return _evaluated({"title": title, "content": content, "assignee": audience.assignee}, scope)
            case Wait(until=until, duration=duration):
                return _evaluated({"until": until, "duration": duration}, scope)
            case Failure(message=message):
                return _evaluated({"message": message}, scope)
            case End(outputs=outputs):
                return _evaluated(outputs, scope)
            case _:
                return {}


class _RecordedItems:
    """The values of a loop's items, read when an expression asks for them."""

    def __init__(self, steps: StepResults, path: str, loop: ForEach | RepeatLoop) -> None:
        self._steps = steps
        self._path = path
        self._loop = loop

    def __len__(self) -> int:
        return self._steps.item_count(self._path)

    def values(self) -> list[Any]:
        """Return them, in order."""
        found = self._steps.item_outputs(self._path)
        body = self._loop.body
        return found if isinstance(body, Block) else [step_values.value_of(body.work, each) for each in found]


def _condition(step: StepPlan, scope: BlockScope) -> bool | None:
    if step.condition is None:
        return None
    try:
        return bool(step.condition.evaluate(scope.scope))
    except (EvaluationError, StepError):
        return None


def _as_mapping(name: str, value: Value, scope: BlockScope) -> dict[str, Any]:
    found: Any = value.evaluate(scope.scope)
    return dict(found) if isinstance(found, Mapping) else {name: found}


def _items(items: Any, scope: BlockScope) -> dict[str, Any]:
    return {"for_each": items.evaluate(scope.scope)}


def _evaluated(values: Mapping[str, Value | None], scope: BlockScope) -> dict[str, Any]:
    return {name: value.evaluate(scope.scope) for name, value in values.items() if value is not None}
