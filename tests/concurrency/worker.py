"""A process that executes runs with concurrency keys; a test kills it.

The tool of the runs holds a lock on a file of the key while it works, so that it can count who works with the same key:
the system releases the locks of a process that is killed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orchestrator as orc
from orchestrator import runtime
from orchestrator.journal import Journal, Store
from orchestrator.journal.run_creation import RunCreation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection


@contextmanager
def at_work(directory: Path, key: str, name: str) -> Iterator[int]:
    """Hold the lock of a run; yields how many hold one of the same key then."""
    locks = directory / "locks" / key
    locks.mkdir(parents=True, exist_ok=True)
    own = os.open(locks / f"{name}.{os.getpid()}", os.O_RDWR | os.O_CREAT)
    try:
        with (directory / "counting").open("a") as counting:
            fcntl.flock(counting, fcntl.LOCK_EX)
            fcntl.flock(own, fcntl.LOCK_EX)
            count = sum(is_held(path) for path in locks.iterdir())
        yield count
    finally:
        os.close(own)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock of a file."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def ended(pipe: Path) -> Iterator[asyncio.Event]:
    """Yield what is set when the pipe is readable."""
    readable, loop = asyncio.Event(), asyncio.get_running_loop()
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    loop.add_reader(descriptor, readable.set)
    try:
        yield readable
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


@orc.tool
async def work(context: orc.ToolContext, key: str, name: str) -> int:
    """Work until the pipe with the name is readable; note how many work with the same key."""
    with at_work(context.directory, key, name) as count, ended(context.directory / "ends" / name) as end:
        with (context.directory / "counts").open("a") as file:
            file.write(f"{key} {count} {name}\n")
        await end.wait()
    return count


def pipeline(client: orc.Orchestrator, most: int, on_full: str) -> orc.Pipeline:
    """Return the pipeline with a limit."""
    text = {"type": "string"}
    call = {"id": "work", "tool": "work", "parameters": {"key": "{{ key }}", "name": "{{ name }}"}}
    limit = {"key": "{{ key }}", "max": most, "on_full": on_full}
    return client.compile(
        {"id": "limited", "inputs": {"key": text, "name": text}, "concurrency": limit, "steps": [call]}
    )


LEASE = 600.0
"""Seconds: a process that a busy machine stops for a while keeps its runs. Leases that expire are tested elsewhere."""


def hold_long() -> None:
    """Give all leases of this process the time of `LEASE`."""
    for function in (Store.begin_run, Store.acquire, RunCreation.of):
        defaults = function.__kwdefaults__
        assert defaults is not None
        defaults["ttl"] = LEASE


def serve(url: str, directory: str, requests: Connection) -> None:
    """Obey until the process is killed: `{start: {name, key, max, on_full}}` or `{resume: id}`."""
    hold_long()
    with orc.Orchestrator(store=url, directory=Path(directory), tools=[work]) as client:
        while True:
            request: dict[str, Any] = requests.recv()
            if "start" in request:
                wanted = request["start"]
                run = pipeline(client, wanted["max"], wanted["on_full"]).start(key=wanted["key"], name=wanted["name"])
            else:
                run = client.resume(request["resume"])
            requests.send(run.id)


def warm_up() -> None:
    """Have everything imported before the first fork."""
    with tempfile.TemporaryDirectory() as directory, orc.Orchestrator(directory=directory, tools=[work]) as client:
        pipeline(client, 1, "queue")
        Store.open(f"sqlite:///{directory}/runs.db").close()
    assert all((Journal, runtime.Engine, runtime.Portal))
