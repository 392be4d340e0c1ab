"""Runs that are left to workers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator import codes, runtime
from orchestrator.api.arguments import several
from orchestrator.api.run import Run
from orchestrator.api.start_key import keyed_run_id, start_fingerprint
from orchestrator.errors import ConfigurationError, InputError, RunError
from orchestrator.journal.worker_records import LABEL_PATTERN, MOST_LABELS
from orchestrator.text.words import quoted_list, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.api.backend import Backend
    from orchestrator.plan.model import Plan
    from orchestrator.runtime import Bound
    from orchestrator.runtime.host.options import Options


def worker_labels(given: Iterable[str]) -> tuple[str, ...]:
    """Return the labels that a run demands of its worker.

    Raises:
        ConfigurationError: They are not texts, or too many.
    """
    labels = checked_labels(several("runs_on", given))
    if len(labels) > MOST_LABELS:
        raise ConfigurationError(f"`runs_on` can have {MOST_LABELS} labels, not {len(labels)}")
    return labels


def checked_labels(given: Iterable[str]) -> tuple[str, ...]:
    """Return labels of workers, in order.

    Raises:
        ConfigurationError: One is no label.
    """
    labels = tuple(sorted(set(given)))
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise ConfigurationError(
                f"`{shorten(label)}` is no label of a worker",
                help="use at most 64 letters, digits, `.`, `_`, `:`, `/` and `-`, such as `gpu`",
            )
    return labels


_LABEL: Final = re.compile(LABEL_PATTERN)


async def submit_run(backend: Backend, plan: Plan, inputs: Mapping[str, Any], options: Options, *, by: str) -> Run:
    """Record a run for workers. See `Pipeline.submit`."""
    bound = _bound(backend, plan, inputs)
    run_id = None
    if options.key is not None:
        run_id = await keyed_run_id(backend, options.key, start_fingerprint(plan, bound, options))
    try:
        run_id = await backend.engine.submit(plan, bound, options, by=by, run_id=run_id)
    except RunError as error:
        if error.code != codes.RUN_ID_TAKEN or run_id is None:
            raise
    return Run(backend, run_id)


def _bound(backend: Backend, plan: Plan, inputs: Mapping[str, Any]) -> Bound:
    """Return the inputs, without the secrets that the worker reads from its environment."""
    given = [name for name in inputs if name in plan.inputs and plan.inputs[name].secret]
    if given:
        which = f"secret input{'s' if len(given) > 1 else ''} {quoted_list(given, last='and')}"
        raise InputError(
            f"the {which} cannot be given to a worker: secrets are not stored",
            help="name an environment variable with `default_from_env`, and set it where the workers run",
        )
    left = {name for name, spec in plan.inputs.items() if spec.secret and spec.default_from_env}
    specs = {name: spec for name, spec in plan.inputs.items() if name not in left}
    return runtime.bind(specs, inputs, permissions=backend.permissions)
