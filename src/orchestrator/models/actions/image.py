"""The tool that makes pictures, and changes them."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypedDict

from orchestrator.models.actions.action_call import ActionCall, embedding_action_call, model_action
from orchestrator.models.actions.attachments import no_urls, paths_of
from orchestrator.models.actions.media import (
    MadeFile,
    checks_media,
    format_of,
    make,
    path_of,
    read_one,
    settings_of,
    writable,
    write_media,
)
from orchestrator.models.actions.parameters import at_least, invalid_parameter
from orchestrator.models.media import MediaRequest
from orchestrator.tools.contract import Tool

MOST_PICTURES: Final = 10
MOST_SOURCES: Final = 16
MOST_CHARACTERS: Final = 32_000

_FORMATS: Final = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}

Prompt = Annotated[str, "The description of the picture."]
PicturePath = Annotated[
    str | None,
    "The path of the file to write; several are numbered: `cover-1.png`; default: the name of the step, in the output "
    "directory.",
]
Count = Annotated[int, "How many pictures, from 1 to 10."]
Size = Annotated[str | None, "The size or the ratio, such as `1536x1024`; default: the model's."]
Quality = Annotated[str | None, "The quality: `low`, `medium` or `high` with OpenAI; default: the model's."]
Background = Annotated[Literal["transparent", "opaque", "auto"] | None, "The background; default: the model's."]


class Pictures(TypedDict):
    """The pictures that were made."""

    path: Annotated[str, "The path of the first picture."]
    files: Annotated[list[MadeFile], "All pictures."]
    text: Annotated[str, "What the model said, such as the description that it used; often empty."]


async def generate(
    call: ActionCall,
    prompt: Prompt,
    path: PicturePath = None,
    count: Count = 1,
    size: Size = None,
    quality: Quality = None,
    background: Background = None,
) -> Pictures:
    """Make pictures from a description.

    Example:
        - id: cover
          tool: image
          action: generate
          parameters:
            model: openai:gpt-image-1
            prompt: A lighthouse at dusk, watercolour
            path: output/cover.png
            size: 1536x1024
    """
    place = path_of(call.context, path)
    settings = _settings(place, size, quality, background)
    return await _made(call, MediaRequest("generate", prompt, count=count, settings=settings), place)


async def edit(
    call: ActionCall,
    image: Annotated[str | list[str], "The path of the picture, or of several that are combined."],
    prompt: Annotated[str, "What to change."],
    path: PicturePath = None,
    mask: Annotated[str | None, "The path of a PNG picture that is transparent where something may change."] = None,
    count: Count = 1,
    size: Size = None,
    quality: Quality = None,
    background: Background = None,
) -> Pictures:
    """Change a picture, or make one from several, as described.

    Example:
        - id: night
          tool: image
          action: edit
          parameters:
            model: openai:gpt-image-1
            image: output/cover.png
            prompt: The same at night, with a full moon
            path: output/night.png
    """
    paths = paths_of(image)
    if not 1 <= len(paths) <= MOST_SOURCES:
        raise invalid_parameter(f"`image` has between 1 and {MOST_SOURCES} pictures")
    media = tuple([await read_one(call.context, each, ("image",)) for each in paths])
    over = None if mask is None else await read_one(call.context, mask, ("image",))
    place = path_of(call.context, path)
    settings = _settings(place, size, quality, background)
    return await _made(call, MediaRequest("edit", prompt, media, over, count, settings), place)


def _settings(path: str, size: str | None, quality: str | None, background: str | None) -> dict[str, object]:
    format = format_of(path, _FORMATS)
    written = None if format == "png" else format  # which is what is made without a word
    return settings_of(size=size, quality=quality, background=background, format=written)


async def _made(call: ActionCall, request: MediaRequest, path: str) -> Pictures:
    if not request.text.strip() or len(request.text) > MOST_CHARACTERS:
        raise invalid_parameter(f"`prompt` has between 1 and {MOST_CHARACTERS:,} characters")
    if not 1 <= request.count <= MOST_PICTURES:
        raise invalid_parameter(f"`count` is from 1 to {MOST_PICTURES}")
    writable(call.context, path, request.count)
    reply = await make(call, request)
    files = await write_media(call.context, path, reply.media)
    return {"path": files[0]["path"], "files": files, "text": reply.text}


IMAGE: Final = Tool(
    "image",
    {
        action.name: action
        for action in (
            model_action(
                generate,
                primary="path",
                refusal=checks_media(path="write"),
                common=embedding_action_call,
                converts={"count": at_least(1)},
                makes="images",
            ),
            model_action(
                edit,
                primary="path",
                refusal=checks_media(image="read", mask="read", path="write"),
                common=embedding_action_call,
                converts={"image": no_urls, "mask": no_urls, "count": at_least(1)},
                makes="images",
            ),
        )
    },
    "Make pictures with models of OpenAI, Google, or a server of the kind `openai`.",
)
