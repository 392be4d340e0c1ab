"""What all requests share: the orchestrator, the pipelines that are offered, and who has failed to log in."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.journal.audience import names_of
from orchestrator.runtime.queue.shared_slots import SharedSlots
from orchestrator.server.access.credential_watch import CredentialWatch
from orchestrator.server.access.failed_logins import FailedLogins
from orchestrator.server.access.oidc import OidcLogin
from orchestrator.server.catalog import Catalog, output_directories
from orchestrator.server.gathered_calls import GatheredCalls
from orchestrator.server.hosted_batches import HostedBatches
from orchestrator.server.metrics import Metrics
from orchestrator.server.run_files import RunFiles
from orchestrator.server.run_list_stream import RunListStream
from orchestrator.server.startup_checks import check_settings
from orchestrator.server.step_views import StepsOfRuns
from orchestrator.server.streams import EncodedEvents
from orchestrator.server.triggers.delivery_rate import DeliveryRate
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.api.pipeline import Pipeline
    from orchestrator.config.tables.serve import ServeTable
    from orchestrator.journal.records import RunLimit
    from orchestrator.journal.store.credential_store import Credential, CredentialStore


HELD_FOR_EACH: Final = 20
"""How many runs may wait for their time, and how many for their turn, for each that may be executed."""


def inner_path(name: str | None) -> str | None:
    """Return the path of a file that a client has named: below the project, whatever the client says."""
    if name is None or name.startswith("<"):
        return None
    path = PurePath(name)
    inside = not path.is_absolute() and ".." not in path.parts and "\0" not in name
    return name if inside and path.parts else path.name.replace("\0", "") or None


class Service:
    """One server: the runs of an orchestrator, shared over HTTP.

    Runs are executed on the orchestrator's own event loop, so that a tool that blocks it does not block requests.
    """

    def __init__(self, orchestrator: Orchestrator, settings: ServeTable) -> None:
        self.orchestrator = orchestrator
        self.settings = settings
        check_settings(orchestrator.directory, settings)
        orchestrator.backend.require_tools()
        self.catalog = Catalog(orchestrator, settings)
        outputs = output_directories(orchestrator.directory, settings)
        if settings.protect_pipelines:
            offered = [directory.path for directory in self.catalog.directories]
            orchestrator.backend.protect_pipelines(offered, outputs=[Path(os.path.realpath(path)) for path in outputs])
        orchestrator.backend.engine.shared_slots = SharedSlots(settings.max_parallel)
        self.batches = HostedBatches()
        self.metrics = Metrics(orchestrator)
        self.files = RunFiles(outputs)
        self.failed_logins = FailedLogins()
        self._credential_watch = CredentialWatch()
        self.identifications = GatheredCalls(2)
        """Looks up who sends requests."""
        self.preparations = GatheredCalls(4)
        """Reads what the runs that requests start are made of."""
        self.begun_logins = FailedLogins()
        """Logins with the identity provider that were begun: each is stored."""
        self.oidc = OidcLogin(settings.oidc) if settings.oidc is not None else None
        self.encoded_events = EncodedEvents()
        self.run_list = RunListStream(orchestrator)
        self.steps = StepsOfRuns()
        self.deliveries = DeliveryRate()
        self.wake_triggers: Callable[[], None] = lambda: None
        """Has the loop that fires triggers look at once, if it runs."""
        self.draining = threading.Event()
        """Set when the server starts no more runs."""
        self.stopping = asyncio.Event()
        """Set when streams end."""

    @property
    def credentials(self) -> CredentialStore:
        """The tokens and sessions in the store."""
        return self.orchestrator.backend.store.credentials

    async def still_permits(self, credential: Credential) -> bool:
        """Whether a token or a session is still valid."""
        return await self._credential_watch.is_valid(self.credentials, credential)

    def refuse_while_draining(self) -> None:
        """Raise RequestError if the server is being stopped, and starts nothing any more."""
        if self.draining.is_set():
            raise RequestError(
                "the server is shutting down",
                status=503,
                code=codes.REQUEST_REFUSED,
                help="try again when it has started",
            )

    def audience_names(self, name: str) -> frozenset[str]:
        """Return the names by which questions are for a caller: the caller's own, and those of groups."""
        return names_of(name, self.settings.groups)

    def is_full(self) -> bool:
        """Whether the server executes as many runs as it may. Those that wait, for their time or turn, do not count."""
        engine, most = self.orchestrator.backend.engine, self.settings.max_runs
        return engine.active_runs >= most and engine.active_runs - engine.held_runs >= most

    def has_full_line(self, limit: RunLimit | None) -> bool:
        """Whether a run with this limit would have to wait behind as many runs of this server as may wait.

        One concurrency key has at most half of the places, and a run that is alone with its key is not kept out by
        those that wait for others.
        """
        if limit is None:
            return False
        waiting = self.orchestrator.backend.engine.queued_runs
        line = waiting[limit.key]
        return 2 * line >= self._most_waiting or (line > 0 and waiting.total() >= self._most_waiting)

    @property
    def _most_waiting(self) -> int:
        return self.settings.max_runs * HELD_FOR_EACH

    def refuse_if_full(self, *, later: bool = False) -> None:
        """Raise RequestError if the server can take no further run now, or with `later` none for a later time."""
        self.refuse_while_draining()
        if not later and self.is_full():
            raise _full(f"the server executes {self.settings.max_runs:,} runs already")
        engine = self.orchestrator.backend.engine
        if later and engine.held_runs - engine.queued_runs.total() >= self._most_waiting:
            raise _full(f"{self._most_waiting:,} runs of the server wait for their time already")

    def refuse_full_line(self, limit: RunLimit | None) -> None:
        """Raise RequestError if too many runs wait for their turn before a run with this limit."""
        if limit is not None and self.has_full_line(limit):
            waiting = self.orchestrator.backend.engine.queued_runs[limit.key]
            raise _full(f"{plural(waiting, 'run')} with the concurrency key `{limit.key}` wait for their turn already")

    def compiled(self, source: str, file: str | None) -> Pipeline:
        """Compile the text of a request, which can use the pipelines that the server offers and their prompts.

        No other file is read.

        Raises:
            CompilationError: It has errors.
        """
        return self.orchestrator.compile_text(source, name=inner_path(file), may_read=self.catalog.may_read)

    def chosen(self, name: str | None, source: str | None, file: str | None = None) -> Pipeline:
        """Return the pipeline that a request names, or contains; `file` is then where its text is from.

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
        if source is not None:
            return self.compiled(source, file)
        return self.catalog.find(str(name)).required()


def _full(message: str) -> RequestError:
    return RequestError(
        message,
        status=503,
        code=codes.REQUEST_REFUSED,
        help="try again later, or raise `max_runs` in [serve] of orchestrator.toml",
    )
