"""Triggers: what they are, when they fire next, what they have fired, and deliveries to webhooks."""

from __future__ import annotations

from typing import Annotated, Any, Final

import anyio
from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.server.access.caller import Reader, Runner, address_of
from orchestrator.server.access.request_guard import body_too_large
from orchestrator.server.routes.parameters import PROBLEMS, ServiceDependency
from orchestrator.server.schemas.triggers import DeliveryView, FireBody, FiringView, TriggerList, TriggerView
from orchestrator.server.service import Service
from orchestrator.server.triggers.deliveries import Delivery, accept_delivery, webhook_of
from orchestrator.server.triggers.offered_trigger import find_trigger, offered_triggers
from orchestrator.server.triggers.overview import (
    LISTED_FIRINGS,
    SHOWN_FIRINGS,
    fire_trigger,
    firing_data,
    trigger_data,
)

router = APIRouter(tags=["triggers"], responses=PROBLEMS)

TriggerId = Annotated[str, Path(description="The name of a pipeline and of its trigger, such as `report/nightly`.")]

_READ_SECONDS: Final = 30.0


@router.get("/v1/triggers", response_model=TriggerList)
def list_triggers(caller: Reader, service: ServiceDependency) -> Any:
    """List the triggers of the pipelines that the server offers, each with its last firing."""
    offered = offered_triggers(service.catalog)
    store = service.orchestrator.backend.store.triggers
    states = store.register({id: trigger.definition for id, trigger in offered.items()}) if offered else {}
    listed = [
        trigger_data(store, trigger, states[id], firings=LISTED_FIRINGS) for id, trigger in sorted(offered.items())
    ]
    return {"triggers": listed}


@router.get("/v1/triggers/{trigger_id:path}", response_model=TriggerView)
def get_trigger(trigger_id: TriggerId, caller: Reader, service: ServiceDependency) -> Any:
    """Return one trigger with its next instants and last firings."""
    return _view(service, trigger_id)


@router.post("/v1/triggers/{trigger_id:path}/pause", response_model=TriggerView)
def pause_trigger(trigger_id: TriggerId, caller: Runner, service: ServiceDependency) -> Any:
    """Have a trigger start no runs. Runs that it has started continue."""
    find_trigger(service.catalog, trigger_id)
    _view(service, trigger_id)
    service.orchestrator.backend.store.triggers.pause(trigger_id, by=caller.by)
    return _view(service, trigger_id)


@router.post("/v1/triggers/{trigger_id:path}/resume", response_model=TriggerView)
def resume_trigger(trigger_id: TriggerId, caller: Runner, service: ServiceDependency) -> Any:
    """Have a paused trigger start runs again, from now on."""
    find_trigger(service.catalog, trigger_id)
    service.orchestrator.backend.store.triggers.resume(trigger_id)
    service.wake_triggers()
    return _view(service, trigger_id)


@router.post("/v1/triggers/{trigger_id:path}/fire", response_model=FiringView, status_code=202)
def fire_trigger_now(
    trigger_id: TriggerId, caller: Runner, service: ServiceDependency, body: FireBody | None = None
) -> Any:
    """Fire a trigger now, whatever its schedule, and even if it is paused. The response has the id of the run."""
    trigger = find_trigger(service.catalog, trigger_id)
    store = service.orchestrator.backend.store.triggers
    firing = fire_trigger(store, trigger, by=caller.by, inputs=None if body is None else body.inputs)
    service.wake_triggers()
    return firing_data(firing)


@router.post("/v1/hooks/{trigger_id:path}", response_model=DeliveryView, status_code=202)
async def deliver(trigger_id: TriggerId, request: Request, response: Response, service: ServiceDependency) -> Any:
    """Receive a delivery to a webhook, and start its run. It needs no token, but its signature.

    A delivery that is repeated, as its id says, starts no second run.
    """
    trigger, hook = await run_in_threadpool(webhook_of, service, trigger_id)
    delivery = Delivery(
        {name.lower(): value for name, value in request.headers.items()},
        dict(request.query_params),
        await _body(request, hook.max_bytes),
        address_of(request),
    )
    firing, repeated = await run_in_threadpool(accept_delivery, service, trigger, hook, delivery)
    response.headers["location"] = f"/v1/runs/{firing.run_id}"
    return {"trigger": trigger.id, "run_id": firing.run_id, "repeated": repeated}


async def _body(request: Request, most: int) -> bytes:
    """Return the body of a request; one that is too large, or that takes too long, is not read to its end."""
    found = bytearray()
    try:
        with anyio.fail_after(_READ_SECONDS):
            async for part in request.stream():
                found += part
                if len(found) > most:
                    raise body_too_large(most)
    except TimeoutError:
        raise RequestError(
            f"the body did not arrive within {_READ_SECONDS:g} seconds",
            status=408,
            code=codes.REQUEST_REFUSED,
            help="send it again",
        ) from None
    return bytes(found)


def _view(service: Service, id: str) -> dict[str, Any]:
    trigger = find_trigger(service.catalog, id)
    store = service.orchestrator.backend.store.triggers
    state = store.register({id: trigger.definition})[id]
    return trigger_data(store, trigger, state, firings=SHOWN_FIRINGS)
