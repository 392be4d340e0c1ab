"""Whether a delivery to a webhook is genuine and recent, and which one it is: HMAC-SHA256 and bearer secrets."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING, Final

from orchestrator import codes
from orchestrator.errors import RequestError
from orchestrator.notices.signature import standard_signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.plan.triggers import Webhook

_LONGEST_ID: Final = 200


def webhook_secret(hook: Webhook) -> str:
    """Return the secret of a webhook; empty if its variable is not set."""
    return os.environ.get(hook.secret, "").strip()


def verified_delivery(hook: Webhook, secret: str, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Return what distinguishes a genuine delivery from others: a second one that has the same is a repetition.

    Args:
        hook: how deliveries are signed.
        secret: the value of its secret.
        headers: those of the request, by name in lower case.
        body: what was signed.
        now: seconds since the epoch.

    Raises:
        RequestError: ORC920, it is not genuine, or too old.
    """
    match hook.signature:
        case "standard":
            return _standard(hook, secret, headers, body, now)
        case "github":
            return _github(secret, headers, body)
        case "bearer":
            return _bearer(secret, headers)


def _standard(hook: Webhook, secret: str, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """The scheme of standardwebhooks.com: the id, the time and the body are signed."""
    id, time, given = (_required(headers, f"webhook-{name}") for name in ("id", "timestamp", "signature"))
    if not 0 < len(id) <= _LONGEST_ID:
        raise refused("`webhook-id` is too long", help=f"use at most {_LONGEST_ID} characters")
    expected = standard_signature(secret, id, time, body)
    if not any(_equal(expected, each.removeprefix("v1,")) for each in given.split() if each.startswith("v1,")):
        raise _wrong_signature()
    if not time.isdecimal() or len(time) > 15 or abs(now - int(time)) > hook.tolerance:
        raise refused(
            f"`webhook-timestamp` is more than {hook.tolerance:g} seconds from the time of the server",
            help="sign the delivery when it is sent, and set the clocks of both machines",
        )
    return f"delivery {id}"


def _github(secret: str, headers: Mapping[str, str], body: bytes) -> str:
    """The scheme of GitHub and others: the body alone is signed, so that the same body is the same delivery."""
    given = _required(headers, "x-hub-signature-256")
    if not _equal(_hmac(secret.encode(), body).hex(), given.removeprefix("sha256=")):
        raise _wrong_signature()
    return f"body {hashlib.sha256(body).hexdigest()}"


def _bearer(secret: str, headers: Mapping[str, str]) -> str:
    scheme, _, given = _required(headers, "authorization").partition(" ")
    if scheme.lower() != "bearer" or not _equal(secret, given.strip()):
        raise refused("the secret in `authorization` is wrong", help="send `Authorization: Bearer SECRET`")
    id = headers.get("webhook-id") or headers.get("idempotency-key")
    if id is not None and len(id) > _LONGEST_ID:
        raise refused("the id of the delivery is too long", help=f"use at most {_LONGEST_ID} characters")
    return f"delivery {id}" if id else f"unnamed {secrets.token_hex(16)}"


def _hmac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")


def _equal(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape"))


def _required(headers: Mapping[str, str], name: str) -> str:
    found = headers.get(name)
    if found is None:
        raise refused(f"the delivery has no `{name}`", help="sign it as the trigger's `signature` says")
    return found


def _wrong_signature() -> RequestError:
    return refused(
        "the signature does not match", help="sign the body as it is sent, with the secret that the server has"
    )


def refused(message: str, *, status: int = 401, help: str) -> RequestError:
    """Return the error of a delivery that starts nothing."""
    return RequestError(message, status=status, code=codes.DELIVERY_REFUSED, help=help)
