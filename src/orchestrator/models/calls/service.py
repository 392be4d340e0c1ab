"""The models of one orchestrator: catalogue, keys, client and project budget. All created on first use."""

from __future__ import annotations

import asyncio
import time
from functools import cached_property
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from orchestrator.errors import ModelMissing
from orchestrator.models.calls.project_budget import ProjectBudget, ProjectLedger
from orchestrator.models.catalog.entries import Catalogue
from orchestrator.models.catalog.keys import Keys
from orchestrator.models.catalog.names import AUTO_MODEL
from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.messages import ModelName
from orchestrator.models.selection.candidates import AvailableModels, candidates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from orchestrator.models.budget import Ledger
    from orchestrator.models.calls.gateway import CallHost, ModelChoice
    from orchestrator.models.calls.project_budget import SpentSince
    from orchestrator.models.calls.step_gateway import StepGateway
    from orchestrator.models.limits import Limits
    from orchestrator.models.messages import ModelClient
    from orchestrator.models.selection.candidates import Candidate, Needs

_SEEN_FOR: Final = 60.0
"""Seconds for which the list of models of local servers is cached."""


class ModelService:
    """Calls models for all runs of one orchestrator. One per event loop.

    `client` replaces the providers (a fake, a recording): then keys and packages do not matter, unless it
    has an attribute `needs_keys` that is true. Its attribute `auto`, if it has one, is the model that it takes for
    `auto`, and `models` are all that it can answer for.
    `spent_since` gives what the runs of the store have spent; without it only calls made here count for `[budget]`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        client: ModelClient | None = None,
        limits: Limits | None = None,
        spent_since: SpentSince | None = None,
    ) -> None:
        self._directory = directory
        self._client = client
        self._stands_in = client is not None and not getattr(client, "needs_keys", False)
        self._spent_since = spent_since
        self._found: tuple[float, AvailableModels] | None = None
        self._looking = asyncio.Lock()
        self._reading = asyncio.Lock()
        self.limits = limits

    @cached_property
    def catalogue(self) -> Catalogue:
        """What is known of models here."""
        return Catalogue.load(self._directory)

    @cached_property
    def keys(self) -> Keys:
        """The available API keys."""
        return Keys.load()

    def for_run(self, ledgers: Sequence[Ledger] = ()) -> RunGateway:
        """Return what the steps of one run ask through; `ledgers` are those of the run and of its batch."""
        return RunGateway(self, tuple(ledgers))

    async def client(self) -> ModelClient:
        """Return what speaks to models."""
        if self._client is None:
            from orchestrator.models.clients.router import provider_client

            self._client = provider_client(self.catalogue, self.keys, self._directory)
        return self._client

    async def candidates(self, choice: ModelChoice, needs: Needs) -> list[Candidate]:
        """Return the models to ask, in order; see `orchestrator.models.selection.candidates`."""
        return candidates(choice, needs, await self._here(choice, needs))

    async def project_ledger(self) -> Ledger | None:
        """Return what the project may spend, up to date; None if `[budget]` limits nothing."""
        project = self._project
        if project is None:
            return None
        if project.is_due():
            async with self._reading:
                if project.is_due():
                    await asyncio.to_thread(project.refresh)
        return project.ledger

    async def aclose(self) -> None:
        """Close all connections, and give back turns that others may use."""
        if self.limits is not None:
            await self.limits.aclose()
        if self._client is not None:
            await self._client.aclose()

    @cached_property
    def _project(self) -> ProjectLedger | None:
        project = ProjectBudget.load(self._directory)
        if project is None:
            return None
        from orchestrator.models.budget import Spent

        return ProjectLedger(project, self._spent_since or (lambda _: Spent()))

    async def _here(self, choice: ModelChoice, needs: Needs) -> AvailableModels:
        """Return the available models; local servers are queried for theirs if that can matter."""
        here = AvailableModels(self.catalogue, self.keys)
        if self._stands_in:
            only = frozenset(getattr(self._client, "models", ()))
            return replace(here, anything=True, auto=getattr(self._client, "auto", None), only=only)
        by_name = choice.models and str(AUTO_MODEL) not in choice.models
        if by_name or (not choice.models and choice.requires is None and not _needs_ollama(here, needs)):
            return here
        async with self._looking:
            if self._found is None or not 0 <= time.monotonic() - self._found[0] < _SEEN_FOR:
                self._found = (time.monotonic(), await _looked_around(here))
        return self._found[1]


class RunGateway:
    """The model access of one run."""

    def __init__(self, service: ModelService, ledgers: tuple[Ledger, ...]) -> None:
        self._service = service
        self._ledgers = ledgers

    def for_step(self, host: CallHost, ledgers: Sequence[Ledger] = (), *, label: str = "") -> StepGateway:
        """Return the gateway of one attempt. `ledgers` are those of the step and of the steps around it.

        `label` is the step's path.
        """
        from orchestrator.models.calls.step_gateway import StepGateway

        return StepGateway(self._service, host, (*ledgers, *self._ledgers), label)


def _needs_ollama(here: AvailableModels, needs: Needs) -> bool:
    from orchestrator.models.selection.default_model import default_model

    if needs.purpose != "text":
        return True
    try:
        default_model(here.catalogue, here.keys)
    except ModelMissing:
        return True
    return False


async def _looked_around(here: AvailableModels) -> AvailableModels:
    """Query the local servers for their models: Ollama, and the servers of the settings."""
    from orchestrator.models.catalog.probe import probe_all

    servers = [
        each
        for each in here.catalogue.providers.values()
        if each.free and each.kind != "transformers" and (each.name == "ollama" or PROVIDERS.get(each.name) is not each)
    ]
    probes = await probe_all(servers, here.keys)
    found = [here.catalogue.find(ModelName(probe.provider, model)) for probe in probes for model in probe.models]
    ollama = next((probe.models for probe in probes if probe.provider == "ollama"), ())
    return replace(here, ollama=ollama, local=tuple(card for card in found if card is not None))
