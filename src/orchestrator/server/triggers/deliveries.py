"""Deliveries to webhooks: what the inputs of a run can read of one, and the run that it starts, once."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator import codes
from orchestrator.errors import CompilationError, OrchestratorError, RequestError
from orchestrator.journal.store.trigger_store import Firing
from orchestrator.remedies import ListTriggers
from orchestrator.runtime.ids import new_run_id
from orchestrator.server.triggers.firings import start_run
from orchestrator.server.triggers.offered_trigger import known_trigger
from orchestrator.server.triggers.signatures import refused, verified_delivery, webhook_secret
from orchestrator.text.json_text import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.plan.triggers import Webhook
    from orchestrator.server.service import Service
    from orchestrator.server.triggers.offered_trigger import OfferedTrigger

_HIDDEN: Final = frozenset({"authorization", "proxy-authorization", "cookie"})
"""Headers that contain secrets, which inputs cannot read."""


class Delivery(Struct, frozen=True):
    """A request to a webhook. `headers` by name in lower case; `address` is where it comes from."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    address: str

    def names(self) -> dict[str, Any]:
        """Return what the inputs of a run can read: JSON as data, anything else as text.

        Raises:
            RequestError: The body is not what its type says.
        """
        headers = {name: value for name, value in self.headers.items() if name not in _HIDDEN}
        return {"body": self._content(), "headers": headers, "query": dict(self.query)}

    def _content(self) -> Any:
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            text = self.body.decode()
            return read_json(text) if kind == "application/json" or kind.endswith("+json") else text
        except ValueError as error:
            what = "UTF-8" if isinstance(error, UnicodeDecodeError) else f"valid JSON: {error}"
            raise RequestError(f"the body is not {what}", status=400, help="fix the body") from error


def webhook_of(service: Service, id: str) -> tuple[OfferedTrigger, Webhook]:
    """Return the trigger with an id, and its webhook. Strangers learn nothing of other pipelines.

    Raises:
        RequestError: ORC919, there is none, or it has no webhook; ORC920, its pipeline has errors.
    """
    try:
        trigger = known_trigger(service.catalog, id) if service.settings.triggers else None
    except CompilationError:
        help = "check the pipeline on the server, and send the delivery again"
        raise refused(f"the webhook `{id}` cannot be used now", status=503, help=help) from None
    if trigger is not None and trigger.webhook is not None:
        return trigger, trigger.webhook
    raise RequestError(
        f"there is no webhook `{id}`",
        status=404,
        code=codes.TRIGGER_NOT_FOUND,
        remedies=[ListTriggers()],
    )


def accept_delivery(
    service: Service, trigger: OfferedTrigger, hook: Webhook, delivery: Delivery
) -> tuple[Firing, bool]:
    """Start the run of a delivery, and return its firing, and whether it was started by an earlier delivery.

    Raises:
        RequestError: ORC920, the delivery is not genuine, too old, or its id was used for another one, or the trigger
            is paused; ORC913, there are too many, or the server is full.
        InputError, EvaluationError: The inputs cannot be evaluated, or do not fit.
    """
    now = time.time()
    try:
        cause = verified_delivery(hook, _secret(hook), delivery.headers, delivery.body, now)
    except RequestError as error:
        if error.status == 401:  # a genuine one is no guess, and strangers may share the address of its sender
            service.failed_logins.refuse(delivery.address)
            service.failed_logins.count(delivery.address)
        raise
    service.deliveries.count(trigger, hook.max_per_minute)
    store = service.orchestrator.backend.store.triggers
    if store.register({trigger.id: trigger.definition})[trigger.id].paused_at is not None:
        raise refused(f"the trigger `{trigger.id}` is paused", status=409, help="resume it, and send it again")
    service.refuse_if_full()
    inputs = trigger.inputs(now, delivery.names())
    trigger.pipeline.bind(inputs)  # a delivery that does not fit leaves nothing behind
    service.refuse_full_line(trigger.pipeline.limit_of(inputs))
    digest = hashlib.sha256(delivery.body).hexdigest()
    new = Firing(
        trigger.id,
        cause,
        now,
        now,
        f"a delivery from {delivery.address}",
        new_run_id(),
        fingerprint=digest,
        inputs=inputs,
    )
    firing = store.claim(new)
    if firing.fingerprint != digest:
        raise refused(
            "the id of the delivery was used for another one", status=409, help="give each delivery its own id"
        )
    if firing.state == "started":
        return firing, True
    if firing.state != "due":
        raise refused(f"the delivery was not accepted: {firing.reason}", status=409, help="send it with another id")
    try:
        start_run(service, trigger, firing)
    except OrchestratorError as error:
        if not isinstance(error, RequestError):
            store.settle(firing, "failed", f"{error.message} [{error.code}]")
        raise
    return firing, firing.run_id != new.run_id


def _secret(hook: Webhook) -> str:
    found = webhook_secret(hook)
    if not found:
        raise refused(
            f"the server has no secret for this webhook: the variable {hook.secret} is not set",
            status=503,
            help=f"set {hook.secret} in the environment of the server",
        )
    return found
