"""What is needed to execute a run: from a new plan with inputs, or from the record of an existing run."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.errors import InputError, RunNotResumable
from orchestrator.history.invalidation import read_resume_state
from orchestrator.journal import NewRun, ResumeState
from orchestrator.journal.records import CONCURRENCY, RunLimit, label_key
from orchestrator.models.budget import Budget, Ledger, Spent
from orchestrator.plan.lookup import require_shared
from orchestrator.plan.model import Plan
from orchestrator.plan.serialization import plan_data, shared_plan_data
from orchestrator.plan.steps import ToolCall
from orchestrator.remedies import Resume
from orchestrator.runtime.ids import new_run_id
from orchestrator.runtime.run.model_access import has_budgets, spent_by_step
from orchestrator.runtime.values.concurrency import run_limit
from orchestrator.runtime.values.inputs import Bound, rebind
from orchestrator.runtime.values.labels import labels_of
from orchestrator.runtime.values.redaction import Redactor
from orchestrator.runtime.values.result_size import USUAL, ResultSizes
from orchestrator.tools import Permissions
from orchestrator.tools.source_files import named_sources, searched_directories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.journal import Event, RunRecord, Store
    from orchestrator.runtime.host.options import Options

DEFAULT_MAX_PARALLEL: Final = 32
_EVENTS_AT_ONCE: Final = 2000

Compile = Callable[["RunRecord"], Plan]
"""Makes the plan of a recorded run again from its source."""


class Assignment(Struct, frozen=True):
    """A run to be executed. `recorded` is what earlier owners achieved; `timeout` in seconds, of the whole run.

    `budget` limits what the run may spend on models, with priority over its plan and earlier owners; `ledgers` are
    those of its batch, `earlier` what its steps with budgets have spent, by path. `by` is who started or resumed it.
    Nothing starts before the time `not_before` (seconds since the epoch), and while as many runs as `limit` allows are
    executed.

    Without `use_cache`, results are neither read from the cache nor written to it; `refresh` are the paths of steps
    whose results are computed again.
    """

    plan: Plan
    inputs: Bound
    redactor: Redactor
    now: float
    permissions: Permissions
    max_parallel: int = DEFAULT_MAX_PARALLEL
    timeout: float | None = None
    resumed: bool = False
    recorded: ResumeState = field(default_factory=ResumeState)
    use_cache: bool = True
    refresh: frozenset[str] = frozenset()
    budget: Budget | None = None
    ledgers: tuple[Ledger, ...] = ()
    earlier: Mapping[str, Spent] = field(default_factory=dict)
    sizes: ResultSizes = USUAL
    by: str = ""
    priority: int = 0
    not_before: float | None = None
    limit: RunLimit | None = None

    @property
    def may_wait(self) -> bool:
        """Whether steps may have to wait for slots, so that it matters how long they took before."""
        steps = self.plan.steps
        return len(steps) > self.max_parallel or any(not isinstance(step.work, ToolCall) for step in steps)


def new_run(
    plan: Plan,
    inputs: Bound,
    redactor: Redactor,
    options: Options,
    origin: Mapping[str, Any],
    now: float,
    run_id: str | None = None,
) -> NewRun:
    """Return the record of a new run; `origin` is what its process has that another one would lack.

    Raises:
        InputError: A label or the concurrency key of the pipeline cannot be evaluated with these inputs.
    """
    recorded: dict[str, Any] = {
        "max_parallel": options.max_parallel,
        "timeout": options.timeout,
        "redaction": redactor.nonce,
    }
    run_id = run_id or new_run_id()
    moment = datetime.fromtimestamp(now, UTC)
    labels = labels_of(plan, run_id, moment, inputs.values) if plan.labels else []
    recorded |= {label_key(label): True for label in (*options.labels, *map(redactor.text, labels))}
    limit = run_limit(plan, run_id, moment, inputs.values)
    if limit is not None:
        if redactor.text(limit.key) != limit.key:
            raise InputError(
                "the concurrency key of the run contains a secret, and everyone who lists runs can see keys",
                help="read an input that is not secret, such as the name of an account",
            )
        recorded[CONCURRENCY] = limit.to_dict()
    if not options.cache:
        recorded["cache"] = False
    if options.priority:
        recorded["priority"] = options.priority
    if options.not_before is not None:
        recorded["not_before"] = options.not_before
    if origin:
        recorded["origin"] = dict(origin)
    return NewRun(
        run_id=run_id,
        pipeline=plan.id,
        name=plan.name,
        source_name=plan.source_name,
        source_text=plan.source_text,
        sources=plan.sources,
        directory=str(plan.directory),
        digest=plan.digest,
        plan=redactor.scrub_plan(shared_plan_data(plan)),
        inputs=inputs.recorded(redactor),
        options=recorded,
        now=now,
        total=len(plan.steps),
        metadata=redactor.scrub(plan.metadata),
    )


def new_assignment(
    plan: Plan,
    inputs: Bound,
    options: Options,
    *,
    origin: Mapping[str, Any],
    permissions: Permissions,
    ledgers: tuple[Ledger, ...] = (),
    by: str = "",
    run_id: str | None = None,
) -> tuple[NewRun, Assignment]:
    """Return the record and the assignment of a new run, by default with a new id."""
    require_shared(plan, options.refresh)
    redactor = Redactor(inputs.secrets, secrets.token_hex(3))
    now = max(time.time(), options.not_before or 0.0)
    new = new_run(plan, inputs, redactor, options, origin, now, run_id)
    limit = RunLimit.of(new.options)
    others: dict[str, Any] = {"permissions": permissions, "ledgers": ledgers, "by": by, "limit": limit}
    return new, assign(plan, inputs, redactor, new.now, options, **others)


def assign(plan: Plan, inputs: Bound, redactor: Redactor, now: float, options: Options, **others: Any) -> Assignment:
    """Return the assignment of a run with these options; `others` are further fields."""
    return Assignment(
        plan=plan,
        inputs=inputs,
        redactor=redactor,
        now=now,
        max_parallel=options.max_parallel or plan.max_parallel or DEFAULT_MAX_PARALLEL,
        timeout=options.timeout,
        use_cache=options.cache,
        refresh=options.refresh,
        budget=options.budget,
        sizes=options.sizes,
        priority=options.priority,
        not_before=options.not_before,
        **others,
    )


def resumed_assignment(
    store: Store,
    record: RunRecord,
    plan: Plan,
    given: Mapping[str, Any],
    options: Options,
    *,
    permissions: Permissions,
    ledgers: tuple[Ledger, ...] = (),
    by: str = "",
) -> Assignment:
    """Return the assignment of a recorded run. `given` are its secrets, and the inputs that an edited plan adds."""
    require_shared(plan, options.refresh)
    permissions = permissions_for(permissions, record)
    bound = rebind(plan.inputs, record.inputs, given, permissions=permissions)
    redactor = recorded_redactor(record, bound)
    data = plan_data(plan)
    events = read_events(store, record.run_id) if has_budgets(data) else iter(())
    return assign(
        plan,
        Bound(redactor.restore(bound.values), bound.secrets),
        redactor,
        record.now,
        effective_options(options, record),
        permissions=permissions,
        resumed=True,
        recorded=read_recorded(store, record.run_id),
        earlier=spent_by_step(events, data),
        ledgers=ledgers,
        by=by,
        limit=RunLimit.of(record.options),
    )


def recorded_redactor(record: RunRecord, bound: Bound) -> Redactor:
    """Return a redactor for the secrets of a recorded run, with the marks that are in its record."""
    return Redactor(bound.secrets, str(record.options.get("redaction", "")))


def read_events(store: Store, run_id: str, *, after: int = 0) -> Iterator[Event]:
    """Yield the events that are recorded of a run up to now, with references to large values."""
    while batch := store.events(run_id, after=after, limit=_EVENTS_AT_ONCE, resolve=False):
        yield from batch
        after = batch[-1].seq


def read_recorded(store: Store, run_id: str) -> ResumeState:
    """Return what a run has achieved."""
    return store.put_values(read_resume_state(lambda: read_events(store, run_id)))


def recompiled(record: RunRecord, compile: Compile) -> Plan:
    """Return the plan of a recorded run, compiled again.

    Raises:
        RunNotResumable: It is not the recorded plan any more.
    """
    plan = compile(record)
    if plan.digest != record.digest:
        raise RunNotResumable(
            f"run `{record.run_id}` cannot be resumed: its pipeline now compiles to a different plan",
            run_id=record.run_id,
            help="its tools have changed: give the ones that it was started with, or rerun the steps with the new ones",
            remedies=[Resume(record.run_id, edited=True)],
        )
    return plan


def effective_options(options: Options, record: RunRecord) -> Options:
    """Return the options given now, or those that the run was created with where none are given."""
    return replace(
        options,
        max_parallel=options.max_parallel or record.options.get("max_parallel"),
        timeout=options.timeout or record.options.get("timeout"),
        cache=options.cache and bool(record.options.get("cache", True)),
        priority=options.priority or int(record.options.get("priority", 0)),
        not_before=options.not_before or record.options.get("not_before"),
    )


def permissions_for(given: Permissions, record: RunRecord) -> Permissions:
    """Return what a run may do here. Its relative paths still start where it was started, if that is allowed."""
    origin = record.options.get("origin") or {}
    tools = origin.get("tools") or ()
    given = given.protecting(
        *named_sources(tools, given.directory), searched=searched_directories(tools, (), given.directory)
    )
    paths = origin.get("paths") or [str(given.roots[0])]
    directory = Path(paths[0])
    if directory == given.roots[0] or not any(directory.is_relative_to(root) for root in given.roots):
        return given
    return replace(given, directory=directory)
