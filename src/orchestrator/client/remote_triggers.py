"""The triggers of the pipelines that a server offers, as its API returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from msgspec import Struct, convert

from orchestrator.client.json_values import json_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.client.connection import ServerConnection


class RemoteFiring(Struct, frozen=True):
    """One firing of a trigger. Times in seconds since the epoch.

    `run_id` is the id of its run, also before that is started. A firing that is `skipped` or `failed` has no run, for
    its `reason`.
    """

    run_id: str
    state: Literal["due", "started", "skipped", "failed"]
    reason: str
    instant: float
    created_at: float
    by: str


class RemoteTrigger(Struct, frozen=True):
    """A trigger of a pipeline that the server offers. Times in seconds since the epoch.

    `next` are the next instants of its schedule, and `firings` the last ones, newest first. It is not `ready` if it is
    a webhook without its secret.
    """

    id: str
    pipeline: str
    name: str
    kind: Literal["schedule", "webhook"]
    description: str
    declaration: dict[str, Any]
    paused_at: float | None
    paused_by: str | None
    next: tuple[float, ...]
    ready: bool
    firings: tuple[RemoteFiring, ...]


async def all_triggers(connection: ServerConnection) -> list[RemoteTrigger]:
    """Return all triggers by id, each with its last firing."""
    found = await connection.get("/v1/triggers")
    return convert(found["triggers"], list[RemoteTrigger])


async def one_trigger(connection: ServerConnection, id: str) -> RemoteTrigger:
    """Return a trigger with its next instants and last firings."""
    return convert(await connection.get(_path(id)), RemoteTrigger)


async def set_paused(connection: ServerConnection, id: str, *, paused: bool) -> RemoteTrigger:
    """Have a trigger start no runs, or start them again; return it as it is then."""
    verb = "pause" if paused else "resume"
    return convert(await connection.post(f"{_path(id)}/{verb}", repeatable=True), RemoteTrigger)


async def fire(connection: ServerConnection, id: str, inputs: Mapping[str, Any] | None) -> RemoteFiring:
    """Fire a trigger now."""
    body = {} if inputs is None else {"inputs": json_inputs(inputs)}
    return convert(await connection.post(f"{_path(id)}/fire", body), RemoteFiring)


def _path(id: str) -> str:
    return f"/v1/triggers/{quote(id)}"
