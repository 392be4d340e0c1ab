"""What steps without effects do not wait for, and what nothing with effects starts before."""

from __future__ import annotations

import sqlite3
import threading
import time
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.journal.commit_thread import Journal
from orchestrator.journal.store.batch_insert import Appender
from orchestrator.models.calls.gateway import ModelGateway
from orchestrator.runtime.queue.settled_steps import DEFERRED
from orchestrator.tools.default_tools import builtin_registry
from tests.runtime.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.journal.store.batch_insert import EventRow

SLOW_DISK = 0.002
"""Seconds that a commit takes at least, so that what does not wait for it is seen."""


class World:
    """Tools with and without effects. A call with effects looks in the store for what it depends on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.computed: list[str] = []
        self.acted: list[str] = []
        self.missing: dict[str, set[str]] = {}

    def tools(self) -> list[Any]:
        @orc.tool(effects="none")
        async def compute(context: orc.ToolContext, needs: list[str], value: Any = None) -> int:
            self.computed.append(context.step)
            return len(self.computed)

        @orc.tool
        async def act(context: orc.ToolContext, needs: list[str], value: Any = None) -> int:
            self.acted.append(context.step)
            missing = set(needs) - self.durable(context.run_id)
            if missing:
                self.missing[context.step] = missing
            return len(self.acted)

        return [compute, act]

    def durable(self, run_id: str) -> set[str]:
        """The paths that are recorded as ended, as another process sees them."""
        query = """
            SELECT path FROM events JOIN runs ON runs.key = events.id >> 32
            WHERE run_id = ? AND type IN (28, 29) -- step.succeeded, step.failed
        """
        connection = sqlite3.connect(self.file)
        try:
            return {path for (path,) in connection.execute(query, (run_id,))}
        finally:
            connection.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "runs.db")


def opened(world: World, directory: Path, *tools: Any, **more: Any) -> orc.Orchestrator:
    return orc.Orchestrator(
        directory=directory, store=f"sqlite:///{world.file}", tools=[*world.tools(), *tools], **more
    )


@pytest.fixture
def client(world: World, tmp_path: Path) -> Iterator[orc.Orchestrator]:
    with opened(world, tmp_path) as client:
        yield client


def step(id: str, tool: str, *after: str, needs: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {"id": id, "tool": tool, "parameters": {"needs": list(needs)}, "dependencies": list(after), **more}


def chain(length: int) -> list[dict[str, Any]]:
    return [step(f"s{n}", "compute", *([f"s{n - 1}"] if n else [])) for n in range(length)]


def test_steps_without_effects_do_not_wait_for_the_disk(world: World, tmp_path: Path) -> None:
    disk, reached = threading.Event(), threading.Event()
    append = Appender.append

    def held(self: Appender, rows: list[EventRow], **more: Any) -> Any:
        if any(row.type.startswith("step.") for row in rows):
            assert disk.wait(PATIENCE)
        return append(self, rows, **more)

    @orc.tool(effects="none")
    async def arrive() -> None:
        reached.set()

    last = {"id": "last", "tool": "arrive", "dependencies": ["s9"]}
    steps = [*chain(10), last, step("act", "act", "last", needs=("s0", "s9", "last"))]
    with opened(world, tmp_path, arrive) as client, mock.patch.object(Appender, "append", held):
        run = client.compile({"steps": steps}).start()
        assert reached.wait(PATIENCE)
        assert (len(world.computed), world.acted, world.durable(run.id)) == (10, [], set())
        disk.set()
        assert run.result().state == "succeeded"
    assert (world.acted, world.missing) == (["act"], {})


def test_a_bounded_number_of_steps_is_ahead_of_the_disk(client: orc.Orchestrator, world: World) -> None:
    waits: list[int] = []
    request = Journal.request

    def counted(self: Journal, waiter: Any) -> None:
        waits.append(len(world.computed))
        request(self, waiter)

    with mock.patch.object(Journal, "request", counted):
        client.compile({"steps": chain(3 * DEFERRED)}).run()
    waits.append(len(world.computed))
    assert max(late - early for early, late in pairwise(waits)) <= DEFERRED + 1


@dataclass(frozen=True)
class Part:
    """A step of a random pipeline: what it is, and which earlier ones it waits for."""

    kind: str
    after: frozenset[int]


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    kinds = st.sampled_from(["compute", "compute", "act", "group", "loop", "rounds", "switch", "call", "handled"])
    return [
        Part(draw(kinds), draw(st.frozensets(st.integers(0, n - 1), max_size=3)) if n else frozenset())
        for n in range(draw(st.integers(1, 9)))
    ]


def written(parts: list[Part]) -> list[dict[str, Any]]:
    """The steps of a pipeline. Each call is told all paths that it depends on."""
    known: list[set[str]] = []
    steps = []
    for number, part in enumerate(parts):
        id = f"s{number}"
        before = set().union(*(known[n] | {f"s{n}"} for n in part.after))
        inner = partial(block, needs=tuple(sorted(before)))
        entry: dict[str, Any] = {"id": id, "dependencies": [f"s{n}" for n in sorted(part.after)]}
        match part.kind:
            case "compute" | "act":
                entry |= {"tool": part.kind, "parameters": {"needs": sorted(before)}}
            case "group":
                entry |= {"steps": inner(id)}
            case "loop":
                entry |= {"for_each": [1, 2, 3], "steps": inner(f"{id}[{{{{ index }}}}]")}
            case "rounds":
                entry |= {
                    "until": "iteration >= 2",
                    "max_iterations": 5,
                    "steps": inner(f"{id}[{{{{ iteration }}}}]", reads="previous.c"),
                }
            case "switch":
                entry |= {"switch": "{{ case }}", "cases": {"a": inner(id)}}
            case "call":
                entry |= {"pipeline": "./called.yaml", "inputs": {"needs": sorted(before), "path": id}}
            case "handled":
                entry |= {"tool": "fail_first", "on_error": [{"steps": inner(f"{id}.on_error[0]")}]}
        known.append(before)
        steps.append(entry)
    return steps


def block(path: str, *, needs: tuple[str, ...], reads: str = "") -> list[dict[str, Any]]:
    """Steps with and without effects, within a step at `path`."""
    value = {"value": f"{{{{ {reads} }}}}"} if reads else {}
    return [
        {"id": "a", "tool": "compute", "parameters": {"needs": list(needs), **value}},
        step("b", "compute", "a"),
        step("c", "act", "b", needs=(*needs, f"{path}.a", f"{path}.b")),
        step("d", "compute", "c"),
        step("e", "act", needs=needs),
    ]


CALLED = """\
inputs: {needs: {type: array}, path: {type: string}}
steps:
  - {id: a, tool: compute, parameters: {needs: []}}
  - {id: b, tool: act, parameters: {needs: "{{ needs + [path ~ '.a'] }}", value: "{{ a }}"}}
outputs: {b: "{{ b }}"}
"""


@orc.tool
async def fail_first() -> None:
    """Fail."""
    raise orc.StepError("no", retryable=False)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[orc.Orchestrator, World]]:
    """A client whose disk is slow, for many runs."""
    directory = tmp_path_factory.mktemp("slow")
    (directory / "called.yaml").write_text(CALLED)
    world, append = World(directory / "runs.db"), Appender.append

    def late(self: Appender, rows: list[EventRow], **more: Any) -> Any:
        time.sleep(SLOW_DISK)
        return append(self, rows, **more)

    with mock.patch.object(Appender, "append", late), opened(world, directory, fail_first) as client:
        yield client, world


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parts=parts())
def test_nothing_with_effects_starts_before_all_that_it_depends_on_is_durable(
    slow: tuple[orc.Orchestrator, World], parts: list[Part]
) -> None:
    client, world = slow
    world.missing.clear()
    client.compile({"inputs": {"case": {"default": "a"}}, "steps": written(parts)}).run()
    assert world.missing == {}


def test_only_what_a_step_depends_on_is_awaited(world: World, tmp_path: Path) -> None:
    """One place: `act` follows `s0`, on which it does not depend, and the disk is held until it was called."""
    called, append = threading.Event(), Appender.append

    @orc.tool
    async def act_now() -> None:
        called.set()

    def held(self: Appender, rows: list[EventRow], **more: Any) -> Any:
        if any(row.type == "step.succeeded" for row in rows):
            assert called.wait(PATIENCE)
        return append(self, rows, **more)

    with opened(world, tmp_path, act_now, max_parallel=1) as client, mock.patch.object(Appender, "append", held):
        assert client.compile({"steps": [*chain(1), {"id": "act", "tool": "act_now"}]}).run().state == "succeeded"


def first_step(client: orc.Orchestrator, **more: Any) -> Any:
    return client.compile({"steps": [step("a", "compute", **more)]}).plan.steps[0]


def test_what_counts_as_a_step_without_effects(client: orc.Orchestrator) -> None:
    assert not first_step(client).has_effects
    assert not first_step(client, check=["output > 0"]).has_effects
    for more in ({"cache": True}, {"on_resume": "ask"}, {"check": {"judge": {"model": "ollama:m", "rubric": "good"}}}):
        assert first_step(client, **more).has_effects, more
    (acts,) = client.compile({"steps": [step("a", "act")]}).plan.steps
    assert acts.has_effects


def test_the_actions_of_text_json_and_log_have_no_effects() -> None:
    registry = builtin_registry()
    tools = {name: registry.get(name) for name in ("text", "json", "log", "filesystem", "http", "terminal")}
    pure = {name for name, tool in tools.items() if all(a.effects == "none" for a in tool.actions.values())}
    assert pure == {"text", "json", "log"}


def test_the_methods_of_a_class_without_effects_have_none(world: World, tmp_path: Path) -> None:
    @orc.tool(effects="none")
    class Sums:
        """Adds."""

        def add(self, numbers: list[int]) -> int:
            """Add."""
            return sum(numbers)

    steps = [{"id": "a", "action": "sums.add", "parameters": {"numbers": [1, 2]}}]
    with opened(world, tmp_path, Sums()) as client:
        assert not client.compile({"steps": steps}).plan.steps[0].has_effects


def test_other_words_for_effects_are_refused() -> None:
    with pytest.raises(orc.ConfigurationError, match="unknown `effects` 'some'"):
        orc.tool(effects="some")(fail_first)  # type: ignore[call-overload]


def test_a_tool_without_effects_cannot_ask_models(world: World, tmp_path: Path) -> None:
    @orc.tool(effects="none")
    async def sly(context: orc.ToolContext) -> None:
        context.service(ModelGateway)

    with opened(world, tmp_path, sly) as client, pytest.raises(orc.RunFailed, match="no ModelGateway is available"):
        client.compile({"steps": [{"id": "a", "tool": "sly"}]}).run()
