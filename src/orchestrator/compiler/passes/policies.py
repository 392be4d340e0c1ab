"""The policies of a step in the plan: retry, timeout, result cache, budget; from the step or the file's defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from orchestrator.models.budget import Budget
from orchestrator.plan.policies import MODEL_RETRY, NO_RETRY, CachePolicy, RetryPolicy

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep, SourceWork
    from orchestrator.language.spec.model_options import BudgetSpec
    from orchestrator.language.spec.pipeline import RetrySpec, StepSpec


_N = TypeVar("_N", int, float)


def retry_of(context: CompilationContext, spec: StepSpec, work: SourceWork) -> RetryPolicy:
    """Return the retry policy of a step."""
    defaults = context.spec.defaults
    retry = spec.retry or (defaults.retry if defaults else None)
    if retry is None:
        return MODEL_RETRY if work.asks_models else NO_RETRY
    return retry_from(retry)


def timeout_of(context: CompilationContext, spec: StepSpec) -> float | None:
    """Return the timeout of an attempt of a tool call."""
    defaults = context.spec.defaults
    return known(spec.timeout) if spec.timeout is not None else (defaults.timeout if defaults else None)


def known(limit: _N | str | None) -> _N | None:
    """Return a limit that the file gives as a number; None where it is computed when the step begins."""
    return None if isinstance(limit, str) else limit


def enough_of(spec: StepSpec) -> int | None:
    """Return how many steps or items must succeed; None: all."""
    words = {"all": None, "any": 1, None: None}
    return spec.wait_for if isinstance(spec.wait_for, int) else words[spec.wait_for]


def cache_of(step: SourceStep) -> CachePolicy | None:
    """Return the cache policy of a step."""
    cache = step.spec.cache
    return CachePolicy(cache.ttl, step.cache_key, cache.scope) if cache is not None else None


def retry_from(spec: RetrySpec) -> RetryPolicy:
    """Return a retry policy. An explicit `max_delay` also limits the delay that an error can request."""
    longest = spec.max_delay if "max_delay" in spec.model_fields_set else None
    values = ((name, getattr(spec, name)) for name in type(spec).model_fields)
    given = {name: value for name, value in values if value is not None and not isinstance(value, str)}
    return RetryPolicy(**given, longest_wait=longest)


def budget_of(spec: BudgetSpec | None) -> Budget | None:
    """Return a budget of the plan."""
    return None if spec is None else Budget(spec.usd, spec.tokens, spec.requests)
