"""Many readers of a run: what they cost, and that they end with it."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

import orchestrator as orc
from orchestrator.runtime.host.threads import READER_THREADS
from tests.runtime.support import PATIENCE, Bench, pipeline, step

if TYPE_CHECKING:
    from pathlib import Path

READERS = 50


def test_threads_that_read_an_idle_run_make_no_queries(client: orc.Orchestrator, bench: Bench):
    run = client.compile(pipeline(step("a", "hang"))).start()
    bench.wait_for("a")
    last = run.status().last_seq
    reached, found = threading.Barrier(READERS + 1), []

    def read() -> None:
        events = []
        for event in run.events():
            events.append(event.seq)
            if event.seq == last:
                reached.wait(PATIENCE)
        found.append(events)

    threads = [threading.Thread(target=read, name="reader") for _ in range(READERS)]
    for thread in threads:
        thread.start()
    reached.wait(PATIENCE)
    asked: list[str] = []
    engine = client.backend.engine.store.database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *_: asked.append(threading.current_thread().name))
    for _ in range(3):
        client.compile(pipeline(*(step(f"s{n}", "echo", *([f"s{n - 1}"] if n else [])) for n in range(20)))).run()
    assert "reader" not in asked
    run.cancel()
    for thread in threads:
        thread.join(PATIENCE)
    assert found == [list(range(1, run.status().last_seq + 1))] * READERS


def test_tasks_that_read_an_idle_run_take_no_threads(client: orc.Orchestrator, bench: Bench):
    async def main() -> None:
        run = await client.compile(pipeline(step("a", "hang"))).astart()
        assert await asyncio.to_thread(bench.entered["a"].wait, PATIENCE)
        before, last = threading.active_count(), (await run.astatus()).last_seq
        reached, most = 0, 0
        everybody = asyncio.Event()

        async def read() -> list[int]:
            nonlocal reached, most
            events = []
            async for event in run.aevents():
                events.append(event.seq)
                most = max(most, threading.active_count())
                if event.seq == last:
                    reached += 1
                    if reached == READERS:
                        everybody.set()
            return events

        tasks = [asyncio.create_task(read()) for _ in range(READERS)]
        async with asyncio.timeout(PATIENCE):
            await everybody.wait()
            await run.acancel()
            found = await asyncio.gather(*tasks)
            status = await run.wait_async()
        assert found == [list(range(1, status.last_seq + 1))] * READERS
        assert most <= before + READER_THREADS + 1

    asyncio.run(main())


@pytest.mark.parametrize("follow", [True, False])
def test_a_reader_continues_after_its_cursor(client: orc.Orchestrator, follow: bool):
    run = client.compile(pipeline(step("a"), step("b", "echo", "a"))).start()
    run.wait()
    everything = list(run.events())
    for after in (0, 3, len(everything) - 1, len(everything), len(everything) + 5):
        assert list(run.events(after=after, follow=follow)) == everything[after:]


def test_readers_end_when_the_process_gives_the_run_back(bench: Bench, tmp_path: Path):
    store = f"sqlite:///{tmp_path}/runs.db"
    with orc.Orchestrator(directory=tmp_path, store=store, tools=bench.tools()) as other:
        with orc.Orchestrator(directory=tmp_path, store=store, tools=bench.tools()) as client:
            run = client.compile(pipeline(step("a", "hang"))).start()
            bench.wait_for("a")
            handles = [run, other.get_run(run.id)] * 3
            found: list[str] = []

            def read(handle: orc.Run) -> None:
                found.append([event.type for event in handle.events()][-1])

            threads = [threading.Thread(target=read, args=(handle,)) for handle in handles]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert len(found) == len(handles)
        assert other.get_run(run.id).status().state == "interrupted"
