"""What all clients share: how a text file becomes part of a prompt, and how JSON is read from an answer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from orchestrator.errors import ModelAnswerInvalid
from orchestrator.text.json_text import read_json
from orchestrator.text.words import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.models.messages import Media, ModelName, ModelReply, ModelRequest

NOTHING: Final = object()
"""What `loaded` returns for a text that is not JSON."""

_TEXTUAL: Final = re.compile(r"text/|application/(.*\+)?(json|xml|yaml|x-yaml|toml)$")


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
    value = found_in(text)
    if value is NOTHING:
        if not text.strip():
            raise empty_answer(name, reply, request)
        if reply.finish == "length":
            raise invalid_answer(f"the answer of `{name}` is cut off: {shorten(text, 200)}", name, reply, request)
        raise invalid_answer(f"`{name}` did not return JSON: {shorten(text, 200)}", name, reply, request)
    return value


def found_in(text: str) -> Any:
    """Return the JSON of an answer, or NOTHING: all of it, what stands in fences, or an object or list in prose.

    Several that differ count as none, because the intended one is unknown.
    """
    value = loaded(text)
    if value is not NOTHING or _is_nested(text):
        return value
    fenced = [found for block in _fenced(text) if (found := loaded(block)) is not NOTHING]
    found = fenced or list(_in_prose(text))
    found = [each for each in found if isinstance(each, dict)] or found  # `[1]` may be a reference
    return found[0] if found and all(each == found[0] for each in found) else NOTHING


def _fenced(text: str) -> Iterator[str]:
    """Yield what stands between fences, which may be on one line."""
    parts = text.split("```")
    for inner in parts[1::2]:
        yield _LANGUAGE.sub("", inner, count=1)


_LANGUAGE: Final = re.compile(r"\A[ \t]*[A-Za-z0-9]*(?=\s|[{\[])")
_MOST_BEGINNINGS: Final = 100


def _in_prose(text: str) -> Iterator[Any]:
    """Yield the objects and lists in a text that are not within others."""
    at, tried = 0, 0
    while tried < _MOST_BEGINNINGS and (start := _BEGINNING.search(text, at)) is not None:
        tried += 1
        try:
            _, at = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            at = start.end()
        else:
            value = loaded(text[start.start() : at])
            if value is not NOTHING and value:
                yield value


_BEGINNING: Final = re.compile(r"[{\[]")
_DECODER: Final = json.JSONDecoder()


def empty_answer(name: object, reply: ModelReply, request: ModelRequest) -> ModelAnswerInvalid:
    """Return the error for an answer without text, data or requests."""
    if reply.finish == "length":
        spent = f"; {reply.usage.reasoning:,} tokens went into reasoning" if reply.usage.reasoning else ""
        return invalid_answer(f"`{name}` reached its limit of tokens before it answered{spent}", name, reply, request)
    return invalid_answer(f"`{name}` returned an empty answer", name, reply, request)


_MOST_NESTED: Final = 200_000
"""Objects and lists in a text: what is written in three characters takes a hundred bytes in memory."""


def loaded(text: str) -> Any:
    """Return the value of a text of JSON, or NOTHING."""
    try:
        return NOTHING if _is_nested(text) else read_json(text)
    except ValueError:
        return NOTHING


def _is_nested(text: str) -> bool:
    """Whether a text has more objects and lists than are read."""
    return text.count("{") + text.count("[") > _MOST_NESTED


def invalid_answer(message: str, name: Any, reply: ModelReply, request: ModelRequest) -> ModelAnswerInvalid:
    """Return the error for an answer that cannot be used."""
    if reply.finish == "length":
        limit = f" (now {request.max_tokens:,})" if request.max_tokens is not None else ""
        help = f"raise `max_tokens`{limit}: the answer was cut off after {reply.usage.output:,} tokens"
    elif request.schema is not None:
        help = "simplify the schema, or use a model that supports schemas"
    else:
        help = "retry, or use another model"
    return ModelAnswerInvalid(message, provider=name.provider, model=name.model, help=help, reply=reply)
