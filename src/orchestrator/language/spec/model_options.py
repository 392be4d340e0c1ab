"""The model options of a pipeline file: models, parameters of calls, budgets and checks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from orchestrator.language.spec.base import Spec, Words

Models = str | Words
"""A model name, or several: the first that answers is used."""

Selection = Literal["balanced", "cost", "speed", "quality"]
"""The priority among the models that qualify."""


class BudgetSpec(Spec):
    """The limits of spending on models. Short form: the USD alone."""

    usd: float | None = Field(default=None, ge=0, description="In USD.")
    tokens: int | None = Field(default=None, ge=0, description="In tokens, of input and output.")
    requests: int | None = Field(default=None, ge=0, description="In requests.")


class JudgeSpec(Spec):
    """A model that judges an output. Short form: the rubric alone."""

    rubric: str = Field(description="The criteria; they may contain templates.")
    model: Models | None = Field(
        default=None, description="The model; default: that of `orchestrator`, else the step's own."
    )
    min_score: float = Field(default=0.7, ge=0, le=1, description="The minimum score, from 0 to 1.")


class CheckSpec(Spec):
    """The check of an output. Short form: an expression, or a list of them."""

    that: Words = Field(default=(), description="Expressions that must be true; they read the output as `output`.")
    schema_: Any = Field(
        default=None, alias="schema", description="A JSON Schema, or the short form `{title: string, score: number}`."
    )
    judge: JudgeSpec | None = Field(
        default=None, description="A model that judges the output: the rubric, or a mapping."
    )
    max_attempts: int = Field(
        default=2, ge=1, description="The number of calls of each model before the next one is called."
    )


Effort = Literal["minimal", "low", "medium", "high"]
"""How much a model should reason."""


# The settings of model calls, which profiles and steps have alike. (Pydantic loses the descriptions of inherited fields
# whose default is an attribute of the class.)
_MODEL: Any = Field(
    default=None,
    description="The model; of a list, the first that answers. Default: the model of the file, else `auto`.",
)
_REQUIRES_MODEL: Any = Field(
    default=None, description="Requirements of the model if it is not named: `{capabilities: [vision]}`."
)
_SELECTION: Any = Field(
    default=None, description="The priority among the models that qualify: `balanced`, `cost`, `speed`, `quality`."
)
_SYSTEM: Any = Field(default=None, description="The system prompt: a text, or `{file: ...}`.")
_PERSONALITY: Any = Field(
    default=None, description="The personality of the model: a text, or a file that ends in `.md` or `.txt`."
)
_EFFORT: Any = Field(
    default=None, description="How much the model should reason: `minimal`, `low`, `medium` or `high`."
)
_TEMPERATURE: Any = Field(default=None, description="The randomness of the answer, from 0.")
_MAX_TOKENS: Any = Field(default=None, description="The maximum number of tokens of the answer.")
_SEED: Any = Field(default=None, description="Makes answers repeatable if the provider supports it.")
_STOP: Any = Field(default=None, description="Texts that end the answer.")


class ProfileSpec(Spec):
    """Settings of model calls, which steps share by name."""

    model: Models | None = _MODEL
    requires_model: dict[str, Any] | None = _REQUIRES_MODEL
    selection: str | None = _SELECTION
    system: Any = _SYSTEM
    personality: str | None = _PERSONALITY
    effort: str | None = _EFFORT
    temperature: float | str | None = _TEMPERATURE
    max_tokens: int | str | None = _MAX_TOKENS
    seed: int | str | None = _SEED
    stop: Models | None = _STOP


class CallSpec(Spec):
    """Parameters of a model call that can be written in the step itself; the reader moves them below `parameters`.

    A test checks that it has every parameter of the actions of the tool `model`.
    """

    prompt: Any = Field(
        default=None,
        description="The prompt: a text, or `{file: prompts/critic.md}`; a step with only a prompt is a model call.",
    )
    messages: Any = Field(
        default=None,
        description="A conversation: a list of `{role: user, content: ...}`; a content can be `{file: ...}`.",
    )
    model: Models | None = _MODEL
    requires_model: dict[str, Any] | None = _REQUIRES_MODEL
    selection: str | None = _SELECTION
    system: Any = _SYSTEM
    personality: str | None = _PERSONALITY
    effort: str | None = _EFFORT
    temperature: float | str | None = _TEMPERATURE
    max_tokens: int | str | None = _MAX_TOKENS
    seed: int | str | None = _SEED
    stop: Models | None = _STOP
    response_format: Any = Field(default=None, description="`text`, `json`, or a schema.")
    vars: Any = Field(
        default=None, description="The fields of the answer, each with its description or type: a structured answer."
    )
    schema_: Any = Field(
        default=None, alias="schema", description="The schema of a structured answer: JSON Schema, or the short form."
    )
    text: str | None = Field(default=None, description="The text to process, for example to classify or summarize.")
    texts: Any = Field(default=None, description="Several texts to embed.")
    file: str | None = Field(default=None, description="The file to process instead of a text.")
    instruction: Any = Field(
        default=None, description="Additional instructions for the text: a text, or `{file: ...}`."
    )
    analysis_type: str | None = Field(default=None, description="The kind of analysis, such as `sentiment`.")
    labels: Any = Field(default=None, description="The labels to choose from.")
    multiple: bool | str | None = Field(default=None, description="Whether a text can have several labels, or none.")
    reason: bool | str | None = Field(default=None, description="Whether the model also explains its choice.")
    style: str | None = Field(default=None, description="The style of a summary: `paragraph`, `bullets`, `headline`.")
    length: str | None = Field(default=None, description="The length of a summary: `short`, `medium`, `long`.")
    max_words: int | str | None = Field(default=None, description="The maximum number of words of a summary.")
    focus: str | None = Field(default=None, description="The focus of a summary: the question that it answers.")
    chunk_tokens: int | str | None = Field(
        default=None, description="The maximum number of tokens of a long text to process at once."
    )
    images: Any = Field(default=None, description="Image files for the model.")
    files: Any = Field(default=None, description="Other files for the model.")
    tools: Any = Field(
        default=None,
        description="The tools of an agent: names, or mappings with a pipeline or a policy such as `approve`.",
    )
    hand_over: Any = Field(
        default=None, description="The agents that an agent can hand over to, with the conversation, by name."
    )
    max_turns: int | str | None = Field(default=None, description="The maximum number of turns of an agent.")
