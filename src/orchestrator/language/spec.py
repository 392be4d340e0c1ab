"""The structure of a pipeline file: every key, its type, its meaning. The source of the JSON Schema and the reference.

The models describe the canonical form. Other spellings and short forms become it beforehand (`spellings`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from orchestrator.language import values
from orchestrator.language.durations import parse_duration

if TYPE_CHECKING:
    from orchestrator.language.nodes import Mapping

InputType = Literal["string", "integer", "number", "boolean", "array", "object", "file"]

Duration = Annotated[float, BeforeValidator(parse_duration)]
"""Seconds; written as a number or as a text such as `30s`."""

Words = Annotated[tuple[str, ...], Field(strict=False)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    _node: Mapping | None = PrivateAttr(default=None)

    @property
    def node(self) -> Mapping:
        """The part of the file that this was read from, in canonical spelling: where diagnostics find their places."""
        node = self._node
        if node is None:
            raise LookupError(f"this {type(self).__name__} was not read from a file")
        return node

    def __eq__(self, other: object) -> bool:
        """Two specs are equal if they say the same, wherever they were read."""
        return type(other) is type(self) and other.__dict__ == self.__dict__

    def at(self, node: Mapping) -> None:
        """Remember the part of the file that this was read from."""
        private = self.__pydantic_private__
        if private is None:
            object.__setattr__(self, "__pydantic_private__", {"_node": node})
        else:
            private["_node"] = node


class InputSpec(_Spec):
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
            set_field("type", values.inferred_type(self))

    @property
    def has_default(self) -> bool:
        """Whether `default` was written, be it null."""
        return self._has_default

    def problems(self, value: Any, name: str = "") -> list[str]:
        """Return what is wrong with a value, one plain sentence each; empty if it fits. Null fits if not required.

        The sentences call the value by its `name`, if it has one.
        """
        return values.problems(self, value, name)

    def parse_text(self, text: str) -> Any:
        """Convert a text from a command line or an environment variable to the declared type.

        Raises:
            ValueError: the text cannot be such a value; the message says why in plain words.
        """
        return values.parse_text(self, text)

    def filled(self, value: Any) -> Any:
        """Return the value with the defaults of missing properties put in and 3.0 as an integer's 3, at every depth."""
        return values.filled(self, value)


class OutputSpec(_Spec):
    """One declared output of a pipeline."""

    value: Any = Field(description="A template, or any value with templates in it.")
    type: InputType | None = Field(default=None, description="The type that the value must have.")
    description: str | None = Field(default=None, description="What the output is.")

    def as_input(self) -> InputSpec:
        """Return the declared type in the form of an input's, for what works on both."""
        return InputSpec(type=self.type, required=True)


class RetrySpec(_Spec):
    """How often, and when, a failed attempt of a step is made again."""

    max_attempts: int = Field(default=3, ge=1, description="Attempts in all, the first one included.")
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


class OnFailureSpec(_Spec):
    """What follows when the last attempt of a step has failed.

    Written as `fail`, `continue`, the id of a later step, or `{value: ...}`.
    """

    kind: Literal["fail", "continue", "value", "jump"] = Field(default="fail", description="Which of the four it is.")
    value: Any = Field(default=None, description="The step's value instead of a result.")
    target: str | None = Field(default=None, description="The later step at which the run goes on.")


class DefaultsSpec(_Spec):
    """What holds for every step that does not say otherwise."""

    retry: RetrySpec | None = Field(default=None, description="The steps' retry policy.")
    timeout: Duration | None = Field(default=None, description="How long one attempt of a step may take.")
    max_parallel: int | None = Field(default=None, ge=1, description="How many steps may run at once.")


class StepSpec(_Spec):
    """One step: a call of a tool, with when and how to make it."""

    id: str = Field(
        description="The step's name in expressions, unique in the file: letters, digits, `_`, `-`.",
        json_schema_extra={"pattern": "^[A-Za-z_][A-Za-z0-9_-]*$"},
    )
    name: str | None = Field(default=None, description="A name for people.")
    description: str | None = Field(default=None, description="What the step is for.")
    tool: str | None = Field(default=None, description="The tool to call; `orchestrator tools` lists them.")
    action: str | None = Field(default=None, description="The tool's action; not needed if it has only one.")
    parameters: dict[str, Any] | None = Field(
        default=None, description="The action's parameters; texts may hold templates, `{{ topic }}`."
    )
    dependencies: Words = Field(
        default=(), description="Steps that must end before this one starts, beyond those that its expressions read."
    )
    condition: str | bool | None = Field(
        default=None, description="An expression; the step is skipped when it is false: `topic | length > 10`."
    )
    retry: RetrySpec | None = Field(default=None, description="How often to try, or a retry policy.")
    timeout: Duration | None = Field(default=None, description="How long one attempt may take.")
    on_failure: OnFailureSpec | None = Field(
        default=None,
        description="What follows a failure: `fail`, `continue` (with null), a later step, or `{value: ...}`.",
    )
    on_success: str | None = Field(default=None, description="A later step to jump to after success.")
    on_false: str | None = Field(default=None, description="A later step to jump to when the condition is false.")
    metadata: dict[str, Any] | None = Field(default=None, description="Notes of your own; without effect.")


class PipelineSpec(_Spec):
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
    variables: dict[str, Any] = Field(
        default_factory=dict, description="Constants for expressions; they may use inputs and the variables above them."
    )
    steps: tuple[StepSpec, ...] = Field(default=(), strict=False, description="The steps.")
    outputs: dict[str, OutputSpec] = Field(default_factory=dict, description="What a run returns.")
    metadata: dict[str, Any] | None = Field(default=None, description="Notes of your own; without effect.")
