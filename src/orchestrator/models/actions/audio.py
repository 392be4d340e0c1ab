"""The tool that transcribes recordings, and speaks texts."""

from __future__ import annotations

from typing import Annotated, Final, TypedDict

from orchestrator.models.actions.action_call import ActionCall, embedding_action_call, model_action
from orchestrator.models.actions.attachments import no_urls
from orchestrator.models.actions.media import (
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

MOST_CHARACTERS: Final = 4_096
"""How long a text can be that is spoken: what OpenAI takes."""

_FORMATS: Final = {".mp3": "mp3", ".wav": "wav", ".flac": "flac", ".aac": "aac", ".opus": "opus", ".ogg": "opus"}


class TranscriptSegment(TypedDict):
    """A piece of a transcript, with its times in seconds."""

    start: Annotated[float, "When it begins, in seconds."]
    end: Annotated[float, "When it ends, in seconds."]
    text: Annotated[str, "What is said."]


class Transcript(TypedDict):
    """What is said in a recording."""

    text: Annotated[str, "The transcript."]
    language: Annotated[str | None, "The language, if the model reports it."]
    seconds: Annotated[float | None, "The length of the recording, if it is known."]
    segments: Annotated[
        list[TranscriptSegment], "The pieces of the transcript with their times, if the model reports them."
    ]


class Speech(TypedDict):
    """The speech that was made."""

    path: Annotated[str, "The path of the file."]
    media_type: Annotated[str, "Its media type, such as `audio/mpeg`."]
    size: Annotated[int, "Its size in bytes."]
    sha256: Annotated[str, "Its SHA-256 digest, in hexadecimal digits."]
    seconds: Annotated[float | None, "Its length, if it is known: that of a WAV file."]


async def transcribe(
    call: ActionCall,
    file: Annotated[str, "The path of the recording: WAV, MP3, M4A, OGG, FLAC, MP4 or WebM."],
    language: Annotated[str | None, "The language, such as `en`; default: as the model hears it."] = None,
    prompt: Annotated[str | None, "A hint, such as names that occur."] = None,
    temperature: Annotated[float | None, "The randomness: from 0 (low) to 1 (high)."] = None,
) -> Transcript:
    """Write down what is said in a recording.

    Example:
        - id: minutes
          tool: audio
          action: transcribe
          parameters:
            model: openai:gpt-4o-transcribe
            file: meeting.mp3
            language: en
    """
    recording = await read_one(call.context, file, ("audio", "video"))
    settings = settings_of(language=language, temperature=temperature)
    reply = await make(call, MediaRequest("transcribe", prompt or "", (recording,), settings=settings))
    details = reply.details
    return {
        "text": reply.text,
        "language": details.get("language"),
        "seconds": reply.seconds,
        "segments": list(details.get("segments", ())),
    }


async def speak(
    call: ActionCall,
    text: Annotated[str, "The text, of 4,096 characters at most; a loop speaks more."],
    path: Annotated[
        str | None,
        "The path of the file to write; its ending is the format: `.mp3`, `.wav`, `.flac`, `.opus`; default: the name "
        "of the step, in the output directory.",
    ] = None,
    voice: Annotated[
        str | None, "The voice, such as `alloy` (OpenAI) or `Kore` (Google); default: one of these."
    ] = None,
    instructions: Annotated[str | None, "How to speak, such as `calm and slow`."] = None,
    speed: Annotated[float | None, "The speed, from 0.25 to 4; default: 1."] = None,
) -> Speech:
    """Speak a text.

    Example:
        - id: spoken
          tool: audio
          action: speak
          parameters:
            model: openai:gpt-4o-mini-tts
            text: "{{ summary }}"
            path: output/summary.mp3
            voice: coral
    """
    if not text.strip() or len(text) > MOST_CHARACTERS:
        raise invalid_parameter(
            f"`text` has {len(text):,} characters, and must have between 1 and {MOST_CHARACTERS:,}",
            "split it with `text.split`, and speak each part in a loop",
        )
    if speed is not None and not 0.25 <= speed <= 4:
        raise invalid_parameter("`speed` is from 0.25 to 4")
    place = path_of(call.context, path)
    writable(call.context, place)
    settings = settings_of(voice=voice, instructions=instructions, speed=speed, format=format_of(place, _FORMATS))
    reply = await make(call, MediaRequest("speak", text, settings=settings))
    [made] = await write_media(call.context, place, reply.media[:1])
    return {**made, "seconds": reply.seconds}


AUDIO: Final = Tool(
    "audio",
    {
        action.name: action
        for action in (
            model_action(
                transcribe,
                primary="text",
                refusal=checks_media(file="read"),
                reads=("file",),
                common=embedding_action_call,
                converts={"file": no_urls, "temperature": at_least(0)},
                makes="transcripts",
            ),
            model_action(
                speak,
                primary="path",
                refusal=checks_media(path="write"),
                common=embedding_action_call,
                makes="speech",
            ),
        )
    },
    "Transcribe recordings and speak texts with models of OpenAI, Google, or a server of the kind `openai`.",
)
