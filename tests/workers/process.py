"""Workers in processes of their own, which can be killed as the system would."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from typing import TYPE_CHECKING

import orchestrator as orc
from orchestrator.cluster.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path

PROCESS = multiprocessing.get_context("forkserver")
PROCESS.set_forkserver_preload(["tests.workers.warm_process"])


def serve(url: str, directory: Path, labels: tuple[str, ...], concurrency: int) -> None:
    """Execute submitted runs until SIGTERM."""

    async def main() -> None:
        with orc.Orchestrator(store=url, directory=directory) as client:
            worker = Worker(client, concurrency=concurrency, labels=labels, drain=0.0)
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
            await worker.run()

    asyncio.run(main())


class WorkerProcess:
    """A process with one worker."""

    def __init__(self, url: str, directory: Path, *, labels: tuple[str, ...] = (), concurrency: int = 4) -> None:
        self._process = PROCESS.Process(target=serve, args=(url, directory, labels, concurrency), daemon=True)
        self._process.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill it as the system would."""
        self._process.kill()
        self._process.join()

    def stop(self) -> None:
        """Have it give its runs back and end."""
        self._process.terminate()
        self._process.join()
