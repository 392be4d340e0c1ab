"""Pictures and audio in OpenAI's form, which most compatible servers have too."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

import httpx2
import pydantic_core
from pydantic_ai.exceptions import ModelHTTPError

from orchestrator.errors import ModelError
from orchestrator.models.clients.translation import count
from orchestrator.models.clients.transport import CONNECT, READ
from orchestrator.models.media import MediaReply, wave_seconds
from orchestrator.models.messages import Media, Usage
from orchestrator.text.media_types import media_type_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.models.clients.endpoints import Endpoint
    from orchestrator.models.media import MediaRequest

_ADDRESS: Final = "https://api.openai.com/v1"
_PICTURE_SETTINGS: Final = {"size": "size", "quality": "quality", "background": "background", "format": "output_format"}
_OF_IMAGE_MODELS: Final = ("background", "output_format")
"""What only OpenAI's newer models take; they always answer with bytes, which others must be asked for."""

_FILE_NAMES: Final = {"audio/mpeg": "mp3", "audio/wav": "wav", "audio/mp4": "m4a", "video/mp4": "mp4"}


class OpenAIMedia:
    """Makes media at one endpoint."""

    def __init__(self, endpoint: Endpoint, http: httpx2.AsyncClient) -> None:
        self._endpoint = endpoint
        self._http = http
        self._base = (endpoint.base_url or _ADDRESS).rstrip("/")

    async def __call__(self, model: str, request: MediaRequest) -> MediaReply:
        """Return what was asked for."""
        match request.operation:
            case "generate":
                return await self._generated(model, request)
            case "edit":
                return await self._edited(model, request)
            case "transcribe":
                return await self._transcribed(model, request)
            case "speak":
                return await self._spoken(model, request)

    async def _generated(self, model: str, request: MediaRequest) -> MediaReply:
        body = {"model": model, "prompt": request.text, "n": request.count, **_of_pictures(model, request)}
        response = await self._post("/images/generations", model, json=body)
        return _pictures(pydantic_core.from_json(response.content), model)

    async def _edited(self, model: str, request: MediaRequest) -> MediaReply:
        form = {"model": model, "prompt": request.text, "n": str(request.count), **_of_pictures(model, request)}
        name = "image" if len(request.media) == 1 else "image[]"
        files = [
            (name, (f"image-{number}", each.content, each.media_type)) for number, each in enumerate(request.media)
        ]
        if request.mask is not None:
            files.append(("mask", ("mask", request.mask.content, request.mask.media_type)))
        response = await self._post("/images/edits", model, data=form, files=files)
        return _pictures(pydantic_core.from_json(response.content), model)

    async def _transcribed(self, model: str, request: MediaRequest) -> MediaReply:
        recording = request.media[0]
        detailed = "transcribe" not in model.lower()  # OpenAI's newer models give no segments
        form = {"model": model, "response_format": "verbose_json" if detailed else "json"}
        form |= {name: str(value) for name, value in request.settings.items() if name in ("language", "temperature")}
        if request.text:
            form["prompt"] = request.text
        file = f"recording.{_FILE_NAMES.get(recording.media_type, recording.media_type.partition('/')[2])}"
        files = [("file", (file, recording.content, recording.media_type))]
        response = await self._post("/audio/transcriptions", model, data=form, files=files)
        answer = pydantic_core.from_json(response.content)
        usage = answer.get("usage") or {}
        seconds = answer.get("duration") or usage.get("seconds") or wave_seconds(recording.content)
        segments = [
            {"start": float(each["start"]), "end": float(each["end"]), "text": str(each["text"]).strip()}
            for each in answer.get("segments") or ()
        ]
        details = {"language": answer.get("language"), "segments": segments}
        return MediaReply(
            text=str(answer["text"]).strip(),
            details=details,
            seconds=None if seconds is None else float(seconds),
            usage=_usage(usage),
            model=model,
        )

    async def _spoken(self, model: str, request: MediaRequest) -> MediaReply:
        settings = request.settings
        body = {"model": model, "input": request.text, "voice": settings.get("voice") or "alloy"}
        body |= {name: settings[name] for name in ("instructions", "speed") if name in settings}
        body["response_format"] = settings.get("format") or "mp3"
        response = await self._post("/audio/speech", model, json=body)
        content, told = response.content, response.headers.get("content-type", "").partition(";")[0].strip()
        if not content or told in ("application/json", "text/html"):
            raise _unreadable(model, self._endpoint, "it is not speech")
        found = media_type_of(content)
        kind = found if found.startswith(("audio/", "video/")) else told if told.startswith("audio/") else "audio/mpeg"
        return MediaReply((Media(content, kind),), seconds=wave_seconds(content), model=model)

    async def _post(self, path: str, model: str, **body: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self._endpoint.key}"} if self._endpoint.key else {}
        timeout = times(self._endpoint)
        response = await self._http.post(f"{self._base}{path}", headers=headers, timeout=timeout, **body)
        raise_status(response, model)
        return response


def times(endpoint: Endpoint) -> httpx2.Timeout:
    """Return how long a server may take to accept a connection, and for each piece of an answer."""
    return httpx2.Timeout(endpoint.provider.timeout or READ, connect=CONNECT)


def raise_status(response: httpx2.Response, model: str) -> None:
    """Raise the error for a status that is none of success."""
    if response.is_success:
        return
    try:
        said: object = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        said = response.text
    raise ModelHTTPError(response.status_code, model, said, headers=dict(response.headers))


def _of_pictures(model: str, request: MediaRequest) -> dict[str, Any]:
    body = {name: request.settings[key] for key, name in _PICTURE_SETTINGS.items() if key in request.settings}
    if model.startswith("dall-e"):
        body = {name: value for name, value in body.items() if name not in _OF_IMAGE_MODELS}
    if not model.startswith(("gpt-image", "chatgpt-image")):
        body["response_format"] = "b64_json"
    return body


def _pictures(answer: Mapping[str, Any], model: str) -> MediaReply:
    found = [_picture(each) for each in answer["data"]]
    told = next((each["revised_prompt"] for each in answer["data"] if each.get("revised_prompt")), "")
    return MediaReply(tuple(found), text=told, usage=_usage(answer.get("usage") or {}), model=model)


def _picture(entry: Mapping[str, Any]) -> Media:
    url = str(entry.get("url") or "")
    text: str = url.partition(",")[2] if url.startswith("data:") else entry["b64_json"]
    content = base64.b64decode(text, validate=True)
    return Media(content, media_type_of(content))


def _usage(told: Mapping[str, Any]) -> Usage:
    return Usage(input=count(told.get("input_tokens")), output=count(told.get("output_tokens")), requests=1)


def _unreadable(model: str, endpoint: Endpoint, why: str) -> ModelError:
    return ModelError(f"the answer of `{model}` cannot be read: {why}", provider=endpoint.provider.name, model=model)
