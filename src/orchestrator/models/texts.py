"""What is the same whoever is asked: how a file of text is put into words, and how JSON is read out of an answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator.errors import ModelAnswerInvalid
from orchestrator.json_text import read_json

if TYPE_CHECKING:
    from orchestrator.models.exchange import Media, ModelName, ModelReply, ModelRequest

NOTHING: Final = object()
"""What `loaded` returns for a text that is no JSON."""

_TEXTUAL: Final = re.compile(r"text/|application/(.*\+)?(json|xml|yaml|x-yaml|toml)$")
_FENCED: Final = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```\Z", re.DOTALL)


def file_in_words(media: Media) -> str | None:
    """Return a file of text as its text, None for any other: providers differ in which of them they take as files."""
    if not _TEXTUAL.match(media.media_type):
        return None
    try:
        text = media.content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    name = f' name="{media.name}"' if media.name else ""
    return f"<file{name}>\n{text}\n</file>"


def json_in(text: str, name: ModelName, reply: ModelReply, request: ModelRequest) -> Any:
    """Return the JSON that an answer is; raise ModelAnswerInvalid if it is none."""
    fenced = _FENCED.match(text.strip())
    value = loaded(fenced[1] if fenced else text)
    if value is NOTHING:
        said = f", but: {short(text)}" if text.strip() else ", but nothing"
        raise invalid(f"`{name}` did not answer with JSON{said}", name, reply, request)
    return value


def loaded(text: str) -> Any:
    """Return the value of a text of JSON, or NOTHING."""
    try:
        return read_json(text)
    except ValueError:
        return NOTHING


def invalid(message: str, name: ModelName, reply: ModelReply, request: ModelRequest) -> ModelAnswerInvalid:
    """Return the error for an answer that cannot be used."""
    if reply.finish == "length":
        limit = f" (now {request.max_tokens:,})" if request.max_tokens is not None else ""
        help = f"raise `max_tokens`{limit}: the answer was cut off after {reply.usage.output:,} tokens"
    elif request.schema is not None:
        help = "make the schema simpler, or take a model that can be held to a schema"
    else:
        help = "ask again, or take another model"
    return ModelAnswerInvalid(message, provider=name.provider, model=name.model, help=help, reply=reply)


def short(text: str, most: int = 200) -> str:
    """Return a text in one line, and not all of it."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most] + "…"
