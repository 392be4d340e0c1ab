"""Images and files that a step sends to a model: read with the permissions of the run, typed by their content."""

from __future__ import annotations

import mimetypes
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from orchestrator.models.actions.parameters import invalid_parameter, is_personality_file
from orchestrator.models.messages import Media
from orchestrator.text.media_types import BEGINNINGS
from orchestrator.text.words import shorten
from orchestrator.tools.builtin.access import check_access
from orchestrator.tools.builtin.filesystem import read_bytes
from orchestrator.tools.functions.threads import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from orchestrator.tools.contract import RefusalCheck, ToolContext
    from orchestrator.tools.sandbox.permissions import Permissions
    from orchestrator.tools.sandbox.refusal import Refusal

MOST_BYTES: Final = 20_000_000
"""What one request may send along: the least that providers allow together."""

_URL: Final = re.compile(r"[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)
_BY_BEGINNING: Final = frozenset(media_type for _, media_type in BEGINNINGS)
_KINDS: Final = ("image", "audio", "video")


class Attachments(Struct, frozen=True):
    """What was read: pictures, sounds and PDF files as they are, and the texts of text files with their names."""

    media: tuple[Media, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()


def paths_of(value: str | Sequence[str] | None) -> list[str]:
    """Return the paths of a parameter that takes one or several."""
    return [value] if isinstance(value, str) else list(value or ())


def no_urls(value: Any) -> Any:
    """Reject URLs where paths are required; the message names the way to download the file."""
    for path in paths_of(value):
        if isinstance(path, str) and _URL.match(path):
            short = shorten(path)
            raise ValueError(
                f"`{short}` is a URL, but a file is required: fetch it first with the action `download` of the tool "
                "`http`, and give the path"
            )
    return value


def checks_files(*parameters: str) -> RefusalCheck:
    """Return a `refusal` that checks all paths of these parameters, and a personality that is a file."""

    def refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
        for parameter in parameters:
            value = known.get(parameter)
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, str) and (found := check_access(permissions, path, "read", parameter)) is not None:
                    return found
        personality = known.get("personality")
        if isinstance(personality, str) and is_personality_file(personality):
            return check_access(permissions, personality, "read", "personality")
        return None

    return refusal


async def read_media(
    context: ToolContext, images: str | Sequence[str] | None = None, files: str | Sequence[str] | None = None
) -> Attachments:
    """Read images, which must be ones, and files of any kind that a model may read.

    Raises:
        StepError: One cannot be read, is of no such kind, or all are too large together.
    """
    media: list[Media] = []
    texts: list[tuple[str, str]] = []
    left = MOST_BYTES
    wanted = [(path, True) for path in paths_of(images)] + [(path, False) for path in paths_of(files)]
    for path, image in wanted:
        data = await _read(context, path)
        left -= len(data)
        if left < 0:
            message = f"the files exceed the limit of {MOST_BYTES:,} bytes for one request, starting with `{path}` on"
            raise invalid_parameter(message, "use fewer or smaller files, or loop over them")
        found = _told_apart(path, data)
        if image and (isinstance(found, str) or not found.media_type.startswith("image/")):
            kind = "a text" if isinstance(found, str) else f"`{found.media_type}`"
            raise invalid_parameter(f"`{path}` is not an image, but {kind}", "give it under `files`")
        if isinstance(found, Media):
            media.append(found)
        else:
            texts.append((path, found))
    return Attachments(tuple(media), tuple(texts))


async def read_attachment(context: ToolContext, path: str) -> Media | str:
    """Read one file of any kind that a model may read: its bytes and their type, or the text of a text file.

    Raises:
        StepError: It cannot be read, or is of no such kind.
    """
    return _told_apart(path, await _read(context, path))


async def read_text(context: ToolContext, path: str) -> str:
    """Read a text file in UTF-8."""
    data = await _read(context, path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        help = "read it with the tool `filesystem` and its `encoding`, and give the text"
        raise invalid_parameter(f"`{path}` is not UTF-8 text: byte {error.start} is invalid", help) from error


async def _read(context: ToolContext, path: str) -> bytes:
    try:
        no_urls(path)
    except ValueError as error:
        raise invalid_parameter(str(error)) from error
    read: Callable[[], bytes] = lambda: read_bytes(context, path, MOST_BYTES)  # noqa: E731
    data: bytes = await run_in_thread(read)
    return data


def _told_apart(path: str, data: bytes) -> Media | str:
    name = PurePath(path).name
    for pattern, media_type in BEGINNINGS:
        if pattern.match(data):
            return Media(data, media_type, name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" not in text:
        return text
    guessed = mimetypes.guess_type(path)[0] or ""
    if guessed.partition("/")[0] in _KINDS and guessed not in _BY_BEGINNING:
        return Media(data, guessed, name)
    help = "models read text, PDF, images, audio and video; convert it first"
    raise invalid_parameter(f"`{path}` has a type that models do not read", help)
