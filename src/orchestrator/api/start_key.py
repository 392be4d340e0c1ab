"""Starting one run for a key, however often a caller asks for it: after a lost answer, or in two processes at once."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes, runtime
from orchestrator.api.arguments import instance
from orchestrator.api.run import Run
from orchestrator.errors import ConfigurationError, RunError
from orchestrator.journal.run_creation import StartKey, StartKeyTaken
from orchestrator.journal.store.blob_codec import storable
from orchestrator.runtime.ids import new_run_id

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from orchestrator.api.backend import Backend
    from orchestrator.journal import RunRecord
    from orchestrator.plan.model import Plan
    from orchestrator.runtime import Bound, Execution
    from orchestrator.runtime.host.options import Options

KEPT_SECONDS: Final = 86_400.0
"""How long a key stands for its run."""

_LONGEST: Final = 255


def checked_key(key: str) -> str:
    """Return a key that can be used.

    Raises:
        ConfigurationError: It is no text, empty, or too long.
    """
    instance("key", key, str, 'key="order-17"')
    if not key.strip() or len(key) > _LONGEST:
        raise ConfigurationError(
            f"`key` has {len(key):,} characters", help=f"use a key of 1 to {_LONGEST} characters, such as an id"
        )
    return key


async def start_once(backend: Backend, plan: Plan, bound: Bound, options: Options, *, by: str, key: str) -> Run:
    """Start a run on the current event loop, or return the run that was started with the same key.

    Raises:
        RunError: ORC820, the key was used for another pipeline, other inputs or other options.
    """
    fingerprint, now, engine = start_fingerprint(plan, bound, options), time.time(), backend.engine
    own = StartKey(storable(key), fingerprint, new_run_id(), now)
    try:
        execution = await engine.start(plan, bound, options, by=by, start_key=own, keys_since=now - KEPT_SECONDS)
    except StartKeyTaken as taken:
        claimed = taken.claimed
    else:
        return Run(backend, execution.run_id, execution)
    _refuse_other(claimed, fingerprint)
    # A process may have ended after it had recorded a key, and before it had created its run.
    return await run_as(backend, claimed.run_id, lambda id: engine.start(plan, bound, options, by=by, run_id=id))


async def run_once(
    backend: Backend, key: str, fingerprint: str, start: Callable[[str], Coroutine[Any, Any, Execution]]
) -> Run:
    """Have `start` create a run with the id that it receives, or return the run that was created with the same key.

    The id of the run is recorded with the key before the run is created. If this process ends in between, the next
    start with the key creates the run.

    Raises:
        RunError: ORC820, the key was used for something else.
    """
    return await run_as(backend, await keyed_run_id(backend, key, fingerprint), start)


async def keyed_run_id(backend: Backend, key: str, fingerprint: str) -> str:
    """Return the id of the run that the key stands for: a new one at first.

    Raises:
        RunError: ORC820, the key was used for something else.
    """
    keys = backend.store.start_keys
    claimed = await runtime.in_thread(lambda: keys.claim(key, fingerprint, new_run_id(), kept=KEPT_SECONDS))
    _refuse_other(claimed, fingerprint)
    return claimed.run_id


def _refuse_other(claimed: StartKey, fingerprint: str) -> None:
    """Raise RunError, ORC820, if a key was used for something else."""
    if claimed.fingerprint != fingerprint:
        raise RunError(
            f"the key was used to start run `{claimed.run_id}` with another pipeline, inputs or options",
            run_id=claimed.run_id,
            code=codes.START_KEY_REUSED,
            help="choose a new key for each run",
        )


async def run_as(backend: Backend, run_id: str, start: Callable[[str], Coroutine[Any, Any, Execution]]) -> Run:
    """Have `start` create the run with an id that was recorded before, or return it if it has been created."""
    try:
        execution = await start(run_id)
    except RunError as error:
        if error.code != codes.RUN_ID_TAKEN:
            raise
        return Run(backend, run_id)
    return Run(backend, run_id, execution)


def start_fingerprint(plan: Plan, bound: Bound, options: Options) -> str:
    """Return a digest of what is started. Secrets do not count: a digest would give them away to guessing."""
    budget = options.budget
    parts = {
        "plan": plan.digest,
        "inputs": {name: value for name, value in bound.values.items() if name not in bound.secrets},
        "options": [options.max_parallel, options.timeout, options.cache, sorted(options.refresh), options.labels],
        "when": [options.priority, options.not_before, options.runs_on],
        "budget": None if budget is None else [budget.usd, budget.tokens, budget.requests],
    }
    return _digest(parts)


def fork_fingerprint(record: RunRecord, step: str, inputs: Mapping[str, Any]) -> str:
    """Return a digest of what is forked, without secrets."""
    declared = record.plan.get("inputs", {})
    plain = {name: value for name, value in inputs.items() if not declared.get(name, {}).get("secret")}
    return _digest({"fork": record.run_id, "step": step, "inputs": plain})


def _digest(parts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
