"""The triggers of the pipelines that a server offers, by name: that of the pipeline and its own, `report/nightly`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator import codes
from orchestrator.diagnostics import suggest
from orchestrator.errors import RequestError
from orchestrator.expressions import Scope
from orchestrator.language.values.times import zone_named
from orchestrator.plan.triggers import Schedule, TriggerPlan, Webhook
from orchestrator.remedies import ListTriggers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.api.pipeline import Pipeline
    from orchestrator.server.catalog import Catalog


class OfferedTrigger(Struct, frozen=True):
    """A trigger of a pipeline without errors."""

    id: str
    pipeline: Pipeline
    plan: TriggerPlan

    @property
    def schedule(self) -> Schedule | None:
        """Its schedule; None if it has a webhook."""
        return self.plan.on if isinstance(self.plan.on, Schedule) else None

    @property
    def webhook(self) -> Webhook | None:
        """Its webhook; None if it has a schedule."""
        return self.plan.on if isinstance(self.plan.on, Webhook) else None

    @property
    def definition(self) -> str:
        """What decides its instants; empty for a webhook."""
        return self.schedule.definition if self.schedule is not None else ""

    @property
    def label(self) -> str:
        """The label of its runs."""
        return f"trigger:{self.id}"

    def time(self, instant: float) -> str:
        """Return an instant as ISO text in the time zone of the trigger."""
        zone = zone_named(self.schedule.timezone) if self.schedule is not None else UTC
        return datetime.fromtimestamp(instant, UTC).astimezone(zone).isoformat()

    def inputs(self, instant: float, delivery: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Evaluate the inputs of a run. `delivery` are the names that a webhook adds.

        Raises:
            EvaluationError: They cannot be evaluated, such as for a field that the delivery lacks.
        """
        trigger = {"id": self.id, "name": self.plan.name, "instant": self.time(instant)}
        names = {"trigger": trigger, **(delivery or {})}
        found: Any = self.plan.inputs.evaluate(Scope(names, datetime.now(UTC)))
        return dict(found)


def offered_triggers(catalog: Catalog) -> dict[str, OfferedTrigger]:
    """Return all triggers by id."""
    found = {}
    for offered in catalog.all():
        if offered.pipeline is not None:
            for plan in offered.pipeline.triggers:
                id = f"{offered.name}/{plan.name}"
                found[id] = OfferedTrigger(id, offered.pipeline, plan)
    return found


def find_trigger(catalog: Catalog, id: str) -> OfferedTrigger:
    """Return the trigger with an id.

    Raises:
        RequestError: ORC919, there is none.
        CompilationError: Its pipeline has errors.
    """
    if (found := known_trigger(catalog, id)) is None:
        raise _unknown(catalog, id)
    return found


def known_trigger(catalog: Catalog, id: str) -> OfferedTrigger | None:
    """Return the trigger with an id, or None. It looks at no other pipeline.

    Raises:
        CompilationError: Its pipeline has errors.
    """
    name, _, last = id.rpartition("/")
    offered = catalog.get(name)
    if offered is None:
        return None
    pipeline = offered.required()
    plan = next((plan for plan in pipeline.triggers if plan.name == last), None)
    return None if plan is None else OfferedTrigger(id, pipeline, plan)


def _unknown(catalog: Catalog, id: str) -> RequestError:
    near = suggest(id, list(offered_triggers(catalog)))
    return RequestError(
        f"there is no trigger `{id}`",
        status=404,
        code=codes.TRIGGER_NOT_FOUND,
        help=f"did you mean `{near}`?" if near else None,
        remedies=() if near else [ListTriggers()],
    )
