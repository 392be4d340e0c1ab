"""The keys of a pipeline file, with their types and meanings: the source of the JSON Schema and the reference.

The models describe the canonical form; `aliases` converts other spellings and short forms before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from orchestrator.language.spec.base import Count, Duration, Pause, Share, Span, Spec, Words, key_fields
from orchestrator.language.spec.concurrency import ConcurrencySpec
from orchestrator.language.spec.failures import FailSpec
from orchestrator.language.spec.inputs import InputSpec, OutputSpec
from orchestrator.language.spec.kinds import HEADS, Kind
from orchestrator.language.spec.model_options import BudgetSpec, CheckSpec, Models, ProfileSpec, Selection
from orchestrator.language.spec.notices import NotifySpec
from orchestrator.language.spec.questions import ApproveSpec, AskSpec
from orchestrator.language.spec.triggers import TriggerSpec
from orchestrator.text.csv_text import ColumnType


class RetrySpec(Spec):
    """How often and when a failed attempt is retried."""

    max_attempts: Count = Field(
        default=3,
        description="The total number of attempts, including the first: 2 allows one retry. `max_retries: 2` means "
        "two retries after the first attempt, so three attempts.",
    )
    delay: Span = Field(default=1.0, description="The delay before the second attempt.")
    backoff: float = Field(default=2.0, ge=1, description="The factor by which each delay grows; 1 keeps it constant.")
    max_delay: Duration = Field(default=60.0, description="The maximum delay.")
    jitter: float = Field(default=0.1, ge=0, le=1, description="The random variation of a delay: 0.1 is 10 percent.")
    on: Words = Field(default=(), description="Codes or type names of the errors to retry; empty: all.")


class OnFailureSpec(Spec):
    """What happens when the last attempt of a step has failed.

    Written as `fail`, `continue`, the id of a later step, or `{value: ...}`.
    """

    kind: Literal["fail", "continue", "value", "jump"] = Field(default="fail", description="The kind of action.")
    value: Any = Field(default=None, description="The value of the step instead of a result.")
    target: str | None = Field(default=None, description="The later step where the run continues.")


class DefaultsSpec(Spec):
    """Defaults for every step."""

    retry: RetrySpec | None = Field(default=None, description="The retry policy of steps.")
    timeout: Duration | None = Field(default=None, description="The timeout of one attempt of a step.")
    max_parallel: int | None = Field(default=None, ge=1, description="The maximum number of steps that run at once.")


class RangeSpec(Spec):
    """The integers from `start` up to but not including `stop`; each key is a number or a template."""

    start: int | str = Field(default=0, description="The first number.")
    stop: int | str = Field(description="The end of the range, which is not included.")
    step: int | str = Field(default=1, description="The difference between two numbers; not 0.")


class ItemsSpec(Spec):
    """The items of a loop: exactly one of `value`, `range`, `file`, `matrix` and `zip`.

    Written as a template, a list, a mapping (its items are `{key, value}`), `{range: 10}`, `{file: rows.jsonl}`, or
    lists by name: `{matrix: {size: [1, 2], color: [red, blue]}}` or `{zip: {name: [a, b], age: [3, 4]}}`.
    """

    value: Any = Field(default=None, description="A list, an object, or a template for one.")
    range: RangeSpec | None = Field(default=None, description="Numbers: `10`, `[1, 10]` or `[1, 10, 2]`.")
    file: str | None = Field(default=None, description="A file whose rows are read lazily.")
    format: Literal["jsonl", "csv", "text"] | None = Field(
        default=None, description="The format of the file. Default: by its suffix, else text."
    )
    delimiter: str | None = Field(
        default=None,
        description="The delimiter of CSV. Default: a comma, or what divides the first lines evenly.",
    )
    encoding: str | None = Field(
        default=None,
        description="The encoding, such as `windows-1252`. Default: UTF-8, or UTF-16 if there is a byte order mark.",
    )
    types: dict[str, ColumnType] | None = Field(
        default=None,
        description="The types of CSV columns, by name. Default: numbers or booleans where that loses nothing.",
    )
    matrix: dict[str, list[Any] | str] | None = Field(
        default=None, description="Lists by name: an item for every combination, an object with these names."
    )
    exclude: list[dict[str, Any]] | str | None = Field(
        default=None, description="Combinations of a `matrix` to leave out: those that have all fields of one of these."
    )
    include: list[dict[str, Any]] | str | None = Field(
        default=None, description="Further items, after the combinations of a `matrix`."
    )
    zip: dict[str, list[Any] | str] | None = Field(
        default=None, description="Lists of the same length by name: their first items together, then their second ..."
    )


class CacheSpec(Spec):
    """The cache of results across runs. Written as `true` or as a mapping."""

    ttl: Duration | None = Field(default=None, description="How long a result can be reused. Default: forever.")
    key: Any = Field(default=None, description="What the result depends on in addition to the call.")
    scope: Literal["pipeline", "store"] = Field(
        default="store", description="Which pipelines share the results: this one, or all pipelines of the store."
    )


class StepSpec(Spec):
    """One step, with its conditions and policies. It has exactly one kind of work: a tool, a loop, a question, ..."""

    id: str = Field(
        description="The name of the step in expressions, unique in its list: letters, digits, `_`, `-`.",
        json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_-]*$"},
    )
    name: str | None = Field(default=None, description="A display name.")
    description: str | None = Field(default=None, description="The purpose of the step.")
    tool: str | None = Field(default=None, description="The tool to call; `orchestrator tools` lists them.")
    action: str | None = Field(default=None, description="The action of the tool; optional if it has only one.")
    parameters: dict[str, Any] | None = Field(
        default=None, description="The parameters of the action; texts may contain templates."
    )
    profile: str | None = Field(
        default=None,
        description="The name of one of `profiles`: settings of the model call that the step does not have itself.",
    )
    for_each: ItemsSpec | None = Field(
        default=None,
        description="A loop: runs `steps`, or its own action, for each item of `{{ rows }}`, a list, a mapping, "
        "`{range: 10}`, `{file: rows.jsonl}`, `{matrix: {...}}` or `{zip: {...}}`.",
    )
    as_: str | None = Field(
        default=None, alias="as", description="The name of the item in expressions; default `item`."
    )
    max_parallel: Count | None = Field(default=None, description="The maximum number of items that run at once.")
    on_item_failure: OnFailureSpec | None = Field(
        default=None,
        description="What happens when an item fails: `fail`, `continue` (with null), or `{value: ...}`.",
    )
    min_success: Share | None = Field(default=None, description="The share of items, from 0 to 1, that must succeed.")
    while_: str | bool | None = Field(
        default=None, alias="while", description="A loop: repeats `steps` while this expression is true."
    )
    until: str | bool | None = Field(
        default=None, description="A loop: repeats `steps` until this expression is true after a round."
    )
    max_iterations: Count = Field(default=100, description="The maximum number of rounds.")
    on_limit: Literal["fail", "continue"] = Field(
        default="fail", description="What happens when the loop reaches `max_iterations`."
    )
    initial: dict[str, Any] | None = Field(
        default=None, description="Initial values of the names that `update` changes in a loop; default null."
    )
    update: dict[str, Any] | None = Field(
        default=None,
        description="Values after each round or item, by name: `{total: '{{ total + count }}'}`. With them, the "
        "items of a `for_each` run one after another.",
    )
    collect: Any = Field(
        default=None, description="The value of an item or a round. Default: the value of the last step."
    )
    switch: Any = Field(default=None, description="A branch: the value that selects one of `cases`.")
    cases: dict[str, tuple[StepSpec, ...]] | None = Field(
        default=None, description="The steps for each value: a list of steps, or one step."
    )
    default: tuple[StepSpec, ...] | None = Field(default=None, description="The steps if no case matches.")
    parallel: tuple[StepSpec, ...] | None = Field(
        default=None, description="A group whose steps run in parallel; its value is an object of all their values."
    )
    wait_for: Literal["all", "any"] | Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="The number of `parallel` steps, or items of a `for_each`, that must succeed; the rest is "
        "cancelled. Default: `all`.",
    )
    steps: tuple[StepSpec, ...] | None = Field(
        default=None,
        description="The body of a loop; without a loop, a group with a common condition, timeout or failure policy.",
    )
    in_order: bool = Field(
        default=False,
        description="Whether each of the inner steps waits for the one above it, in addition to those that it reads.",
    )
    compensate: bool = Field(
        default=False,
        description="Whether the steps in the group are undone when the group fails or is cancelled.",
    )
    pipeline: str | None = Field(
        default=None, description="The file of another pipeline, which runs as part of this one."
    )
    inputs: dict[str, Any] | None = Field(default=None, description="The inputs of that pipeline.")
    max_depth: int | None = Field(
        default=None, ge=1, description="How deep a pipeline may call itself. Default: not at all."
    )
    detach: bool = Field(
        default=False,
        description="Whether that pipeline becomes a run of its own, which outlives this one. The step ends when that "
        "run has been started, and its value is the id of that run.",
    )
    ask: AskSpec | None = Field(default=None, description="A question to a person: the text, or a mapping.")
    approve: ApproveSpec | None = Field(default=None, description="An approval by a person: the title, or a mapping.")
    wait_until: str | float | None = Field(
        default=None, description="Waits until a time: ISO 8601, or a template for one."
    )
    sleep: Pause | None = Field(default=None, description="Waits for a duration, or a template for one.")
    value: Any = Field(default=None, description="A computed value: a template, or any value that contains templates.")
    fail: FailSpec | None = Field(
        default=None, description="Fails on purpose: the message, or `{message: ..., code: ...}`."
    )
    end: dict[str, Any] | None = Field(
        default=None,
        description="Ends the pipeline early, as succeeded: `true`, or values for some or all of its outputs.",
    )
    dependencies: Words = Field(
        default=(),
        description="Steps that must end before this one starts, in addition to those that its expressions read.",
    )
    condition: str | bool | None = Field(
        default=None, description="An expression; the step is skipped when it is false: `topic | length > 10`."
    )
    retry: RetrySpec | None = Field(
        default=None,
        description="The total number of attempts, or a retry policy: `2` allows one retry, "
        "`max_retries: 2` allows two.",
    )
    timeout: Span | None = Field(
        default=None,
        description="The timeout of one attempt; for a step that contains steps, the timeout of all of it.",
    )
    on_failure: OnFailureSpec | None = Field(
        default=None,
        description="What happens after a failure: `fail`, `continue` (with null), a later step, or `{value: ...}`.",
    )
    on_error: tuple[HandlerSpec, ...] | None = Field(
        default=None, description="Error handlers, which run before `on_failure`: one handler, or a list of them."
    )
    undo: tuple[StepSpec, ...] | None = Field(
        default=None,
        description="One step or a list of steps that undo this one after its success, when the run fails or is "
        "cancelled, or the group with `compensate` that contains it.",
    )
    on_success: str | None = Field(default=None, description="A later step to jump to after success.")
    on_false: str | None = Field(default=None, description="A later step to jump to if the condition is false.")
    on_resume: Literal["rerun", "fail", "ask"] = Field(
        default="rerun",
        description="What happens to an attempt that was running when its process died. What must not happen twice, "
        "such as a mail, fails by default.",
    )
    cache: CacheSpec | None = Field(
        default=None, description="Whether results are shared across runs: true, or `{ttl: 1d}`."
    )
    check: CheckSpec | None = Field(
        default=None,
        description="Checks of the output: an expression that reads `output`, a list of them, or a mapping.",
    )
    produces: Words = Field(
        default=(),
        description="Files that the step writes: when it ends, each must exist. Paths from the run's directory, or "
        "templates, which can read `output`; in a loop with its own action, of each item.",
    )
    budget: BudgetSpec | None = Field(
        default=None,
        description="The model budget of the step, including its inner steps: USD, or a mapping.",
    )
    metadata: dict[str, Any] | None = Field(default=None, description="Custom notes; without effect.")

    _result_names: Mapping[str, str] = PrivateAttr()

    @property
    def result_names(self) -> Mapping[str, str]:
        """The older names of the fields of its result, each with its name here; "" is the value of the step."""
        private = self.__pydantic_private__
        return private.get("_result_names", {}) if private is not None else {}

    def rename_results(self, names: Mapping[str, str]) -> None:
        """Store the older names of the fields of its result."""
        if self.__pydantic_private__ is not None:
            self.__pydantic_private__["_result_names"] = names

    @property
    def kind(self) -> Kind | None:
        """The kind of work, or None. `steps` is the kind of a group, not of the body of a loop."""
        given = self.model_fields_set
        for name, kind in _KIND_BY_FIELD.items():
            if name in given:
                return kind
        return None


_KIND_BY_FIELD: dict[str, Kind] = {key_fields(StepSpec)[head]: kind for head, kind in HEADS.items()}


class HandlerSpec(Spec):
    """An error handler. It matches one of `error_types` and one of `error_patterns`; without them, any error.

    A single step can be written directly in the handler: `{tool: ..., parameters: ...}`.
    """

    error_types: Words = Field(default=(), description="Names or codes of errors: `[StepTimeout, ORC706]`.")
    error_patterns: Words = Field(default=(), description="Regular expressions; one must match in the message.")
    retry: RetrySpec | None = Field(
        default=None, description="Further attempts of the step, before the steps of the handler."
    )
    steps: tuple[StepSpec, ...] | None = Field(default=None, description="The steps to run; they can read `error`.")
    fallback_value: Any = Field(
        default=None, description="The value of the failed step. Default: the value of the last step of the handler."
    )

    @property
    def has_fallback(self) -> bool:
        """Whether `fallback_value` is present, even if it is null."""
        return "fallback_value" in self.model_fields_set


class PipelineSpec(Spec):
    """A whole pipeline file."""

    id: str | None = Field(
        default=None,
        description="The name of the pipeline in runs and URLs; default: the file name.",
        json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_-]*$"},
    )
    name: str | None = Field(default=None, description="A display name.")
    description: str | None = Field(default=None, description="The purpose of the pipeline.")
    version: str | None = Field(default=None, description="The version of the pipeline.")
    inputs: dict[str, InputSpec] = Field(
        default_factory=dict, description="The inputs: `topic: solar cells` sets a default."
    )
    defaults: DefaultsSpec | None = Field(default=None, description="Defaults for every step.")
    model: Models | None = Field(
        default=None, description="The default model of steps; of a list, the first that answers."
    )
    experts: dict[str, Models] | None = Field(
        default=None, description="Models by task: an action, `tool.action`, or a tool."
    )
    selection: Selection | None = Field(
        default=None, description="The priority when a model is selected by requirements."
    )
    profiles: dict[str, ProfileSpec] | None = Field(
        default=None,
        description="Named settings of model calls: `{careful: {model: auto, temperature: 0}}`; a step uses one with "
        "`profile: careful`.",
    )
    judge_model: Models | None = Field(
        default=None, description="The model that judges results and summarizes the pipeline; default: `model`."
    )
    budget: BudgetSpec | None = Field(default=None, description="The model budget of a run: USD, or a mapping.")
    timeout: Duration | None = Field(
        default=None,
        description="The timeout of a run. Time in which it is paused or waits for people does not count.",
    )
    variables: dict[str, Any] = Field(
        default_factory=dict, description="Constants for expressions; they can read inputs and earlier variables."
    )
    steps: tuple[StepSpec, ...] = Field(default=(), strict=False, description="The steps.")
    in_order: bool = Field(
        default=False,
        description="Whether each of the steps waits for the one above it, in addition to those that it reads.",
    )
    prose_actions: bool = Field(
        default=False,
        description="Whether an `action` in plain English is a model call: `action: Summarize {{ text }}` asks a model "
        "with this text as the `prompt`.",
    )
    finally_: tuple[StepSpec, ...] | None = Field(
        default=None, alias="finally", description="Steps that run at the end, after success, failure and cancellation."
    )
    error_handlers: tuple[HandlerSpec, ...] | None = Field(
        default=None, description="Error handlers that run when the run has failed; it remains failed."
    )
    outputs: dict[str, OutputSpec] = Field(default_factory=dict, description="The outputs of a run.")
    labels: Words = Field(
        default=(),
        description="Words by which the runs can be found, in addition to those given at the start; templates can read "
        "inputs and variables.",
    )
    concurrency: ConcurrencySpec | None = Field(
        default=None,
        description="How many runs may be executed at once, and what a new one does when there are that many: a "
        "number, a key, or a mapping.",
    )
    triggers: dict[str, TriggerSpec] | None = Field(
        default=None, description="What starts runs by itself while a server offers the pipeline, by name."
    )
    notify: NotifySpec | None = Field(
        default=None,
        description="Who is notified when a run fails, waits for a person, or has used most of its budget: a target, a "
        "list of them, or a mapping by occasion.",
    )
    metadata: dict[str, Any] | None = Field(default=None, description="Custom notes; without effect.")
