"""Sends notices to webhooks: signed JSON, or a text as Slack takes it."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx2

from orchestrator.distribution import VERSION
from orchestrator.errors import OrchestratorError
from orchestrator.notices.notice import DeliveryError
from orchestrator.notices.settings import secret_of
from orchestrator.notices.signature import standard_signature
from orchestrator.tools.sandbox.network import connection_problem, guarded_client
from orchestrator.tools.sandbox.permissions import Permissions

if TYPE_CHECKING:
    from orchestrator.notices.notice import Notice
    from orchestrator.notices.settings import NoticeTarget

_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT: Final = 300.0


async def post_notice(target: NoticeTarget, notice: Notice, *, within: float) -> None:
    """Post a notice to a webhook, and return when it has accepted it.

    Only the host of the address can be reached, private or not: an administrator has named it. Redirects are not
    followed, and nothing is read of the answer but its status.

    Raises:
        DeliveryError: It did not accept it. The reason does not contain the address.
    """
    url = target.url or secret_of(target.url_env)
    body = json.dumps(notice.slack_body() if target.type == "slack" else notice.body(), ensure_ascii=False).encode()
    headers = {
        "content-type": "application/json",
        "user-agent": f"orchestrator/{VERSION}",
        "webhook-id": notice.id,
        "webhook-timestamp": str(int(time.time())),
    }
    if target.secret_env is not None:
        secret = secret_of(target.secret_env)
        signed = standard_signature(secret, notice.id, headers["webhook-timestamp"], body)
        headers["webhook-signature"] = f"v1,{signed}"
    try:
        async with asyncio.timeout(within), guarded_client(_permitted(url), within) as client:
            request = client.build_request("POST", url, content=body, headers=headers)
            response = await client.send(request, stream=True, follow_redirects=False)
            await response.aclose()
    except (TimeoutError, httpx2.TimeoutException) as error:
        raise DeliveryError(f"no answer within {within:g} s") from error
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError, ValueError) as error:
        raise DeliveryError("its address is not a valid URL", retryable=False) from error
    except httpx2.HTTPError as error:
        raise DeliveryError(f"it cannot be reached: {connection_problem(error)}") from error
    except OrchestratorError as error:  # the address has a form that no host has
        raise DeliveryError("its address is not permitted", retryable=False) from error
    status = response.status_code
    if not 200 <= status < 300:
        raise DeliveryError(f"it answered with status {status}", retryable=status in _TRY_AGAIN, wait=_wait(response))


def _permitted(url: str) -> Permissions:
    """Return what may be reached: the host of the address."""
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError("not an HTTP URL")
    port = parts.port or (443 if parts.scheme.lower() == "https" else 80)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Permissions(Path(), allow_hosts=(f"{host}:{port}",))


def _wait(response: httpx2.Response) -> float:
    """Return how many seconds the server asks to wait."""
    asked = response.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_WAIT) if asked.isascii() and asked.isdigit() else 0.0
