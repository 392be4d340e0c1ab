"""What a running action may use: who it is, where it works, and a way to say how far it is."""

from __future__ import annotations

import math
import os
import stat
import threading
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar, cast, get_args

from orchestrator.errors import StepError
from orchestrator.journal.step_payloads import StepFilePayload, StepLogPayload, StepProgressPayload, StepWarningPayload
from orchestrator.runtime.run.failures import LONGEST_MESSAGE
from orchestrator.text.words import bounded, quoted_list
from orchestrator.tools.sandbox.protection import lies_in

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.journal.payload import Payload
    from orchestrator.models.calls.gateway import ModelGateway
    from orchestrator.tools import Permissions
    from orchestrator.tools.mcp import McpServers
    from orchestrator.tools.memory.service import Memory
    from orchestrator.tools.run_secrets import RunSecrets
    from orchestrator.tools.web.search import WebSearch

T = TypeVar("T")
P = TypeVar("P", bound="Payload")

PROGRESS_INTERVAL = 0.05
"""Seconds: reports of progress that come faster than this are joined, the newest counts."""


DIGITS = 4
"""Of a fraction: finer than any display, and short to record."""


Level = Literal["debug", "info", "warning", "error"]
_LEVELS = get_args(Level)


class Reporter(Protocol):
    """Takes what a step reports, on the event loop of its run."""

    def report(self, path: str, attempt: int, payload: Payload) -> None:
        """Record one event of a step."""


class StepContext:
    """The context of one attempt. Once the attempt has ended, whatever is still reported is ignored."""

    __slots__ = (
        "_attempt",
        "_directory",
        "_gateway",
        "_idempotency_key",
        "_latest",
        "_loop",
        "_memory",
        "_permissions",
        "_reported_at",
        "_reporter",
        "_run_id",
        "_secrets",
        "_servers",
        "_step",
        "_thread",
        "_timer",
        "_web",
        "ended",
    )

    def __init__(
        self,
        reporter: Reporter,
        *,
        run_id: str,
        idempotency_key: str,
        step: str,
        attempt: int,
        directory: Path,
        permissions: Permissions,
        loop: asyncio.AbstractEventLoop,
        gateway: Callable[[], ModelGateway] | None = None,
        servers: Callable[[], McpServers] | None = None,
        web: Callable[[], WebSearch] | None = None,
        memory: Callable[[], Memory] | None = None,
        secrets: Callable[[], RunSecrets] | None = None,
    ) -> None:
        """`gateway` gives what the attempt asks models through, the others give what tools use."""
        self._reporter = reporter
        self._run_id = run_id
        self._idempotency_key = idempotency_key
        self._step = step
        self._attempt = attempt
        self._directory = directory
        self._permissions = permissions
        self._loop = loop
        self._gateway = gateway
        self._servers = servers
        self._web = web
        self._memory = memory
        self._secrets = secrets
        self._thread = threading.get_ident()
        self._latest: StepProgressPayload | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reported_at = -math.inf
        self.ended = False

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run_id

    @property
    def step(self) -> str:
        """The step's path."""
        return self._step

    @property
    def attempt(self) -> int:
        """From 1."""
        return self._attempt

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step of this run, until the step is undone and begins again."""
        return self._idempotency_key

    @property
    def directory(self) -> Path:
        """Where relative paths start."""
        return self._directory

    @property
    def permissions(self) -> Permissions:
        """What the tool may do."""
        return self._permissions

    def service(self, kind: type[T]) -> T:
        """Return a service of the run by its type: `ModelGateway`, `McpServers`, `WebSearch`, `Memory`, ..."""
        from orchestrator.models.calls.gateway import ModelGateway  # who asks for it has loaded it
        from orchestrator.tools.mcp import McpServers

        if kind is McpServers and self._servers is not None:
            return cast("T", self._servers())
        if kind is not ModelGateway and self._web is not None:
            from orchestrator.tools.web.search import WebSearch

            if kind is WebSearch:
                return cast("T", self._web())
        if kind is not ModelGateway and self._memory is not None:
            from orchestrator.tools.memory.service import Memory

            if kind is Memory:
                return cast("T", self._memory())
        if kind is not ModelGateway and self._secrets is not None:
            from orchestrator.tools.run_secrets import RunSecrets

            if kind is RunSecrets:
                return cast("T", self._secrets())
        if kind is not ModelGateway or self._gateway is None:
            raise StepError(
                f"no {kind.__name__} is available to this step",
                help='a tool that is declared with `effects="none"` gets none: models and servers are effects',
                retryable=False,
            )
        if threading.get_ident() != self._thread:
            raise StepError("only tools that are coroutine functions can call models", retryable=False)
        return cast("T", self._gateway())

    def progress(self, fraction: float | None, message: str = "") -> None:
        """Report how far the work is, from 0 to 1 (None: not known)."""
        if fraction is not None:
            fraction = None if math.isnan(fraction) else round(min(1.0, max(0.0, float(fraction))), DIGITS)
        message = bounded(str(message), LONGEST_MESSAGE)
        self._on_loop(self._progress, StepProgressPayload(fraction=fraction, message=message))

    def log(self, message: str, level: Level = "info") -> None:
        """Record a line in the run's journal."""
        if level not in _LEVELS:
            listed = quoted_list(_LEVELS)
            raise StepError(f"unknown log level {level!r}", help=f"use one of {listed}", retryable=False)
        self._on_loop(self._record, StepLogPayload(level=level, message=str(message)))

    def wrote(self, path: str | os.PathLike[str]) -> None:
        """Record that a file was written."""
        full = self._directory / path
        try:
            found = full.stat(follow_symlinks=False)
        except OSError:
            return
        if not stat.S_ISREG(found.st_mode):
            return
        base = os.path.realpath(self._directory)
        real = os.path.realpath(full)
        shown = os.path.relpath(real, base) if lies_in(real, base) else real
        self._on_loop(
            self._record, StepFilePayload(path=shown, size=found.st_size, modified=found.st_mtime_ns // 1_000)
        )

    def produced(self, file: StepFilePayload) -> None:
        """Record a file that the step declares, from the run's own thread."""
        self._record(file)

    def warn(self, message: str, code: str) -> None:
        """Record a warning about the step, from the run's own thread."""
        if not self.ended:
            self._reporter.report(self._step, self._attempt, StepWarningPayload(message=message, code=code))

    def end(self) -> None:
        """Ignore whatever is reported from now on."""
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_loop(self, function: Callable[[P], None], payload: P) -> None:
        if self.ended:
            return
        if threading.get_ident() == self._thread:
            function(payload)
            return
        try:
            self._loop.call_soon_threadsafe(function, payload)
        except RuntimeError:  # the loop has been closed: the run is over, and this thread was abandoned
            self.ended = True

    def _record(self, payload: StepLogPayload | StepFilePayload) -> None:
        if not self.ended:
            self._reporter.report(self._step, self._attempt, payload)

    def _progress(self, progress: StepProgressPayload) -> None:
        if self.ended:
            return
        self._latest = progress
        wait = self._reported_at + PROGRESS_INTERVAL - self._loop.time()
        if wait <= 0:
            self._report_progress()
        elif self._timer is None:
            self._timer = self._loop.call_later(wait, self._report_progress)

    def _report_progress(self) -> None:
        self._timer = None
        if self.ended or self._latest is None:
            return
        progress, self._latest = self._latest, None
        self._reported_at = self._loop.time()
        self._reporter.report(self._step, self._attempt, progress)
