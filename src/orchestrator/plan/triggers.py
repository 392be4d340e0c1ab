"""The triggers of a pipeline: what starts runs by itself, and with which inputs. They do not change what a run does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from orchestrator.expressions import Value
from orchestrator.plan.value_text import source_of

if TYPE_CHECKING:
    from orchestrator.language.spec.triggers import Overlap, Signature  # noqa: TC004 - as in `plan.steps`


class Schedule(Struct, frozen=True):
    """A cron expression in a time zone. `catch_up` and `jitter` in seconds; see `TriggerSpec` for their meaning."""

    cron: str
    timezone: str = "UTC"
    overlap: Overlap = "skip"
    catch_up: float = 600.0
    jitter: float = 0.0

    @property
    def definition(self) -> str:
        """What decides its instants."""
        return f"{self.cron} {self.timezone}"


class Webhook(Struct, frozen=True):
    """Signed requests. `secret` is the name of the variable that holds the secret; `tolerance` in seconds."""

    secret: str
    signature: Signature = "standard"
    tolerance: float = 300.0
    max_bytes: int = 1_000_000
    max_per_minute: int = 60


class TriggerPlan(Struct, frozen=True):
    """One trigger. `inputs` evaluates to the inputs of its runs."""

    name: str
    on: Schedule | Webhook
    inputs: Value
    description: str = ""
    line: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the trigger as JSON data, as the file would write it."""
        match self.on:
            case Schedule():
                kind: dict[str, Any] = {
                    "schedule": self.on.cron,
                    "timezone": self.on.timezone,
                    "overlap": self.on.overlap,
                    "catch_up": self.on.catch_up,
                    "jitter": self.on.jitter,
                }
            case Webhook():
                kind = {
                    "webhook": {
                        "secret": self.on.secret,
                        "signature": self.on.signature,
                        "tolerance": self.on.tolerance,
                        "max_bytes": self.on.max_bytes,
                        "max_per_minute": self.on.max_per_minute,
                    }
                }
        return {**kind, "inputs": source_of(self.inputs), "description": self.description}
