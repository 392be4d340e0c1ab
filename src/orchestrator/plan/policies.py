"""The policies of a step: retry, what follows a failure, the result cache, checks of the output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.expressions import Template, Value


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and when a failed attempt is made again. Times in seconds.

    The delay before attempt n+1 is `min(max_delay, delay * backoff ** (n - 1))`, plus or minus `jitter` of itself
    (0.1: up to 10 per cent). `on` limits it to errors with one of these codes or type names; empty: all retryable.
    What an error asks to wait for is waited for if it is at most `longest_wait`, or without one at most the error's own
    limit; else no further attempt is made.
    """

    max_attempts: int = 1
    delay: float = 1.0
    backoff: float = 2.0
    max_delay: float = 60.0
    jitter: float = 0.1
    longest_wait: float | None = None
    on: tuple[str, ...] = ()


NO_RETRY = Retry()
"""The policy of a step that has none: one attempt."""

MODEL_RETRY = Retry(max_attempts=4, jitter=0.25, on=("ModelRateLimited", "ModelUnavailable"))
"""The policy of a step that asks models and has none: what passes by itself is waited for, 1, 2 and 4 seconds."""


@dataclass(frozen=True, slots=True)
class OnFailure:
    """What follows when the last attempt of a step has failed.

    `fail` ends the run, `continue` goes on with null, `value` goes on with `value`, `jump` goes on at step `target`.
    """

    kind: Literal["fail", "continue", "value", "jump"] = "fail"
    value: Value | None = None
    target: str | None = None


FAIL = OnFailure()
"""The failure of a step ends the run."""


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """Results are shared across runs: for `ttl` seconds (None: for ever), by `key` besides the call's own content.

    `scope`: whether other pipelines share them too.
    """

    ttl: float | None = None
    key: Value | None = None
    scope: Literal["pipeline", "store"] = "store"


@dataclass(frozen=True, slots=True)
class Judge:
    """A model that says whether an output is good: `rubric` is what it goes by, from 0 to 1 `min_score` the least.

    `model` evaluates to a model's name or a list of names.
    """

    rubric: Value
    model: Value
    min_score: float = 0.7


@dataclass(frozen=True, slots=True)
class Check:
    """What the output of a step must be: each of `conditions` true (it is `output` in them), `schema` satisfied.

    An answer of a model that fails is asked for again with the reasons, until one model has made `max_attempts`; then
    the next model of the step is asked. When all have failed, so has the attempt. Of an agent, it is `max_attempts`
    answers in all, each in a turn of its own.
    """

    conditions: tuple[Template, ...] = ()
    schema: Mapping[str, Any] | None = None
    judge: Judge | None = None
    max_attempts: int = 2
