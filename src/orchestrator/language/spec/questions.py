"""The specs of steps that involve people: questions and approvals."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from orchestrator.language.spec.base import Span, Spec, Words
from orchestrator.language.spec.inputs import LIMITS, InputSpec, InputType
from orchestrator.language.values.templates import has_template

Names = str | Words
"""The name of a person or a group, or several; each may be a template."""


class EscalateSpec(Spec):
    """Who else is asked if there is no answer for some time. The loader reports what is missing."""

    model_config = ConfigDict(json_schema_extra={"required": ["after", "to"]})

    after: Span = Field(default=0.0, description="How long after the question was asked: `5d`, or a template.")
    to: Names = Field(default=(), description="Who can answer from then on, too: people and groups, or templates.")


_ASSIGNEE = "Who can answer: names of people and groups, or templates. Default: everybody who can answer questions."
_REMIND = "How often people are notified again until there is an answer: `2d`, or a template."
_ESCALATE = "Who else is asked, and when, if there is no answer: `{after: 5d, to: director}`."


class AskSpec(Spec):
    """A question to a person, or several. The value of the step is the answer. Short form: the question alone.

    With `questions`, the answer is an object with the answer to each, by name.
    """

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
    questions: dict[str, AskSpec] | None = Field(
        default=None, description="Several questions by name: each a text, or a mapping with the keys of a question."
    )
    assignee: Names | None = Field(default=None, description=_ASSIGNEE)
    remind: Span | None = Field(default=None, description=_REMIND)
    escalate: EscalateSpec | None = Field(default=None, description=_ESCALATE)

    @property
    def has_default(self) -> bool:
        """Whether `default` is present, even if it is null."""
        return "default" in self.model_fields_set

    def as_input(self) -> InputSpec:
        """Return the requirements of the answer as an input declaration.

        It includes `choices` and `default` if they are constants; templates are checked when they are evaluated.
        """
        if self.questions is not None:
            parts = {
                name: part.as_input().model_copy(update={"description": part.prompt, "required": not part.has_default})
                for name, part in self.questions.items()
            }
            return InputSpec(type="object", required=True).model_copy(update={"properties": parts})
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
    assignee: Names | None = Field(default=None, description=_ASSIGNEE)
    remind: Span | None = Field(default=None, description=_REMIND)
    escalate: EscalateSpec | None = Field(default=None, description=_ESCALATE)
