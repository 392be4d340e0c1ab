"""The specs of steps that involve people: questions and approvals."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from orchestrator.language.spec.base import Spec
from orchestrator.language.spec.inputs import LIMITS, InputSpec, InputType
from orchestrator.language.values.templates import has_template


class AskSpec(Spec):
    """A question to a person. The value of the step is the answer. Short form: the question alone."""

    prompt: str = Field(description="The question; it may contain templates.")
    type: InputType | None = Field(
        default=None, description="The type of the answer. Default: the type of `default` or `choices`, else string."
    )
    choices: list[Any] | str | None = Field(
        default=None, description="The allowed answers: a list, or a template for one."
    )
    default: Any = Field(default=None, description="The answer after `timeout`: a value or a template.")
    minimum: float | None = Field(default=None, description="The minimum number.")
    maximum: float | None = Field(default=None, description="The maximum number.")
    min_length: int | None = Field(default=None, ge=0, description="The minimum length of a string or array.")
    max_length: int | None = Field(default=None, ge=0, description="The maximum length of a string or array.")
    pattern: str | None = Field(default=None, description="A regular expression that must match in the answer.")
    items: InputSpec | None = Field(default=None, description="The declaration of each item of an array.")
    properties: dict[str, InputSpec] | None = Field(default=None, description="The declared fields of an object.")

    @property
    def has_default(self) -> bool:
        """Whether `default` is present, even if it is null."""
        return "default" in self.model_fields_set

    def as_input(self) -> InputSpec:
        """Return the requirements of the answer as an input declaration.

        It includes `choices` and `default` if they are constants; templates are checked when they are evaluated.
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
    """An approval by a person. The value of the step is `approved`, true or false.

    Short form: the title alone.
    """

    title: str = Field(description="What to approve; it may contain templates.")
    content: Any = Field(default=None, description="What the person reviews: a template or any value.")
    allow_editing: bool = Field(default=False, description="Whether the person can edit the content.")
    default: bool | None = Field(default=None, description="The decision after `timeout`.")
