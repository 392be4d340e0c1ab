"""A fake model with scripted answers, to test a pipeline without network, keys or cost."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct

from orchestrator.errors import (
    ConfigurationError,
    ModelAnswerInvalid,
    ModelError,
    ModelRateLimited,
    ModelRefused,
    ModelRejected,
    ModelUnavailable,
    StepError,
)
from orchestrator.models.clients.schema_sample import NoSample, sample_of
from orchestrator.models.media import PIXEL, MediaReply, MediaRequest, wave_file, wave_seconds
from orchestrator.models.messages import (
    Embeddings,
    Media,
    Message,
    ModelName,
    ModelReply,
    ModelRequest,
    ToolRequest,
    Usage,
    current_step,
)
from orchestrator.text.media_types import media_type_of
from orchestrator.text.words import plural, quoted_list

Answer: TypeAlias = (
    "str | bytes | bool | float | Mapping[str, Any] | ModelReply | MediaReply | ToolRequest | BaseException | None"
)
"""What is answered: a text, JSON data, a whole reply, a request for a tool, a file; or an error, which is raised."""

Script: TypeAlias = "Answer | Sequence[Answer | Sequence[Any]] | Callable[[Asked], Any]"
"""The answers to give: the same each time, those of a list one after another, or what a function makes of a request."""

_INDEX: Final = re.compile(r"\[\d+\]")
_TURN: Final = re.compile(r"\[\d+\]\.answer\Z")
_DIMENSIONS: Final = 16
_OTHERWISE: Final = ("sample", "echo", "fail")
_ANYTHING: Final = re.compile("")
_STATUS: Final = {ModelRateLimited: 429, ModelUnavailable: 503, ModelRefused: 400, ModelRejected: 400}


class Asked(Struct, frozen=True):
    """One request that a `FakeModel` got. `step` is the path of the step that asked; embeddings have only `texts`."""

    step: str
    model: str
    request: ModelRequest
    texts: tuple[str, ...] = ()

    @property
    def prompt(self) -> str:
        """The text of the last message."""
        return next((words_of(said) for said in reversed(self.request.messages) if said.role != "assistant"), "")

    @property
    def text(self) -> str:
        """The text of all messages, with the system prompt first."""
        return "\n\n".join(part for part in (self.request.system, *map(words_of, self.request.messages)) if part)


class FakeModel:
    """A `ModelClient` for tests. It answers for any model, and keeps what it was asked in `requests`.

    `answers` is a script for all requests, or a mapping to scripts. Its keys are steps' paths (`draft`, an item's
    `translate[2].draft`, or `translate.draft` for all items), with `:judge` behind them those of their judges
    (`draft:judge`), or compiled regular expressions that are searched in all that was said. A script is an answer that
    is given each time, a list of answers that are given one after another, or a function of the request. Once a list is
    used up, a further request is an error. To answer with JSON that is a list, put it into a list; to answer everybody
    with the same object, give a function. Where data with one field is asked for, as by `classify`, the field's value
    is enough.

    What nothing is scripted for is answered by `otherwise`: with `sample` JSON that satisfies the schema or, without
    one, a sentence made of the prompt's beginning; with `echo` the prompt; with `fail` an error. All is deterministic.
    Usage is counted in words.
    """

    auto = ModelName("fake", "fake")
    """What answers for `auto`."""

    def __init__(
        self,
        answers: Script | Mapping[Any, Script] = None,
        *,
        otherwise: Literal["sample", "echo", "fail"] = "sample",
    ) -> None:
        if otherwise not in _OTHERWISE:
            listed = quoted_list(_OTHERWISE)
            raise ConfigurationError(f"`otherwise` cannot be {otherwise!r}", help=f"it is one of {listed}")
        self._scripts: dict[str | re.Pattern[str], Script] = {}
        self._given: dict[str | re.Pattern[str], int] = {}
        self._otherwise = otherwise
        self._lock = threading.Lock()
        self.requests: list[Asked] = []
        """All that was asked, in order."""
        self.script(answers)

    def script(self, answers: Script | Mapping[Any, Script]) -> None:
        """Take further scripts, or others for the same steps and patterns, from now on."""
        if answers is None:
            return
        scripts = answers if isinstance(answers, Mapping) else {_ANYTHING: answers}
        with self._lock:
            for key, script in scripts.items():
                self._scripts[key] = script
                self._given.pop(key, None)

    @property
    def prompts(self) -> list[str]:
        """The text of the last message of each request."""
        return [asked.prompt for asked in self.requests]

    @property
    def unused(self) -> list[str]:
        """The steps and patterns of the script that were never requested."""
        return [key if isinstance(key, str) else key.pattern for key in self._scripts if key not in self._given]

    def of(self, step: str) -> list[Asked]:
        """Return what a step asked; a path without numbers means all items, that of an agent all of its turns."""
        return [asked for asked in self.requests if step in _paths(asked.step)]

    async def ask(
        self, name: ModelName, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> ModelReply:
        """Answer as scripted; see `orchestrator.models.messages.ModelClient`.

        Raises:
            StepError: The script has no answer for this request.
        """
        await asyncio.sleep(0)  # others get their turn, as they would while a real model answers
        asked = Asked(current_step.get(), str(name), request)
        reply = _reply(self._answer(asked), asked)
        if on_text is not None:
            for piece in pieces(reply.text):
                on_text(piece)
        return reply

    async def embed(self, name: ModelName, texts: Sequence[str]) -> Embeddings:
        """Return the scripted vectors, else some in which texts are near to each other that share words."""
        await asyncio.sleep(0)
        asked = Asked(current_step.get(), str(name), ModelRequest(()), tuple(texts))
        answer = self._answer(asked)
        vectors = [_vector(text) for text in texts] if answer is _UNSCRIPTED else answer
        usage = Usage(input=sum(len(text.split()) for text in texts), requests=1)
        return Embeddings(tuple(tuple(map(float, vector)) for vector in vectors), usage, str(name))

    async def make(self, name: ModelName, request: MediaRequest) -> MediaReply:
        """Return what is scripted: bytes for a picture or speech, a text for a transcript; else a small example."""
        await asyncio.sleep(0)
        said = Message("user", (request.text, *request.media))
        answer = self._answer(Asked(current_step.get(), str(name), ModelRequest((said,))))
        usage = Usage(input=len(request.text.split()), requests=1)
        if isinstance(answer, MediaReply):
            return answer
        if request.operation == "transcribe":
            text = "a transcript" if answer is _UNSCRIPTED else str(answer)
            return MediaReply(text=text, details={"language": None, "segments": []}, usage=usage, model=str(name))
        if isinstance(answer, bytes):
            content = answer
        else:
            content = PIXEL if request.makes == "images" else wave_file(bytes(3_200), 16_000)
        made = Media(content, media_type_of(content))
        return MediaReply((made,) * request.count, seconds=wave_seconds(content), usage=usage, model=str(name))

    async def aclose(self) -> None:
        """Do nothing: no connection is open."""

    def _answer(self, asked: Asked) -> Any:
        with self._lock:
            self.requests.append(asked)
            key = self._key(asked)
            if key is None:
                if self._otherwise == "fail":
                    raise _unscripted(asked)
                return _UNSCRIPTED if asked.texts or self._otherwise == "sample" else asked.prompt
            number = self._given.get(key, 0)
            self._given[key] = number + 1
        script = self._scripts[key]
        if isinstance(script, Sequence) and not isinstance(script, str):
            if number >= len(script):
                raise _used_up(asked, len(script))
            script = script[number]
        answer = script(asked) if callable(script) else script
        if isinstance(answer, BaseException):
            raise _as_raised(answer, asked)
        return answer

    def _key(self, asked: Asked) -> str | re.Pattern[str] | None:
        for path in _paths(asked.step):
            if path in self._scripts:
                return path
        text = "\n\n".join(asked.texts) or asked.text
        return next((key for key in self._scripts if isinstance(key, re.Pattern) and key.search(text)), None)


_UNSCRIPTED: Final = object()


def words_of(message: Message) -> str:
    """Return the text of a message, without its images and files."""
    content = message.content
    return content if isinstance(content, str) else "\n\n".join(part for part in content if isinstance(part, str))


def pieces(text: str) -> list[str]:
    """Return a text in the pieces in which it is streamed."""
    return re.findall(r"\s*\S+|\s+\Z", text)


def _paths(step: str) -> Iterator[str]:
    """Yield the paths that mean a step, the narrowest first. What an agent asks in a turn is meant by its path too."""
    yield from (step, _INDEX.sub("", step))
    agent, turns = _TURN.subn("", step)
    if turns:
        yield from (agent, _INDEX.sub("", agent))


def _as_raised(error: BaseException, asked: Asked) -> BaseException:
    """Return a scripted error as a provider's would be: of this model, with the status of an answer over HTTP."""
    if not isinstance(error, ModelError):
        return error
    raised = copy(error)
    provider, _, model = asked.model.partition(":")
    raised.provider, raised.model = error.provider or provider, error.model or model or provider
    if error.status is None and error.reply is None:
        raised.status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), None)
    return raised


def _reply(answer: Any, asked: Asked) -> ModelReply:
    if isinstance(answer, ModelReply):
        return answer
    request = asked.request
    if answer is _UNSCRIPTED:
        answer = _sample(asked) if request.schema is None else _filled(request.schema, asked)
    if isinstance(answer, ToolRequest):
        return ModelReply("", requests=(answer,), usage=_usage(asked, ""), finish="tools", model=asked.model)
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=_as_json)
    reply = ModelReply(text, usage=_usage(asked, text), model=asked.model)
    if request.schema is None:
        return reply
    text, data = _data(answer, reply, asked)
    return ModelReply(text, data=data, usage=reply.usage, finish=reply.finish, model=reply.model)


def _data(answer: Any, reply: ModelReply, asked: Asked) -> tuple[str, Any]:
    """Return a scripted answer in the form that was asked for, as text and as data."""
    from orchestrator.json_schema import is_valid

    schema = asked.request.schema or {}
    fields = schema.get("required") or list(schema.get("properties", {}))
    if not isinstance(answer, Mapping) and schema.get("type") == "object" and len(fields) == 1:
        wrapped = {fields[0]: answer}
        if is_valid(schema, wrapped):
            return json.dumps(wrapped, ensure_ascii=False), wrapped
    if not isinstance(answer, str) or is_valid(schema, answer):
        return json.dumps(answer, ensure_ascii=False, default=_as_json), answer
    try:
        return answer, json.loads(answer)
    except ValueError as error:
        raise ModelAnswerInvalid(
            f"`{asked.model}` did not return JSON: {answer}", model=asked.model, reply=reply
        ) from error


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise StepError(f"a `FakeModel` cannot answer with {value!r}", help="script text, JSON data or an error")


def _filled(schema: Mapping[str, Any], asked: Asked) -> Any:
    try:
        return sample_of(schema)
    except NoSample:
        raise _unscripted(asked, "no sample matches the schema of") from None


def _sample(asked: Asked) -> str:
    words = asked.prompt.split()
    return f"An answer to: {' '.join(words[:12])}{' …' if len(words) > 12 else ''}"


def _usage(asked: Asked, text: str) -> Usage:
    return Usage(input=len(asked.text.split()), output=len(text.split()), requests=1)


def _vector(text: str) -> list[float]:
    found = [0.0] * _DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [text]:
        digest = hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()
        for place, byte in enumerate(digest[:_DIMENSIONS]):
            found[place] += byte - 127.5
    length = sum(each * each for each in found) ** 0.5
    return [round(each / length, 6) for each in found]


def _unscripted(asked: Asked, what: str = "no answer is scripted for") -> StepError:
    who = f"step `{asked.step}`" if asked.step else "this request"
    return StepError(
        f"{what} {who}",
        help=f"script one: `FakeModel({{{asked.step or 'step'!r}: ...}})`",
        retryable=False,
    )


def _used_up(asked: Asked, count: int) -> StepError:
    who = f"step `{asked.step}`" if asked.step else "a request"
    answers = plural(count, "answer")
    return StepError(
        f"{who} makes another request, but its script has {answers}",
        help="add an answer to the list, or script a single answer for every request",
        retryable=False,
    )
