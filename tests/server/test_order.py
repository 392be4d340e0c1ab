"""When runs start and whose steps come first: `not_before`, `priority`, and the slots that runs of a server share."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.runtime.queue.shared_slots import SharedSlots
from tests.runtime.support import Bench
from tests.server.support import Client, ServerProcess, client_of, serving

WIDE = "steps:\n" + "".join(f"  - {{id: s{number}, tool: gate}}\n" for number in range(4))
DAY = 86_400.0


def test_a_run_starts_at_its_time_and_not_before(client: Client):
    moment = time.time() + 0.3
    found = client.start("hello", wait=30, not_before=moment)
    assert found["run"]["state"] == "succeeded"
    assert found["run"]["started_at"] >= moment
    assert found["run"]["not_before"] is None
    assert found["run"]["elapsed"] < 0.3


def test_a_run_that_waits_for_its_time_says_so_and_can_be_paused_and_cancelled(client: Client):
    moment = time.time() + DAY
    run = client.start("hello", not_before=moment)["run"]
    assert (run["state"], run["not_before"], run["started_at"]) == ("queued", moment, None)
    assert run["waiting_on"][0].startswith("its start, not before 20")
    where = f"/v1/runs/{run['run_id']}"
    assert client.json("POST", f"{where}/pause")["state"] == "paused"
    assert client.json("POST", f"{where}/resume")["state"] == "queued"
    client.json("POST", f"{where}/cancel", {"reason": "not needed"})
    client.http.get(f"{where}/events", headers={"accept": "text/event-stream"}).read()
    ended = client.json("GET", where)
    assert (ended["state"], ended["reason"], ended["elapsed"] < 60) == ("cancelled", "not needed", True)
    assert [step["state"] for step in client.json("GET", f"{where}/steps")["steps"]] == ["pending"]


def test_the_run_reads_the_time_of_its_start_as_now(client: Client, project: Path):
    (project / "now.yaml").write_text(
        "steps: [{id: a, tool: log, parameters: {message: x}}]\noutputs: {now: '{{ now() }}'}\n"
    )
    moment = time.time() + 0.2
    first = client.start("now", wait=30)["outputs"]["now"]
    later = client.start("now", wait=30, not_before=moment)["outputs"]["now"]
    assert later > first


LIMITED = """
inputs: {key: {type: string}}
concurrency: {key: "{{ key }}"}
steps: [{id: nap, sleep: 1h}]
"""


def wait_in_line(client: Client, key: str, count: int) -> list[str]:
    """Start a run with a key, and as many more that wait for it."""
    runs = [client.start("limited", inputs={"key": key})["run"]["run_id"] for _ in range(count + 1)]
    for run in runs[1:]:
        with client.http.stream("GET", f"/v1/runs/{run}/events", headers={"accept": "text/event-stream"}) as said:
            assert any("run.queued" in line for line in said.iter_lines())
    return runs


def test_runs_that_wait_for_one_key_leave_room_for_all_others(project: Path, url: str):
    (project / "limited.yaml").write_text(LIMITED)
    with serving(project, store=url, max_runs=3) as running:
        client = client_of(*running)
        runs = wait_in_line(client, "one", 30)
        found = client.problem(
            "POST", "/v1/runs", {"pipeline": "limited", "inputs": {"key": "one"}}, status=503, code="ORC913"
        )
        assert "30 runs with the concurrency key `one` wait for their turn already" in found["detail"]
        assert client.json("GET", f"/v1/runs/{runs[30]}")["queued"]["ahead"] == 30
        assert client.start("hello", wait=30)["run"]["state"] == "succeeded"  # as nothing of it waits
        wait_in_line(client, "two", 30)  # all places of those that wait are taken now
        client.problem("POST", "/v1/runs", {"pipeline": "limited", "inputs": {"key": "two"}}, status=503, code="ORC913")
        assert client.start("hello", wait=30)["run"]["state"] == "succeeded"
        assert client.start("limited", inputs={"key": "three"})["run"]["state"] in ("queued", "running")


def test_runs_that_wait_for_their_time_leave_room_for_others(project: Path, url: str):
    with serving(project, store=url, max_runs=1) as running:
        client = client_of(*running)
        later = [client.start("hello", not_before=time.time() + DAY)["run"]["run_id"] for _ in range(20)]
        assert client.start("hello", wait=30)["run"]["state"] == "succeeded"
        client.problem(
            "POST", "/v1/runs", {"pipeline": "hello", "not_before": time.time() + DAY}, status=503, code="ORC913"
        )
        assert client.json("GET", f"/v1/runs/{later[0]}")["state"] == "queued"


def test_a_restart_keeps_the_time_and_the_priority(project: Path):
    server = ServerProcess(project)
    moment = time.time() + DAY
    run = server.client.start("hello", not_before=moment, priority=7)["run"]["run_id"]
    server.kill()
    server = ServerProcess(project, "--drain", "1h")
    found = server.client.json("GET", f"/v1/runs/{run}")
    assert (found["state"], found["not_before"], found["started_at"]) == ("queued", moment, None)
    created = server.client.json("GET", f"/v1/runs/{run}/events")["events"][0]
    assert created["data"]["options"]["priority"] == 7
    said = server.stop()  # it does not wait for such runs
    assert "Traceback" not in said


def test_the_same_key_with_another_time_is_refused(client: Client):
    def started(not_before: float, **expected: int) -> None:
        body = {"pipeline": "hello", "not_before": not_before}
        client.json("POST", "/v1/runs", body, headers={"idempotency-key": "order-17"}, **expected)

    moment = time.time() + DAY
    started(moment, status=202)
    started(moment, status=202)
    body = {"pipeline": "hello", "not_before": moment + 1}
    client.problem("POST", "/v1/runs", body, status=422, code="ORC820", headers={"idempotency-key": "order-17"})


@pytest.fixture
def narrow(project: Path, url: str, bench: Bench) -> Iterator[Client]:
    """A client of a server with two slots."""
    (project / "wide.yaml").write_text(WIDE)
    with serving(project, store=url, tools=bench.tools(), max_parallel=2) as running:
        yield client_of(*running)


def test_a_wide_run_leaves_room_for_a_small_one(narrow: Client, project: Path, bench: Bench):
    (project / "small.yaml").write_text("steps: [{id: small, tool: gate}]\n")
    narrow.start("wide")
    bench.wait_for("s0", "s1")
    small = narrow.start("small")["run"]["run_id"]
    bench.open("s0")
    bench.wait_for("small")
    bench.open("small", "s1", "s2", "s3")
    assert narrow.json("GET", f"/v1/runs/{small}")["run_id"] == small


class Asker:
    """A run as the slots see it."""

    def __init__(self, priority: int = 0) -> None:
        self.priority = priority
        self.running: set[int] = set()
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1

    def take(self, slots: SharedSlots) -> bool:
        if not slots.free_for(self):
            return False
        self.running.add(len(self.running))
        return True

    def give(self, slots: SharedSlots) -> None:
        self.running.pop()
        slots.pass_on()


def filled(count: int) -> tuple[SharedSlots, Asker]:
    """Slots that one run has taken."""
    slots, first = SharedSlots(count), Asker()
    slots.join(first)
    while first.take(slots):
        pass
    slots.withdraw(first)
    return slots, first


def test_the_run_with_the_higher_priority_gets_the_next_slot():
    slots, first = filled(2)
    low, high = Asker(), Asker(5)
    for each in (low, high):
        slots.join(each)
        assert not each.take(slots)
    first.give(slots)
    assert (low.woken, high.woken) == (0, 1)
    assert not low.take(slots)
    assert high.take(slots)


def test_among_equals_the_run_with_fewer_steps_at_work_comes_first():
    slots, first = filled(4)
    other = Asker()
    slots.join(other)
    assert not other.take(slots)
    assert not first.take(slots)
    first.give(slots)
    assert (first.woken, other.woken) == (0, 1)
    assert other.take(slots)


def test_no_run_waits_for_ever():
    slots, first = filled(1)
    low, high = Asker(), Asker(100)
    for each in (low, high):
        slots.join(each)
        each.take(slots)
    first.give(slots)
    taken = 0
    while low.woken == 0:
        assert high.take(slots)
        taken += 1
        high.take(slots)
        high.give(slots)
        assert taken < 20
    assert not high.take(slots)
    assert low.take(slots)


def test_a_run_that_leaves_passes_its_slots_on():
    slots, first = filled(1)
    other = Asker()
    slots.join(other)
    assert not other.take(slots)
    slots.leave(first)
    assert other.woken == 1
    assert other.take(slots)


def test_shared_slots_are_never_exceeded_and_all_runs_end(project: Path, url: str):
    at_work, most = 0, 0

    @orc.tool
    async def work() -> int:
        """Work for a moment."""
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0)
        at_work -= 1
        return 1

    steps = "".join(f"  - {{id: s{number}, tool: work}}\n" for number in range(20))
    (project / "many.yaml").write_text(f"steps:\n{steps}")
    with serving(project, store=url, tools=[work], max_parallel=3) as running:
        client = client_of(*running)
        runs = [client.start("many", priority=number % 3)["run"]["run_id"] for number in range(20)]
        for run in runs:
            client.http.get(f"/v1/runs/{run}/events", headers={"accept": "text/event-stream"}).read()
            assert client.json("GET", f"/v1/runs/{run}")["state"] == "succeeded"
        assert running[0].orchestrator.backend.engine.shared_slots.used == 0  # type: ignore[union-attr]
    assert most <= 3


@pytest.mark.parametrize("priority", [101, -101, 1.5, True, "high"])
def test_a_priority_is_a_whole_number_within_bounds(project: Path, priority: object):
    with orc.Orchestrator(directory=project) as orchestrator:
        pipeline = orchestrator.compile(project / "hello.yaml")
        with pytest.raises(orc.ConfigurationError, match="priority"):
            pipeline.with_options(priority=priority)  # type: ignore[arg-type]


@pytest.mark.parametrize("moment", [-1, float("nan"), float("inf"), 1e13, "tomorrow", True])
def test_a_time_is_seconds_or_a_datetime(project: Path, moment: object):
    with orc.Orchestrator(directory=project) as orchestrator:
        pipeline = orchestrator.compile(project / "hello.yaml")
        with pytest.raises(orc.ConfigurationError, match="not_before"):
            pipeline.with_options(not_before=moment)  # type: ignore[arg-type]
