"""The files next to recordings with the pictures and the speech that models made, named by their digests."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.errors import ConfigurationError, RecordingMissing
from orchestrator.models.recordings.format import media_file
from orchestrator.text.content import open_private

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.models.media import MediaReply
    from orchestrator.models.messages import Media
    from orchestrator.remedies import Remedy


def write_media(directory: Path, reply: MediaReply) -> set[str]:
    """Write what was made into files, and return their names.

    Raises:
        ConfigurationError: A file cannot be written.
    """
    written = set()
    for media in reply.media:
        name = media_file(media)
        temporary = directory / f".{name}.{os.getpid()}"
        try:
            with open(temporary, "wb", opener=open_private) as file:
                file.write(media.content)
            temporary.replace(directory / name)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            reason = (error.strerror or str(error)).lower()
            raise ConfigurationError(
                f"{directory}: recordings cannot be written: {reason}", help="name a directory that can be written"
            ) from error
        written.add(name)
    return written


def read_media(directory: Path, reply: MediaReply, again: Remedy) -> MediaReply:
    """Return a recorded reply with the bytes of its files.

    Raises:
        RecordingMissing: A file is missing, or has changed.
    """
    return replace(reply, media=tuple(_read(directory, each, again) for each in reply.media))


def _read(directory: Path, media: Media, again: Remedy) -> Media:
    path = directory / media.name
    try:
        content = path.read_bytes() if path.parent == directory else b""
    except OSError:
        content = b""
    found = replace(media, content=content, name="")
    if media_file(found) != media.name:
        raise RecordingMissing(
            f"the file `{media.name}` of a recording in `{directory}` is missing, or has changed", remedies=(again,)
        )
    return found
