"""Where triggers are read and commanded: in a store, or on a server. Both return the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import to_builtins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.client.client import Client
    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.server.triggers.offered_trigger import OfferedTrigger

Data = dict[str, Any]


class TriggerPlace(Protocol):
    """The triggers of a project, by their ids, such as `report/nightly`. Unknown ones are RequestErrors (ORC919)."""

    def all(self) -> list[Data]:
        """Return all triggers by id, each with its last firing."""

    def broken(self) -> list[str]:
        """Return the names of the pipelines with errors, whose triggers do not fire."""

    def one(self, id: str) -> Data:
        """Return a trigger with its next instants and last firings."""

    def pause(self, id: str) -> Data:
        """Have it start no runs; return it as it is then."""

    def resume(self, id: str) -> Data:
        """Have it start runs again; return it as it is then."""

    def inputs(self, id: str) -> Mapping[str, InputSpec]:
        """Return the inputs that its pipeline declares."""

    def fire(self, id: str, inputs: Mapping[str, Any]) -> Data:
        """Fire it now with these inputs; return the firing."""


class StoreTriggers:
    """The triggers of the pipelines that a server of the project offers, with their state in the store."""

    def __init__(self, orchestrator: Orchestrator) -> None:
        from orchestrator.config.project_file import ProjectFile
        from orchestrator.config.tables.serve import ServeSection
        from orchestrator.server.catalog import Catalog

        settings = ProjectFile.load(orchestrator.directory).read(ServeSection).serve
        self._catalog = Catalog(orchestrator, settings)
        self._store = orchestrator.backend.store.triggers

    def all(self) -> list[Data]:
        """Return all triggers by id."""
        from orchestrator.server.triggers.offered_trigger import offered_triggers
        from orchestrator.server.triggers.overview import LISTED_FIRINGS

        offered = sorted(offered_triggers(self._catalog).items())
        return [self._data(trigger, LISTED_FIRINGS) for _, trigger in offered]

    def broken(self) -> list[str]:
        """Return the names of the pipelines with errors."""
        return [offered.name for offered in self._catalog.all() if offered.pipeline is None]

    def one(self, id: str) -> Data:
        """Return a trigger."""
        return self._data(self._found(id))

    def pause(self, id: str) -> Data:
        """Have it start no runs."""
        trigger = self._found(id)
        self._store.register({id: trigger.definition})
        self._store.pause(id, by=_user())
        return self._data(trigger)

    def resume(self, id: str) -> Data:
        """Have it start runs again."""
        trigger = self._found(id)
        self._store.register({id: trigger.definition})
        self._store.resume(id)
        return self._data(trigger)

    def inputs(self, id: str) -> Mapping[str, InputSpec]:
        """Return the inputs that its pipeline declares."""
        return self._found(id).pipeline.inputs

    def fire(self, id: str, inputs: Mapping[str, Any]) -> Data:
        """Fire it now."""
        from orchestrator.server.triggers.overview import fire_trigger, firing_data

        trigger = self._found(id)
        self._store.register({id: trigger.definition})
        return firing_data(fire_trigger(self._store, trigger, by=_user(), inputs=inputs))

    def _found(self, id: str) -> OfferedTrigger:
        from orchestrator.server.triggers.offered_trigger import find_trigger

        return find_trigger(self._catalog, id)

    def _data(self, trigger: OfferedTrigger, firings: int | None = None) -> Data:
        from orchestrator.server.triggers.overview import SHOWN_FIRINGS, trigger_data

        state = self._store.register({trigger.id: trigger.definition})[trigger.id]
        return trigger_data(self._store, trigger, state, firings=firings or SHOWN_FIRINGS)


class ServerTriggers:
    """The triggers of the pipelines that a server offers."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def all(self) -> list[Data]:
        """Return all triggers by id."""
        return [_plain(trigger) for trigger in self._client.triggers()]

    def broken(self) -> list[str]:
        """Return the names of the pipelines with errors."""
        return self._client.pipelines(broken=True)

    def one(self, id: str) -> Data:
        """Return a trigger."""
        return _plain(self._client.get_trigger(id))

    def pause(self, id: str) -> Data:
        """Have it start no runs."""
        return _plain(self._client.pause_trigger(id))

    def resume(self, id: str) -> Data:
        """Have it start runs again."""
        return _plain(self._client.resume_trigger(id))

    def inputs(self, id: str) -> Mapping[str, InputSpec]:
        """Return the inputs that its pipeline declares."""
        return self._client.compile(self._client.get_trigger(id).pipeline).inputs

    def fire(self, id: str, inputs: Mapping[str, Any]) -> Data:
        """Fire it now."""
        return _plain(self._client.fire_trigger(id, inputs=inputs))


def _plain(found: object) -> Data:
    data: Data = to_builtins(found)
    return data


def _user() -> str:
    from orchestrator.api.control import current_user

    return current_user()
