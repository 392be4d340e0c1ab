"""The actions that pass a prompt on to a model: for a text, for an answer of a certain form, in a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

from msgspec.structs import replace

from orchestrator.expressions.types.value_types import ANY, NULL, Type
from orchestrator.models.actions.action_call import ActionCall, ask, is_cut, model_action
from orchestrator.models.actions.attachments import Attachments, checks_files, no_urls, paths_of, read_media
from orchestrator.models.actions.parameters import invalid_parameter
from orchestrator.models.actions.prompts import with_files
from orchestrator.models.messages import Media, Message
from orchestrator.models.output.schemas import SchemaError, Structure, structure_of
from orchestrator.text.words import quoted_list

Images = Annotated[str | list[str] | None, "Image files for the model."]
Files = Annotated[str | list[str] | None, "Files for the model: texts, PDF, audio, video, images."]
Vars = Annotated[dict[str, Any] | None, "The fields of the answer, each with its type or a description."]
ResponseFormat = Annotated[
    Any, "`text`, `json` (any object), or the schema of the answer: the short form or a JSON Schema."
]


class GeneratedText(TypedDict):
    """The answer. `data` is what is in it where it is JSON, else null. `truncated`: it is cut off."""

    text: Annotated[str, "The answer."]
    data: Annotated[Any, "The answer as data if it is JSON, otherwise null."]
    truncated: Annotated[bool, "Whether the answer is cut off."]


class GeneratedData(TypedDict):
    """The answer, matching the schema."""

    data: Annotated[Any, "The answer, matching the schema."]


class ChatMessageBase(TypedDict):
    """One message of a conversation."""

    role: Annotated[Literal["system", "user", "assistant"], "The author of the message."]
    content: Annotated[str, "The text of the message."]


class ChatMessage(ChatMessageBase, total=False):
    """The same with images and files."""

    images: Annotated[str | list[str], "Image files of the message."]
    files: Annotated[str | list[str], "Files of the message."]


class Chatted(TypedDict):
    """The reply, and the whole conversation with it."""

    reply: Annotated[str, "The reply of the model."]
    messages: Annotated[list[ChatMessage], "The whole conversation, with the reply."]
    truncated: Annotated[bool, "Whether the reply is cut off."]


async def generate_text(
    call: ActionCall,
    prompt: Annotated[str, "The prompt."],
    images: Images = None,
    files: Files = None,
    response_format: ResponseFormat = None,
    vars: Vars = None,
) -> GeneratedText:
    """Ask a model, and get its text. With `vars`, or a `response_format` that is JSON, `data` is what the text holds.

    Example:
        - id: letter
          action: generate_text
          model: auto
          prompt: Write a short letter that invites to the tides festival in Saint-Malo.
    """
    structure = form_of(response_format=response_format, vars=vars)
    content = content_of(prompt, await read_media(call.context, images, files))
    answer = await ask(call, content, structure=structure)
    if structure is None:
        return {"text": answer.reply.text, "data": None, "truncated": is_cut(call, answer)}
    return {"text": answer.reply.text, "data": answer.value, "truncated": False}


async def generate(
    call: ActionCall,
    prompt: Annotated[str, "The prompt."],
    schema: Annotated[
        Any,
        "The schema of the answer: `{title: string, tags: [string], score: number?, kind: one|two}`, or JSON Schema.",
    ] = None,
    vars: Vars = None,
    response_format: Annotated[Any, "The same as `schema`, or `json` for any object."] = None,
    images: Images = None,
    files: Files = None,
) -> GeneratedData:
    """Ask a model for an answer that matches a schema. The answer is validated, so steps can rely on its fields.

    The form is given as `schema`, `vars` or `response_format`. A field of the answer is read as `{{ step.field }}`.

    Example:
        - id: idea
          action: generate
          model: auto
          prompt: Suggest a talk about the tides.
          schema: {title: string, minutes: integer, topics: [string], level: beginner|expert}
    """
    structure = form_of(schema=schema, vars=vars, response_format=response_format)
    if structure is None:
        help = "add `schema: {title: string}`, or use `action: generate_text`"
        raise invalid_parameter("`generate` needs `schema` or `vars`: the schema of the answer", help)
    content = content_of(prompt, await read_media(call.context, images, files))
    return {"data": (await ask(call, content, structure=structure)).value}


async def chat(
    call: ActionCall,
    messages: Annotated[
        list[ChatMessage], "The conversation: `{role: user, content: ...}`, also with `images` and `files`."
    ],
    prompt: Annotated[str | None, "A further user message, after the others."] = None,
) -> Chatted:
    """Continue a conversation. `messages` of the result can be passed to the next `chat`.

    Roles are `user` and `assistant`; a first message with role `system` is the system prompt.

    Example:
        - id: talk
          action: chat
          model: auto
          messages:
            - {role: system, content: You are a guide in Saint-Malo.}
            - {role: user, content: When is the tide high?}
            - {role: assistant, content: Twice a day. Which day do you mean?}
          prompt: Next Sunday.
    """
    conversation: list[ChatMessage] = [*messages, *([{"role": "user", "content": prompt}] if prompt else [])]  # type: ignore[list-item]
    if not conversation or conversation[-1]["role"] != "user":
        raise invalid_parameter("the conversation does not end with a user message", "add `prompt`")
    system = conversation[0]["content"] if conversation[0]["role"] == "system" else ""
    said: list[Message] = []
    for number, each in enumerate(conversation):
        role = each["role"]
        if role == "system":
            if number > 0:
                raise invalid_parameter(f"message {number + 1} has role `system`, which only the first may have")
            continue
        given = await read_media(call.context, each.get("images"), each.get("files"))
        said.append(Message(role, content_of(each["content"], given)))
    answer = await ask(call, tuple(said), system=system)
    reply: ChatMessage = {"role": "assistant", "content": answer.reply.text}
    return {"reply": answer.reply.text, "messages": [*conversation, reply], "truncated": is_cut(call, answer)}


def content_of(prompt: str, given: Attachments) -> str | tuple[str | Media, ...]:
    """Return the content of a message: the prompt with the texts of files, and the rest as it is."""
    text = with_files(prompt, given.texts)
    return (text, *given.media) if given.media else text


def form_of(
    *, schema: Any = None, vars: Mapping[str, Any] | None = None, response_format: Any = None
) -> Structure | None:
    """Return the form that an answer is to have, if any.

    Raises:
        StepError: It is written wrongly, or twice.
    """
    forms = {"schema": schema, "vars": vars, "response_format": None if response_format == "text" else response_format}
    written = {name: form for name, form in forms.items() if form is not None}
    if len(written) > 1:
        raise invalid_parameter(f"{quoted_list(written, last='and')} both define the schema of the answer", "keep one")
    for name, form in written.items():
        try:
            return structure_of(ANY_OBJECT if form == "json" else form, described=name == "vars")
        except SchemaError as error:
            problem = error.problems[0]
            place = "".join(f"[{part!r}]" for part in problem.path)
            raise invalid_parameter(f"`{name}{place}`: {problem.message}", problem.help) from error
    return None


ANY_OBJECT = {"type": "object"}
"""What `json` stands for."""


def known_form(known: Mapping[str, Any]) -> Structure | None:
    """Return the form that follows from the parameters that are constant, if it does."""
    written = {name: known.get(name) for name in ("schema", "vars", "response_format")}
    try:
        return form_of(**written)
    except Exception:  # what is wrong with it is reported where it is checked
        return None


def typed_data(known: Mapping[str, Any], returns: Type) -> Type:
    """Return the type of a result whose `data` has the form that is asked for."""
    form = known_form(known)
    if form is None:
        return Type("object", properties={"data": ANY}, required=frozenset({"data"}))  # its fields may hide the others
    properties = {name: part for name, part in returns.properties.items() if name not in hidden(form)}
    properties["data"] = form.type
    return replace(returns, properties=properties, required=frozenset(properties))


def hidden(form: Structure | None) -> frozenset[str]:
    """Return the fields of an answer, which hide the common fields of results with the same names."""
    return frozenset(form.type.properties if form else ()) - {"data"}


def hidden_by(given: Mapping[str, Any]) -> frozenset[str]:
    """Return the same from the parameters of a call."""
    return hidden(known_form(given))


def _typed_text(known: Mapping[str, Any], returns: Type) -> Type:
    form = known_form(known)
    if form is not None:
        data = form.type
    elif known.get("response_format", "?") in (None, "text") and known.get("vars", "?") is None:
        data = NULL
    else:
        return returns
    return replace(returns, properties={**returns.properties, "data": data})


def _attached(given: Mapping[str, Any]) -> list[str]:
    """Return the paths in a conversation."""
    said = [each for each in given.get("messages") or () if isinstance(each, Mapping)]
    return [path for each in said for key in ("images", "files") for path in paths_of(each.get(key))]


_MEDIA = {"images": no_urls, "files": no_urls}

GENERATE_TEXT = model_action(
    generate_text,
    primary="text",
    result_type=_typed_text,
    refusal=checks_files("images", "files"),
    reads=("images", "files"),
    converts=_MEDIA,
)
GENERATE = model_action(
    generate,
    primary="data",
    result_type=typed_data,
    shadows=hidden_by,
    refusal=checks_files("images", "files"),
    reads=("images", "files"),
    converts=_MEDIA,
)
CHAT = model_action(chat, primary="reply", refusal=checks_files(), files=_attached)
