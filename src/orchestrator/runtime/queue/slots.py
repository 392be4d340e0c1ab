"""The slots of `max_parallel`: each attempt of a tool call takes one, and lends it while it only waits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.runtime.run.run_graph import StepNode
    from orchestrator.runtime.run.run_loop import RunLoop


class Slots:
    """Which steps hold a slot (`running`), and which work without one (`parked`)."""

    def __init__(self, count: int, loop: RunLoop) -> None:
        self.running: set[StepNode] = set()
        self.parked: set[StepNode] = set()
        """Attempts that wait, for example for a rate limit, and values that are being judged."""
        self._count = count
        self._loop = loop
        self._returning: deque[tuple[StepNode, asyncio.Future[None]]] = deque()

    @property
    def free(self) -> int:
        """How many more attempts may begin."""
        return max(0, self._count - len(self.running))

    @property
    def at_work(self) -> list[StepNode]:
        """All steps at work, with a slot or without."""
        return [*self.running, *self.parked]

    def lend(self, node: StepNode) -> bool:
        """Free the slot of an attempt that waits; return whether it had one."""
        if node not in self.running:
            return False
        self.running.discard(node)
        self.parked.add(node)
        self._loop.wake()
        return True

    async def reclaim(self, node: StepNode) -> None:
        """Wait for a slot, ahead of all steps that have not begun. While the run is paused, none is granted."""
        granted: asyncio.Future[None] = self._loop.loop.create_future()
        self._returning.append((node, granted))
        self._loop.wake()
        try:
            await granted
        except asyncio.CancelledError:
            self.put_back(node)  # its attempt ends now
            raise

    def put_back(self, node: StepNode) -> None:
        """Count an attempt among those with a slot."""
        self.parked.discard(node)
        self.running.add(node)

    def grant(self) -> None:
        """Give free slots to the attempts that want theirs back."""
        while self._returning and self.free:
            node, granted = self._returning.popleft()
            if not granted.done():
                self.put_back(node)
                granted.set_result(None)
