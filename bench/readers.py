"""The cost of readers: of a run where nothing happens, next to another run, and of a run that is being executed."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from own import noop

import orchestrator as orc

LENGTH = 1_000
_QUIET = 5.0
"""Seconds for which nothing happens."""

_AFTER_START = 3
"""The number of the event after which nothing happens while the step holds: it has started."""


class Hold:
    """A run whose only step waits until it may end."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.seen: list[int] = []

    def tool(self) -> Any:
        """Return the tool of the step."""

        @orc.tool
        async def hold() -> int:
            """Wait for the end of the measurement."""
            await asyncio.to_thread(self.over.wait)
            return 1

        return hold

    @contextmanager
    def read(self, client: orc.Orchestrator, readers: int) -> Any:
        """Read the run in threads, and continue when all of them have nothing more to read."""
        self.seen = [0] * readers
        run = client.compile({"id": "held", "steps": [{"id": "one", "tool": "hold"}]}).start()

        def follow(index: int) -> None:
            for event in run.events():
                self.seen[index] = event.seq

        threads = [threading.Thread(target=follow, args=(index,)) for index in range(readers)]
        for thread in threads:
            thread.start()
        while readers and min(self.seen) < _AFTER_START:
            time.sleep(0.05)
        time.sleep(0.5)  # they look at the state of the run once
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join()


def _client(directory: Path, *tools: Any) -> orc.Orchestrator:
    return orc.Orchestrator(store=f"sqlite:///{directory / 'runs.db'}", tools=[noop, *tools], directory=directory)


def _chain(client: orc.Orchestrator, length: int) -> orc.Pipeline:
    steps: list[dict[str, Any]] = [{"id": "s0", "tool": "noop"}]
    steps += [{"id": f"s{n}", "tool": "noop", "dependencies": [f"s{n - 1}"]} for n in range(1, length)]
    return client.compile({"id": "chain", "steps": steps})


def _beside(readers: int, work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Run a chain while threads read another run."""
    hold = Hold()
    with _client(directory, hold.tool()) as client, hold.read(client, readers):
        pipeline = _chain(client, work.count)
        clock.start()
        result = pipeline.run()
        clock.stop()
        return {"stored": work.count if result.state == "succeeded" else 0, "threads": threading.active_count()}


def _idle(seconds: float, work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Do nothing while threads read a run."""
    hold = Hold()
    with _client(directory, hold.tool()) as client, hold.read(client, work.count):
        clock.start()
        time.sleep(seconds)
        clock.stop()
        return {"stored": sum(seen >= _AFTER_START for seen in hold.seen)}


def _async_idle(seconds: float, work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """As `_idle`, with tasks of one event loop; `threads` is how many threads the process has meanwhile."""
    hold, seen, threads = Hold(), [0] * work.count, 0

    async def main(client: orc.Orchestrator) -> None:
        nonlocal threads
        run = await client.compile({"id": "held", "steps": [{"id": "one", "tool": "hold"}]}).astart()

        started = asyncio.Event()

        async def follow(index: int) -> None:
            async for event in run.aevents():
                seen[index] = event.seq
                if min(seen) >= _AFTER_START:
                    started.set()

        tasks = [asyncio.create_task(follow(index)) for index in range(work.count)]
        await started.wait()
        await asyncio.sleep(0.5)
        clock.start()
        await asyncio.sleep(seconds)
        clock.stop()
        threads = threading.active_count()
        hold.over.set()
        await asyncio.gather(*tasks)

    with _client(directory, hold.tool()) as client:
        asyncio.run(main(client))
    return {"stored": sum(last >= _AFTER_START for last in seen), "threads": threads}


def _along(readers: int, work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Run a chain while threads read it; `late` is how many seconds after its end the last of them had every event."""
    counts = [0] * readers
    with _client(directory) as client:
        pipeline = _chain(client, work.count)
        client.list_runs()
        clock.start()
        run = pipeline.start()

        def follow(index: int) -> None:
            counts[index] = sum(1 for _ in run.events())

        threads = [threading.Thread(target=follow, args=(index,)) for index in range(readers)]
        for thread in threads:
            thread.start()
        status = run.wait()
        clock.stop()
        ended = time.perf_counter()
        for thread in threads:
            thread.join()
        late = time.perf_counter() - ended
        whole = all(count == status.last_seq for count in counts) and status.state == "succeeded"
    return {"stored": work.count if whole else 0, "late": late}


Work = Callable[[Any, Path, Any], dict[str, Any]]


def readings(quick: bool) -> list[tuple[str, str, int, Work]]:
    """Return the measurements: title, unit, how many, and the function."""
    length, few, many, seconds = (20, 5, 10, 0.2) if quick else (LENGTH, 100, 1_000, _QUIET)
    chain = f"chain of {length:,}"
    return [
        (f"{chain}, no readers", "step", length, partial(_along, 0)),
        (f"{chain} next to {few} readers of an idle run", "step", length, partial(_beside, few)),
        (f"{chain} and {few} readers of it", "step", length, partial(_along, few)),
        (f"nothing, for {seconds:g} s, with 1 reader of an idle run", "reader", 1, partial(_idle, seconds)),
        (f"the same with {many:,} readers", "reader", many, partial(_idle, seconds)),
        (f"the same with {many:,} readers on one event loop", "reader", many, partial(_async_idle, seconds)),
    ]
