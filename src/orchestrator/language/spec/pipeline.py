"""The structure of a pipeline file: every key, its type, its meaning. The source of the JSON Schema and the reference.

The models describe the canonical form. Other spellings and short forms become it beforehand (`spellings`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from orchestrator.language.spec.base import Duration, Pause, Spec, Words, key_fields
from orchestrator.language.spec.inputs import InputSpec, OutputSpec
from orchestrator.language.spec.kinds import HEADS, Kind
from orchestrator.language.spec.model_options import BudgetSpec, CheckSpec, Models, Selection
from orchestrator.language.spec.questions import ApproveSpec, AskSpec


class RetrySpec(Spec):
    """How often, and when, a failed attempt of a step is made again."""

    max_attempts: int = Field(
        default=3,
        ge=1,
        description="Attempts in all, the first one included: 2 tries twice. `max_retries: 2`, as other tools write "
        "it, means two attempts after the first, so three in all.",
    )
    delay: Duration = Field(default=1.0, description="How long to wait before the second attempt.")
    backoff: float = Field(
        default=2.0, ge=1, description="The factor by which each further delay grows; 1 keeps it constant."
    )
    max_delay: Duration = Field(default=60.0, description="The longest delay.")
    jitter: float = Field(
        default=0.1, ge=0, le=1, description="How much a delay may vary by chance: 0.1 is 10 per cent."
    )
    on: Words = Field(
        default=(), description="Codes or type names of the errors that are worth another attempt; empty: all."
    )


class OnFailureSpec(Spec):
    """What follows when the last attempt of a step has failed.

    Written as `fail`, `continue`, the id of a later step, or `{value: ...}`.
    """

    kind: Literal["fail", "continue", "value", "jump"] = Field(default="fail", description="Which of the four it is.")
    value: Any = Field(default=None, description="The step's value instead of a result.")
    target: str | None = Field(default=None, description="The later step at which the run goes on.")


class DefaultsSpec(Spec):
    """What holds for every step that does not say otherwise."""

    retry: RetrySpec | None = Field(default=None, description="The steps' retry policy.")
    timeout: Duration | None = Field(default=None, description="How long one attempt of a step may take.")
    max_parallel: int | None = Field(default=None, ge=1, description="How many steps may run at once.")


class RangeSpec(Spec):
    """The integers from `start` to `stop`, without `stop`; each a number or a template."""

    start: int | str = Field(default=0, description="The first number.")
    stop: int | str = Field(description="Where the numbers end; this one is not among them.")
    step: int | str = Field(default=1, description="The distance from one number to the next; not 0.")


class ItemsSpec(Spec):
    """What a loop goes over: exactly one of `value`, `range` and `file`.

    Written as a template, a list, a mapping (its items are `{key, value}`), `{range: 10}` or `{file: rows.jsonl}`.
    """

    value: Any = Field(default=None, description="A template that gives a list or an object, or such a value itself.")
    range: RangeSpec | None = Field(default=None, description="Numbers: `10`, `[1, 10]` or `[1, 10, 2]`.")
    file: str | None = Field(default=None, description="A file whose rows are read one after another, lazily.")
    format: Literal["jsonl", "csv", "text"] | None = Field(
        default=None, description="What the file's lines are. Default: from the file's ending, else text."
    )
    delimiter: str | None = Field(
        default=None,
        description="What separates the cells of CSV. Default: a comma, or what the first lines are evenly divided by.",
    )
    encoding: str | None = Field(
        default=None, description="The file's encoding, such as `windows-1252`. Default: UTF-8, or UTF-16 by its mark."
    )


class CacheSpec(Spec):
    """Results are shared across runs. Written as `true` or as a mapping."""

    ttl: Duration | None = Field(default=None, description="How long a result may be used again. Default: for ever.")
    key: Any = Field(default=None, description="What the result depends on besides the call itself.")
    scope: Literal["pipeline", "store"] = Field(
        default="store", description="Whether the other pipelines of the store share the results too."
    )


class StepSpec(Spec):
    """One step, with when and how to take it. It has exactly one kind of work: a tool, a loop, a question, ..."""

    id: str = Field(
        description="The step's name in expressions, unique in its list: letters, digits, `_`, `-`.",
        json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_-]*$"},
    )
    name: str | None = Field(default=None, description="A name for people.")
    description: str | None = Field(default=None, description="What the step is for.")
    tool: str | None = Field(default=None, description="The tool to call; `orchestrator tools` lists them.")
    action: str | None = Field(default=None, description="The tool's action; not needed if it has only one.")
    parameters: dict[str, Any] | None = Field(
        default=None, description="The action's parameters; texts may hold templates, `{{ topic }}`."
    )
    for_each: ItemsSpec | None = Field(
        default=None,
        description="A loop: `steps`, or the step's own action, once for each item. `{{ rows }}`, a list, a mapping, "
        "`{range: 10}`, or `{file: rows.jsonl}`.",
    )
    as_: str | None = Field(default=None, alias="as", description="The item's name in expressions; default `item`.")
    max_parallel: int | None = Field(default=None, ge=1, description="How many items may be under way at once.")
    on_item_failure: OnFailureSpec | None = Field(
        default=None,
        description="What follows when an item fails: `fail`, `continue` (with null), or `{value: ...}`.",
    )
    min_success: float | None = Field(
        default=None, ge=0, le=1, description="The share of items, from 0 to 1, that must succeed."
    )
    while_: str | bool | None = Field(
        default=None, alias="while", description="A loop: `steps` again and again while this expression is true."
    )
    until: str | bool | None = Field(
        default=None, description="A loop: `steps` again and again until this expression is true after a round."
    )
    max_iterations: int = Field(default=100, ge=1, description="How many rounds the loop may make.")
    on_limit: Literal["fail", "continue"] = Field(
        default="fail", description="What follows when the loop has made `max_iterations` rounds and is not done."
    )
    initial: dict[str, Any] | None = Field(
        default=None, description="First values of names that `update` changes; without one it is null."
    )
    update: dict[str, Any] | None = Field(
        default=None, description="New values after each round, by name: `{total: '{{ total + count }}'}`."
    )
    collect: Any = Field(
        default=None, description="The value of an item or a round, instead of that of the body's last step."
    )
    switch: Any = Field(default=None, description="A choice: the value by which one of `cases` is taken.")
    cases: dict[str, tuple[StepSpec, ...]] | None = Field(
        default=None, description="The steps for each value: a list of steps, or one step."
    )
    default: tuple[StepSpec, ...] | None = Field(default=None, description="The steps when none of `cases` fits.")
    parallel: tuple[StepSpec, ...] | None = Field(
        default=None, description="A group whose steps run side by side; its value is the object of all their values."
    )
    wait_for: Literal["all", "any"] | Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="How many steps of `parallel` must succeed; the others are then cancelled. Default: `all`.",
    )
    steps: tuple[StepSpec, ...] | None = Field(
        default=None, description="The body of a loop; alone, a group with a condition, timeout or failure in common."
    )
    pipeline: str | None = Field(
        default=None, description="The file of another pipeline, which runs as a part of this one."
    )
    inputs: dict[str, Any] | None = Field(default=None, description="The inputs of that pipeline.")
    max_depth: int | None = Field(
        default=None, ge=1, description="How deep a pipeline may call itself; without it, it may not."
    )
    ask: AskSpec | None = Field(default=None, description="A question to a person: the text, or a mapping.")
    approve: ApproveSpec | None = Field(
        default=None, description="Something that a person approves or rejects: its title, or a mapping."
    )
    wait_until: str | float | None = Field(
        default=None, description="Wait until a time: ISO 8601, or a template that gives one."
    )
    sleep: Pause | None = Field(default=None, description="Wait for a duration, or a template that gives one.")
    dependencies: Words = Field(
        default=(), description="Steps that must end before this one starts, beyond those that its expressions read."
    )
    condition: str | bool | None = Field(
        default=None, description="An expression; the step is skipped when it is false: `topic | length > 10`."
    )
    retry: RetrySpec | None = Field(
        default=None,
        description="How often to try in all, or a retry policy: `2` makes one more attempt after a failed first one, "
        "`max_retries: 2` makes two more.",
    )
    timeout: Duration | None = Field(
        default=None,
        description="How long one attempt may take; for steps that consist of steps, how long all of it may.",
    )
    on_failure: OnFailureSpec | None = Field(
        default=None,
        description="What follows a failure: `fail`, `continue` (with null), a later step, or `{value: ...}`.",
    )
    on_error: tuple[HandlerSpec, ...] | None = Field(
        default=None, description="What to do about a failure before `on_failure`: a handler, or a list of them."
    )
    on_success: str | None = Field(default=None, description="A later step to jump to after success.")
    on_false: str | None = Field(default=None, description="A later step to jump to when the condition is false.")
    on_resume: Literal["rerun", "fail", "ask"] = Field(
        default="rerun", description="What becomes of an attempt that was under way when its process died."
    )
    cache: CacheSpec | None = Field(
        default=None, description="Whether results are shared across runs: true, or `{ttl: 1d}`."
    )
    check: CheckSpec | None = Field(
        default=None,
        description="What the output must be: an expression, a list of them, or a mapping. In them it is `output`.",
    )
    budget: BudgetSpec | None = Field(
        default=None,
        description="The most that the step, with all steps within, may spend on models: USD, or a mapping.",
    )
    metadata: dict[str, Any] | None = Field(default=None, description="Notes of your own; without effect.")

    @property
    def kind(self) -> Kind | None:
        """The kind of work, None if there is none. `steps` is the kind of a group only, not of a loop's body."""
        given = self.model_fields_set
        for name, kind in _KIND_BY_FIELD.items():
            if name in given:
                return kind
        return None


_KIND_BY_FIELD: dict[str, Kind] = {key_fields(StepSpec)[head]: kind for head, kind in HEADS.items()}


class HandlerSpec(Spec):
    """What to do about an error that matches: one of `error_types` and one of `error_patterns`; without them, any.

    The one step of a handler may stand in it without `steps`: `{tool: ..., parameters: ...}`.
    """

    error_types: Words = Field(default=(), description="Names or codes of errors: `[StepTimeout, ORC706]`.")
    error_patterns: Words = Field(default=(), description="Regular expressions; one must be found in the message.")
    retry: RetrySpec | None = Field(default=None, description="Further attempts of the step, before anything else.")
    steps: tuple[StepSpec, ...] | None = Field(default=None, description="The steps to run; `error` is in their scope.")
    fallback_value: Any = Field(
        default=None, description="The failed step's value, instead of that of the handler's last step."
    )

    @property
    def has_fallback(self) -> bool:
        """Whether `fallback_value` was written, be it null."""
        return "fallback_value" in self.model_fields_set


class PipelineSpec(Spec):
    """A whole pipeline file."""

    id: str | None = Field(
        default=None,
        description="The pipeline's name in runs and URLs; default: the file's name.",
        json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_-]*$"},
    )
    name: str | None = Field(default=None, description="A name for people.")
    description: str | None = Field(default=None, description="What the pipeline does.")
    version: str | None = Field(default=None, description="Your version of the pipeline.")
    inputs: dict[str, InputSpec] = Field(
        default_factory=dict, description="What callers may pass: `topic: solar cells` gives a default."
    )
    defaults: DefaultsSpec | None = Field(default=None, description="Settings for every step.")
    model: Models | None = Field(
        default=None, description="The model of every step that names none; of a list, the first that answers."
    )
    experts: dict[str, Models] | None = Field(
        default=None, description="Models by what they are asked for: an action, `tool.action`, or a tool."
    )
    selection: Selection | None = Field(
        default=None, description="What counts most where a step says what its model must be, and not which it is."
    )
    judge_model: Models | None = Field(
        default=None, description="The model that judges results and summarizes the pipeline; default: `model`."
    )
    budget: BudgetSpec | None = Field(
        default=None, description="The most that a run may spend on models: USD, or a mapping."
    )
    timeout: Duration | None = Field(
        default=None,
        description="How long a run may take; then it fails. Time in which it is paused or asks people is not counted.",
    )
    variables: dict[str, Any] = Field(
        default_factory=dict, description="Constants for expressions; they may use inputs and the variables above them."
    )
    steps: tuple[StepSpec, ...] = Field(default=(), strict=False, description="The steps.")
    finally_: tuple[StepSpec, ...] | None = Field(
        default=None, alias="finally", description="Steps that run at the end, after success, failure and cancel."
    )
    error_handlers: tuple[HandlerSpec, ...] | None = Field(
        default=None, description="What to do when the run has failed; it has failed all the same."
    )
    outputs: dict[str, OutputSpec] = Field(default_factory=dict, description="What a run returns.")
    metadata: dict[str, Any] | None = Field(default=None, description="Notes of your own; without effect.")
