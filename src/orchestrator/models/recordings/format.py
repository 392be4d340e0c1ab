"""A recording as a file: one request to a model and what came of it, as JSON that is good to read in a diff.

A text of several lines is written as `{"|": [line, ...]}`. Images and files are identified by their hash. What a secret
hides is hidden before anything is compared or written.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import asdict

from orchestrator import errors
from orchestrator.errors import ConfigurationError, ModelError
from orchestrator.models.media import MediaReply
from orchestrator.models.messages import Embeddings, Media, Message, ModelReply, ToolRequest, Usage
from orchestrator.remedies import StartRun
from orchestrator.text.content import make_private_directory, open_private
from orchestrator.text.media_types import EXTENSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.models.media import MediaRequest
    from orchestrator.models.messages import ModelName, ModelRequest

Scrub: TypeAlias = Callable[[Any], Any]
"""Takes the secrets out of JSON data."""


class SearchResults(Struct, frozen=True):
    """What a search of the web found."""

    results: tuple[Mapping[str, Any], ...]


Outcome: TypeAlias = ModelReply | Embeddings | SearchResults | MediaReply | ModelError

_ERRORS: Final = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ModelError)
}
_DIGITS: Final = 16
_FILE: Final = re.compile(rf"[0-9a-f]{{{_DIGITS}}}(-[0-9]{{1,9}})?\.json|[0-9a-f]{{32}}\.[a-z0-9]{{2,4}}")


def unchanged(value: Any) -> Any:
    """Hide nothing."""
    return value


class Recording(Struct, frozen=True):
    """One file. `number` tells equal requests apart, from 1; `step` is the path of the step that asked."""

    name: str
    step: str
    request: Mapping[str, Any]
    number: int
    outcome: Outcome

    @property
    def key(self) -> str:
        """What equal requests have in common."""
        return key_of(self.request)


def request_data(name: ModelName, request: ModelRequest, scrub: Scrub = unchanged) -> dict[str, Any]:
    """Return a request as it is written and compared: all that changes the answer, and nothing else."""
    tools = [{"name": t.name, "description": t.description, "parameters": t.parameters} for t in request.tools]
    given: dict[str, Any] = {
        "model": str(name),
        "system": request.system or None,
        "messages": [_message(message) for message in request.messages],
        "schema": request.schema,
        "tools": tools or None,
        "effort": request.effort,
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        "stop": list(request.stop) or None,
    }
    return {key: _written(scrub(value)) for key, value in given.items() if value is not None}


def embedding_request_data(name: ModelName, texts: Sequence[str], scrub: Scrub = unchanged) -> dict[str, Any]:
    """Return a request for vectors as it is written and compared."""
    return {"model": str(name), "embed": _written(scrub(list(texts)))}


def media_request_data(name: ModelName, request: MediaRequest, scrub: Scrub = unchanged) -> dict[str, Any]:
    """Return a request for pictures, speech or a transcript as it is written and compared."""
    given: dict[str, Any] = {
        "make": request.operation,
        "text": request.text or None,
        "media": [_part(each) for each in request.media] or None,
        "mask": None if request.mask is None else _part(request.mask),
        "count": request.count if request.count != 1 else None,
        "settings": dict(request.settings) or None,
    }
    told = {key: _written(scrub(value)) for key, value in given.items() if value is not None}
    return {"model": str(name), **told}


def media_file(media: Media) -> str:
    """Return the name of the file with the bytes of a picture or of speech."""
    return f"{hashlib.sha256(media.content).hexdigest()[:32]}{EXTENSIONS.get(media.media_type, '.bin')}"


def search_request_data(request: Mapping[str, Any], scrub: Scrub = unchanged) -> dict[str, Any]:
    """Return a search of the web as it is written and compared."""
    return {"search": _written(scrub(dict(request)))}


def key_of(request: Mapping[str, Any]) -> str:
    """Return the short hash of a request that is described."""
    return digest_of(request)[:_DIGITS]


def digest_of(request: Mapping[str, Any]) -> str:
    """Return the whole hash of a request that is described."""
    canonical = json.dumps(request, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def file_name(key: str, number: int) -> str:
    """Return the name of the file of a recording."""
    return f"{key}.json" if number == 1 else f"{key}-{number}.json"


def is_file_name(name: str) -> bool:
    """Whether a file has the name of a recording: the directory can contain other files."""
    return _FILE.fullmatch(name) is not None


def write(directory: Path, recording: Recording, scrub: Scrub = unchanged) -> None:
    """Write a recording atomically, replacing an older one.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    kind, outcome = _outcome(recording.outcome)
    content = {"step": recording.step, "request": recording.request, kind: _written(scrub(outcome))}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    temporary = directory / f".{recording.name}.{os.getpid()}"
    try:
        make_private_directory(directory)
        with open(temporary, "wb", opener=open_private) as file:
            file.write(f"{text}\n".encode("utf-8", "surrogatepass"))
        temporary.replace(directory / recording.name)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _not_written(directory, error) from error


def make_room(directory: Path) -> None:
    """Make a directory for recordings, so that nothing is paid for what cannot be written then.

    Raises:
        ConfigurationError: It cannot be made, or not be written.
    """
    try:
        make_private_directory(directory)
    except OSError as error:
        raise _not_written(directory, error) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise _not_written(directory, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _not_written(directory: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{directory}: recordings cannot be written: {(error.strerror or str(error)).lower()}",
        help="name a directory that can be written",
    )


def read_all(directory: Path) -> list[Recording]:
    """Return all recordings of a directory, by name.

    Raises:
        ConfigurationError: The directory cannot be read, or a file in it is not a recording.
    """
    try:
        paths = sorted(path for path in directory.glob("*.json") if path.is_file())
        return [_read(path.name, path.read_bytes()) for path in paths]
    except OSError as error:
        raise ConfigurationError(
            f"{directory}: recordings cannot be read: {(error.strerror or str(error)).lower()}",
            help="check the path",
            remedies=[StartRun(record="DIR")],
        ) from error
    except _NoRecording as found:
        raise ConfigurationError(
            f"{directory / found.name}: it is not a recording: {found}",
            help="remove it",
            remedies=[StartRun(record="DIR")],
        ) from found


class _NoRecording(Exception):
    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


def _read(name: str, content: bytes) -> Recording:
    number = name.removesuffix(".json").partition("-")[2]
    try:
        data = json.loads(content.decode("utf-8", "surrogatepass"))
        (kind,) = _RESTORED.keys() & data.keys()
        outcome = _RESTORED[kind](plain_json(data[kind]))
        _require_sound(data["request"], outcome)
        return Recording(name, str(data.get("step", "")), dict(data["request"]), int(number or 1), outcome)
    except RecursionError as error:
        raise _NoRecording(name, "it is nested too deeply") from error
    except KeyError as error:
        raise _NoRecording(name, f"it has no {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise _NoRecording(name, str(error)) from error


def _require_sound(request: Mapping[str, Any], outcome: Outcome) -> None:
    """Reject content that is never recorded, instead of failing in the middle of a run."""
    if isinstance(outcome, SearchResults):
        _require(request["search"], dict, "its search")
        for result in outcome.results:
            _require(result, dict, "a result")
        return
    _require(request["model"], str, "its model")
    messages = _require(request.get("messages", []), list, "its `messages`")
    if not all(isinstance(each, dict) for each in messages):
        raise ValueError("its `messages` are not as they are written")
    if isinstance(outcome, ModelError):
        _require(outcome.message, str, "the message of its error")
        outcome = outcome.reply if isinstance(outcome.reply, ModelReply) else ModelReply("")
    for name, count in asdict(outcome.usage).items():
        if _require(count, int, f"its usage, `{name}`,") < 0:
            raise ValueError(f"its usage, `{name}`, is less than nothing")
    if isinstance(outcome, ModelReply):
        _require(outcome.text, str, "its text")
        for each in outcome.requests:
            _require(each.name, str, "the name of a tool")
            _require(each.arguments, dict, "what a tool is given")


_Kind = TypeVar("_Kind")


def _require(value: Any, kind: type[_Kind], what: str) -> _Kind:
    if not isinstance(value, kind):
        raise ValueError(f"{what} is not {_KINDS[kind]}")
    return value


_KINDS: Final[Mapping[type, str]] = {str: "a text", int: "an integer", list: "a list", dict: "an object"}


# --- what is written of a request


def _message(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = {"role": message.role}
    if message.name:
        found["name"] = message.name
    if message.request_id:
        found["answers"] = message.request_id
    if message.requests:
        found["tools"] = _requests(message.requests)
    if isinstance(message.content, str):
        return found | {"content": message.content}
    return found | {"content": [_part(part) for part in message.content]}


def _part(part: str | Media) -> dict[str, Any]:
    if isinstance(part, str):
        return {"text": part}
    named = {"name": part.name} if part.name else {}
    digest = hashlib.sha256(part.content).hexdigest()
    return {"media": part.media_type, **named, "bytes": len(part.content), "sha256": digest}


def _requests(requests: Sequence[ToolRequest]) -> list[dict[str, Any]]:
    return [
        {"id": request.id, "name": request.name, "arguments": dict(request.arguments)}
        | ({"problem": request.problem} if request.problem else {})
        for request in requests
    ]


_LINES: Final = "|"


def _written(value: Any) -> Any:
    """Write a text of several lines as `{"|": [...]}`, so that each of its lines is one of the file."""
    if isinstance(value, str):
        return {_LINES: value.split("\n")} if "\n" in value else value
    if isinstance(value, Mapping):
        written = {str(key): _written(item) for key, item in value.items()}
        return {_LINES: written} if written.keys() == {_LINES} else written
    if isinstance(value, list | tuple):
        return [_written(item) for item in value]
    return value


def plain_json(value: Any) -> Any:
    """Return what was written with its texts put together again."""
    if isinstance(value, Mapping):
        inner = value[_LINES] if value.keys() == {_LINES} else value
        if isinstance(inner, list):
            return "\n".join(inner)
        return {key: plain_json(item) for key, item in inner.items()}
    if isinstance(value, list):
        return [plain_json(item) for item in value]
    return value


# --- what is written of an answer


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """Return what came of a request as JSON data, under the name of its kind."""
    return dict([_outcome(outcome)])


def restored(data: Mapping[str, Any]) -> Outcome:
    """Return what came of a request, from what `outcome_data` made of it."""
    (kind,) = _RESTORED.keys() & data.keys()
    return _RESTORED[kind](data[kind])


def _outcome(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    if isinstance(outcome, ModelReply):
        return "reply", _reply(outcome)
    if isinstance(outcome, SearchResults):
        return "results", {"results": [dict(each) for each in outcome.results]}
    if isinstance(outcome, MediaReply):
        given = {"text": outcome.text or None, "details": dict(outcome.details) or None, "seconds": outcome.seconds}
        listed = [{**_part(each), "file": each.name or media_file(each)} for each in outcome.media]
        told = {name: value for name, value in given.items() if value is not None}
        return "media", {"media": listed, **told, **_told(outcome)}
    if isinstance(outcome, Embeddings):
        vectors = [" ".join(map(repr, vector)) for vector in outcome.vectors]
        return "vectors", {"vectors": vectors, **_told(outcome)}
    given = {
        "type": type(outcome).__name__,
        "code": outcome.code,
        "message": outcome.message,
        "help": outcome.help,
        "provider": outcome.provider,
        "model": outcome.model,
        "status": outcome.status,
        "retryable": outcome.retryable,
        "reply": _reply(outcome.reply) if isinstance(outcome.reply, ModelReply) else None,
    }
    return "error", {key: value for key, value in given.items() if value is not None}


def _reply(reply: ModelReply) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if reply.data is not None:
        found["data"] = reply.data
    if reply.data is None or reply.text != _as_text(reply.data):
        found["text"] = reply.text
    if reply.requests:
        found["tools"] = _requests(reply.requests)
    return found | {"finish": reply.finish} | _told(reply)


def _told(outcome: ModelReply | Embeddings | MediaReply) -> dict[str, Any]:
    usage = {key: count for key, count in asdict(outcome.usage).items() if count}
    return {"model": outcome.model, "usage": usage, "latency": round(outcome.latency, 3)}


def _as_text(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


def _restored_reply(told: Mapping[str, Any]) -> ModelReply:
    data = told.get("data")
    return ModelReply(
        told["text"] if "text" in told else _as_text(data),
        data=data,
        requests=tuple(
            ToolRequest(each["id"], each["name"], each["arguments"], each.get("problem", ""))
            for each in told.get("tools", ())
        ),
        usage=Usage(**told.get("usage", {})),
        finish=told.get("finish", "stop"),
        model=told.get("model", ""),
        latency=told.get("latency", 0.0),
    )


def _restored_vectors(told: Mapping[str, Any]) -> Embeddings:
    vectors = tuple(tuple(map(float, vector.split())) for vector in told["vectors"])
    return Embeddings(vectors, Usage(**told.get("usage", {})), told.get("model", ""), told.get("latency", 0.0))


def _restored_media(told: Mapping[str, Any]) -> MediaReply:
    """Return what was made, with the names of the files that have its bytes."""
    return MediaReply(
        tuple(Media(b"", each["media"], each["file"]) for each in told["media"]),
        text=told.get("text", ""),
        details=told.get("details", {}),
        seconds=told.get("seconds"),
        usage=Usage(**told.get("usage", {})),
        model=told.get("model", ""),
        latency=told.get("latency", 0.0),
    )


def _restored_results(told: Mapping[str, Any]) -> SearchResults:
    return SearchResults(tuple(told["results"]))


def _restored_error(told: Mapping[str, Any]) -> ModelError:
    given = dict(told)
    kind: type[ModelError] = _ERRORS.get(given.pop("type", ""), ModelError)
    reply = given.pop("reply", None)
    return kind(given.pop("message"), **given, reply=None if reply is None else _restored_reply(reply))


_RESTORED: Final[Mapping[str, Callable[[Mapping[str, Any]], Outcome]]] = {
    "reply": _restored_reply,
    "vectors": _restored_vectors,
    "results": _restored_results,
    "media": _restored_media,
    "error": _restored_error,
}
