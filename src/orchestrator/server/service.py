"""What all requests share: the orchestrator, the pipelines that are offered, and who has failed to log in."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.server.access.failed_logins import FailedLogins
from orchestrator.server.catalog import Catalog
from orchestrator.server.streams import EncodedEvents

if TYPE_CHECKING:
    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.api.pipeline import Pipeline
    from orchestrator.config.tables.serve import ServeTable
    from orchestrator.journal.store.credential_store import CredentialStore


class Service:
    """One server: the runs of an orchestrator, shared over HTTP.

    Runs are executed on the orchestrator's own event loop, so that a tool that blocks it does not block requests.
    """

    def __init__(self, orchestrator: Orchestrator, settings: ServeTable) -> None:
        self.orchestrator = orchestrator
        self.settings = settings
        self.catalog = Catalog(orchestrator, [orchestrator.directory / Path(path) for path in settings.pipelines])
        self.failed_logins = FailedLogins()
        self.encoded_events = EncodedEvents()
        self.draining = threading.Event()
        """Set when the server starts no more runs."""
        self.stopping = asyncio.Event()
        """Set when streams end."""

    @property
    def credentials(self) -> CredentialStore:
        """The tokens and sessions in the store."""
        return self.orchestrator.backend.store.credentials

    def refuse_while_draining(self) -> None:
        """Raise RequestError if the server is being stopped, and starts nothing any more."""
        if self.draining.is_set():
            raise RequestError(
                "the server is shutting down",
                status=503,
                code=codes.REQUEST_REFUSED,
                help="try again when it has started",
            )

    @property
    def is_full(self) -> bool:
        """Whether the server executes as many runs as it may."""
        return self.orchestrator.backend.engine.active_runs >= self.settings.max_runs

    def refuse_if_full(self) -> None:
        """Raise RequestError if the server can start no further run now."""
        self.refuse_while_draining()
        if self.is_full:
            raise RequestError(
                f"the server executes {self.settings.max_runs:,} runs already",
                status=503,
                code=codes.REQUEST_REFUSED,
                help="try again later, or raise `max_runs` in [serve] of orchestrator.toml",
            )

    def chosen(self, name: str | None, source: str | None) -> Pipeline:
        """Return the pipeline that a request names, or contains.

        Raises:
            RequestError: It does neither, or both, or the server does not offer it.
            CompilationError: It has errors.
        """
        if (name is None) == (source is None):
            raise RequestError(
                "the request needs either `pipeline` or `source`",
                status=422,
                help="`pipeline` names one that the server offers; `source` is YAML text",
            )
        if source is not None:  # a line break, so that it is never taken for a path
            return self.orchestrator.compile(f"{source}\n")
        return self.catalog.find(str(name)).required()
