"""A pipeline that a server has checked, and whose runs it executes."""

from __future__ import annotations

import asyncio
import uuid
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.api.arguments import (
    checked_priority,
    flag,
    inputs_of,
    moment,
    positive,
    several,
    validate_budget,
    word_among,
)
from orchestrator.api.start_key import checked_key
from orchestrator.api.submission import worker_labels
from orchestrator.client.json_values import json_inputs
from orchestrator.client.remote_batch import RemoteAsyncBatchResults, RemoteBatch, RemoteBatchResults
from orchestrator.client.remote_run import RemoteRun
from orchestrator.client.views import forecast_from
from orchestrator.models.budget import Budget
from orchestrator.runtime.run.model_access import merged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from orchestrator.client.connection import ServerConnection
    from orchestrator.diagnostics import Diagnostic
    from orchestrator.forecast.forecast import Forecast
    from orchestrator.history.result import Result
    from orchestrator.language.spec.inputs import InputSpec
    from orchestrator.runtime.host.batches import Row


class RunChoices(Struct, frozen=True):
    """The options of the runs that a client starts. The server has defaults for what is not given."""

    max_parallel: int | None = None
    timeout: float | None = None
    budget: Budget | None = None
    cache: bool | None = None
    refresh: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    key: str | None = None
    priority: int | None = None
    not_before: float | None = None
    runs_on: tuple[str, ...] | None = None

    @classmethod
    def of(cls, **given: Any) -> RunChoices:
        """Check options, and return those that are given."""
        checks: dict[str, Callable[[Any], Any]] = {
            "max_parallel": lambda value: positive("max_parallel", value),
            "timeout": lambda value: positive("timeout", value),
            "budget": validate_budget,
            "cache": lambda value: flag("cache", value),
            "refresh": lambda value: several("refresh", value),
            "labels": lambda value: several("labels", value),
            "key": checked_key,
            "priority": checked_priority,
            "not_before": lambda value: moment("not_before", value),
            "runs_on": worker_labels,
        }
        return cls(**{name: checks[name](value) for name, value in given.items() if value is not None})

    def and_then(self, **given: Any) -> RunChoices:
        """Return the same with other options; those that are None stay."""
        more = RunChoices.of(**given)
        changed = {name: getattr(more, name) for name, value in given.items() if value is not None}
        if "budget" in changed:
            changed["budget"] = merged(self.budget, more.budget)
        return replace(self, **changed)

    def to_dict(self) -> dict[str, Any]:
        """Return them as a request to start a run contains them."""
        given = {
            "max_parallel": self.max_parallel,
            "timeout": self.timeout,
            "budget": None if self.budget is None else budget_view(self.budget),
            "cache": self.cache,
            "refresh": list(self.refresh) or None,
            "labels": list(self.labels) or None,
            "priority": self.priority,
            "not_before": self.not_before,
        }
        return {name: value for name, value in given.items() if value is not None}


class RemotePipeline:
    """A checked pipeline of a server: one that it offers, or one that was sent to it. Immutable and reusable."""

    def __init__(
        self,
        connection: ServerConnection,
        chosen: Mapping[str, Any],
        compiled: Mapping[str, Any],
        diagnostics: tuple[Diagnostic, ...],
        choices: RunChoices,
    ) -> None:
        """`chosen` is what requests contain to name it, `compiled` what the server says of it."""
        self.chosen = chosen
        self.choices = choices
        self._connection = connection
        self._compiled = compiled
        self._diagnostics = diagnostics

    def __repr__(self) -> str:
        return f"RemotePipeline({self.id!r})"

    @property
    def id(self) -> str:
        """The id, by default the name of its file without the ending."""
        return str(self._compiled["id"])

    @property
    def name(self) -> str:
        """The name, by default the id."""
        return str(self._compiled["title"])

    @property
    def description(self) -> str:
        """The description in the file."""
        return str(self._compiled["description"])

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The warnings."""
        return self._diagnostics

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        """The declared inputs by name, for reading."""
        from orchestrator.language.spec.inputs import InputSpec

        declared = self._compiled["plan"]["inputs"]
        return MappingProxyType({name: InputSpec.model_validate(spec) for name, spec in declared.items()})

    @property
    def locked(self) -> tuple[str, int] | None:
        """The lock file on the server that answers of models were taken from, and how many; None if none were."""
        found = self._compiled["locked"]
        return None if found is None else (found["file"], found["answers"])

    def to_dict(self) -> dict[str, Any]:
        """Return the checked plan as JSON data: inputs, steps with those within them, called pipelines, outputs."""
        return dict(self._compiled["plan"])

    def graph(self, format: Literal["mermaid", "svg"] = "mermaid") -> str:
        """Draw the steps and what they wait for."""
        word_among("format", format, ("mermaid", "svg"))
        body = {**self.chosen, "format": format}
        return self._connection.call(
            self._connection.request("POST", "/v1/pipelines/draw", body=body, repeatable=True)
        ).text

    def forecast(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Forecast:
        """Return what a run with these inputs would do and cost on the server. Nothing is run there.

        Raises:
            InputError: They do not fit.
        """
        body = {**self.chosen, "inputs": json_inputs(inputs_of(inputs, kwargs))}
        asked = self._connection.post("/v1/pipelines/forecast", body, repeatable=True)
        return forecast_from(self._connection.call(asked))

    @property
    def budget(self) -> Budget | None:
        """What a run may spend on models, by the file."""
        found = self._compiled["plan"].get("budget")
        return None if found is None else Budget(**found)

    def with_options(
        self,
        *,
        max_parallel: int | None = None,
        timeout: float | None = None,
        budget: Budget | None = None,
        cache: bool | None = None,
        refresh: Iterable[str] | None = None,
        labels: Iterable[str] | None = None,
        key: str | None = None,
        priority: int | None = None,
        not_before: float | datetime | None = None,
        runs_on: Iterable[str] | None = None,
    ) -> RemotePipeline:
        """Return the pipeline with other options for its runs, as `Pipeline.with_options`.

        Without a `key`, each start has one of its own, so that one whose response was lost starts no second run.

        Raises:
            ConfigurationError: A number is not above 0.
        """
        choices = self.choices.and_then(
            max_parallel=max_parallel,
            timeout=timeout,
            budget=budget,
            cache=cache,
            refresh=refresh,
            labels=labels,
            key=key,
            priority=priority,
            not_before=not_before,
            runs_on=runs_on,
        )
        return RemotePipeline(self._connection, self.chosen, self._compiled, self._diagnostics, choices)

    def run(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Result:
        """Run the pipeline with these inputs and wait for the result. Ctrl-C cancels the run.

        Raises:
            InputError: The inputs are invalid; nothing was started.
            RunFailed, RunCancelled, RunPaused: As `Run.result`.
        """
        run = self.start(inputs, **kwargs)
        try:
            return run.result()
        except KeyboardInterrupt:
            run.cancel(reason="interrupted from the keyboard")
            run.wait()
            raise

    def start(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> RemoteRun:
        """Start a run on the server, and return as soon as it is recorded."""
        return self._connection.call(self._started(json_inputs(inputs_of(inputs, kwargs))))

    def submit(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> RemoteRun:
        """Leave a run to a worker that shares the store of the server, as `Pipeline.submit`."""
        return self._connection.call(self._submitted(json_inputs(inputs_of(inputs, kwargs))))

    async def asubmit(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> RemoteRun:
        """As `submit`."""
        return await self._connection.acall(self._submitted(json_inputs(inputs_of(inputs, kwargs))))

    async def arun(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Result:
        """As `run`. Cancelling the caller cancels the run."""
        starting = asyncio.ensure_future(self.astart(inputs, **kwargs))
        try:
            run = await asyncio.shield(starting)
            return await run.aresult()
        except asyncio.CancelledError:
            run = await starting  # the server may have started it already
            await asyncio.shield(run.acancel(reason="its caller was cancelled"))
            raise

    async def astart(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> RemoteRun:
        """As `start`."""
        return await self._connection.acall(self._started(json_inputs(inputs_of(inputs, kwargs))))

    def map(
        self,
        rows: Iterable[Row],
        *,
        max_parallel: int | None = None,
        batch: str | None = None,
        budget: Budget | None = None,
    ) -> RemoteBatchResults:
        """Run the pipeline once for each row, on the server, as `Pipeline.map`.

        Rows are sent while runs are executed, and results arrive in the order in which runs end. After a restart of the
        server the rows that have no result are sent again.

        Raises:
            RunError: ORC817, while the results are read: the batch is unknown, or its rows differ.
        """
        return RemoteBatchResults(self._connection, self._batch(rows, max_parallel, batch, budget))

    def amap(
        self,
        rows: Iterable[Row],
        *,
        max_parallel: int | None = None,
        batch: str | None = None,
        budget: Budget | None = None,
    ) -> RemoteAsyncBatchResults:
        """As `map`. `rows` is read in a thread, as it may have to wait."""
        return RemoteAsyncBatchResults(self._connection, self._batch(rows, max_parallel, batch, budget))

    def _batch(
        self, rows: Iterable[Row], max_parallel: int | None, batch: str | None, budget: Budget | None
    ) -> RemoteBatch:
        validate_budget(budget)
        at_once = positive("max_parallel", max_parallel)
        choices = self.choices.to_dict()
        run_budget = choices.pop("budget", None)
        head = {
            **self.chosen,
            **choices,
            **({} if run_budget is None else {"run_budget": run_budget}),
            **({} if budget is None else {"budget": budget_view(budget)}),
            **({} if at_once is None else {"rows_at_once": int(at_once)}),
        }
        return RemoteBatch(self._connection, head, rows, batch)

    async def _submitted(self, inputs: dict[str, Any]) -> RemoteRun:
        return await self._started(inputs, runs_on=list(self.choices.runs_on or ()))

    async def _started(self, inputs: dict[str, Any], **more: Any) -> RemoteRun:
        key = self.choices.key or f"client-{uuid.uuid4().hex}"
        body = {**self.chosen, "inputs": inputs, **self.choices.to_dict(), **more}
        found = await self._connection.post("/v1/runs", body, headers={"idempotency-key": key}, repeatable=True)
        return RemoteRun(self._connection, found["run"]["run_id"])


def budget_view(budget: Budget) -> dict[str, float]:
    """Return a budget as requests contain it."""
    return {name: limit for name, limit in budget.to_dict().items() if limit is not None}
