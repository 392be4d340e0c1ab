"""What the runs of one orchestrator call models and servers of tools through: made when the first step asks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.journal import Store
    from orchestrator.models.calls.service import ModelService
    from orchestrator.models.limits import Limits
    from orchestrator.models.messages import ModelClient
    from orchestrator.tools.mcp import McpServers
    from orchestrator.tools.memory.service import Memory
    from orchestrator.tools.memory.settings import MemorySettings
    from orchestrator.tools.run_secrets import RunSecrets
    from orchestrator.tools.web.search import WebSearch

_Keeper = AsyncGenerator[None, None]


class ModelServices:
    """A `ModelService` for each event loop that executes runs, since connections belong to the loop that made them.

    Each is closed when its loop ends, or by `close`.
    """

    def __init__(
        self, directory: Path, store: Store, client: ModelClient | None = None, *, working: Path | None = None
    ) -> None:
        """`client` answers instead of providers. Servers of tools start in `working`, by default `directory`."""
        self._directory = directory
        self._working = working
        self._store = store
        self._client = client
        self._open: dict[asyncio.AbstractEventLoop, tuple[ModelService, _Keeper]] = {}
        self._servers: McpServers | None = None
        self._web: WebSearch | None = None
        self._memory_settings: MemorySettings | None = None
        self._lock = threading.Lock()

    @property
    def uses_keys(self) -> bool:
        """Whether providers are asked, so that keys are needed."""
        return self._client is None or bool(getattr(self._client, "needs_keys", False))

    def here(self) -> ModelService:
        """Return the service of the running loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            found = self._open.get(loop)
            if found is not None:
                return found[0]
            from orchestrator.models.calls.service import ModelService

            limits = self._limits() if self.uses_keys else None
            service = ModelService(
                self._directory, client=self._client, limits=limits, spent_since=self._store.spent_since
            )
            keeper = self._until_the_loop_ends(loop, service, limits)
            with suppress(StopIteration):  # how a coroutine says that it got where it was to: here to the `yield`
                keeper.asend(None).send(None)
            self._open[loop] = (service, keeper)
            return service

    def servers(self) -> McpServers:
        """Return the servers of tools, which all loops share."""
        with self._lock:
            if self._servers is None:
                from orchestrator.tools.mcp import McpServers

                self._servers = McpServers(self._directory, working=self._working)
            return self._servers

    def web(self) -> WebSearch:
        """Return what searches the web, which all loops share."""
        with self._lock:
            if self._web is None:
                from orchestrator.tools.web.search import SearchRecorder, WebSearch

                client = self._client
                self._web = WebSearch(self._directory, recorder=client if isinstance(client, SearchRecorder) else None)
            return self._web

    def memory(self, secrets: RunSecrets) -> Memory:
        """Return the memory as a run with these secrets uses it."""
        from orchestrator.journal.store.memory_store import StoredMemory
        from orchestrator.tools.memory.service import Memory
        from orchestrator.tools.memory.settings import MemorySettings

        with self._lock:
            if self._memory_settings is None:
                self._memory_settings = MemorySettings.load(self._directory)
            settings = self._memory_settings
        return Memory(StoredMemory(self._store.database, settings.project), settings, secrets)

    def close(self) -> None:
        """Close what belongs to loops that are still running, which takes no time, and end the servers of tools."""
        with self._lock:
            opened = list(self._open.items())
            servers = self._servers
        for loop, (_, keeper) in opened:
            with suppress(RuntimeError):  # the loop has been closed
                asyncio.run_coroutine_threadsafe(_closed(keeper), loop)
        if servers is not None:
            servers.close()

    def _limits(self) -> Limits:
        from orchestrator.journal.store.rate_limit_store import StoredRateUsage
        from orchestrator.models.limits import Limits, LimitSettings

        return Limits(LimitSettings.load(self._directory), shared=StoredRateUsage(self._store.database))

    async def _until_the_loop_ends(
        self, loop: asyncio.AbstractEventLoop, service: ModelService, limits: Limits | None
    ) -> _Keeper:
        """Close a service at the end of its loop: loops finish the generators that were begun on them."""
        try:
            yield
        finally:
            with self._lock:
                self._open.pop(loop, None)
            if limits is not None:
                await limits.aclose()
            await service.aclose()


async def _closed(keeper: _Keeper) -> None:
    await keeper.aclose()
