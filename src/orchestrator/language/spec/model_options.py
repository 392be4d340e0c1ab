"""What a pipeline file says about models: which are asked, with what, for how much, and what is good enough."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from orchestrator.language.spec.base import Spec, Words

Models = str | Words
"""A model's name, or several, of which the first that answers is taken."""

Selection = Literal["balanced", "cost", "speed", "quality"]
"""What counts most among the models that fit."""


class BudgetSpec(Spec):
    """The most that may be spent on models. Short form: the USD alone."""

    usd: float | None = Field(default=None, ge=0, description="In USD.")
    tokens: int | None = Field(default=None, ge=0, description="In tokens, of input and output.")
    requests: int | None = Field(default=None, ge=0, description="In requests.")


class JudgeSpec(Spec):
    """A model that says how good an output is. Short form: the rubric alone."""

    rubric: str = Field(description="What the model goes by; it may hold templates.")
    model: Models | None = Field(
        default=None, description="The model; default: that of `orchestrator`, else the step's own."
    )
    min_score: float = Field(default=0.7, ge=0, le=1, description="The least score, from 0 to 1, that is good enough.")


class CheckSpec(Spec):
    """What the output of a step must be. Short form: an expression, or a list of them."""

    that: Words = Field(default=(), description="Expressions that must be true; the output is `output` in them.")
    schema_: Any = Field(
        default=None, alias="schema", description="A JSON Schema, or the short form `{title: string, score: number}`."
    )
    judge: JudgeSpec | None = Field(
        default=None, description="A rubric by which a model judges the output: a text, or a mapping."
    )
    max_attempts: int = Field(
        default=2, ge=1, description="How often one model is asked, the first time included, before the next one is."
    )


class CallSpec(Spec):
    """What a step that calls a model may say beside `parameters` instead of below it; the reader moves it there.

    It names every parameter of the actions of the tool `model`, which a test holds it to.
    """

    prompt: str | None = Field(
        default=None, description="What the model is asked; alone, it makes the step a call of a model."
    )
    messages: Any = Field(default=None, description="A conversation: a list of `{role: user, content: ...}`.")
    system: str | None = Field(default=None, description="What the model is told before anything else.")
    personality: str | None = Field(
        default=None, description="How the model is to speak: a text, or a file that ends in `.md` or `.txt`."
    )
    model: Models | None = Field(
        default=None,
        description="The model; of a list, the first that answers. Default: that of the file, else `auto`.",
    )
    requires_model: dict[str, Any] | None = Field(
        default=None, description="What the model must be, where it is not named: `{capabilities: [vision]}`."
    )
    selection: str | None = Field(
        default=None, description="What counts most among the models that fit: `balanced`, `cost`, `speed`, `quality`."
    )
    temperature: float | str | None = Field(default=None, description="How much chance there is in the answer, from 0.")
    max_tokens: int | str | None = Field(default=None, description="The most tokens of an answer.")
    seed: int | str | None = Field(default=None, description="Makes answers repeatable, where the provider can.")
    stop: Models | None = Field(default=None, description="Texts at which an answer ends.")
    response_format: Any = Field(default=None, description="`text`, `json`, or a schema.")
    vars: Any = Field(
        default=None, description="The fields of the answer, each with its description or type: a structured answer."
    )
    schema_: Any = Field(
        default=None, alias="schema", description="The schema of a structured answer: JSON Schema, or the short form."
    )
    text: str | None = Field(default=None, description="The text to read, such as the one to classify or to summarise.")
    texts: Any = Field(default=None, description="Several texts to make vectors of.")
    file: str | None = Field(default=None, description="The file to read instead of a text.")
    instruction: str | None = Field(default=None, description="What else the model should know to read the text.")
    analysis_type: str | None = Field(default=None, description="A word for the kind of analysis, such as `sentiment`.")
    labels: Any = Field(default=None, description="The labels to choose from.")
    multiple: bool | str | None = Field(default=None, description="Whether a text may have several labels, or none.")
    reason: bool | str | None = Field(default=None, description="Whether the model also says why it chose a label.")
    style: str | None = Field(default=None, description="How a summary is written: `paragraph`, `bullets`, `headline`.")
    length: str | None = Field(default=None, description="How long a summary is: `short`, `medium`, `long`.")
    max_words: int | str | None = Field(default=None, description="The most words of a summary.")
    focus: str | None = Field(default=None, description="What matters in a summary: the question that it answers.")
    chunk_tokens: int | str | None = Field(default=None, description="The most tokens of a long text to read at once.")
    images: Any = Field(default=None, description="Files of images that the model looks at.")
    files: Any = Field(default=None, description="Other files that the model reads.")
    tools: Any = Field(default=None, description="The tools that an agent may use.")
    max_turns: int | str | None = Field(default=None, description="How often an agent may ask for tools.")
