"""The policies of a step: retry, what follows a failure, the result cache, checks of the output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from orchestrator.expressions import Template, Value


class RetryPolicy(Struct, frozen=True):
    """How often and when a failed attempt is retried. Times in seconds.

    The delay before attempt n+1 is `min(max_delay, delay * backoff ** (n - 1))`, plus or minus `jitter` of itself
    (0.1: up to 10 percent). `on` limits retries to errors with one of these codes or type names; empty: all retryable.
    A delay that the error requests is respected up to `longest_wait`, or up to the error's own limit if that is None;
    a longer one means that no further attempt is made.
    """

    max_attempts: int = 1
    delay: float = 1.0
    backoff: float = 2.0
    max_delay: float = 60.0
    jitter: float = 0.1
    longest_wait: float | None = None
    on: tuple[str, ...] = ()


NO_RETRY = RetryPolicy()
"""The policy of a step that has none: one attempt."""

MODEL_RETRY = RetryPolicy(max_attempts=4, jitter=0.25, on=("ModelRateLimited", "ModelUnavailable"))
"""The default of a step that calls models: temporary failures are retried after 1, 2 and 4 seconds."""


class OnFailure(Struct, frozen=True):
    """What happens when the last attempt of a step has failed.

    `fail` ends the run, `continue` continues with null, `value` continues with `value`, `jump` jumps to step `target`.
    """

    kind: Literal["fail", "continue", "value", "jump"] = "fail"
    value: Value | None = None
    target: str | None = None


FAIL = OnFailure()
"""The failure of a step ends the run."""


class CachePolicy(Struct, frozen=True):
    """Results are shared across runs for `ttl` seconds (None: forever), by the content of the call and by `key`.

    `scope`: whether other pipelines share them.
    """

    ttl: float | None = None
    key: Value | None = None
    scope: Literal["pipeline", "store"] = "store"


class Judge(Struct, frozen=True):
    """A model that scores an output from 0 to 1 by a `rubric`; `min_score` is the minimum to pass.

    `model` evaluates to a model's name or a list of names.
    """

    rubric: Value
    model: Value
    min_score: float = 0.7


class Check(Struct, frozen=True):
    """Requirements on the output of a step: all `conditions` are true (it is `output` there), `schema` matches.

    If the answer of a model fails the check, the model is asked again with the reasons, up to `max_attempts` times;
    then the next model of the step is asked. When all have failed, the attempt has failed. For an agent,
    `max_attempts` is the number of answers in total, each in a separate turn.
    """

    conditions: tuple[Template, ...] = ()
    schema: Mapping[str, Any] | None = None
    judge: Judge | None = None
    max_attempts: int = 2


class Audience(Struct, frozen=True):
    """Who is asked: `assignee` evaluates to names of people and groups; None: everybody.

    Until there is an answer, people are notified again after each duration that `remind` evaluates to. When the one of
    `escalate_after` has passed since the question was asked, those that `escalate_to` names can answer it, too.
    """

    assignee: Value | None = None
    remind: Value | None = None
    escalate_after: Value | None = None
    escalate_to: Value | None = None
