"""Running a server, from its first request to its last."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import uvicorn
from starlette.concurrency import run_in_threadpool

from orchestrator.server.access.request_guard import is_loopback
from orchestrator.server.adoption import Adoption
from orchestrator.server.app import create_app
from orchestrator.server.connection_limit import ACCEPTED_AT_ONCE, Refusals, connection_limit
from orchestrator.server.first_token import ensure_token, login_token
from orchestrator.server.http_protocol import limited_protocol
from orchestrator.server.sockets import listening_sockets
from orchestrator.server.triggers.trigger_loop import TriggerLoop

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from orchestrator.server.service import Service

_POLL: Final = 0.1
_GRACE: Final = 5
"""Seconds for requests in progress to end, when runs have."""


class Server(uvicorn.Server):
    """A server that stops in order: it starts no more runs, lets those in progress end, and then closes streams.

    `announce` is called with its address once it accepts requests.
    """

    def __init__(self, service: Service, announce: Callable[[str], None]) -> None:
        settings = service.settings
        self.service = service
        self.refusals = Refusals(connection_limit(settings.max_connections))
        service.metrics.count_connections(lambda: len(self.server_state.connections), lambda: self.refusals.count)
        self._announce = announce
        self._tasks: list[asyncio.Task[None]] = []
        super().__init__(
            uvicorn.Config(
                create_app(service),
                http=limited_protocol(self.refusals),
                ws="none",
                host=settings.host,
                port=settings.port,
                backlog=ACCEPTED_AT_ONCE,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.proxies),
                forwarded_allow_ips=list(settings.proxies),
                timeout_graceful_shutdown=_GRACE,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and serve until the server is stopped.

        Raises:
            ConfigurationError: ORC921, it cannot listen at its address.
        """
        opened = sockets or listening_sockets(self.service.settings.host, self.service.settings.port)
        with ExitStack() as closing:
            for each in opened:
                closing.callback(each.close)
            super().run(opened)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Continue the runs of earlier servers, and begin to listen."""
        await run_in_threadpool(self.service.credentials.remove_expired, time.time())
        adoption = Adoption(self.service)
        await adoption.look_now()  # first: a client that rejoins a stream finds its run in progress
        await super().startup(sockets=sockets)
        if self.started:
            self._tasks = [asyncio.create_task(adoption.keep_looking())]
            if self.service.settings.triggers:
                triggers = TriggerLoop(self.service)
                self.service.wake_triggers = triggers.wake
                self._tasks.append(asyncio.create_task(triggers.keep_firing()))
            self._announce(self.address)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for runs to end, as long as the settings say; then end streams and connections."""
        self.service.draining.set()
        self.service.batches.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        deadline = time.monotonic() + self.service.settings.drain
        engine = self.service.orchestrator.backend.engine
        while engine.active_runs > engine.held_runs and time.monotonic() < deadline and not self.force_exit:  # noqa: ASYNC110
            await asyncio.sleep(_POLL)  # runs end on another loop, and a second signal ends the wait
        self.service.stopping.set()
        await self.service.run_list.close()
        await super().shutdown(sockets=sockets)

    @property
    def address(self) -> str:
        """The URL at which it is reached from this machine."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104
        return f"http://{shown}:{port}"


def login_link(service: Service, address: str) -> str:
    """Return the link that logs the browser of the user of this machine in, once."""
    token = ensure_token(service.credentials, service.orchestrator.directory)
    return f"{address}/login?token={login_token(service.credentials, token)}"


def exposure(service: Service) -> str | None:
    """Return a warning if the server can be reached from other machines without encryption; else None."""
    settings = service.settings
    if is_loopback(settings.host) or settings.proxies:
        return None
    return (
        f"the server listens at {settings.host} without TLS: tokens and data cross the network in clear text. Put a "
        "proxy with TLS in front of it, and name its address in `proxies` of [serve] in orchestrator.toml"
    )
