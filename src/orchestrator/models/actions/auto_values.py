"""The action behind `<AUTO>...</AUTO>`: it asks a model for the values that a step leaves to it, all at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from msgspec.structs import replace

from orchestrator.expressions.evaluation.text import to_text
from orchestrator.expressions.types.schema import from_json_schema
from orchestrator.models.actions.action_call import ActionCall, ask, model_action
from orchestrator.models.calls.lock_entries import question_digest
from orchestrator.models.output.schemas import Structure, structure_of

if TYPE_CHECKING:
    from orchestrator.expressions.types.value_types import Type

_INSTRUCTION = (
    "You choose values for one step of an automated pipeline. Give each of the values that are asked for, and nothing "
    "else: each is used as it is."
)


class Answered(TypedDict):
    """The values, and of each what was asked: `{at, question, locked}`."""

    data: Annotated[dict[str, Any], "The values, by their names."]
    asked: Annotated[dict[str, Any], "The question for each value: `at`, `question` and `locked`."]


async def auto(
    call: ActionCall,
    questions: Annotated[dict[str, Any], "The questions, by the names of the values."],
    schema: Annotated[dict[str, Any], "The values as properties of a JSON Schema, each with the required type."],
    at: Annotated[dict[str, Any] | None, "The place of each value in the file."] = None,
    about: Annotated[str, "The purpose of the step and of its pipeline."] = "",
    locked: Annotated[
        dict[str, Any] | None, "Locked answers, by the names of the values and the digests of the questions."
    ] = None,
) -> Answered:
    """Ask for the values that a step leaves to a model. In a file it is written `<AUTO>what is to be found out</AUTO>`.

    Example:
        - id: tone
          action: auto
          parameters:
            model: auto
            questions: {tone: "Which tone suits a letter to the harbour master?"}
            schema: {type: object, properties: {tone: {enum: [formal, friendly]}}}
    """
    properties: Mapping[str, Any] = schema.get("properties", {})
    asked: dict[str, Any] = {}
    data: dict[str, Any] = {}
    for name, question in questions.items():
        text = to_text(question).strip()
        digest = question_digest(text, properties.get(name, {}))
        kept = (locked or {}).get(name, {}).get(digest)
        # Without the digest: a secret of few digits in the question could be guessed by it.
        asked[name] = {"at": (at or {}).get(name, name), "question": text, "locked": kept is not None}
        if kept is not None:
            data[name] = kept["answer"]
    missing = {name: asked[name]["question"] for name in questions if name not in data}
    if missing:
        system, prompt, structure = auto_values_prompt(missing, properties, about)
        data |= (await ask(call, prompt, system=system, structure=structure)).value
    return {"data": {name: data[name] for name in questions}, "asked": asked}


def auto_values_prompt(
    questions: Mapping[str, str], properties: Mapping[str, Any], about: str
) -> tuple[str, str, Structure]:
    """Return the system prompt, the prompt, and the schema of an answer with a value for each question."""
    parts = []
    for name, question in questions.items():
        purpose = str(properties.get(name, {}).get("description", "")).strip()
        parts.append(f"`{name}`" + (f" ({purpose})" if purpose else "") + f":\n{question}")
    form = {
        "type": "object",
        "properties": {name: properties.get(name, {}) for name in questions},
        "required": [*questions],
        "additionalProperties": False,
    }
    return f"{_INSTRUCTION}\n\n{about.strip()}".strip(), "\n\n".join(parts), structure_of(form)


def _typed(known: Mapping[str, Any], returns: Type) -> Type:
    """Return the type of the result, whose `data` has the values' types."""
    schema = known.get("schema")
    if not isinstance(schema, Mapping):
        return returns
    return replace(returns, properties={**returns.properties, "data": from_json_schema(schema)})


AUTO_VALUES = model_action(auto, primary="data", result_type=_typed)
