"""Whether a failed attempt is made again, and when: the one place that applies a `retry` policy."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from orchestrator.errors import StepError
from orchestrator.runtime.run.failures import error_names
from orchestrator.text.durations import format_duration

if TYPE_CHECKING:
    import random

    from orchestrator.errors import OrchestratorError
    from orchestrator.plan.policies import RetryPolicy

_LONGEST: Final = 100 * 365 * 86400.0
"""Seconds; an error that asks to wait longer is not waited for, whatever the policy allows."""


def is_retried(error: OrchestratorError, retry: RetryPolicy, attempt: int) -> bool:
    """Whether the policy makes another attempt after attempt number `attempt` failed with `error`."""
    if attempt >= retry.max_attempts or not getattr(error, "retryable", False) or _waits_too_long(error, retry):
        return False
    return not retry.on or not error_names(error).isdisjoint(retry.on)


def retry_delay(error: OrchestratorError, retry: RetryPolicy, attempt: int, chance: random.Random) -> float:
    """Return the seconds to wait after attempt number `attempt`, at least as long as the error asks for."""
    try:
        delay = min(retry.max_delay, retry.delay * retry.backoff ** (attempt - 1))
    except OverflowError:
        delay = retry.max_delay
    if retry.jitter:
        delay = min(retry.max_delay, delay * (1 + retry.jitter * chance.uniform(-1, 1)))
    return max(delay, _requested_wait(error), 0.0)


def excessive_wait(error: OrchestratorError, retry: RetryPolicy, attempt: int) -> str | None:
    """Explain that no further attempt is made only because the error asks for too long a wait; None otherwise."""
    if attempt >= retry.max_attempts or not getattr(error, "retryable", False) or not _waits_too_long(error, retry):
        return None
    asked = _requested_wait(error)
    words = format_duration(round(asked)) if asked < _LONGEST else "more than a hundred years"
    longest = format_duration(_longest_wait(error, retry))
    return f"the requested wait of {words} before the next attempt is longer than the {longest} allowed"


def _waits_too_long(error: OrchestratorError, retry: RetryPolicy) -> bool:
    """Whether an error asks to wait for longer than the policy allows."""
    return _requested_wait(error) > _longest_wait(error, retry)


def _longest_wait(error: OrchestratorError, retry: RetryPolicy) -> float:
    if retry.longest_wait is not None:
        return retry.longest_wait
    return float(getattr(error, "longest_wait", StepError.longest_wait))


def _requested_wait(error: OrchestratorError) -> float:
    """The seconds that an error asks to wait before the next attempt; what is not a number of seconds counts as 0."""
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, bool) or not isinstance(asked, int | float):
        return 0.0
    return float(asked) if 0 < asked <= _LONGEST else inf if asked > 0 else 0.0
