"""The little language of the model: what a generated pipeline does, apart from how a file says it.

A reference is text such as `s3`, `item.value` or `previous.s2`. What is counted with is a number or null, and null
counts as 0; anything else is only handed on.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

HAND_OVER = "hand_over_to_"
"""What the name of the tool for a hand-over begins with."""


@dataclass(frozen=True)
class Test:
    """A condition: `mod`: the reference modulo `a` is `b`; `below`: it is less than `a`."""

    __test__ = False

    op: Literal["mod", "below"]
    ref: str
    a: int
    b: int = 0


@dataclass(frozen=True)
class Sum:
    """The sum of two references."""

    left: str
    right: str


@dataclass(frozen=True)
class Policy:
    """What becomes of a failure. `value` is a number or a reference; `target` is where a jump goes."""

    kind: Literal["fail", "continue", "value", "jump"] = "fail"
    value: int | str = 0
    target: str = ""


@dataclass(frozen=True)
class Act:
    """A call whose value follows from `salt` and what it reads. It fails on its first `failures` attempts.

    A transient one fails until the world has been mended. A `pure` one is declared to have no effects.
    """

    salt: int
    reads: tuple[str, ...] = ()
    failures: int = 0
    attempts: int = 1
    error: Literal["boom", "clash"] = "boom"
    transient: bool = False
    pure: bool = False


@dataclass(frozen=True)
class Hang:
    """A call that never ends."""


@dataclass(frozen=True)
class Ask:
    """A question whose answer is a whole number; or with `several`, two: `a` is asked, and `b` has the default 3."""

    several: bool = False


@dataclass(frozen=True)
class Approve:
    """Something that is approved or not."""


@dataclass(frozen=True)
class Nap:
    """A wait for a moment that is past."""

    kind: Literal["sleep", "wait_until"] = "sleep"


@dataclass(frozen=True)
class Compute:
    """A value that is computed without a tool: a sum."""

    sum: Sum


@dataclass(frozen=True)
class Fail:
    """A failure on purpose."""

    salt: int
    code: str = ""


@dataclass(frozen=True)
class End:
    """An early end of the pipeline, with values for some of its outputs. It is made only where nothing else runs."""

    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Items:
    """What a loop goes over: numbers, in one of the forms; or what `ref` stands for.

    With `others`, they are combined with these numbers: each with each but for pairs with the number `without`
    (`matrix`), or one with one (`zip`).
    """

    kind: Literal["list", "mapping", "range", "file", "ref", "matrix", "zip"]
    values: tuple[int, ...] = ()
    ref: str = ""
    others: tuple[int, ...] = ()
    without: int | None = None


@dataclass(frozen=True)
class Launch:
    """The start of a run that outlives this one. What stands for its id is never read."""

    name: str


@dataclass(frozen=True)
class ForEach:
    """A loop over items. One that waits for as many as `wait_for` goes over one after another."""

    items: Items
    body: tuple[Step, ...] | Act
    name: str = "item"
    max_parallel: int | None = None
    on_item: Policy = Policy()
    min_success: float | None = None
    wait_for: int | None = None
    collect: str | None = None
    in_order: bool = False
    initial: Mapping[str, int] = field(default_factory=dict)
    update: Mapping[str, Sum] = field(default_factory=dict)


@dataclass(frozen=True)
class Repeat:
    kind: Literal["while", "until"]
    condition: Test
    body: tuple[Step, ...]
    max_iterations: int = 4
    on_limit: Literal["fail", "continue"] = "fail"
    initial: Mapping[str, int] = field(default_factory=dict)
    update: Mapping[str, Sum] = field(default_factory=dict)
    collect: str | None = None


@dataclass(frozen=True)
class Switch:
    """The case is the reference modulo `modulus`."""

    subject: str
    modulus: int
    cases: Mapping[int, tuple[Step, ...]]
    default: tuple[Step, ...] | None = None


@dataclass(frozen=True)
class Group:
    """With `in_order`, which a file says once, each step has the one above it in its `after`.

    With `compensate`, what succeeded in it is undone when it fails or is stopped.
    """

    steps: tuple[Step, ...]
    parallel: bool = False
    wait_for: int | None = None
    in_order: bool = False
    compensate: bool = False


@dataclass(frozen=True)
class Sub:
    """A pipeline in a file of its own: `inputs` are references here, `outputs` references there."""

    name: str
    inputs: Mapping[str, str]
    steps: tuple[Step, ...]
    outputs: Mapping[str, str]
    in_order: bool = False


@dataclass(frozen=True)
class Request:
    """What a model requests in a turn: the tool `name` with a number, which is `salt` or follows from what was said.

    A call fails on its first `failures` attempts.
    """

    name: str
    salt: int = 0
    told: bool = False
    failures: int = 0
    error: Literal["boom", "clash"] = "boom"


@dataclass(frozen=True)
class Offer:
    """A tool of an agent, by its name: `act`, `think`, `hang`, or that of the pipeline that it is.

    `approve`: `even` numbers only; `lost`: a condition that cannot be evaluated.
    """

    name: str
    pipeline: Sub | None = None
    approve: Literal["", "always", "even", "lost"] = ""
    max_calls: int | None = None


@dataclass(frozen=True)
class Agent:
    """A model that requests tools, turn by turn, and then answers with a number that follows from all that was said.

    Its request of the turn `breaks` fails on every attempt; if that is transient, until the world has been mended.
    `roles` are the agents that it can hand over to, with their tools.
    """

    salt: int
    reads: tuple[str, ...]
    turns: tuple[tuple[Request, ...], ...]
    offers: tuple[Offer, ...]
    roles: Mapping[str, tuple[Offer, ...]] = field(default_factory=dict)
    max_turns: int = 10
    attempts: int = 1
    parallel: bool = True
    form: bool = False
    breaks: int | None = None
    transient: bool = False

    @property
    def pipelines(self) -> tuple[Sub, ...]:
        """The pipelines that are tools of it."""
        everyone = [*self.offers, *(offer for offers in self.roles.values() for offer in offers)]
        return tuple(offer.pipeline for offer in everyone if offer.pipeline is not None)


Work = (
    Act | Hang | Ask | Approve | Nap | Compute | Fail | End | Launch | ForEach | Repeat | Switch | Group | Sub | Agent
)


@dataclass(frozen=True)
class Handler:
    """What is done about an error: one of `type` (its name), `pattern` (in its message), or any."""

    type: str = ""
    pattern: str = ""
    steps: tuple[Step, ...] = ()
    fallback: int | None = None


@dataclass(frozen=True)
class Step:
    """A step. Its `undo` is told its result, and what a call read; one that `produces` writes a file."""

    id: str
    work: Work
    after: tuple[str, ...] = ()
    condition: Test | None = None
    on_failure: Policy = Policy()
    on_success: str | None = None
    on_false: str | None = None
    handlers: tuple[Handler, ...] = ()
    undo: Act | None = None
    produces: bool = False


@dataclass(frozen=True)
class Plan:
    steps: tuple[Step, ...]
    finally_: Step | None = None
    error_handler: Step | None = None
    places: int | None = None
    in_order: bool = False


def digest(salt: int, reads: list[Any]) -> int:
    """The value of a call."""
    return zlib.crc32(json.dumps([salt, reads], sort_keys=True).encode()) % 997


def answer(path: str) -> int:
    """What the person says who is asked at this path."""
    return zlib.crc32(path.encode()) % 97


def decision(path: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the person does who sees the arguments of a call: lets it be, refuses it or changes its number."""
    kind = answer(path) % 4
    if kind == 0:
        return {"approved": False}
    changed = {name: value + 1 if name in ("salt", "n") else value for name, value in arguments.items()}
    return {
        "approved": True,
        "content": changed if kind == 1 else dict(arguments),
        **({"comment": "so"} if kind < 3 else {}),
    }


def arguments_of(request: Request, said: list[Any]) -> dict[str, Any]:
    """What a tool is given that the model requests after all this was said."""
    number = digest(request.salt, said) if request.told else request.salt
    if request.name in ("act", "think"):
        wrong = {"failures": request.failures, "error": request.error} if request.failures else {}
        return {"salt": number, "reads": [request.salt], **wrong}
    return {} if request.name == "hang" or request.name.startswith(HAND_OVER) else {"n": number}


def blocks(step: Step) -> Iterator[tuple[Step, ...]]:
    """The blocks directly within a step that run in its own scope."""
    for handler in step.handlers:
        yield handler.steps
    match step.work:
        case ForEach(body=tuple(body)) | Repeat(body=body) | Group(steps=body):
            yield body
        case Switch(cases=cases, default=default):
            yield from cases.values()
            yield default or ()
        case _:
            pass


def references(step: Step) -> Iterator[str]:
    """Every reference in a step and the steps within it."""
    if step.condition:
        yield step.condition.ref
    match step.work:
        case Act(reads=reads) | ForEach(body=Act(reads=reads)):
            yield from reads
        case _:
            pass
    match step.work:
        case ForEach(items=items, on_item=on_item, collect=collect, update=update):
            yield from (ref for total in update.values() for ref in (total.left, total.right))
            yield from (text for text in (items.ref, on_item.value, collect) if isinstance(text, str) and text)
        case Repeat(condition=condition, update=update, collect=collect):
            yield condition.ref
            yield from (ref for total in update.values() for ref in (total.left, total.right))
            yield from [collect] if collect else []
        case Compute(sum=total):
            yield from (total.left, total.right)
        case End(outputs=outputs):
            yield from outputs.values()
        case Switch(subject=subject):
            yield subject
        case Sub(inputs=inputs):
            yield from inputs.values()
        case Agent(reads=reads):
            yield from reads
        case _:
            pass
    for block in blocks(step):
        for inner in block:
            yield from references(inner)


def chained(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps, each of which waits for the one above it."""
    pairs = zip(steps[1:], steps, strict=False)
    return (steps[0], *(replace(step, after=(*step.after, above.id)) for step, above in pairs))


def needs(step: Step, block: tuple[Step, ...]) -> set[str]:
    """The siblings that must have ended before a step: those it names or reads, and those that may jump over it."""
    ids = [one.id for one in block]
    here = ids.index(step.id)
    named = {*step.after, *(text.partition(".")[0] for text in references(step))}
    jumpers = {
        one.id
        for one in block[:here]
        for target in (one.on_success, one.on_false, one.on_failure.target)
        if target and ids.index(target) >= here
    }
    return (named & set(ids)) | jumpers


def everything(steps: tuple[Step, ...]) -> Iterator[Step]:
    """All steps of a block, at any depth."""
    for step in steps:
        yield step
        called = [step.work] if isinstance(step.work, Sub) else ()
        called = step.work.pipelines if isinstance(step.work, Agent) else called
        for block in [*blocks(step), *(one.steps for one in called)]:
            yield from everything(block)
