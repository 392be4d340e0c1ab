"""What the actions for pictures and audio share: the files that they read and write, and the request."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from orchestrator.models.actions.attachments import read_attachment
from orchestrator.models.actions.parameters import invalid_parameter
from orchestrator.text.media_types import EXTENSIONS
from orchestrator.tools.builtin.access import check_access, file_errors, permitted_location
from orchestrator.tools.builtin.filesystem import write_bytes
from orchestrator.tools.functions.threads import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.models.actions.action_call import ActionCall
    from orchestrator.models.media import MediaReply, MediaRequest
    from orchestrator.models.messages import Media
    from orchestrator.tools.contract import RefusalCheck, ToolContext
    from orchestrator.tools.sandbox.permissions import Access, Permissions
    from orchestrator.tools.sandbox.refusal import Refusal


class MadeFile(TypedDict):
    """A file that was written."""

    path: Annotated[str, "The path of the file."]
    media_type: Annotated[str, "Its media type, such as `image/png`."]
    size: Annotated[int, "Its size in bytes."]
    sha256: Annotated[str, "Its SHA-256 digest, in hexadecimal digits."]


def checks_media(**accesses: Access) -> RefusalCheck:
    """Return a `refusal` that checks the paths of these parameters; each has one or a list."""

    def refusal(known: Mapping[str, Any], permissions: Permissions) -> Refusal | None:
        for parameter, access in accesses.items():
            value = known.get(parameter)
            for path in value if isinstance(value, list) else [value]:
                if isinstance(path, str) and (found := check_access(permissions, path, access, parameter)) is not None:
                    return found
        return None

    return refusal


async def read_one(context: ToolContext, path: str, kinds: tuple[str, ...]) -> Media:
    """Read a file that must be of one of these kinds, such as `image`.

    Raises:
        StepError: It cannot be read, or is something else.
    """
    found = await read_attachment(context, path)
    if isinstance(found, str) or found.media_type.partition("/")[0] not in kinds:
        kind = "a text" if isinstance(found, str) else f"`{found.media_type}`"
        what = "an image" if kinds[0] == "image" else "a recording"
        raise invalid_parameter(f"`{path}` is not {what}, but {kind}")
    return found


async def make(call: ActionCall, request: MediaRequest) -> MediaReply:
    """Have a model make something, and take note of who did."""
    reply, answer = await call.gateway.make(call.choice, request)
    call.answers.append(answer)
    for setting in reply.ignored:
        call.context.log(f"`{answer.model}` has no setting `{setting}`, so it was ignored", "warning")
    return reply


def writable(context: ToolContext, path: str, count: int = 1) -> None:
    """Refuse paths that cannot be written before anything is paid for."""
    for number in range(1, count + 1):
        permitted_location(context, numbered(path, number, count), "write")


def path_of(context: ToolContext, path: str | None) -> str:
    """Return a path, by default that of a file with the name of the step in the run's output directory.

    Its ending then follows from what is made.
    """
    if path is not None:
        return path
    permissions = context.permissions
    folder = permissions.output_directory or permissions.directory / "output"
    if folder.is_relative_to(permissions.directory):
        folder = folder.relative_to(permissions.directory)
    return str(folder / re.sub(r"[^\w-]+", "-", context.step).strip("-"))


def numbered(path: str, number: int, count: int) -> str:
    """Return the path of one of several files: `cover-1.png`, `cover-2.png`."""
    if count == 1:
        return path
    found = PurePath(path)
    return str(found.with_name(f"{found.stem}-{number}{found.suffix}"))


async def write_media(context: ToolContext, path: str, media: tuple[Media, ...]) -> list[MadeFile]:
    """Write what was made, atomically, and describe the files. A path without an ending gets that of the type."""

    def write() -> list[MadeFile]:
        made: list[MadeFile] = []
        for number, each in enumerate(media, start=1):
            name = numbered(path, number, len(media))
            usual = EXTENSIONS.get(each.media_type, "")
            if not PurePath(name).suffix:
                name += usual
            place = permitted_location(context, name, "write")
            with file_errors("write", name):
                write_bytes(place, each.content)
            context.wrote(place.path)
            digest = hashlib.sha256(each.content).hexdigest()
            made.append({"path": name, "media_type": each.media_type, "size": len(each.content), "sha256": digest})
        return made

    written: list[MadeFile] = await run_in_thread(write)
    return written


def settings_of(**given: Any) -> dict[str, Any]:
    """Return the settings that are given."""
    return {name: value for name, value in given.items() if value is not None}


def format_of(path: str, formats: Mapping[str, str]) -> str | None:
    """Return the format that the ending of a path means, if it is one of these."""
    return formats.get(PurePath(path).suffix.lower())
