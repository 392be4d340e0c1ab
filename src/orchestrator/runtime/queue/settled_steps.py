"""The steps whose ends are recorded: they have ended for good when that is durable, or at once without effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from orchestrator.runtime.queue.slots import Slots
    from orchestrator.runtime.run.run_context import RunContext
    from orchestrator.runtime.run.run_graph import StepNode

DEFERRED = 100
"""Ends of steps without effects after which the run waits for a commit: as many are computed again after a crash."""

DEFERRED_SIZE = 1_000_000
"""The same in characters of JSON, so that what is not written yet does not fill the memory."""


class SettledSteps:
    """Commits together all ends that were recorded since the previous commit.

    A step keeps its slot until its end is durable, unless other steps wait for slots. Then the commit continues in the
    background, and an attempt that has ended leaves its slot at once. The ends that are not durable are never more than
    there are slots, so as many effects at most are repeated after a crash, in addition to those in flight.
    """

    def __init__(self, context: RunContext, slots: Slots) -> None:
        self._context = context
        self._slots = slots
        self._steps: list[StepNode] = []
        self._in_commit: list[StepNode] = []
        self._commit: asyncio.Task[None] | None = None
        self._deferred = 0
        self._deferred_size = 0

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._steps) or self._commit is not None

    def add(self, node: StepNode) -> None:
        """Take a step whose end is recorded."""
        self._steps.append(node)

    async def take(self, *, crowded: bool) -> Sequence[StepNode] | None:
        """Return the steps that have ended for good, or None if nothing has changed, and no slot is free either.

        If it is `crowded`, steps wait for slots: then the commit is not awaited.

        Raises:
            StoreError: The journal cannot be written.
        """
        if self._commit is not None:
            if not self._commit.done():
                return () if self._vacate(self._steps) else None
            self._commit.result()
            self._commit = None
            batch, self._in_commit = self._in_commit, []
            return batch
        batch, self._steps = self._steps, []
        if self._defer(batch):
            return batch
        if not crowded:
            await self._context.log.commit()
            return batch
        self._in_commit = batch
        self._commit = self._context.loop.create_task(self._context.log.commit())
        self._commit.add_done_callback(self._committed)
        self._vacate(batch)
        return ()

    def _committed(self, commit: asyncio.Task[None]) -> None:
        if not commit.cancelled():
            commit.exception()  # `take` raises it, unless the run has ended for another reason
        self._context.loop.wake()

    def _vacate(self, steps: Sequence[StepNode]) -> bool:
        """Free the slots of steps whose ends are not durable, as long as these are fewer than slots."""
        room = self._context.max_parallel
        if steps is not self._in_commit:
            room = max(0, room - len(self._in_commit))
        running = self._slots.running
        before = len(running)
        running.difference_update(steps[:room])
        return len(running) < before

    def _defer(self, batch: Sequence[StepNode]) -> bool:
        """Whether these ends can become durable with a later commit; a bounded number and size of them does."""
        self._deferred += len(batch)
        self._deferred_size += sum(node.end_size for node in batch)
        if self._deferred > DEFERRED or self._deferred_size > DEFERRED_SIZE or not all(node.deferred for node in batch):
            self._deferred = self._deferred_size = 0
            return False
        self._context.defer()
        for node in batch:
            node.needs = node.end_seq
        return True
