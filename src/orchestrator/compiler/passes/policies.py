"""The policies of a step in the plan: retry, timeout, result cache, budget; from the step or the file's defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.models.budget import Budget
from orchestrator.plan.policies import MODEL_RETRY, NO_RETRY, CachePolicy, Retry

if TYPE_CHECKING:
    from orchestrator.compiler.ir.context import CompilationContext
    from orchestrator.compiler.ir.nodes import SourceStep, SourceWork
    from orchestrator.language.spec.model_options import BudgetSpec
    from orchestrator.language.spec.pipeline import RetrySpec, StepSpec


def retry_of(context: CompilationContext, spec: StepSpec, work: SourceWork) -> Retry:
    """The retry policy of a step that calls a tool."""
    defaults = context.spec.defaults
    retry = spec.retry or (defaults.retry if defaults else None)
    if retry is None:
        return MODEL_RETRY if work.asks_models else NO_RETRY
    return retry_from(retry)


def timeout_of(context: CompilationContext, spec: StepSpec) -> float | None:
    """How long an attempt of a step that calls a tool may take."""
    defaults = context.spec.defaults
    return spec.timeout if spec.timeout is not None else (defaults.timeout if defaults else None)


def cache_of(step: SourceStep) -> CachePolicy | None:
    """How the results of a step are shared across runs."""
    cache = step.spec.cache
    return CachePolicy(cache.ttl, step.cache_key, cache.scope) if cache is not None else None


def retry_from(spec: RetrySpec) -> Retry:
    """The retry policy as data. A stated `max_delay` is also the longest that is waited for because an error asks."""
    longest = spec.max_delay if "max_delay" in spec.model_fields_set else None
    return Retry(**spec.model_dump(exclude_none=True), longest_wait=longest)


def budget_of(spec: BudgetSpec | None) -> Budget | None:
    """Return a budget as the plan has it."""
    return None if spec is None else Budget(spec.usd, spec.tokens, spec.requests)
