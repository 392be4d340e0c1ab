"""The plan: what a checked pipeline will do. Immutable, complete, and all that the runtime needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from orchestrator.expressions import Value
from orchestrator.expressions.types.value_types import Type
from orchestrator.models.budget import Budget
from orchestrator.plan.auto_values import AutoValue
from orchestrator.plan.concurrency import ConcurrencyPlan
from orchestrator.plan.notices import NotifyPlan
from orchestrator.plan.steps import Block, Handler, StepPlan
from orchestrator.plan.triggers import TriggerPlan

if TYPE_CHECKING:
    from orchestrator.language.spec.inputs import InputSpec  # noqa: TC004 - readers of plans do not load Pydantic


class OutputPlan(Struct, frozen=True):
    """One declared output: the template of its value, and its type."""

    name: str
    value: Value
    type: Type
    description: str = ""
    reads: tuple[str, ...] = ()


class Plan(Struct, frozen=True, weakref=True):
    """A checked pipeline. Relative paths start in `directory`; `digest` identifies what the plan does.

    `pipelines` holds every called pipeline, at any depth, by the path of its file; theirs are empty.
    `autos` are the `<AUTO>` values of the file, `lock` is the key and the text of the lock file in which they were
    looked up.
    `labels` are those that its runs get in addition to the ones given at the start, `concurrency` limits how many are
    executed at once, `triggers` start its runs where a server offers the file, and `notify` names whom they notify;
    none of them changes what a run does.
    `prompts` are the texts of the prompt files that the file uses, by their paths.
    `judge_models` judge results and summarize the pipeline; steps name their models in their parameters.
    """

    id: str
    source_name: str
    source_text: str
    directory: Path
    digest: str
    steps: tuple[StepPlan, ...]
    name: str = ""
    description: str = ""
    version: str = ""
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    variables: Mapping[str, Value] = field(default_factory=dict)
    outputs: Mapping[str, OutputPlan] = field(default_factory=dict)
    finally_: Block | None = None
    error_handlers: tuple[Handler, ...] = ()
    pipelines: Mapping[str, Plan] = field(default_factory=dict)
    max_parallel: int | None = None
    budget: Budget | None = None
    timeout: float | None = None
    labels: tuple[Value, ...] = ()
    concurrency: ConcurrencyPlan | None = None
    triggers: tuple[TriggerPlan, ...] = ()
    notify: NotifyPlan = NotifyPlan()
    judge_models: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    autos: tuple[AutoValue, ...] = ()
    lock: tuple[str, str] | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> dict[str, str]:
        """The texts of all other files of the plan by their keys: called pipelines, prompts, and lock files."""
        prompts = {key: text for plan in (self, *self.pipelines.values()) for key, text in plan.prompts.items()}
        locks = dict(plan.lock for plan in (self, *self.pipelines.values()) if plan.lock is not None)
        return {key: plan.source_text for key, plan in self.pipelines.items()} | prompts | locks
