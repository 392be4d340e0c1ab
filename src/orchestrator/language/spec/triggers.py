"""The keys of a trigger: when it starts runs, and with which inputs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from orchestrator.language.spec.base import Duration, Spec

Overlap = Literal["skip", "queue", "cancel"]

Signature = Literal["standard", "github", "bearer"]


class WebhookSpec(Spec):
    """How deliveries prove where they come from. Written as the name of the variable, or as a mapping."""

    secret: str = Field(description="The name of the server's environment variable that contains the secret.")
    signature: Signature = Field(
        default="standard",
        description="How a delivery is signed with HMAC-SHA256: `standard` (Standard Webhooks: `webhook-id`, "
        "`webhook-timestamp`, `webhook-signature`) or `github` (`x-hub-signature-256`); or `bearer`: it contains the "
        "secret, as `Authorization: Bearer ...`.",
    )
    tolerance: Duration = Field(
        default=300.0, description="How far the timestamp of a delivery may be from the time of the server."
    )
    max_bytes: int = Field(default=1_000_000, ge=1, le=16_000_000, description="The maximum size of a delivery.")
    max_per_minute: int = Field(default=60, ge=1, description="How many deliveries a server accepts in a minute.")


class TriggerSpec(Spec):
    """One trigger: either `schedule` or `webhook`, and the inputs of the runs that it starts."""

    description: str | None = Field(default=None, description="The purpose of the trigger.")
    schedule: str | None = Field(
        default=None,
        description="When runs start: a cron expression of five fields (minute, hour, day of the month, month, day of "
        "the week), or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.",
    )
    timezone: str = Field(default="UTC", description="The time zone of the schedule, such as `Europe/Berlin`.")
    overlap: Overlap = Field(
        default="skip",
        description="What happens if an earlier run of the trigger has not ended: `skip` this one, `queue` it until "
        "then, or `cancel` the earlier one.",
    )
    catch_up: Duration = Field(
        default=600.0,
        description="How late a run may start if no server ran at its time. Of several such times, `queue` starts a "
        "run for each, the others for the newest.",
    )
    jitter: Duration = Field(
        default=0.0, description="Runs start up to this much later, each time by another part of it."
    )
    webhook: WebhookSpec | None = Field(
        default=None, description="A run starts when the server receives a signed request."
    )
    inputs: dict[str, Any] | None = Field(
        default=None,
        description="The inputs of the runs. Templates can read `trigger`, and for a webhook `body`, `headers` and "
        "`query`.",
    )
