"""The public face: compile a pipeline, run it, follow it, control it, look at it afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.diagnostics import Diagnostic
from orchestrator.journal.events import Event, RunState
from orchestrator.journal.status import RunStatus
from orchestrator.tools.permissions import Permissions
from orchestrator.tools.registry import Registry


@dataclass(frozen=True, slots=True)
class Report:
    """What `check` found."""

    diagnostics: tuple[Diagnostic, ...]

    @property
    def ok(self) -> bool:
        """True when no diagnostic is an error."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class StepResult:
    """How one step ended. Times in seconds since the epoch; `duration` in seconds, of the last attempt."""

    path: str
    state: str
    output: Any = None
    attempts: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    duration: float = 0.0
    error: Mapping[str, Any] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run achieved, however it ended."""

    run_id: str
    state: RunState
    outputs: Mapping[str, Any]
    steps: Mapping[str, StepResult]
    error: Mapping[str, Any] | None = None
    log: Sequence[Event] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]: ...
    def to_markdown(self) -> str: ...


class Run:
    """A handle on one run, whoever executes it. Every sync method `x` has the async twin `ax`."""

    id: str

    def status(self) -> RunStatus: ...
    def events(self, *, after: int = 0, follow: bool = True) -> Iterator[Event]: ...
    def wait(self, *, timeout: float | None = None) -> RunStatus: ...  # ended or paused; TimeoutError
    def result(self, *, timeout: float | None = None) -> Result: ...  # waits; raises RunFailed, RunCancelled, RunPaused
    def snapshot(self) -> Result: ...  # what the run has achieved so far, in any state; never waits, never raises for it
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def cancel(self, *, reason: str = "") -> None: ...
    async def astatus(self) -> RunStatus: ...
    def aevents(self, *, after: int = 0, follow: bool = True) -> AsyncIterator[Event]: ...
    async def await_(self, *, timeout: float | None = None) -> RunStatus: ...
    async def aresult(self, *, timeout: float | None = None) -> Result: ...
    async def apause(self) -> None: ...
    async def aresume(self) -> None: ...
    async def acancel(self, *, reason: str = "") -> None: ...


class Pipeline:
    """A compiled pipeline: immutable, reusable, safe to share between threads."""

    id: str
    name: str
    description: str
    diagnostics: tuple[Diagnostic, ...]  # the warnings

    @property
    def inputs(self) -> Mapping[str, Any]: ...  # name -> language.spec.InputSpec
    @property
    def outputs(self) -> Mapping[str, Any]: ...  # name -> compiler.plan.OutputPlan
    @property
    def steps(self) -> Sequence[Any]: ...  # compiler.plan.StepPlan, in the file's order
    def graph(self, format: str = "mermaid") -> str: ...  # "mermaid" | "svg"
    def with_options(self, *, max_parallel: int | None = None, timeout: float | None = None) -> Pipeline: ...
    def run(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Result: ...
    def start(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Run: ...
    async def arun(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Result: ...
    async def astart(self, inputs: Mapping[str, Any] | None = None, /, **kwargs: Any) -> Run: ...


class Orchestrator:
    """One explicit configuration: where runs are stored, which tools exist, what they may do.

    `store`: a URL, default `sqlite:///.orchestrator/runs.db` below `directory`. `tools`: `@tool` functions, classes,
    modules, or names of modules. `permissions`: default from `orchestrator.toml` in `directory`, else deny.
    """

    def __init__(
        self,
        *,
        store: str | None = None,
        tools: Sequence[Any] = (),
        permissions: Permissions | None = None,
        directory: str | Path | None = None,
        max_parallel: int | None = None,
    ) -> None: ...
    def compile(self, source: str | Path | Mapping[str, Any]) -> Pipeline: ...
    def check(self, source: str | Path | Mapping[str, Any]) -> Report: ...
    def get_run(self, run_id: str) -> Run: ...  # a unique prefix or "last"
    def list_runs(self, *, state: RunState | None = None, limit: int = 50) -> list[RunStatus]: ...
    def resume(self, run_id: str, *, inputs: Mapping[str, Any] | None = None) -> Run: ...
    @property
    def registry(self) -> Registry: ...  # the tools that steps can use, from orchestrator.tools
    def __enter__(self) -> Orchestrator: ...
    def __exit__(self, *exc: object) -> None: ...
    def close(self) -> None: ...


# The module-level functions of `import orchestrator as orc` (compile, check, get_run, list_runs, resume) use
# `default()`, an Orchestrator with no arguments, made on first use.
