"""The declarations of a pipeline's inputs and outputs, as data; `input_values` checks values against them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PrivateAttr

from orchestrator.language.spec.base import Spec

InputType = Literal["string", "integer", "number", "boolean", "array", "object", "file"]

LIMITS: dict[str, frozenset[str]] = {
    "minimum": frozenset({"integer", "number"}),
    "maximum": frozenset({"integer", "number"}),
    "min_length": frozenset({"string", "array", "file"}),
    "max_length": frozenset({"string", "array", "file"}),
    "pattern": frozenset({"string", "file"}),
    "items": frozenset({"array"}),
    "properties": frozenset({"object"}),
}
"""The types of input for which each limit has a meaning."""


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
            set_field("type", inferred_type(self))

    @property
    def has_default(self) -> bool:
        """Whether `default` was written, be it null."""
        return self._has_default


class OutputSpec(Spec):
    """One declared output of a pipeline."""

    value: Any = Field(description="A template, or any value with templates in it.")
    type: InputType | None = Field(default=None, description="The type that the value must have.")
    description: str | None = Field(default=None, description="What the output is.")

    def as_input(self) -> InputSpec:
        """Return the declared type in the form of an input's, for what works on both."""
        return InputSpec(type=self.type, required=True)


def inferred_type(spec: InputSpec) -> InputType | None:
    """Return the type that an input without `type` has by its default, allowed values or limits; None: any."""
    samples = [spec.default] if spec.default is not None else list(spec.enum or ())
    names = {type_name(sample) for sample in samples if sample is not None}
    if names == {"integer", "number"}:
        return "number"
    if len(names) == 1:
        return names.pop()  # type: ignore[return-value]  # the words of `type_name` are those of InputType
    given = {name for name in LIMITS if getattr(spec, name) is not None}
    if "properties" in given:
        return "object"
    if "items" in given:
        return "array"
    if "pattern" in given:
        return "string"
    return "number" if given & {"minimum", "maximum"} else None


def type_name(value: Any) -> str:
    """Return the language's word for the type of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, dict) else "array"
