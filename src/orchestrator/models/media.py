"""Requests for pictures, speech and transcripts, and their replies, the same for every provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from msgspec import Struct, field

from orchestrator.errors import ModelAnswerInvalid, ModelMissing
from orchestrator.models.messages import Media, ModelName, Usage
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from orchestrator.tools.contract import Makes

Operation = Literal["generate", "edit", "transcribe", "speak"]
"""What is asked for: a new picture, a changed one, the text of a recording, or a text spoken."""

_MAKES: Final[Mapping[Operation, Makes]] = {
    "generate": "images",
    "edit": "images",
    "transcribe": "transcripts",
    "speak": "speech",
}


class MediaRequest(Struct, frozen=True):
    """One request. `text` is the description of a picture, the text to speak, or a hint for a transcript.

    `media` are the pictures to edit, or the recording; `mask` marks what may change. `count`: how many pictures.
    `settings` are further settings by their names in actions; those that are absent are the provider's.
    """

    operation: Operation
    text: str = ""
    media: tuple[Media, ...] = ()
    mask: Media | None = None
    count: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def makes(self) -> Makes:
        """What a model must be able to make."""
        return _MAKES[self.operation]


class MediaReply(Struct, frozen=True):
    """What was made: pictures or speech in `media`, a transcript in `text`; `details` has the rest of an answer.

    `seconds` is how long a recording is, if that is known. `usage` is empty where the provider does not report tokens.
    `limits` and `ignored` are as in `ModelReply`.
    """

    media: tuple[Media, ...] = ()
    text: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    latency: float = 0.0
    limits: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


class MediaClient(Protocol):
    """What a `ModelClient` offers as well if it can make pictures, speech and transcripts."""

    async def make(self, name: ModelName, request: MediaRequest) -> MediaReply:
        """Return what was asked for.

        Raises:
            ModelError: It was not made.
        """


def not_made(name: ModelName) -> ModelMissing:
    """Return the error for a client that has no `make`."""
    return ModelMissing(
        f"`{name}` is called by a client that makes neither pictures nor audio",
        provider=name.provider,
        model=name.model,
        help="use a model of OpenAI or Google, or a server of the kind `openai`",
    )


def require_media(reply: MediaReply, request: MediaRequest, name: ModelName) -> None:
    """Refuse a reply that has not what was asked for.

    Raises:
        ModelAnswerInvalid: It has no picture, no speech, or something else in its place.
    """
    wanted = {"images": "image", "speech": "audio"}.get(request.makes)
    others = [each.media_type for each in reply.media if wanted and not each.media_type.startswith(f"{wanted}/")]
    if wanted is None or (reply.media and not others):
        return
    said = f": {shorten(reply.text, 160)}" if reply.text.strip() else ""
    what = f"`{others[0]}`" if others else f"nothing{said}"
    raise ModelAnswerInvalid(
        f"`{name}` was asked for {'a picture' if wanted == 'image' else 'speech'}, and made {what}",
        provider=name.provider,
        model=name.model,
        help="change what is asked for, or use another model",
    )


def wave_seconds(content: bytes) -> float | None:
    """Return how long a WAV file is, by its header; None for other files."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    place, rate = 12, 0
    while place + 8 <= len(content):
        kind, size = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        if kind == b"fmt ":
            rate = int.from_bytes(content[place + 16 : place + 20], "little")
        elif kind == b"data":
            return min(size, len(content) - place - 8) / rate if rate else None
        place += 8 + size + size % 2
    return None


PIXEL: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005"
    "fe02fe0def46b80000000049454e44ae426082"
)
"""A PNG picture of one pixel, as an example."""


def wave_file(samples: bytes, rate: int) -> bytes:
    """Return samples of 16 bits, in one channel, as a WAV file."""
    head = b"".join(
        (
            b"RIFF",
            (36 + len(samples)).to_bytes(4, "little"),
            b"WAVEfmt ",
            (16).to_bytes(4, "little"),
            (1).to_bytes(2, "little") * 2,
            rate.to_bytes(4, "little"),
            (rate * 2).to_bytes(4, "little"),
            (2).to_bytes(2, "little"),
            (16).to_bytes(2, "little"),
            b"data",
            len(samples).to_bytes(4, "little"),
        )
    )
    return head + samples
