"""The slots of `max_parallel`: each attempt of a tool call takes one, and lends it while it only waits."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.runtime.queue.shared_slots import SharedSlots
    from orchestrator.runtime.run.run_graph import StepNode
    from orchestrator.runtime.run.run_loop import RunLoop


class Slots:
    """Which steps hold a slot (`running`), and which work without one (`parked`).

    With `shared`, they take slots of those that all runs of the process share too, by their `priority`.
    """

    def __init__(self, count: int, loop: RunLoop, *, shared: SharedSlots | None = None, priority: int = 0) -> None:
        self.priority = priority
        self.running: set[StepNode] = set()
        self.parked: set[StepNode] = set()
        """Attempts that wait, for example for a rate limit, and values that are being judged."""
        self._count = count
        self._loop = loop
        self._returning: deque[tuple[StepNode, asyncio.Future[None]]] = deque()
        self._shared = shared
        if shared is not None:
            shared.join(self)

    @property
    def free(self) -> int:
        """How many more attempts may begin."""
        own = max(0, self._count - len(self.running))
        if self._shared is None:
            return own
        if own == 0:
            self._shared.withdraw(self)
            return 0
        return min(own, self._shared.free_for(self))

    def wake(self) -> None:
        """Have the run look for free slots again, from any thread."""
        with suppress(RuntimeError):  # its loop was closed
            self._loop.loop.call_soon_threadsafe(self._loop.wake)

    def pass_on(self, *, ready: bool, paused: bool) -> None:
        """Tell another run of a shared slot that is free.

        `ready` is whether steps of this run could start if they had a slot; while it is `paused` it takes none.
        """
        if self._shared is not None:
            if paused or not (ready or self._returning):
                self._shared.withdraw(self)
            self._shared.pass_on()

    def close(self) -> None:
        """Take no further part in what is shared."""
        if self._shared is not None:
            self._shared.leave(self)

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
