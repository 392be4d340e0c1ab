"""Ctrl-C while a run is executed here: the first cancels the run gracefully, the second stops immediately."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.cli.terminal.output import INTERRUPTED, is_terminal, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.api.interfaces import AnyRun


class Interrupts(Struct):
    """The number of signals to stop: Ctrl-C, SIGTERM, or SIGHUP of a closed terminal."""

    count: int = 0
    told: bool = False
    by: str = "Ctrl-C"
    stop: Callable[[], object] | None = None

    def cancel(self, run: AnyRun) -> None:
        """Cancel the run after a signal, once.

        Called between two looks at the journal and never from the signal itself, which may come while this thread
        holds a lock that cancelling needs.
        """
        if self.count and not self.told:
            self.told = True
            say(f"cancelling {run.id}; {self.again} to stop immediately", "yellow")
            run.cancel(reason="interrupted")

    @property
    def again(self) -> str:
        """The signal that ends the process immediately, as text."""
        return "press Ctrl-C again" if self.by == "Ctrl-C" else f"send {self.by} again"

    @contextmanager
    def calling(self, stop: Callable[[], object]) -> Iterator[None]:
        """Call `stop` on a signal, and immediately if there was one before."""
        self.stop = stop
        try:
            if self.count:
                stop()
            yield
        finally:
            self.stop = None


def interrupt() -> None:
    """For `Interrupts.calling`: interrupt a blocking call, such as a read from the terminal."""
    raise KeyboardInterrupt


@contextmanager
def counted_interrupts() -> Iterator[Interrupts]:
    """Count the signals to stop, instead of raising KeyboardInterrupt; the second ends the process."""
    interrupts = Interrupts()

    def asked(signum: int, frame: Any) -> None:
        interrupts.count += 1
        if interrupts.count > 1:
            if is_terminal(sys.stderr):
                os.write(2, b"\033[?25h\n")  # the live table hides the cursor
            kill_children()
            os._exit(INTERRUPTED)
        interrupts.by = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name
        if interrupts.stop is not None:
            interrupts.stop()

    asking = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as `nohup` wants it
        asking.append(signal.SIGHUP)
    before = {number: signal.signal(number, asked) for number in asking}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def kill_children() -> None:
    """Kill the process groups of this process's children, which do not receive the terminal's Ctrl-C.

    Only where the kernel lists them (Linux); elsewhere the commands of tools end when their pipes close.
    """
    try:
        tasks = os.listdir("/proc/self/task")  # noqa: PTH208 - a signal handler: as little as possible
    except OSError:
        return
    for task in tasks:
        try:
            with open(f"/proc/self/task/{task}/children") as listed:  # noqa: PTH123 - as above
                children = [int(pid) for pid in listed.read().split()]
        except OSError:
            continue
        for pid in children:
            try:
                group = os.getpgid(pid)
                if group != os.getpgrp():
                    os.killpg(group, signal.SIGKILL)
            except OSError:
                continue
