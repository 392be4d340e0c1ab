"""What a notice tells, in the forms in which targets receive it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from msgspec import Struct

Occasion = Literal["failed", "waiting", "budget"]
"""Why a notice is sent: the run has failed, asks a person, or has used a share of its budget."""

OCCASIONS: Final[tuple[Occasion, ...]] = ("failed", "waiting", "budget")


class Notice(Struct, frozen=True):
    """One notice for one target. All deliveries of it have the same `id`; `at` is when it was recorded (epoch seconds).

    `details` is `{run: {id, pipeline, name, [url]}, [error], [questions], [budget]}`, without secrets. A `test` and the
    `message` of a person are about no run.
    """

    id: str
    event: Occasion | Literal["test", "message"]
    at: float
    title: str
    text: str
    details: Mapping[str, Any]

    def body(self) -> dict[str, Any]:
        """Return the body of a webhook, as Standard Webhooks recommends it: a type, a time and data."""
        return {
            "type": f"run.{self.event}" if self.event in OCCASIONS else self.event,
            "timestamp": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds"),
            "data": {"id": self.id, "title": self.title, "text": self.text, **self.details},
        }

    def slack_body(self) -> dict[str, Any]:
        """Return the body of a webhook of Slack, with the three signs escaped that mean something in its texts."""
        escaped = self.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return {"text": escaped}


class DeliveryError(Exception):
    """A target did not accept a notice. `wait`: seconds that it asks to wait before the next attempt."""

    def __init__(self, reason: str, *, retryable: bool = True, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retryable = retryable
        self.wait = wait
