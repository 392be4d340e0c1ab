"""The server: how fast it starts runs, answers and streams, and what it costs while nothing happens."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from many_runs import store_of

CONNECTIONS = 64
READERS = 200
PIPELINE = 'steps:\n  - {id: one, tool: log, parameters: {message: "{{ n }}"}}\ninputs: {n: {type: integer}}\n'
TICKS = """\
steps:
  - id: wait
    tool: until
  - id: ticks
    for_each: {range: %d}
    max_parallel: 1
    depends_on: [wait]
    steps: [{id: tick, tool: sleep, parameters: {seconds: 0.02}}]
"""
PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Served:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    host: str
    port: int
    token: str
    started: float
    """Seconds from its start until it accepts requests."""

    @property
    def memory(self) -> float:
        """Its resident memory, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    @property
    def descriptors(self) -> int:
        """How many files and connections it has open."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


@contextmanager
def served(directory: Path, *options: str) -> Iterator[Served]:
    """Run `orchestrator serve` on a directory."""
    command = [sys.executable, "-m", "orchestrator", "serve", "--port", "0", *options]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://([\d.]+):(\d+)", process.stdout.readline())
        started = time.perf_counter() - began
        assert found is not None
        token = (directory / ".orchestrator" / "server-token").read_text(encoding="ascii").strip()
        try:
            yield Served(process, found[1], int(found[2]), token, started)
        finally:
            process.terminate()
            process.communicate()


class Connection:
    """One connection that stays open. It only knows what this server sends."""

    def __init__(self, server: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._head = f"HTTP/1.1\r\nhost: {server.host}:{server.port}\r\nauthorization: Bearer {server.token}\r\n"
        self._reader = reader
        self._writer = writer

    async def ask(self, method: str, path: str, body: bytes = b"", *fields: str) -> tuple[int, bytes]:
        """Send a request, and return the status and the body of its response."""
        self.send(method, path, body, *fields)
        status, headers = await self.head()
        length = int(re.search(rb"content-length: (\d+)", headers)[1])  # type: ignore[index]
        return status, await self._reader.readexactly(length)

    def send(self, method: str, path: str, body: bytes = b"", *fields: str) -> None:
        """Send a request."""
        more = "".join(f"{field}\r\n" for field in fields)
        if body:
            more += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self._writer.write(f"{method} {path} {self._head}{more}\r\n".encode() + body)

    async def head(self) -> tuple[int, bytes]:
        """Return the status of a response, and its head."""
        found = await self._reader.readuntil(b"\r\n\r\n")
        return int(found[9:12]), found.lower()

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield the lines of a stream."""
        while line := await self._reader.readline():
            yield line


@asynccontextmanager
async def connected(server: Served, count: int) -> AsyncIterator[list[Connection]]:
    """Open connections, and close them."""
    pairs = [await asyncio.open_connection(server.host, server.port) for _ in range(count)]
    try:
        yield [Connection(server, *pair) for pair in pairs]
    finally:
        for _, writer in pairs:
            writer.close()


def percentile(values: list[float], part: float) -> float:
    """Return the value that so large a part of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


async def start_runs(server: Served, count: int, rate: float | None, prefix: str = "key") -> dict[str, float]:
    """Start runs with keys: `rate` of them a second, however long responses take, or as many as the server takes.

    The latency of a run counts from when it was due.
    """
    latencies: list[float] = []
    numbers = iter(range(count))
    began = time.perf_counter()

    async def work(connection: Connection) -> None:
        for number in numbers:
            due = began + number / rate if rate else time.perf_counter()
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            body = json.dumps({"pipeline": "one", "inputs": {"n": number}}).encode()
            status, content = await connection.ask("POST", "/v1/runs", body, f"idempotency-key: {prefix}-{number}")
            if status == 503:
                latencies.append(PATIENCE)
                continue
            assert status == 202, content
            latencies.append(time.perf_counter() - due)

    async with connected(server, CONNECTIONS) as connections:
        await asyncio.gather(*map(work, connections))
    wall = time.perf_counter() - began
    return {"latency": percentile(latencies, 0.5), "worst": percentile(latencies, 0.99), "rate": count / wall}


def project(directory: Path, **files: str) -> Path:
    """Write the files of a project."""
    for name, text in files.items():
        (directory / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return directory


async def all_ended(server: Served, count: int) -> None:
    """Wait until so many runs have succeeded."""
    async with connected(server, 1) as (connection,):
        while True:
            _, text = await connection.ask("GET", "/metrics")
            found = re.search(rb'orchestrator_runs\{state="succeeded"\} (\S+)', text)
            if found is not None and float(found[1]) >= count:
                return
            await asyncio.sleep(0.2)


def starts(rate: float | None, work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Start runs of one small step."""
    with served(project(directory, one_yaml=PIPELINE), "--drain", "1m") as server:
        asyncio.run(start_runs(server, min(200, work.count), None, "first"))
        clock.start()
        found = asyncio.run(start_runs(server, work.count, rate))
        clock.stop()
        asyncio.run(all_ended(server, work.count))
    return {"stored": work.count, **found}


def reads(runs: int, work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Ask for the status of runs of a store with many."""
    store = store_of(directory, runs)

    async def main(server: Served) -> list[float]:
        latencies = []
        async with connected(server, 1) as (connection,):
            _, page = await connection.ask("GET", "/v1/runs?limit=500")
            names = [run["run_id"] for run in json.loads(page)["runs"]]
            for number in range(work.count):
                began = time.perf_counter()
                status, _ = await connection.ask("GET", f"/v1/runs/{names[number % len(names)]}")
                latencies.append(time.perf_counter() - began)
                assert status == 200
        return latencies

    with served(directory, "--store", f"sqlite:///{store}") as server:
        clock.start()
        found = asyncio.run(main(server))
        clock.stop()
    return {"stored": work.count, "latency": percentile(found, 0.5), "worst": percentile(found, 0.99)}


def streams(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Read a run with many readers; the latency counts from when an event was recorded, before its commit."""
    tool = (
        "import asyncio\nimport orchestrator as orc\n\n@orc.tool\nasync def until(context: orc.ToolContext) -> int:\n"
        '    """Wait for a file."""\n'
        '    while not (context.directory / "go").exists():\n        await asyncio.sleep(0.01)\n    return 1\n'
    )
    project(directory, ticks_yaml=TICKS % work.count, lib_py=tool, orchestrator_toml='tools = ["lib.py"]\n')
    latencies: list[float] = []

    async def read(connection: Connection, run: str, ready: asyncio.Semaphore) -> None:
        connection.send("GET", f"/v1/runs/{run}/events", b"", "accept: text/event-stream")
        await connection.head()
        seen = False
        async for line in connection.lines():
            if not line.startswith(b"data: "):
                if line == b"event: end\n":
                    return
                continue
            event = json.loads(line[6:])
            if event.get("type") == "step.started" and not seen:
                seen = True
                ready.release()
            elif str(event.get("path", "")).startswith("ticks["):
                latencies.append(time.time() - event["at"])

    async def main(server: Served) -> None:
        async with connected(server, 1) as (connection,), connected(server, READERS) as readers:
            _, body = await connection.ask("POST", "/v1/runs", b'{"pipeline": "ticks"}')
            run = json.loads(body)["run"]["run_id"]
            ready = asyncio.Semaphore(0)
            tasks = [asyncio.create_task(read(each, run, ready)) for each in readers]
            for _ in readers:
                await ready.acquire()
            clock.start()
            (directory / "go").touch()
            await asyncio.gather(*tasks)
            clock.stop()

    with served(directory) as server:
        asyncio.run(main(server))
    return {
        "stored": work.count,
        "latency": percentile(latencies, 0.5),
        "worst": percentile(latencies, 0.99),
        "events": len(latencies),
    }


def memory(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Start many runs, and again as many; compare the memory of the server: its caches are full by then."""
    first = work.count
    with served(project(directory, one_yaml=PIPELINE), "--drain", "1m") as server:
        asyncio.run(start_runs(server, first, None, "first"))
        asyncio.run(all_ended(server, first))
        before = server.memory
        clock.start()
        asyncio.run(start_runs(server, work.count, None))
        asyncio.run(all_ended(server, first + work.count))
        clock.stop()
        after = server.memory
    return {"stored": work.count, "resident": after, "more": after - before}


def begins(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Start the server in a project that has a store."""
    project(directory, one_yaml=PIPELINE)
    with served(directory):
        pass
    clock.start()
    with served(directory) as server:
        clock.stop()
    return {"stored": work.count, "until_ready": server.started}


IDLE = """\
import asyncio, sys
from pathlib import Path
import orchestrator as orc
from orchestrator.config.tables.serve import ServeTable
from orchestrator.server import streams
from orchestrator.server.first_token import ensure_token
from orchestrator.server.http_server import Server
from orchestrator.server.service import Service

streams.HEARTBEAT_SECONDS = float(sys.argv[1])
streams.with_heartbeat.__kwdefaults__["seconds"] = float(sys.argv[1])
with orc.Orchestrator(directory=Path.cwd()) as orchestrator:
    service = Service(orchestrator, ServeTable(port=0, drain=0.0))
    ensure_token(service.credentials, Path.cwd())
    Server(service, lambda address: print(address, flush=True)).run()
"""
"""A server whose heartbeat is faster, so that the readers of a day are those of a minute."""


def idles(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Hold idle readers for as many heartbeats as a day has, and let others come and go."""
    beats = 8_640 if work.count >= READERS else 100
    seconds = 0.005
    command = [sys.executable, "-c", IDLE, str(seconds)]

    async def beat(connection: Connection, count: int) -> None:
        connection.send("GET", "/v1/events")
        await connection.head()
        seen = 0
        async for line in connection.lines():
            seen += line.startswith(b":")
            if seen == count:
                return

    async def come_and_go(server: Served, count: int) -> None:
        for _ in range(count):
            async with connected(server, 20) as connections:
                await asyncio.gather(*(beat(each, 1) for each in connections))

    async def main(server: Served) -> tuple[float, int, float, int]:
        async with connected(server, work.count) as connections:
            await asyncio.gather(*(beat(each, beats // 10) for each in connections))
        await come_and_go(server, 10)
        before = server.memory, server.descriptors
        clock.start()
        async with connected(server, work.count) as connections:
            await asyncio.gather(*(beat(each, beats) for each in connections))
        await come_and_go(server, 50)
        clock.stop()
        await asyncio.sleep(1)
        return *before, server.memory, server.descriptors

    with subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://([\d.]+):(\d+)", process.stdout.readline())
        assert found is not None
        token = (directory / ".orchestrator" / "server-token").read_text(encoding="ascii").strip()
        try:
            server = Served(process, found[1], int(found[2]), token, 0.0)
            before, open_before, after, open_after = asyncio.run(main(server))
        finally:
            process.terminate()
            process.communicate()
    return {
        "stored": work.count,
        "resident": after,
        "more": after - before,
        "left_open": max(0, open_after - open_before),
    }


def services(quick: bool) -> list[tuple[str, str, int, Callable[..., dict[str, Any]]]]:
    """Return the measurements: title, unit, how many, and the function of each."""
    few = quick
    runs = 200 if few else 100_000
    return [
        ("runs started, 500 a second", "run", 50 if few else 5_000, partial(starts, 500.0)),
        ("runs started, as many as it takes", "run", 50 if few else 5_000, partial(starts, None)),
        (f"a run of {runs:,} read", "request", 50 if few else 5_000, partial(reads, runs)),
        (f"events to {READERS} readers of a run", "item", 5 if few else 200, streams),
        ("memory over runs", "run", 50 if few else 10_000, memory),
        ("start of `orchestrator serve`", "process", 1, begins),
        ("idle readers over the heartbeats of a day", "reader", 5 if few else READERS, idles),
    ]
