"""`run --dry-run`: print what a run would do, which models it would call and what that may cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from orchestrator.models.budget import Budget, limits_in_words, usd
from orchestrator.text.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.api.interfaces import AnyPipeline
    from orchestrator.client.remote_pipeline import RemotePipeline
    from orchestrator.forecast.forecast import CallForecast, Forecast, StepForecast
    from orchestrator.forecast.upper_bound import UpperBound


def tell(pipeline: AnyPipeline, values: Mapping[str, Any], *, json: bool) -> None:
    """Print the forecast of a run with these inputs, by the models of this machine or of the server.

    Raises:
        InputError: They do not fit.
    """
    from orchestrator.cli.terminal.output import emit, emit_json, say, table

    found, budget = _forecast(pipeline, values)
    if json:
        limits = budget.to_dict() if budget is not None else None
        emit_json({"pipeline": pipeline.id, **found.to_dict(), "budget": limits})
        return
    rows = [row for step in found.steps for row in _rows(step)]
    emit(table(("STEP", "DOES", "TIMES", "MODEL", "READS", "WRITES", "USD"), rows))
    for line in _sums(found, budget):
        say(line)
    if budget is not None and (passed := _below(budget, found.cost, found.input + found.output)):
        say(f"this may exceed the budget of {', '.join(passed)}, which would stop the run", "yellow")
    for what in found.missing:
        say(f"missing: {what}", "yellow")
    say("nothing was run, and no model was called", "dim")


def _forecast(pipeline: AnyPipeline, values: Mapping[str, Any]) -> tuple[Forecast, Budget | None]:
    """Return the forecast, and the budget of the file."""
    from orchestrator.api.pipeline import Pipeline

    if isinstance(pipeline, Pipeline):
        from orchestrator.forecast.forecast import forecast_of

        return forecast_of(pipeline, values), pipeline.plan.budget
    remote = cast("RemotePipeline", pipeline)
    return remote.forecast(values), remote.budget


def _rows(step: StepForecast) -> Iterator[tuple[str, ...]]:
    indent = "  " * step.path.count(".")
    name = indent + step.path.rpartition(".")[2]
    does = step.does + (f", if {step.condition}" if step.condition else "")
    times = "?" if step.times is None else str(step.times)
    if not step.calls:
        yield name, does, times, "", "", "", ""
    for number, call in enumerate(step.calls):
        first = (name, does, times) if number == 0 else ("", "", "")
        model = _model(call)
        shown = f"judge: {model}" if call.action == "judge" else model
        cost = "unknown" if call.cost is None else usd(call.cost).removeprefix("$")
        yield *first, shown, f"{'~' if call.rough else ''}{call.input:,}", f"up to {call.output:,}", cost


def _model(call: CallForecast) -> str:
    if not call.models:
        return "?"
    ready = next((model for model in call.models if model["ready"]), call.models[0])
    return str(ready["model"])


def _sums(found: Forecast, budget: Budget | None) -> Iterator[str]:
    calls = [(step, call) for step in found.steps for call in step.calls]
    if not calls:
        yield "no model would be called"
        return
    price = f"about {usd(found.cost)}" if len(calls) > found.unpriced else ""
    unknown = f"the price of {plural(found.unpriced, 'call')} is unknown" if found.unpriced else ""
    cost = ", and ".join(part for part in (price, unknown) if part)
    tokens = f"about {found.input:,} input tokens, up to {found.output:,} output tokens"
    yield f"if each step calls a model once: {tokens}; {cost}"
    yield from _most(found.most, budget)
    if any(call.rough for _, call in calls):
        from orchestrator.forecast.forecast import UNKNOWN_TOKENS

        yield f"~ values known only during the run count as {UNKNOWN_TOKENS:,} tokens"
    if any(step.times is None for step, _ in calls):
        yield "? the number of executions is known only during the run; it counts as one"


def _most(most: UpperBound, budget: Budget | None) -> Iterator[str]:
    """Yield the upper bound: first the budget limits that the run could reach, then the bound without them."""
    tokens = None if most.input is None or most.output is None else most.input + most.output
    limits = _below(budget, most.cost, tokens, most.calls) if budget is not None else []
    start = f"at most {', '.join(limits)} (the budget); without it " if limits else "at most: "
    if most.calls is None:
        yield f"{start}no upper bound: {'; '.join(most.unbounded)}"
        return
    counts = [
        f"an unknown number of {kind} tokens" if count is None else f"{count:,} {kind} tokens"
        for kind, count in (("input", most.input), ("output", most.output))
    ]
    cost = "an unknown price" if most.cost is None else usd(most.cost)
    if limits:
        yield f"{start}up to {cost}: {plural(most.calls, 'call')}, {counts[0]}, {counts[1]}"
    else:
        yield f"{start}{plural(most.calls, 'call')}, {counts[0]}, {counts[1]}; {cost}"
    yield "(with all iterations, turns, attempts and judges, each model of a list, and two requests per answer)"


def _below(budget: Budget, cost: float | None, tokens: int | None, calls: int | None = 0) -> list[str]:
    """Return the limits of a budget that a run could exceed; None means that its usage is unknown."""
    return limits_in_words(
        Budget(
            None if cost is not None and budget.usd is not None and cost <= budget.usd else budget.usd,
            None if tokens is not None and budget.tokens is not None and tokens <= budget.tokens else budget.tokens,
            None if calls is not None and budget.requests is not None and calls <= budget.requests else budget.requests,
        )
    )
