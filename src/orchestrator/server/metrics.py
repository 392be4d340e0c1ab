"""What a server measures of itself and of its store, in the text format of Prometheus.

The values of labels are few: states, methods, the paths of the API as they are declared, and classes of status codes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, get_args

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from orchestrator.errors import OrchestratorError
from orchestrator.journal.events import RunState
from orchestrator.journal.worker_records import QueueLength

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.journal.worker_records import WorkerStatus

STORE_SECONDS: Final = 5.0
"""How long what was read of the store is reported again, so that many readers of the metrics are not felt."""

_METHODS: Final = frozenset({"GET", "POST", "DELETE", "HEAD", "OPTIONS"})
_BUCKETS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Metrics:
    """The metrics of one server."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._registry = CollectorRegistry()
        self.requests = Histogram(
            "orchestrator_http_request_seconds",
            "Seconds from a request to the beginning of its response; requests that wait for a run included.",
            ("method", "path", "status"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.readers = Gauge(
            "orchestrator_stream_readers", "Open streams of events.", ("stream",), registry=self._registry
        )
        for stream in ("run", "list"):
            self.readers.labels(stream)
        self._registry.register(_EngineCollector(orchestrator))
        self._registry.register(_StoreCollector(orchestrator))
        self._registry.register(_WorkerCollector(orchestrator))
        ProcessCollector(registry=self._registry)

    def count_connections(self, current: Callable[[], int], refused: Callable[[], int]) -> None:
        """Report the connections of a server too: how many it has, and how many it has refused."""
        self._registry.register(_ConnectionCollector(current, refused))

    def text(self) -> bytes:
        """Return all metrics."""
        return generate_latest(self._registry)


class MeasuredRequests:
    """Measures the requests of an application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in _METHODS else "other"
                path = getattr(scope.get("route"), "path", "none")
                status = f"{message['status'] // 100}xx"
                self._metrics.requests.labels(method, path, status).observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, measured)


class _ConnectionCollector(Collector):
    """Who is connected."""

    def __init__(self, current: Callable[[], int], refused: Callable[[], int]) -> None:
        self._current = current
        self._refused = refused

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        yield _gauge("connections", "Connections that this server has.", self._current())
        yield CounterMetricFamily(
            "orchestrator_refused_connections", "Connections over the limit of this server.", value=self._refused()
        )


class _EngineCollector(Collector):
    """What this process executes."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._orchestrator = orchestrator

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        engine = self._orchestrator.backend.engine
        held = engine.held_runs
        yield _gauge("executed_runs", "Runs that this server executes.", engine.active_runs - held)
        yield _gauge("held_runs", "Runs that this server starts when their time has come.", held)
        slots = engine.shared_slots
        if slots is not None:
            yield _gauge("running_steps", "Steps that are at work in this server.", slots.used)
            yield _gauge("step_slots", "How many steps may be at work at once.", slots.count)
            yield _gauge("queued_runs", "Runs whose steps wait for a free slot.", slots.waiting)
        yield CounterMetricFamily("orchestrator_commits", "Transactions that recorded events.", value=engine.commits)


class _StoreCollector(Collector):
    """What is in the store."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._orchestrator = orchestrator
        self._read_at = float("-inf")
        self._counts: dict[str, int] = {}
        self._size: int | None = None

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; without those that cannot be read while the store is away."""
        store = self._orchestrator.backend.store
        now = time.monotonic()
        available = True
        if now - self._read_at >= STORE_SECONDS:
            try:
                self._counts, self._size = store.run_counts(), store.size()
                self._read_at = now
            except OrchestratorError:
                available = False
        yield _gauge("store_up", "1: the store can be read; 0: it cannot.", int(available))
        if not available:
            return
        runs = GaugeMetricFamily("orchestrator_runs", "Runs in the store.", labels=["state"])
        for state in get_args(RunState):
            runs.add_metric([state], self._counts.get(state, 0))
        yield runs
        if self._size is not None:
            yield _gauge("store_bytes", "The size of the store.", self._size)


class _WorkerCollector(Collector):
    """The workers that share the store, and what waits for them: by this, their number can be scaled."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        self._orchestrator = orchestrator
        self._read_at = float("-inf")
        self._queue: list[QueueLength] = []
        self._workers: list[WorkerStatus] = []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; without all of them while the store is away."""
        now = time.monotonic()
        if now - self._read_at >= STORE_SECONDS:
            try:
                self._queue, self._workers = self._orchestrator.queue_lengths(), self._orchestrator.list_workers()
                self._read_at = now
            except OrchestratorError:
                return
        runs = GaugeMetricFamily(
            "orchestrator_submitted_runs", "Submitted runs that no worker has taken yet.", labels=["labels"]
        )
        ages = GaugeMetricFamily(
            "orchestrator_submitted_oldest_seconds",
            "Seconds since the oldest of them was submitted.",
            labels=["labels"],
        )
        for each in self._queue or [QueueLength((), 0, time.time())]:
            runs.add_metric([",".join(each.labels)], each.runs)
            ages.add_metric([",".join(each.labels)], max(0.0, time.time() - each.oldest))
        yield runs
        yield ages
        alive = [each for each in self._workers if not each.lost]
        yield _gauge("workers", "Workers that share the store.", len(alive))
        yield _gauge("worker_places", "Runs that they may execute at once.", sum(each.concurrency for each in alive))
        yield _gauge("worker_runs", "Runs that they execute.", sum(each.executing for each in alive))


def _gauge(name: str, help: str, value: Any) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"orchestrator_{name}", help, value=value)
