"""Runs with the same concurrency key in several processes that are killed: never too many at once, and none starves."""

from __future__ import annotations

import multiprocessing
import os
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from msgspec import Struct, field

import orchestrator as orc
from orchestrator.errors import LeaseLost
from orchestrator.journal import Owner, Store
from orchestrator.journal.records import RunLimit
from orchestrator.journal.state.status import QueuedRun
from orchestrator.journal.store.concurrency_line import ConcurrencyLine, Contender
from orchestrator.journal.store.concurrency_store import RunAdmission, RunRequest
from orchestrator.journal.store.tables import runs as runs_table
from tests.concurrency.worker import serve, work
from tests.journal.support import new_run
from tests.runtime.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.api.interfaces import AnyRun

KEYS = {"one": 1, "two": 2}
"""The keys, with how many runs may have each."""

PROCESSES = 3

PROCESS = multiprocessing.get_context("forkserver")
PROCESS.set_forkserver_preload(["tests.concurrency.warm_worker"])
_numbers = count()


class Worker:
    """A process that executes runs."""

    def __init__(self, url: str, directory: Path) -> None:
        self._requests, other = PROCESS.Pipe()
        self._process = PROCESS.Process(target=serve, args=(url, str(directory), other), daemon=True)
        self._process.start()
        other.close()
        self.owned: set[str] = set()

    def ask(self, **request: Any) -> str:
        """Start or resume a run; return its id."""
        self._requests.send(request)
        assert self._requests.poll(PATIENCE)
        run_id: str = self._requests.recv()
        self.owned.add(run_id)
        return run_id

    def kill(self) -> None:
        """Kill it as the system would."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._requests.close()


class World(Struct):
    """Some processes with one store, and the runs that they were given, by name."""

    url: str
    directory: Path
    client: orc.Orchestrator
    workers: list[Worker] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)
    pipes: dict[str, int] = field(default_factory=dict)
    waits: set[str] = field(default_factory=set)
    """Those that are queued: nothing but a command or a killed process keeps them from succeeding."""
    mark: int = 0
    """What distinguishes the keys of an example from those of others."""

    def start(self, place: int, key: str, on_full: str) -> None:
        """Have a process start a run."""
        name = f"run-{next(_numbers)}"
        os.mkfifo(self.directory / "ends" / name)
        self.pipes[name] = os.open(self.directory / "ends" / name, os.O_RDWR)
        wanted = {"name": name, "key": f"{key}-{self.mark}", "max": KEYS[key], "on_full": on_full}
        self.runs[name] = self.workers[place].ask(start=wanted)
        if on_full == "queue":
            self.waits.add(name)

    def end(self, number: int) -> None:
        """Let one of the runs end as soon as it works."""
        if self.pipes:
            name = sorted(self.pipes)[number % len(self.pipes)]
            os.write(self.pipes[name], b"x")

    def kill(self, place: int) -> None:
        """Kill a process, and have its runs be resumed by a new one."""
        worker = self.workers[place]
        worker.kill()
        self.workers[place] = Worker(self.url, self.directory)
        for run_id in sorted(worker.owned & set(self.runs.values())):
            if not self.client.get_run(run_id).status().ended:
                self.workers[place].ask(resume=run_id)

    def finish(self) -> dict[str, AnyRun]:
        """Let all runs end, wait until they have, and forget them."""
        for pipe in self.pipes.values():
            os.write(pipe, b"x")
        found = {name: self.client.get_run(run_id) for name, run_id in self.runs.items()}
        for run in found.values():
            run.wait(timeout=2 * PATIENCE)
        for pipe in self.pipes.values():
            os.close(pipe)
        self.runs, self.pipes = {}, {}
        self.mark = next(_numbers)
        return found

    def counts(self) -> list[list[str]]:
        """What the runs have noted: their key, how many worked with it, and their name."""
        noted = self.directory / "counts"
        return [line.split() for line in noted.read_text().splitlines()] if noted.exists() else []

    def close(self) -> None:
        """End the processes."""
        for worker in self.workers:
            worker.kill()
        for pipe in self.pipes.values():
            os.close(pipe)
        self.client.close()


STARTS = st.tuples(
    st.just("start"),
    st.integers(0, PROCESSES - 1),
    st.sampled_from(sorted(KEYS)),
    st.sampled_from(["queue", "queue", "queue", "skip", "cancel_oldest"]),
)
ENDS = st.tuples(st.just("end"), st.integers(0, 20))
KILLS = st.tuples(st.just("kill"), st.integers(0, PROCESSES - 1))
ACTS = st.lists(st.one_of(STARTS, STARTS, ENDS, KILLS), min_size=4, max_size=14)


@pytest.fixture
def world(tmp_path: Path, url: str) -> Iterator[World]:
    (tmp_path / "ends").mkdir()
    world = World(url, tmp_path, orc.Orchestrator(store=url, directory=tmp_path, tools=[work]))
    world.workers += [Worker(url, tmp_path) for _ in range(PROCESSES)]
    yield world
    world.close()


@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to find a smaller example would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(acts=ACTS)
def test_never_too_many_work_at_once_and_every_run_ends(world: World, acts: list[tuple[Any, ...]]) -> None:
    for act, *arguments in acts:
        getattr(world, act)(*arguments)
    found = world.finish()
    counted = world.counts()
    assert [each for each in counted if int(each[1]) > KEYS[each[0].partition("-")[0]]] == []
    replaced = any(act[3] == "cancel_oldest" for act in acts if act[0] == "start")
    for name, run in found.items():
        status = run.status()
        if status.state == "cancelled":
            assert "the concurrency key" in status.reason
            assert replaced or name not in world.waits
        else:
            assert status.state == "succeeded"
            assert status.queued is None


def test_runs_of_several_processes_begin_in_the_order_of_their_creation(world: World) -> None:
    for number in range(8):
        world.start(number % PROCESSES, "one", "queue")
    names = list(world.runs)
    world.finish()
    assert [name for _, _, name in world.counts()] == names


# --- what the store does, where no process is killed


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        yield store


ONE = RunLimit("key", 1)
MINE = Owner.current()
ELSEWHERE = Owner("another-host", 1, "", "", "another boot")


def test_a_process_whose_lease_has_expired_gives_way_and_cannot_come_back(store: Store) -> None:
    """It may only be stopped, so that nothing but the fence keeps it from continuing."""
    stopped = store.create_run(new_run("stopped"), ELSEWHERE)
    assert store.concurrency.ask(stopped, ONE, waits=False).admitted
    waiting = store.create_run(new_run("waiting"), MINE)
    asked = store.concurrency.ask(waiting, ONE, waits=False)
    assert asked == RunAdmission(False, QueuedRun("key", 1, ("stopped",), 1))
    with store.database.write() as connection:
        connection.execute(runs_table.update().where(runs_table.c.run_id == "stopped").values(lease_until=0.0))
    assert store.concurrency.ask(waiting, ONE, waits=False).admitted
    with pytest.raises(LeaseLost):
        store.renew(stopped)
    with pytest.raises(LeaseLost):
        store.concurrency.ask(stopped, ONE, waits=True)


def test_a_process_that_renews_its_lease_in_time_keeps_its_place(store: Store) -> None:
    held = store.create_run(new_run("held"), ELSEWHERE)
    assert store.concurrency.ask(held, ONE, waits=False).admitted
    waiting = store.create_run(new_run("waiting"), MINE)
    with store.database.write() as connection:
        connection.execute(runs_table.update().where(runs_table.c.run_id == "held").values(lease_until=0.0))
    store.renew(held)
    assert not store.concurrency.ask(waiting, ONE, waits=True).admitted
    assert store.concurrency.ask(held, ONE, waits=False).admitted


def test_a_run_that_was_released_leaves_nothing_behind(store: Store) -> None:
    first = store.create_run(new_run("first"), MINE)
    assert store.concurrency.ask(first, ONE, waits=False).admitted
    store.release(first)
    assert store.concurrency.contenders(["key"]) == {}
    second = store.create_run(new_run("second"), MINE)
    assert store.concurrency.ask(second, ONE, waits=False).admitted
    again = store.acquire("first", MINE)
    assert store.concurrency.ask(again, ONE, waits=True).queued == QueuedRun("key", 1, ("second",), 1)


def test_each_newer_run_replaces_as_many_as_are_too_many(store: Store) -> None:
    limit = RunLimit("key", 2, "cancel_oldest")
    leases = [store.create_run(new_run(f"run-{number}"), MINE) for number in range(4)]
    admitted = [store.concurrency.ask(lease, limit, waits=False).admitted for lease in leases]
    assert admitted == [True, True, False, False]
    for lease in leases:
        store.concurrency.ask(lease, limit, waits=False)
    sent = [(run_id, command.kind) for _, run_id, command in store.commands([lease.run_id for lease in leases])]
    assert sent == [("run-0", "cancel"), ("run-1", "cancel")]


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=30), st.integers(0, 31))
def test_what_comes_before_a_run_is_counted_as_if_all_were_looked_at(runs: list[tuple[bool, ...]], run: int) -> None:
    found = [Contender(number, f"r{number}", 1, *flags) for number, flags in enumerate(runs)]
    others = [each for each in found if each.run != run]
    older = [each for each in others if not (each.admitted or each.lapsed) and each.run < run]
    before, line = [*(each for each in others if each.admitted), *older], ConcurrencyLine(found)
    assert line.ahead(run) == len(before)
    assert line.lively(run) == sum(not each.lapsed for each in before)
    assert line.staying(run) == len(line.remaining(run)) == sum(not each.cancelled for each in before)
    queued = line.queued(run, "key", 1)
    assert (queued.runs, queued.ahead) == (tuple(each.run_id for each in before[:20]), len(before))


ON_FULL = st.sampled_from(["queue", "skip", "cancel_oldest"])


@settings(max_examples=25)
@given(st.lists(st.tuples(ON_FULL, st.booleans()), min_size=1, max_size=6), st.integers(1, 3))
def test_many_runs_that_ask_at_once_are_decided_about_as_if_they_had_asked_one_after_another(
    runs: list[tuple[Any, bool]], most: int
) -> None:
    found = []
    for together in (True, False):
        with Store.open("sqlite://") as store:
            leases = [store.create_run(new_run(f"run-{number}"), MINE) for number in range(len(runs))]
            asking = [
                RunRequest(lease, RunLimit("key", most, on_full), waits)
                for lease, (on_full, waits) in zip(leases, runs, strict=True)
            ]
            if together:
                decisions = store.concurrency.ask_all(asking)
            else:
                for lease in leases:  # all are in line, as after a first look
                    store.concurrency.ask_all([RunRequest(lease, RunLimit("key", 0), True)])
                decisions = [store.concurrency.ask_all([each])[0] for each in asking]
            commands = [(run_id, each.kind) for _, run_id, each in store.commands([each.run_id for each in leases])]
            found.append((decisions, commands, store.concurrency.contenders(["key"])))
    assert found[0] == found[1]


def test_runs_that_ask_at_once_take_a_few_statements_however_many_they_are(store: Store) -> None:
    counts = []
    for many in (2, 200):
        leases = [store.create_run(new_run(f"run-{many}-{number}"), MINE) for number in range(many)]
        asking = [RunRequest(lease, RunLimit(f"key {many}", many // 2), False) for lease in leases]
        statements: list[str] = []

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any, found: list[str] = statements) -> None:
            found.append(statement)

        sa.event.listen(store.database.engine, "before_cursor_execute", note)
        decisions = store.concurrency.ask_all(asking)
        sa.event.remove(store.database.engine, "before_cursor_execute", note)
        assert [each is not None and each.admitted for each in decisions] == [n < many // 2 for n in range(many)]
        counts.append(len(statements))
    assert counts[0] == counts[1]
