"""Random plans, and random lives of their runs.

What has no single outcome is not made here, so that the oracle can stay simple: a race of branches always has exactly
as many that can succeed as are waited for, the others hang or fail; a handler that looks at the error belongs to a
call; and a transient failure is one that nothing deals with, so that it always ends the run, whoever else failed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.model.lives import Turn
from tests.model.oracle import items_of
from tests.model.plans import (
    HAND_OVER,
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
    Request,
    Step,
    Sub,
    Sum,
    Switch,
    Test,
    Work,
    chained,
    everything,
)

FAIL = Policy()
DEEPEST, MOST_STEPS = 3, 16


@dataclass(frozen=True)
class Names:
    """What can be read at a place: numbers, lists, and other things, apart from the steps of the same block."""

    numbers: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return self.numbers + self.lists + self.others

    def plus(self, numbers: tuple[str, ...] = (), lists: tuple[str, ...] = (), others: tuple[str, ...] = ()) -> Names:
        return Names(self.numbers + numbers, self.lists + lists, self.others + others)

    def without(self, *hidden: str) -> Names:
        def left(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(name for name in names if name.partition(".")[0] not in hidden)

        return Names(left(self.numbers), left(self.lists), left(self.others))


class Author:
    """Writes one plan. `draw` chooses."""

    def __init__(self, draw: st.DrawFn, *, people: bool, agents: bool) -> None:
        self.draw = draw
        self.people = people
        self.agents = agents
        self.count = 0

    def chance(self, one_in: int) -> bool:
        return self.draw(st.integers(1, one_in)) == one_in

    def number(self, least: int, most: int) -> int:
        return self.draw(st.integers(least, most))

    def new(self, letter: str = "s") -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def one_of(self, *texts: str) -> str:
        return self.draw(st.sampled_from(texts))

    def plan(self) -> Plan:
        steps, _ = self.block(Names(), 0, open=True, most=6)
        finally_ = Step("last", Act(1, ("run.state",))) if self.chance(3) else None
        handler = Step("tell", Act(2)) if self.chance(3) else None
        places = self.number(1, 4) if self.people or not _hangs(steps) else None
        in_order = self.chance(4)
        if any(step.undo for step in everything(steps)) and self.chance(2):  # it fails for now, and all is undone
            ids = tuple(step.id for step in steps)
            steps = (*steps, Step(self.new(), Act(3, (), transient=True), ids))
        elif in_order and self.chance(2):
            steps = self.with_end(steps, [one.id for one in steps])
        return Plan(chained(steps) if in_order else steps, finally_, handler, places, in_order)

    def block(self, names: Names, depth: int, *, open: bool, most: int = 3) -> tuple[tuple[Step, ...], Names]:
        """Steps, and what can be read once they have ended. `open`: nothing around them deals with their failures."""
        steps: list[Step] = []
        for _ in range(self.number(1, most)):
            step, names = self.step(names, depth, tuple(one.id for one in steps), open=open)
            steps.append(step)
        for position, step in enumerate(steps[:-1]):
            if self.chance(8):
                target = steps[self.number(position + 1, len(steps) - 1)].id
                kind = self.one_of("on_success", "on_false", "on_failure")
                if kind != "on_failure":
                    steps[position] = replace(step, **{kind: target})
                elif isinstance(step.work, Act) and step.on_failure == FAIL and not step.work.transient:
                    steps[position] = replace(step, on_failure=Policy("jump", target=target))
        return tuple(steps), names

    def step(self, names: Names, depth: int, before: tuple[str, ...], *, open: bool) -> tuple[Step, Names]:
        """A step, and what can be read after it."""
        id = self.new()
        on_failure = FAIL if self.chance(2) else self.draw(st.sampled_from([Policy("continue"), Policy("value", 7)]))
        handlers: tuple[Handler, ...] = ()
        composite = depth < DEEPEST and self.count < MOST_STEPS and not self.chance(3)
        if self.chance(6):
            handlers = tuple(self.handler(names, call=not composite) for _ in range(self.number(1, 2)))
        handled = on_failure != FAIL or bool(handlers)
        if composite:
            kinds = [self.for_each, self.repeat, self.switch, self.group, self.sub, self.race, self.agent]
            kind = self.draw(st.sampled_from(kinds if not self.agents else [self.agent, self.agent, self.group]))
            work, found = kind(id, names, depth + 1, open=open and not handled)
        elif depth == 0 and self.chance(12):
            work, found = Launch(self.new("launched")), Names()
        else:
            work, found = self.simple(id, names, open=open and not handled)
        if handled:  # of a step that failed nothing is read but its value
            plain = id in found.numbers and all(one.fallback is not None for one in handlers)
            found = Names((id,)) if plain else Names(others=(id,))
        if isinstance(work, Ask | Approve | Nap | Hang | Launch):
            on_failure, handlers = FAIL, ()
            found = Names() if isinstance(work, Launch) else found
        condition = self.test(names) if names.numbers and self.chance(5) else None
        after = tuple(self.draw(st.lists(st.sampled_from(before), max_size=2, unique=True))) if before else ()
        produces = isinstance(work, Act) and not work.pure and self.chance(6)
        undo = self.undo(work)
        step = Step(id, work, after, condition, on_failure, handlers=handlers, undo=undo, produces=produces)
        return step, names.plus(found.numbers, found.lists, found.others)

    def simple(self, id: str, names: Names, *, open: bool) -> tuple[Work, Names]:
        if self.people and self.chance(5):
            if self.chance(4):
                return Ask(several=True), Names((f"{id}.a", f"{id}.b"), others=(id,))
            return (Ask(), Names((id,))) if self.chance(2) else (Approve(), Names(others=(id,)))
        if self.chance(10):
            return Nap(self.draw(st.sampled_from(["sleep", "wait_until"]))), Names(others=(id,))
        if names.numbers and self.chance(6):
            return Compute(Sum(self.one_of(*names.numbers), self.one_of(*names.numbers))), Names((id,))
        if self.chance(20):
            return Fail(self.number(0, 99), self.one_of("", "OutOfStock")), Names((id,))
        return self.act(names, open=open), Names((id,))

    def act(self, names: Names, *, open: bool = False) -> Act:
        reads = tuple(self.draw(st.lists(st.sampled_from(names.all), max_size=3))) if names.all else ()
        failures = self.number(1, 2) if self.chance(3) else 0
        attempts = failures + 1 if self.chance(3) else self.number(1, 3)
        transient = open and not failures and self.chance(8)
        error = self.draw(st.sampled_from(["boom", "clash"]))
        return Act(self.number(0, 99), reads, failures, attempts, error, transient, self.chance(2))

    def undo(self, work: Work) -> Act | None:
        """What undoes a step. It never fails for good, or the run could never end."""
        call = work.body if isinstance(work, ForEach) else work
        if not isinstance(call, Act | Group) or not self.chance(3):
            return None
        reads = ("output", *(call.reads if isinstance(call, Act) else ()))
        failures = self.number(0, 1) if self.chance(3) else 0
        transient = not failures and self.chance(6)
        return Act(self.number(0, 99), reads, failures, failures + 1, transient=transient, pure=self.chance(3))

    def test(self, names: Names) -> Test:
        modulus = self.number(2, 4)
        return Test("mod", self.one_of(*names.numbers), modulus, self.number(0, modulus - 1))

    def handler(self, names: Names, *, call: bool) -> Handler:
        type = self.one_of("StepError", "ValueError", "OutOfStock") if call and self.chance(3) else ""
        pattern = self.one_of("boom", "clash") if call and self.chance(3) else ""
        steps: tuple[Step, ...] = ()
        if self.chance(2):
            inner = names.plus(others=("error.type", "error.step") if call else ())
            steps = (Step(self.new(), replace(self.act(inner), failures=0)),)
        fallback = self.number(0, 9) if not steps or self.chance(2) else None
        return Handler(type, pattern, steps, fallback)

    def with_end(self, steps: tuple[Step, ...], outputs: list[str]) -> tuple[Step, ...]:
        """Have one of the steps end their pipeline, or a step within one of them. All of them run in order."""
        position = self.number(0, len(steps))
        before = [one.id for one in steps[:position]]
        numbers = [one.id for one in steps[:position] if isinstance(one.work, Act | Compute)]
        given = {self.one_of(*outputs): self.one_of(*before)} if before and self.chance(2) else {}
        condition = self.test(Names(tuple(numbers))) if numbers and self.chance(2) else None
        end = Step(self.new(), End(given), condition=condition)
        around = self.one_of("nothing", "group", "loop")
        inner = (Step(self.new(), Act(8)), end, Step(self.new(), Act(9)))
        if around == "group":
            end = Step(self.new(), Group(chained(inner), in_order=True))
        elif around == "loop":
            items = Items("list", tuple(range(self.number(1, 3))))
            end = Step(self.new(), ForEach(items, chained(inner), max_parallel=1, in_order=True))
        return (*steps[:position], end, *steps[position:])

    def for_each(self, id: str, names: Names, depth: int, *, open: bool) -> tuple[Work, Names]:
        values = tuple(self.number(0, 20) for _ in range(self.draw(st.sampled_from([2, 3, 1, 4, 0]))))
        paired = ["matrix", "zip"] if values else []
        kind = self.one_of("list", "mapping", "range", "file", *paired, *(["ref"] if names.lists else []))
        name = "item" if self.chance(2) else self.new("it")
        items = Items(kind, values)  # type: ignore[arg-type]
        if kind == "range":
            items = Items("range", tuple(range(len(values))))
        elif kind == "ref":
            items = Items("ref", ref=self.one_of(*names.lists))
        elif kind == "zip":
            items = Items("zip", values, others=tuple(value + 1 for value in values))
        elif kind == "matrix":
            others = tuple(self.number(0, 9) for _ in range(self.number(1, 2)))
            items = Items("matrix", values, others=others, without=values[0] if self.chance(3) else None)
        fold = self.chance(3)
        total = self.new("total") if fold else ""
        inner = names.without(name, "item", "index", "is_first", "is_last")
        numbers, others = {
            "mapping": ((f"{name}.value",), (f"{name}.key", name)),
            "file": ((f"{name}.n",), (name,)),
            **dict.fromkeys(("matrix", "zip"), ((f"{name}.n", f"{name}.m"), (name,))),
            "ref": ((), (name,)),
        }.get(kind, ((name,), ()))
        inner = inner.plus(("index", *numbers, *([total] if fold else [])), (), ("is_first", "is_last", *others))
        policies = [FAIL, FAIL, Policy("continue"), Policy("value", 3), Policy("value", "index")]
        on_item = self.draw(st.sampled_from(policies))
        min_success = self.draw(st.sampled_from([None, 0.5, 1.0])) if on_item != FAIL and not fold else None
        count = 0 if kind in ("file", "ref") else len(items_of(items, {}))  # known before they have been gone through
        enough = None
        if count and not fold and on_item == FAIL and min_success is None and self.chance(3):
            enough = self.number(1, count)
        is_open = open and on_item == FAIL and enough is None
        body: tuple[Step, ...] | Act
        collect = None
        update: dict[str, Sum] = {}
        if self.chance(3) and not fold and enough is None:  # with it, the step in an item has a path of its own
            body = self.act(inner, open=is_open)
        else:
            body, inside = self.block(inner, depth, open=is_open, most=2)
            collect = self.one_of(*inside.all) if self.chance(3) else None
            ids = {step.id for step in body}
            own = [name for name in inside.numbers if name in ids]
            update = {total: Sum(total, self.one_of("index", *own))} if fold else {}
        initial = {total: self.number(0, 9)} if fold and self.chance(2) else {}
        max_parallel = 1 if fold or enough else self.number(1, 3) if self.chance(2) else None
        loop = ForEach(
            items, body, name, max_parallel, on_item, min_success, enough, collect, initial=initial, update=update
        )
        numbers = (f"{id}.count", f"{id}.succeeded", f"{id}.failed", *([f"{id}.{total}"] if fold else []))
        return loop, Names(numbers, (id,))

    def repeat(self, id: str, names: Names, depth: int, *, open: bool) -> tuple[Work, Names]:
        kind = self.draw(st.sampled_from(["while", "until"]))
        total = self.new("total") if self.chance(2) else ""
        inner = names.without("previous", "iteration").plus(("iteration", *([total] if total else [])))
        steps, inside = self.block(inner, depth, open=open, most=2)
        ids = {step.id for step in steps}
        own = tuple(name for name in inside.numbers if name in ids)  # without what is within them
        if self.chance(2):  # once more, knowing what there is to be read of the round before
            again = Act(self.number(0, 99), (f"previous.{steps[-1].id}", "iteration"))
            first = replace(steps[0], work=again, undo=self.undo(again) if steps[0].undo else None)
            steps = (first, *steps[1:]) if not _is_read(steps[0]) else steps
        least = self.draw(st.sampled_from([*(["iteration"] * 3), *own, *([total] if total else [])]))
        limit = self.number(0, 3) if least == "iteration" else self.number(100, 900)
        test = Test("below", least, limit) if kind == "while" or self.chance(2) else self.test(Names((least,)))
        update = {total: Sum(total, self.one_of("iteration", *own))} if total else {}
        initial = {total: self.number(0, 9)} if total and self.chance(2) else {}
        collect = self.one_of("iteration", *ids) if self.chance(3) else None
        on_limit = self.draw(st.sampled_from(["fail", "continue", "continue"]))
        loop = Repeat(kind, test, steps, self.number(1, 4), on_limit, initial, update, collect)
        whole = (id,) if (collect or steps[-1].id) in {"iteration", *own} else ()
        numbers = (f"{id}.count", *([f"{id}.{total}"] if total else []))
        return loop, Names(whole + numbers, (f"{id}.iterations",), () if whole else (id,))

    def switch(self, id: str, names: Names, depth: int, *, open: bool) -> tuple[Work, Names]:
        if not names.numbers:
            return self.group(id, names, depth, open=open)
        modulus = self.number(1, 3)
        keys = self.draw(st.lists(st.integers(0, modulus), min_size=1, max_size=3, unique=True))
        cases = {key: self.block(names, depth, open=open, most=2)[0] for key in keys}
        default = self.block(names, depth, open=open, most=2)[0] if self.chance(2) else None
        return Switch(self.one_of(*names.numbers), modulus, cases, default), Names(others=(id,))

    def group(self, id: str, names: Names, depth: int, *, open: bool) -> tuple[Work, Names]:
        steps, inside = self.block(names, depth, open=open)
        parallel = self.chance(2)
        numbers = tuple(f"{id}.{step.id}" for step in steps if step.id in inside.numbers)
        others = tuple(f"{id}.{step.id}" for step in steps if step.id not in inside.numbers)
        in_order = not parallel and self.chance(2)
        compensate = any(step.undo for step in everything(steps)) and self.chance(2)
        work = Group(chained(steps) if in_order else steps, parallel, in_order=in_order, compensate=compensate)
        if parallel or steps[-1].id not in inside.numbers:
            return work, Names(numbers, (), (id, *others))
        return work, Names((id, *numbers), (), others)

    def race(self, id: str, names: Names, depth: int, *, open: bool) -> tuple[Work, Names]:
        """A group that waits for some, with just as many that can succeed; without people, who would wait for ever."""
        winners = [Step(self.new(), replace(self.act(names), failures=0)) for _ in range(self.number(1, 2))]
        losers = [Step(self.new(), Hang() if not self.people else Act(5, (), 1, 1)) for _ in range(self.number(0, 2))]
        short = not self.people and self.chance(4)
        if short:  # one fails, and then there are too few
            losers = [Step(self.new(), Act(6, (), 1, 1))]
        steps = self.draw(st.permutations(winners + losers))
        return Group(tuple(steps), True, len(winners) + short), Names(others=(id,))

    def sub(self, id: str, names: Names, depth: int, *, open: bool) -> tuple[Work, Names]:
        read = self.draw(st.lists(st.sampled_from(names.numbers), max_size=2)) if names.numbers else []
        inputs = {self.new("in"): ref for ref in read}
        steps, inside = self.block(Names(tuple(inputs)), depth, open=open)
        outputs = {self.new("out"): self.one_of(*inside.all) for _ in range(self.number(1, 2))}
        in_order = self.chance(3)
        if in_order:
            steps = chained(self.with_end(steps, [*outputs]) if self.chance(2) else steps)
        numbers = tuple(f"{id}.{name}" for name, ref in outputs.items() if ref in inside.numbers)
        others = tuple(f"{id}.{name}" for name, ref in outputs.items() if ref not in inside.numbers)
        return Sub(self.new("pipeline"), inputs, steps, outputs, in_order), Names(numbers, (), (id, *others))

    def agent(self, id: str, names: Names, depth: int, *, open: bool) -> tuple[Work, Names]:
        reads = tuple(self.draw(st.lists(st.sampled_from(names.numbers), max_size=2))) if names.numbers else ()
        offers = self.offers(depth)
        roles = {self.new("role"): self.offers(depth) for _ in range(self.number(0, 2))} if self.chance(3) else {}
        everyone = [*offers, *(offer for found in roles.values() for offer in found)]
        known = [*dict.fromkeys(offer.name for offer in everyone), *(HAND_OVER + role for role in roles), "unknown"]
        turns = tuple(
            tuple(self.request(known) for _ in range(self.number(1, 3)))
            for _ in range(self.draw(st.sampled_from([2, 1, 3, 0])))
        )
        most = self.number(1, 4) if self.chance(4) else 10
        breaks = self.number(0, len(turns)) if self.chance(6) else None
        transient = breaks is not None and breaks < most and open and self.chance(2)
        form = self.chance(2)
        attempts, parallel = self.number(1, 2), not self.chance(3)
        salt = self.number(0, 99)
        work = Agent(salt, reads, turns, offers, roles, most, attempts, parallel, form, breaks, transient)
        return work, Names((f"{id}.turns", *([f"{id}.n"] if form else [])), others=(id,))

    def request(self, names: list[str]) -> Request:
        failures = self.number(1, 2) if self.chance(4) else 0
        return Request(
            self.one_of(*names),
            self.number(0, 9),
            self.chance(2),
            failures,
            self.draw(st.sampled_from(["boom", "clash"])),
        )

    def offers(self, depth: int) -> tuple[Offer, ...]:
        """Tools of an agent."""
        plain = self.draw(st.lists(st.sampled_from(["act", "think", "hang"]), max_size=2, unique=True))
        offers = [self.offer(name) for name in plain]
        if not plain or self.chance(2):
            sub = self.called(depth)
            offers.append(self.offer(self.new("call"), sub))
        return tuple(offers)

    def offer(self, name: str, pipeline: Sub | None = None) -> Offer:
        kinds = ["always"] if name == "hang" else ["even", "always", "lost"]
        approve = self.one_of(*kinds) if self.people and not self.chance(3) else ""
        return Offer(name, pipeline, approve, self.number(1, 2) if self.chance(4) else None)  # type: ignore[arg-type]

    def called(self, depth: int) -> Sub:
        """A pipeline for a model. Its steps run in order: so the failure that the model is told is known."""
        steps, inside = self.block(Names(("n",)), DEEPEST, open=False, most=2)
        if depth < DEEPEST and self.count < MOST_STEPS and self.chance(3):
            id = self.new()
            work, found = self.agent(id, inside, depth + 1, open=False)
            steps, inside = (*steps, Step(id, work)), inside.plus(found.numbers, found.lists, found.others)
        outputs = {self.new("out"): self.one_of(*inside.all) for _ in range(self.number(1, 2))}
        return Sub(self.new("pipeline"), {"n": "n"}, chained(steps), outputs, in_order=True)


def _is_read(step: Step) -> bool:
    """Whether more than the value of a step may be read, so that it must stay what it is."""
    return not isinstance(step.work, Act) or step.work.transient or bool(step.handlers)


def _hangs(steps: tuple[Step, ...]) -> bool:
    return any(isinstance(step.work, Hang) for step in everything(steps))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A plan; in half of them people are asked, and some of these are about agents above all."""
    people = draw(st.booleans())
    return Author(draw, people=people, agents=people and draw(st.booleans())).plan()


def lives(*kinds: str) -> st.SearchStrategy[list[Turn]]:
    """What happens to a run, stretch by stretch, at least once; half of it early."""
    at = st.integers(1, 12) | st.integers(1, 50)
    return st.lists(st.builds(Turn, st.sampled_from(kinds), at), min_size=1, max_size=4)
