"""The targets: which figure of which rows, and its limit. A benchmark names those that it misses."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Figure(NamedTuple):
    """A figure of a row of a group: one that was measured, or `each`, `cpu_each` or `grown`, computed from those."""

    group: str
    row: str
    name: str


@dataclass(frozen=True, slots=True)
class Target:
    """A limit of a figure, or of its ratio to another."""

    title: str
    figure: Figure
    limit: float
    unit: str
    over: Figure | None = None
    """The figure that it is divided by."""
    scale: float = 1.0
    """How many of the unit one second or megabyte is."""
    at_least: bool = False
    """Whether more is better."""

    def measured(self, groups: Mapping[str, Any]) -> float | None:
        """Return the figure; None if a row was not measured."""
        value = figure(groups, self.figure)
        base = 1.0 if self.over is None else figure(groups, self.over)
        return None if value is None or not base else value * self.scale / base

    def is_reached(self, value: float) -> bool:
        """Whether a figure is within the limit."""
        return value >= self.limit if self.at_least else value <= self.limit


def figure(groups: Mapping[str, Any], wanted: Figure) -> float | None:
    """Return a figure of the results; None if its row was not measured."""
    row = groups.get(wanted.group, {}).get(wanted.row)
    if row is None:
        return None
    if wanted.name == "critical_path":
        return float(row["critical_path"])
    if wanted.name == "grown":
        return float(row["peak"] - row["before"])
    if wanted.name in ("each", "cpu_each"):
        return float(row["wall" if wanted.name == "each" else "cpu"] / row["count"])
    return float(row[wanted.name])


def _job(title: str, group: str, limit: float, *, contender: str = "orchestrator", floor: str = "floor") -> Target:
    base = Figure(group, floor, "wall")
    return Target(title, Figure(group, contender, "wall"), limit, "× the floor", over=base)


def _start(command: str, seconds: float) -> Target:
    return Target(f"{command}, processor time", Figure("start", command, "cpu"), seconds, "s")


_LIBRARY = Figure("models", "model asked by OpenAI's library, 1 at once", "cpu")
_LIBRARY_100 = Figure("models", "model asked by OpenAI's library, 100 at once", "cpu")
_LIBRARY_STREAM = Figure("models", "answer streamed to OpenAI's library, 1 at once", "cpu")
_READERS = "chain of 1,000, no readers"
_SHOW = "`show` of a loop of 1,000,000 items"

TARGETS = (
    _job("a chain of 1,000 steps", "chain", 2.5),
    _job("10,000 steps wide", "wide", 2.5),
    _job("20 layers of 50 steps", "layers", 3.5),
    _job("a chain of 1,000 steps without effects", "computed", 0.35),
    Target(
        "a step of 1,000 runs of 5 steps, processor time",
        Figure("runs", "orchestrator", "cpu_each"),
        0.09,
        "ms",
        scale=1000,
    ),
    Target(
        "uneven branches",
        Figure("branches", "orchestrator", "wall"),
        1.05,
        "× the critical path",
        over=Figure("branches", "orchestrator", "critical_path"),
    ),
    Target(
        "a loop of 100,000 items, additional memory",
        Figure("loop", "`for_each` over 100,000 lines, 2 steps each", "grown"),
        20,
        "MB",
    ),
    Target(
        "a batch of 10,000 rows, additional memory",
        Figure("batch", "batch of 10,000 rows, 5 steps each, 200 at once", "grown"),
        40,
        "MB",
    ),
    Target(
        "a command from another process",
        Figure("control", "commands from another process", "each"),
        200,
        "ms",
        scale=1000,
    ),
    Target(
        "cancel of a program that ignores SIGTERM",
        Figure("control", "cancel of a program that ignores SIGTERM", "wall"),
        2,
        "s",
    ),
    Target(
        "five steps during a run of 10,000",
        Figure("contended", "5 steps during a run of 10,000", "latency"),
        100,
        "ms",
        scale=1000,
    ),
    Target(
        "a chain next to 100 readers of an idle run",
        Figure("readers", "chain of 1,000 next to 100 readers of an idle run", "wall"),
        1.3,
        "× without readers",
        over=Figure("readers", _READERS, "wall"),
    ),
    Target(
        "a chain and 100 readers of it",
        Figure("readers", "chain of 1,000 and 100 readers of it", "wall"),
        1.3,
        "× without readers",
        over=Figure("readers", _READERS, "wall"),
    ),
    Target(
        "the slowest run of one step next to `prune`",
        Figure("prune", "p95 of a small run, and next to pruning 50,000 of 100,000 runs", "worst"),
        100,
        "ms",
        scale=1000,
    ),
    Target("`show` of a loop of 1,000,000 items", Figure("show", _SHOW, "wall"), 1, "s"),
    Target("`show` of a loop of 1,000,000 items, peak memory", Figure("show", _SHOW, "peak"), 100, "MB"),
    _start("`orchestrator check`", 0.22),
    _start("`orchestrator status`", 0.2),
    _start("`orchestrator runs`", 0.2),
    _start("`orchestrator show`", 0.2),
    _start("`orchestrator run`", 0.35),
    Target(
        "the first model step of a process, processor time",
        Figure("models", "first step that asks a model in a process", "cpu"),
        0.4,
        "s",
    ),
    Target(
        "memory after import and compile", Figure("start", "`import orchestrator` and `compile`", "memory"), 45, "MB"
    ),
    Target(
        "a model step with an answer in 20 pieces, processor time",
        Figure("models", "steps that ask a model, 1 at once", "cpu_each"),
        2.0,
        "ms",
        scale=1000,
    ),
    Target("1,000 streams at once", Figure("models", "streams of a model, 1,000 at once", "wall"), 2.5, "s"),
    Target(
        "a model call, processor time",
        Figure("models", "model asked by orchestrator, 1 at once", "cpu"),
        1.3,
        "× OpenAI's library",
        over=_LIBRARY,
    ),
    Target(
        "a model call with 100 at once, processor time",
        Figure("models", "model asked by orchestrator, 100 at once", "cpu"),
        1.3,
        "× OpenAI's library",
        over=_LIBRARY_100,
    ),
    Target(
        "a streamed answer, processor time",
        Figure("models", "answer streamed to orchestrator, 1 at once", "cpu"),
        1.3,
        "× OpenAI's library",
        over=_LIBRARY_STREAM,
    ),
    Target(
        "runs started over HTTP, with keys",
        Figure("serve", "runs started, as many as it takes", "rate"),
        500,
        "a second",
        at_least=True,
    ),
    Target(
        "500 runs started a second over HTTP, with keys, 99th percentile",
        Figure("serve", "runs started, 500 a second", "worst"),
        150,
        "ms",
        scale=1000,
    ),
    Target(
        "the status of a run of 100,000 over HTTP, 99th percentile",
        Figure("serve", "a run of 100,000 read", "worst"),
        10,
        "ms",
        scale=1000,
    ),
    Target(
        "an event to 200 readers over HTTP, 99th percentile",
        Figure("serve", "events to 200 readers of a run", "worst"),
        50,
        "ms",
        scale=1000,
    ),
    Target("memory of the server after 10,000 runs more", Figure("serve", "memory over runs", "more"), 10, "MB"),
    Target("start of `orchestrator serve`", Figure("serve", "start of `orchestrator serve`", "until_ready"), 1.5, "s"),
    Target(
        "memory of the server after a day of idle readers",
        Figure("serve", "idle readers over the heartbeats of a day", "more"),
        5,
        "MB",
    ),
    Target(
        "connections left by a day of idle readers",
        Figure("serve", "idle readers over the heartbeats of a day", "left_open"),
        0,
        "connections",
    ),
    Target("1,000 steps compiled", Figure("compile", "1,000 steps", "wall"), 0.3, "s"),
    Target(
        "a step of 10,000 compiled",
        Figure("compile", "10,000 steps", "each"),
        1.5,
        "× one of 100",
        over=Figure("compile", "100 steps", "each"),
    ),
    Target(
        "`import orchestrator`",
        Figure("start", "`import orchestrator`", "wall"),
        1,
        "× `import pydantic`",
        over=Figure("start", "`import pydantic`", "wall"),
    ),
)


def missed(groups: Mapping[str, Any]) -> Iterator[tuple[Target, float]]:
    """Yield the targets that were measured and are missed, each with its figure."""
    for target in TARGETS:
        value = target.measured(groups)
        if value is not None and not target.is_reached(value):
            yield target, value
