"""The structure of a pipeline file: every key, its type, its meaning. The source of the JSON Schema and the reference.

The models describe the canonical form. Other spellings and short forms become it beforehand (`spellings`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from orchestrator.language.spec.base import Duration, Pause, Spec, Words, keys
from orchestrator.language.spec.model_options import BudgetSpec, CallSpec, CheckSpec, JudgeSpec, Models, Selection
from orchestrator.language.values import input_values

__all__ = [
    "ApproveSpec",
    "AskSpec",
    "BudgetSpec",
    "CacheSpec",
    "CallSpec",
    "CheckSpec",
    "DefaultsSpec",
    "Duration",
    "HandlerSpec",
    "InputSpec",
    "InputType",
    "ItemsSpec",
    "JudgeSpec",
    "Kind",
    "OnFailureSpec",
    "OutputSpec",
    "PipelineSpec",
    "RangeSpec",
    "RetrySpec",
    "Spec",
    "StepSpec",
    "keys",
]

InputType = Literal["string", "integer", "number", "boolean", "array", "object", "file"]

Kind = Literal[
    "tool",
    "for_each",
    "while",
    "until",
    "switch",
    "parallel",
    "steps",
    "pipeline",
    "ask",
    "approve",
    "wait_until",
    "sleep",
]
"""What a step does, by the key that says so."""


class InputSpec(Spec):
    """One declared input of a pipeline: what callers may pass, and what the expressions can rely on."""

    type: InputType | None = Field(
        default=None, description="The type of the value. Without it the type follows from `default`; else any."
    )
    description: str | None = Field(default=None, description="What the input is for.")
    default: Any = Field(default=None, description="The value when none is given.")
    required: bool = Field(
        default=False,
        description="Whether a value must be given. Default: yes, unless there is a `default`.",
    )
    enum: list[Any] | None = Field(default=None, min_length=1, description="The only values allowed.")
    minimum: float | None = Field(default=None, description="The least number allowed.")
    maximum: float | None = Field(default=None, description="The greatest number allowed.")
    min_length: int | None = Field(default=None, ge=0, description="The least length of a string or array.")
    max_length: int | None = Field(default=None, ge=0, description="The greatest length of a string or array.")
    pattern: str | None = Field(
        default=None,
        description="A regular expression that must match somewhere in the string; anchor it with `^`, `$`.",
    )
    items: InputSpec | None = Field(default=None, description="What each item of an array must be.")
    properties: dict[str, InputSpec] | None = Field(
        default=None, description="The known fields of an object; others are allowed."
    )
    secret: bool = Field(default=False, description="Never stored, logged or shown.")
    default_from_env: str | None = Field(
        default=None, description="The environment variable that gives the value when none is passed."
    )

    _has_default: bool = PrivateAttr(default=False)

    def model_post_init(self, context: Any, /) -> None:
        """Resolve what follows from other keys: the type from the default, `required` from its absence."""
        given = self.model_fields_set
        set_field = self.__dict__.__setitem__
        private = {"_node": None, "_has_default": "default" in given}
        object.__setattr__(self, "__pydantic_private__", private)
        if "required" not in given:
            set_field("required", "default" not in given)
        if self.type is None:
            set_field("type", input_values.inferred_type(self))

    @property
    def has_default(self) -> bool:
        """Whether `default` was written, be it null."""
        return self._has_default

    def problems(self, value: Any, name: str = "") -> list[str]:
        """Return what is wrong with a value, one plain sentence each; empty if it fits. Null fits if not required.

        The sentences call the value by its `name`, if it has one.
        """
        return input_values.problems(self, value, name)

    def parse_text(self, text: str) -> Any:
        """Convert a text from a command line or an environment variable to the declared type.

        Raises:
            ValueError: the text cannot be such a value; the message says why in plain words.
        """
        return input_values.parse_text(self, text)

    def filled(self, value: Any) -> Any:
        """Return the value with the defaults of missing properties put in and 3.0 as an integer's 3, at every depth."""
        return input_values.filled(self, value)


class OutputSpec(Spec):
    """One declared output of a pipeline."""

    value: Any = Field(description="A template, or any value with templates in it.")
    type: InputType | None = Field(default=None, description="The type that the value must have.")
    description: str | None = Field(default=None, description="What the output is.")

    def as_input(self) -> InputSpec:
        """Return the declared type in the form of an input's, for what works on both."""
        return InputSpec(type=self.type, required=True)


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


class AskSpec(Spec):
    """A question to a person. The step's value is the answer. Short form: the question alone."""

    prompt: str = Field(description="The question; it may hold templates.")
    type: InputType | None = Field(
        default=None, description="The type of the answer. Without it that of `default` or `choices`; else string."
    )
    choices: list[Any] | str | None = Field(
        default=None, description="The only answers allowed: a list, or a template that gives one."
    )
    default: Any = Field(default=None, description="The answer when `timeout` has passed; a value or a template.")
    minimum: float | None = Field(default=None, description="The least number allowed.")
    maximum: float | None = Field(default=None, description="The greatest number allowed.")
    min_length: int | None = Field(default=None, ge=0, description="The least length of a string or array.")
    max_length: int | None = Field(default=None, ge=0, description="The greatest length of a string or array.")
    pattern: str | None = Field(default=None, description="A regular expression that must match in the answer.")
    items: InputSpec | None = Field(default=None, description="What each item of an array must be.")
    properties: dict[str, InputSpec] | None = Field(default=None, description="The known fields of an object.")

    @property
    def has_default(self) -> bool:
        """Whether `default` was written, be it null."""
        return "default" in self.model_fields_set

    def as_input(self) -> InputSpec:
        """Return what the answer must be, in the form of an input's declaration.

        `choices` and `default` are in it if they are constants; whoever evaluates templates looks after the others.
        """
        given: dict[str, Any] = {
            name: value for name in _LIMITS_OF_ANSWERS if (value := getattr(self, name)) is not None
        }
        if isinstance(self.choices, list) and self.choices and not input_values.has_template(self.choices):
            given["enum"] = self.choices
        if self.has_default and not input_values.has_template(self.default):
            given["default"] = self.default
        spec = InputSpec(**given, required=True)
        free = self.choices is None and not self.has_default
        return spec.model_copy(update={"type": "string"}) if spec.type is None and free else spec


_LIMITS_OF_ANSWERS = ("type", *input_values.LIMITS)


class ApproveSpec(Spec):
    """Something that a person approves or rejects. The step's value is `approved`, true or false.

    Short form: the title alone.
    """

    title: str = Field(description="What is to be approved; it may hold templates.")
    content: Any = Field(default=None, description="What the person looks at: a template or any value.")
    allow_editing: bool = Field(default=False, description="Whether the person may change the content.")
    default: bool | None = Field(default=None, description="The decision when `timeout` has passed.")


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
        for name, kind in _KINDS.items():
            if name in given:
                return kind
        return None


# The fields that say what a step does. A loop comes before what is in its body.
_KINDS: dict[str, Kind] = {
    "for_each": "for_each",
    "while_": "while",
    "until": "until",
    "switch": "switch",
    "parallel": "parallel",
    "pipeline": "pipeline",
    "ask": "ask",
    "approve": "approve",
    "wait_until": "wait_until",
    "sleep": "sleep",
    "steps": "steps",
    "tool": "tool",
    "action": "tool",
}


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
    orchestrator: Models | None = Field(
        default=None, description="The model that judges, plans and summarises; default: `model`."
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
