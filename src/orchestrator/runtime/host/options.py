"""The options of runs: how they are executed."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from orchestrator.models.budget import Budget
from orchestrator.runtime.values.result_size import USUAL, ResultSizes

MAX_ROWS: Final = 16
"""How many runs of a batch are executed at once by default."""


class Options(Struct, frozen=True):
    """How a run is executed. `timeout` in seconds, of the whole run; it and `max_parallel` are recorded with the run.

    Without `cache`, results are neither read from the cache nor written to it; `refresh` are the paths of steps whose
    results are computed again. `budget` limits what the run may spend on models, with priority over the pipeline's.
    Runs are found by `labels`. `by` is who starts them. Of all starts with one `key`, one starts a run.

    Nothing of a run starts before the time `not_before` (seconds since the epoch). Where runs share slots or wait for
    workers, those with a higher `priority` come first. A submitted run is executed by a worker that has the labels
    `runs_on`.
    """

    max_parallel: int | None = None
    timeout: float | None = None
    budget: Budget | None = None
    cache: bool = True
    refresh: frozenset[str] = frozenset()
    labels: tuple[str, ...] = ()
    sizes: ResultSizes = USUAL
    by: str | None = None
    key: str | None = None
    priority: int = 0
    not_before: float | None = None
    runs_on: tuple[str, ...] = ()
