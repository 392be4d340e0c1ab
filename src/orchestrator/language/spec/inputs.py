"""The declarations of inputs and outputs, as data; `input_values` checks values against them."""

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
"""The types of input to which each limit applies."""


class InputSpec(Spec):
    """One declared input of a pipeline: what callers can pass, and what expressions can rely on."""

    type: InputType | None = Field(
        default=None, description="The type of the value. Default: the type of `default`, else any."
    )
    description: str | None = Field(default=None, description="The purpose of the input.")
    default: Any = Field(default=None, description="The value if none is passed.")
    required: bool = Field(
        default=False,
        description="Whether a value is required. Default: yes, unless there is a `default`.",
    )
    enum: list[Any] | None = Field(default=None, min_length=1, description="The allowed values.")
    minimum: float | None = Field(default=None, description="The minimum number.")
    maximum: float | None = Field(default=None, description="The maximum number.")
    min_length: int | None = Field(default=None, ge=0, description="The minimum length of a string or array.")
    max_length: int | None = Field(default=None, ge=0, description="The maximum length of a string or array.")
    pattern: str | None = Field(
        default=None,
        description="A regular expression that must match somewhere in the string; anchor it with `^`, `$`.",
    )
    items: InputSpec | None = Field(default=None, description="The declaration of each item of an array.")
    properties: dict[str, InputSpec] | None = Field(
        default=None, description="The declared fields of an object; other fields are allowed."
    )
    secret: bool = Field(default=False, description="Never stored, logged or displayed.")
    default_from_env: str | None = Field(
        default=None, description="The environment variable with the value if none is passed."
    )

    _has_default: bool = PrivateAttr(default=False)

    def model_post_init(self, context: Any, /) -> None:
        """Derive the type from the default, and `required` from the absence of a default."""
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
        """Whether `default` is present, even if it is null."""
        return self._has_default


class OutputSpec(Spec):
    """One declared output of a pipeline."""

    value: Any = Field(description="A template, or any value that contains templates.")
    type: InputType | None = Field(default=None, description="The type of the value.")
    description: str | None = Field(default=None, description="The meaning of the output.")

    def as_input(self) -> InputSpec:
        """Return the declared type as an input declaration."""
        return InputSpec(type=self.type, required=True)


def inferred_type(spec: InputSpec) -> InputType | None:
    """Return the type that the default, allowed values or limits of an input imply; None: any."""
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
    """Return the name of the type of a JSON value."""
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
