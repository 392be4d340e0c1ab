"""What becomes of a plan, by a program that goes through it step by step and never stops in between.

Where two steps that do not depend on each other may both fail, the one that is first ends their block and the other may
or may not have run. So a block that fails is gone through to the end, and whatever in it did not have to happen is
*loose*: `states` then allows for more than one state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.model.agents import Conversation, decided, ids, is_asked
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
    answer,
    arguments_of,
    digest,
    needs,
)

NOT_DONE = {"cancelled", "pending"}
Scope = Mapping[str, Any]


@dataclass(frozen=True)
class Known:
    """What the name of a step stands for."""

    value: Any
    fields: Mapping[str, Any] = field(default_factory=dict)
    skipped: bool = False


LAUNCHED = "a run"
"""What stands for the id of a run that a step has started."""

SKIPPED = Known(None, skipped=True)


@dataclass(frozen=True)
class Call:
    """What a tool is asked, and how often: `count` attempts, of at most `most`."""

    reads: list[Any]
    count: int
    most: int


class Failure(Exception):
    """A block or step that failed, and the paths of the steps that may have been the cause."""

    def __init__(self, causes: set[str], type: str = "", message: str = "") -> None:
        super().__init__(message)
        self.causes, self.type, self.message = causes, type, message


class Ended(Exception):
    """A step has ended its pipeline, with values for some of the outputs; `known` are the steps of the pipeline."""

    def __init__(self, outputs: dict[str, Any]) -> None:
        super().__init__()
        self.outputs = outputs
        self.known: dict[str, Known] = {}


@dataclass
class Expected:
    """What is expected of a run: the states that each path may end in, the calls, the questions."""

    mended: bool = True
    states: dict[str, set[str]] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    failure: Failure | None = None
    ended: bool = False
    outputs: dict[str, Any] = field(default_factory=dict)

    def block(self, steps: tuple[Step, ...], outer: Scope, prefix: str) -> dict[str, Any]:
        """Go through a block; return its steps by id."""
        scope, failures, lost, until, mark = dict(outer), [], set[str](), 0, len(self.states)
        for position, step in enumerate(steps):
            if needs(step, steps) & lost:
                self.states[prefix + step.id] = NOT_DONE | {"skipped"}
                lost.add(step.id)
            elif position < until:
                self.states[prefix + step.id], scope[step.id] = {"skipped"}, SKIPPED
            else:
                try:
                    scope[step.id], target = self.step(step, scope, prefix + step.id)
                except Failure as failure:
                    failures.append(failure)
                    lost.add(step.id)
                    continue
                except Ended as ended:  # nothing runs next to it, and all before it have ended
                    self.leave(steps[position + 1 :], prefix)
                    ended.known = {one.id: scope.get(one.id, SKIPPED) for one in steps}
                    if isinstance(step.work, End):
                        ended.known[step.id] = Known(ended.outputs)
                    raise
                until = max(until, next((n for n, one in enumerate(steps) if one.id == target), 0))
        self.end(failures, mark)
        return {step.id: scope[step.id] for step in steps}

    def leave(self, steps: tuple[Step, ...], prefix: str) -> None:
        """Leave steps out, as their pipeline has ended early: within another step, they stay pending."""
        for step in steps:
            self.states[prefix + step.id] = {"skipped", "pending"}

    def end(self, failures: list[Failure], mark: int) -> None:
        """Fail if something failed: then nothing that was found since `mark` had to happen."""
        if failures:
            for path in list(self.states)[mark:]:
                self.states[path] = self.states[path] | NOT_DONE
            raise Failure(set().union(*(one.causes for one in failures)), failures[0].type, failures[0].message)

    def step(self, step: Step, scope: Scope, path: str) -> tuple[Known, str | None]:
        """Carry out a step; return what its name stands for, and where it jumps to."""
        if step.condition and not holds(step.condition, scope):
            self.states[path] = {"skipped"}
            return SKIPPED, step.on_false
        try:
            known = self.work(step, scope, path)
        except Ended:
            self.states[path] = {"succeeded"} if isinstance(step.work, End) else {"cancelled", "skipped"}
            raise
        except Failure as failure:
            self.states[path] = {"failed"}
            if isinstance(step.work, ForEach) and isinstance(step.work.body, Act):
                step = replace(step, handlers=())  # they are its items'
            return self.handled(step, failure, scope, path)
        self.states[path] = {"succeeded"}
        return known, step.on_success

    def handled(self, step: Step, failure: Failure, scope: Scope, path: str) -> tuple[Known, str | None]:
        """Deal with a failure, or pass it on."""
        for number, handler in enumerate(step.handlers):
            if matches(handler, failure):
                error = Known(None, {"type": failure.type, "message": failure.message, "step": path})
                steps = self.block(handler.steps, {**scope, "error": error}, f"{path}.on_error[{number}].")
                return Known(last(steps) if handler.fallback is None else handler.fallback), None
        match step.on_failure.kind:
            case "continue":
                return Known(None), None
            case "value":
                value = step.on_failure.value
                return Known(read(value, scope) if isinstance(value, str) else value), None
            case "jump":
                return Known(None), step.on_failure.target
        raise failure

    def work(self, step: Step, scope: Scope, path: str) -> Known:
        """Do what the step is there for."""
        match step.work:
            case Act() as act:
                return Known(self.act(act, scope, path))
            case Ask(several=several):
                self.asked.add(path)
                both = {"a": answer(path), "b": 3}
                return Known(both, both) if several else Known(answer(path))
            case Approve():
                self.asked.add(path)
                return Known(answer(path) % 2 == 0)
            case Nap() | Launch():
                return Known(LAUNCHED if isinstance(step.work, Launch) else None)
            case Compute(sum=total):
                return Known(plus(total, scope))
            case Fail(salt=salt, code=code):
                raise Failure({path}, code or "StepError", f"boom {salt}")
            case End(outputs=outputs):
                raise Ended({name: read(ref, scope) for name, ref in outputs.items()})
            case ForEach() as loop:
                return self.for_each(loop, step.handlers, scope, path)
            case Repeat() as loop:
                return self.repeat(loop, scope, path)
            case Switch(subject=subject, modulus=modulus, cases=cases, default=default):
                case_ = (read(subject, scope) or 0) % modulus
                chosen = cases.get(case_, default)
                return SKIPPED if chosen is None else Known(last(self.block(chosen, scope, f"{path}.")))
            case Group(wait_for=int()) as race:
                return self.race(race, scope, path)
            case Group(steps=steps, parallel=parallel):
                values = {id: known.value for id, known in self.block(steps, scope, f"{path}.").items()}
                return Known(values if parallel else list(values.values())[-1], values)
            case Sub(inputs=inputs) as sub:
                values = self.pipeline(sub, {name: read(ref, scope) or 0 for name, ref in inputs.items()}, path)
                return Known(values, values)
            case Agent() as agent:
                return self.agent(agent, scope, path)
        raise TypeError(step.work)

    def pipeline(self, sub: Sub, inputs: Scope, path: str) -> dict[str, Any]:
        """Go through a pipeline; return its outputs."""
        inner, given = dict(inputs), dict[str, Any]()
        try:
            inner |= self.block(sub.steps, inner, f"{path}.")
        except Ended as ended:
            inner |= ended.known
            given = ended.outputs
        return {name: given[name] if name in given else read(ref, inner) for name, ref in sub.outputs.items()}

    def agent(self, agent: Agent, scope: Scope, path: str) -> Known:
        """Go through the turns of an agent, until its model answers."""
        conversation = Conversation(agent, " ".join(["0", *(str(read(ref, scope) or 0) for ref in agent.reads)]))
        for number in range(len(agent.turns) + 1):
            here = f"{path}[{number}]"
            if number == agent.max_turns:
                turns = f"{number} turn{'s' * (number != 1)}"
                message = f"`{path}` made {turns}, and its model still requests tools"
                raise Failure({path}, "AgentUnfinished", message)
            breaks = number == agent.breaks and not (agent.transient and self.mended)
            count = agent.attempts if breaks else 1
            self.calls[f"{here}.answer"] = Call(conversation.said, count, agent.attempts)
            self.states[f"{here}.answer"] = {"failed" if breaks else "succeeded"}
            if breaks:
                raise Failure({f"{here}.answer"}, "StepError", f"boom {agent.salt}")
            if number < len(agent.turns):
                self.turn(agent, conversation, number, here)
            self.states[here] = {"succeeded"}
        value = digest(agent.salt, conversation.said)
        given: Any = {"n": value} if agent.form else str(value)
        return Known(given, {"n": value, "turns": len(agent.turns) + 1})

    def turn(self, agent: Agent, conversation: Conversation, number: int, path: str) -> None:
        """Make the calls of a turn."""
        requests = agent.turns[number]
        told = conversation.refusals(requests)
        for place, (one, id) in enumerate(zip(requests, ids(requests, told), strict=True)):
            if id:
                offer, note = conversation.offers[one.name], ""
                given: dict[str, Any] | None = arguments_of(one, conversation.said)
                if is_asked(offer, given or {}):
                    self.asked.add(f"{path}.{id}_approval")
                    self.states[f"{path}.{id}_approval"] = {"succeeded"}
                    given, note = decided(f"{path}.{id}_approval", given or {})
                told[place] = note if given is None else note + self.called(agent, offer, given, f"{path}.{id}")
        conversation.add(number, requests, told)

    def called(self, agent: Agent, offer: Offer, given: dict[str, Any], path: str) -> str:
        """Make a call that a model requests; return what the model is told of it."""
        try:
            if offer.pipeline is not None:
                value: Any = self.pipeline(offer.pipeline, given, path)
            elif offer.name == "hang":
                raise Failure({path}, "StepTimeout", f"`{path}` ran longer than its timeout of 0.01 s")
            else:
                failures, error = given.get("failures", 0), given.get("error", "boom")
                act = Act(given["salt"], ("number",), failures, agent.attempts, error, pure=offer.name == "think")
                value = self.act(act, {"number": given["reads"][0]}, path)
        except Failure as failure:
            self.states[path] = {"failed"}
            return f"error: {failure.message}"
        self.states[path] = {"succeeded"}
        return value if isinstance(value, str) else json.dumps(value)

    def act(self, act: Act, scope: Scope, path: str) -> int:
        """Call a tool."""
        failures = act.attempts if act.transient and not self.mended else act.failures
        self.calls[path] = Call([read(ref, scope) for ref in act.reads], min(failures + 1, act.attempts), act.attempts)
        if failures >= act.attempts:
            message = f"{act.error} {act.salt}"
            if act.error == "boom":
                raise Failure({path}, "StepError", message)
            raise Failure({path}, "ValueError", f"`{'think' if act.pure else 'act'}` raised ValueError: {message}")
        return digest(act.salt, self.calls[path].reads)

    def for_each(self, loop: ForEach, handlers: tuple[Handler, ...], scope: Scope, path: str) -> Known:
        """Go through the items, one after another."""
        totals: dict[str, Any] = {**dict.fromkeys(loop.update), **loop.initial}
        values: list[Any] = []
        items, failures, good, mark = items_of(loop.items, scope), [], 0, len(self.states)
        for index, one in enumerate(items):
            place = {"index": index, "is_first": index == 0, "is_last": index == len(items) - 1}
            inner, here = {**scope, **place, loop.name: one, **totals}, f"{path}[{index}]"
            try:
                if isinstance(loop.body, Act):
                    value = self.act(loop.body, inner, here)
                else:
                    steps = self.block(loop.body, inner, f"{here}.")
                    value = read(loop.collect, inner | steps) if loop.collect else last(steps)
                    totals = {name: plus(total, inner | steps) for name, total in loop.update.items()}
                self.states[here] = {"succeeded"}
                good += 1
            except Ended:
                self.states[here] = set(NOT_DONE)
                raise
            except Failure as failure:
                self.states[here] = {"failed"}
                own = handlers if isinstance(loop.body, Act) else ()
                try:
                    on_item = loop.on_item if loop.wait_for is None else Policy("continue")
                    item = Step("", Nap(), on_failure=on_item, handlers=own)
                    value = self.handled(item, failure, inner, here)[0].value
                except Failure:
                    failures.append(failure)
                    value = None
            values.append(value)
            if loop.wait_for is not None:
                if good == loop.wait_for:
                    break
                if len(items) - (len(values) - good) < loop.wait_for:
                    failures.append(Failure({path}))
                    break
        if items and loop.min_success is not None and good / len(items) < loop.min_success:
            failures.append(Failure({path}))
        self.end(failures, mark)
        return Known(values, {**totals, "count": len(values), "succeeded": good, "failed": len(values) - good})

    def repeat(self, loop: Repeat, scope: Scope, path: str) -> Known:
        """Go round and round."""
        totals: dict[str, Any] = {**dict.fromkeys(loop.update), **loop.initial}
        rounds: list[Any] = []
        steps: dict[str, Any] = {step.id: SKIPPED for step in loop.body}
        previous: Any = SKIPPED
        while True:
            names = {**scope, **totals, "previous": previous, "iteration": len(rounds)}
            if loop.kind == "while" and not holds(loop.condition, names | steps):
                break
            if len(rounds) == loop.max_iterations:
                if loop.on_limit == "fail":
                    raise Failure({path})
                break
            here = f"{path}[{len(rounds)}]"
            try:
                steps = self.block(loop.body, names, f"{here}.")
            except Failure:
                self.states[here] = {"failed", *NOT_DONE}
                raise
            self.states[here] = {"succeeded"}
            totals = {name: plus(total, names | steps) for name, total in loop.update.items()}
            rounds.append(read(loop.collect, names | steps) if loop.collect else last(steps))
            previous = Known(None, steps)
            if loop.kind == "until" and holds(loop.condition, names | steps | totals):
                break
        return Known(rounds[-1] if rounds else None, {**totals, "iterations": rounds, "count": len(rounds)})

    def race(self, race: Group, scope: Scope, path: str) -> Known:
        """Go through branches of which as many succeed as are waited for, or too few; the others fail or hang."""
        values: dict[str, Any] = {}
        causes = {path}
        for step in race.steps:
            here, values[step.id] = f"{path}.{step.id}", None
            self.states[here] = set(NOT_DONE)
            if not isinstance(step.work, Hang):
                try:
                    values[step.id] = self.work(step, scope, here).value
                    self.states[here] = {"succeeded"}
                except Failure as failure:
                    self.states[here] = {"failed", *NOT_DONE}
                    causes |= failure.causes
        winners = [id for id, value in values.items() if value is not None]
        if race.wait_for is not None and len(winners) < race.wait_for:
            for id in winners:
                self.states[f"{path}.{id}"] |= NOT_DONE
            raise Failure(causes)
        return Known(values, values)


def expected(plan: Plan, *, mended: bool = True) -> Expected:
    """What is expected of a run of the plan, apart from its `finally` and its error handlers."""
    found = Expected(mended)
    try:
        found.outputs = {id: known.value for id, known in found.block(plan.steps, {}, "").items()}
    except Ended as ended:
        found.ended = True
        found.outputs = {id: known.value for id, known in ended.known.items()} | ended.outputs
    except Failure as failure:
        found.failure = failure
    return found


def read(ref: str, scope: Scope) -> Any:
    """The value of a reference."""
    name, *fields = ref.split(".")
    here = scope[name]
    for one in fields:
        if isinstance(here, Known) and here.skipped:
            return None
        here = here.fields[one] if isinstance(here, Known) else here[one]
    return here.value if isinstance(here, Known) else here


def holds(test: Test, scope: Scope) -> bool:
    """Whether a condition holds."""
    value = read(test.ref, scope) or 0
    return bool(value % test.a == test.b if test.op == "mod" else value < test.a)


def plus(total: Sum, scope: Scope) -> int:
    """The value of a sum."""
    return int((read(total.left, scope) or 0) + (read(total.right, scope) or 0))


def last(steps: Mapping[str, Known]) -> Any:
    """The value of a block: that of its last step."""
    return list(steps.values())[-1].value


def items_of(items: Items, scope: Scope) -> list[Any]:
    """The items of a loop."""
    match items.kind:
        case "mapping":
            return [{"key": f"k{n}", "value": value} for n, value in enumerate(items.values)]
        case "file":
            return [{"n": value} for value in items.values]
        case "ref":
            return list(read(items.ref, scope) or [])
        case "matrix":
            return [{"n": n, "m": m} for n in items.values if n != items.without for m in items.others]
        case "zip":
            return [{"n": n, "m": m} for n, m in zip(items.values, items.others, strict=True)]
    return list(items.values)


def matches(handler: Handler, failure: Failure) -> bool:
    """Whether a handler is there for this failure."""
    types = ("", "StepError", failure.type)  # whatever a tool raises is the failure of a step
    return handler.type in types and handler.pattern in failure.message
