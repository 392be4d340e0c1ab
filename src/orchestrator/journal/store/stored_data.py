"""What the store reads back, checked: a record that was damaged or forged is an error that says where, not a crash.

Only what a reader relies on is checked: the types of the columns and of the fields of each event. An unknown type of
event and unknown fields are allowed, as a later version may write them.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import TYPE_CHECKING, Any

from msgspec import MsgspecError, convert

from orchestrator.journal.dialects.problems import unusable
from orchestrator.journal.events import Event
from orchestrator.journal.payload_types import END_OF_TIME, payload_problem
from orchestrator.journal.payloads import PAYLOADS
from orchestrator.journal.process_identity import Owner
from orchestrator.journal.records import RowProblem
from orchestrator.journal.state.run_state import RunFold
from orchestrator.journal.store.blob_codec import storable
from orchestrator.journal.store.event_columns import seq_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.errors import StoreUnavailable


def damaged(url: str, what: str) -> StoreUnavailable:
    """Return the error of a store in which a record cannot be read; `what` names it and says why."""
    problem = unusable(url, f"the store {url} is damaged: {what}", "restore a backup; other runs can still be read")
    problem.damaged = True
    return problem


def stored_value(url: str, text: str | bytes, what: str) -> Any:
    """Return the value of a stored JSON text; `what` names it in errors."""
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(url, f"{what} is not JSON that can be read") from error


def stored_object(url: str, text: str, what: str) -> dict[str, Any]:
    """Return the object of a stored JSON text; `what` names it in errors."""
    value = stored_value(url, text, what)
    if not isinstance(value, dict):
        raise damaged(url, f"{what} is not an object")
    return value


def stored_problems(url: str, batch_id: str, text: str) -> tuple[RowProblem, ...]:
    """Return the problems of the invalid rows of a batch."""
    what = f"the problems of batch `{batch_id}`"
    try:
        return convert(stored_value(url, text, what), tuple[RowProblem, ...])
    except MsgspecError as error:
        raise damaged(url, f"{what} cannot be read") from error


def stored_blob(url: str, hash: bytes, encoding: str, content: bytes) -> Any:
    """Return the value of a blob, whose hash is that of its JSON."""
    what = f"the value {hash.hex()[:12]}"
    try:
        plain = zlib.decompress(content) if encoding == "zlib" else content
        intact = hashlib.sha256(plain).digest() == hash
    except (zlib.error, TypeError) as error:
        raise damaged(url, f"{what} cannot be read") from error
    if not intact:
        raise damaged(url, f"{what} is not what was stored")
    return stored_value(url, plain, what)


def stored_fold(url: str, run_id: str, text: str) -> RunFold:
    """Return the fold of a run's events in a stored snapshot."""
    what = f"the snapshot of run `{run_id}`"
    data = stored_object(url, text, what)
    try:
        state = RunFold.from_dict(data)
    except (MsgspecError, KeyError, TypeError, OverflowError) as error:
        raise damaged(url, f"{what} has a field of the wrong type") from error
    if storable(state.run_id) != run_id:
        raise damaged(url, f"{what} is that of another run")
    return state


def stored_owner(url: str, run_id: str, text: str) -> Owner:
    """Return the process that holds the lease of a run."""
    what = f"the owner of run `{run_id}`"
    try:
        return Owner.from_dict(stored_object(url, text, what))
    except (MsgspecError, KeyError) as error:
        raise damaged(url, f"{what} cannot be read") from error


def stored_lease_end(url: str, run_id: str, value: object) -> float:
    """Return the time at which the lease of a run ends, in seconds since the epoch: 0 if it has none."""
    if value is None:
        return 0.0
    if not isinstance(value, int | float):
        raise damaged(url, f"the lease of run `{run_id}` has no time")
    return value


def stored_event(url: str, run_id: str, row: Sequence[Any], data: Mapping[str, Any]) -> Event:
    """Return an event; the row has its id, time, type, path and attempt."""
    id, at, type, path, attempt = row[:5]
    seq = seq_of(id)
    if not (
        isinstance(at, int | float) and abs(at) < END_OF_TIME and isinstance(path, str) and isinstance(attempt, int)
    ):
        raise damaged(url, f"{event_name(run_id, seq)} has a column of the wrong type")
    check_data(url, run_id, seq, type, data)
    return Event(run_id, seq, at, type, path, attempt, data)


def check_data(url: str, run_id: str, seq: int, type: str, data: Mapping[str, Any]) -> None:
    """Refuse data of an event whose fields have the wrong types."""
    payload = PAYLOADS.get(type)
    problem = payload_problem(payload, data) if payload is not None else None
    if problem is not None:
        raise damaged(url, f"{event_name(run_id, seq)} (`{type}`): {problem}")


def event_name(run_id: str, seq: int) -> str:
    """Return the name of an event in errors."""
    return f"event {seq} of run `{run_id}`"
