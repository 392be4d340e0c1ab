"""The actions that read a text: what there is to say about it, which label it has, which data are in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from msgspec.structs import replace

from orchestrator.expressions.types.value_types import Type, array_of, union_of
from orchestrator.models.actions import prompts
from orchestrator.models.actions.action_call import ActionCall, ask, is_cut, model_action
from orchestrator.models.actions.attachments import checks_files, no_urls, read_media
from orchestrator.models.actions.generate import form_of, hidden_by, typed_data
from orchestrator.models.actions.parameters import invalid_parameter
from orchestrator.models.output.schemas import Structure, structure_of

if TYPE_CHECKING:
    from orchestrator.models.messages import Media

Text = Annotated[str, "The text."]


class Analysis(TypedDict):
    """The analysis. `truncated`: it is cut off."""

    analysis: Annotated[str, "The analysis."]
    truncated: Annotated[bool, "Whether it is cut off."]


class Classified(TypedDict):
    """The label; with `multiple` a list of labels. `reason` is null where none is asked for."""

    label: Annotated[str | list[str], "The label; with `multiple` a list of labels."]
    reason: Annotated[str | None, "The reason for this label; null unless `reason` is true."]


class Extracted(TypedDict):
    """The data, matching the schema."""

    data: Annotated[Any, "The data, matching the schema."]


async def analyze_text(
    call: ActionCall,
    text: Text,
    instruction: Annotated[str, "What to analyze; default: what matters in the text."] = "",
    analysis_type: Annotated[str, "A word for the kind of analysis, such as `sentiment` or `risks`."] = "",
) -> Analysis:
    """Say what there is to say about a text.

    Example:
        - id: risks
          action: analyze_text
          model: auto
          text: "{{ contract }}"
          instruction: Which duties does the tenant take on, and what is unusual about them?
    """
    prompt = prompts.analysis(text, instruction, analysis_type)
    answer = await ask(call, prompt.text, system=prompt.system)
    return {"analysis": answer.reply.text, "truncated": is_cut(call, answer)}


async def classify(
    call: ActionCall,
    text: Text,
    labels: Annotated[
        list[str] | dict[str, str | None], "The labels to choose from; as a mapping, each with a description."
    ],
    multiple: Annotated[bool, "Whether a text may have several labels, or none: the result is then a list."] = False,
    reason: Annotated[bool, "Whether the model also gives a reason."] = False,
    instruction: Annotated[str, "Further instructions for the choice."] = "",
) -> Classified:
    """Give a text one of some labels, or with `multiple` all that apply.

    Example:
        - id: kind
          action: classify
          model: auto
          text: "{{ message }}"
          labels:
            billing: invoices, payments, refunds
            technical: crashes, errors, passwords
            other: everything else
    """
    described = _checked_labels(labels)
    prompt = prompts.classification(text, described, multiple=multiple, reason=reason, instruction=instruction)
    structure = _label_form(list(described), multiple=multiple, reason=reason)
    value = (await ask(call, prompt.text, system=prompt.system, structure=structure)).value
    label = list(dict.fromkeys(value["labels"])) if multiple else value["label"]
    return {"label": label, "reason": value.get("reason")}


def _checked_labels(labels: Any) -> dict[str, str]:
    """Return the labels with their descriptions, which may be empty."""
    found = labels if isinstance(labels, Mapping) else dict.fromkeys(labels)
    if not found:
        raise ValueError("has no labels to choose from")
    if len(found) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise ValueError(f"has the label `{twice}` twice")
    for label, description in found.items():
        if not isinstance(description, str | None):
            raise ValueError(f"describes the label `{label}` with a value that is not a text")
    return {label: (description or "").strip() for label, description in found.items()}


def _label_form(labels: list[str], *, multiple: bool, reason: bool) -> Structure:
    one = {"type": "string", "enum": labels}
    answer: dict[str, Any] = {"labels": {"type": "array", "items": one}} if multiple else {"label": one}
    # The reason comes first, so that the label follows from it.
    properties = {"reason": {"type": "string"}, **answer} if reason else answer
    return structure_of(
        {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    )


def _typed_labels(known: Mapping[str, Any], returns: Type) -> Type:
    given = known.get("labels")
    labels = tuple(given) if isinstance(given, list | Mapping) else ()
    one = Type("string", enum=labels) if all(isinstance(label, str) for label in labels) else Type("string")
    several = array_of(one)
    label = union_of((one, several))
    if "multiple" in known:
        label = several if known["multiple"] is True else one
    return replace(returns, properties={**returns.properties, "label": label})


async def extract(
    call: ActionCall,
    schema: Annotated[
        Any, "The schema of the data: `{title: string, tags: [string], score: number?, kind: one|two}`, or JSON Schema."
    ],
    text: Annotated[str | None, "The text to extract from."] = None,
    file: Annotated[str | None, "The file to extract from, instead of `text`: a text, a PDF, an image."] = None,
    instruction: Annotated[str, "Further instructions."] = "",
) -> Extracted:
    """Read data out of a text or a file. A field that may be missing (`score: number?`) is null where it is.

    A field is read as `{{ step.field }}`.

    Example:
        - id: invoice
          action: extract
          model: auto
          text: "{{ letter }}"
          schema: {number: string, date: date, total: number, due_date: date?, items: [{name: string, price: number}]}
    """
    if (text is None) == (file is None):
        raise invalid_parameter("`extract` needs one of `text` and `file`", "give one of them")
    given = await read_media(call.context, files=file)
    if given.texts:
        text = given.texts[0][1]
    if text is None:
        prompt = prompts.extraction("(see the file)", instruction or "Read the data out of the file.")
    else:
        prompt = prompts.extraction(text, instruction)
    content: str | tuple[str | Media, ...] = (prompt.text, *given.media) if given.media else prompt.text
    structure = form_of(schema=schema)
    return {"data": (await ask(call, content, system=prompt.system, structure=structure)).value}


ANALYZE_TEXT = model_action(analyze_text, primary="analysis", refusal=checks_files())
CLASSIFY = model_action(
    classify,
    primary="label",
    result_type=_typed_labels,
    refusal=checks_files(),
    converts={"labels": _checked_labels},
)
EXTRACT = model_action(
    extract,
    primary="data",
    result_type=typed_data,
    shadows=hidden_by,
    refusal=checks_files("file"),
    reads=("file",),
    one_of=("text", "file"),
    converts={"file": no_urls},
)
