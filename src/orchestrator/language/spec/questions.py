"""The steps that ask people: a question, and something to approve."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from orchestrator.language.spec.base import Spec
from orchestrator.language.spec.inputs import LIMITS, InputSpec, InputType
from orchestrator.language.values.templates import has_template


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
        if isinstance(self.choices, list) and self.choices and not has_template(self.choices):
            given["enum"] = self.choices
        if self.has_default and not has_template(self.default):
            given["default"] = self.default
        spec = InputSpec(**given, required=True)
        free = self.choices is None and not self.has_default
        return spec.model_copy(update={"type": "string"}) if spec.type is None and free else spec


_LIMITS_OF_ANSWERS = ("type", *LIMITS)


class ApproveSpec(Spec):
    """Something that a person approves or rejects. The step's value is `approved`, true or false.

    Short form: the title alone.
    """

    title: str = Field(description="What is to be approved; it may hold templates.")
    content: Any = Field(default=None, description="What the person looks at: a template or any value.")
    allow_editing: bool = Field(default=False, description="Whether the person may change the content.")
    default: bool | None = Field(default=None, description="The decision when `timeout` has passed.")
