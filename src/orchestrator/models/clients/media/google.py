"""Pictures and audio by Google's Gemini API: `generateContent` for all of them."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final

import pydantic_core

from orchestrator.errors import ModelRefused
from orchestrator.models.clients.media.openai import raise_status, times
from orchestrator.models.clients.translation import count
from orchestrator.models.media import MediaReply, wave_file, wave_seconds
from orchestrator.models.messages import Media, Usage
from orchestrator.text.media_types import media_type_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx2

    from orchestrator.models.clients.endpoints import Endpoint
    from orchestrator.models.media import MediaRequest

_ADDRESS: Final = "https://generativelanguage.googleapis.com"
_RATIOS: Final = {
    each: int(each.partition(":")[0]) / int(each.partition(":")[2])
    for each in ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
}
_RATE: Final = re.compile(r"rate=(\d+)")
_REFUSED: Final = ("SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT", "BLOCKLIST")
_TRANSCRIBE: Final = "Transcribe this recording word for word. Answer with the transcript alone."


class GoogleMedia:
    """Makes media at one endpoint."""

    def __init__(self, endpoint: Endpoint, http: httpx2.AsyncClient) -> None:
        self._endpoint = endpoint
        self._http = http
        self._base = (endpoint.base_url or _ADDRESS).rstrip("/")

    async def __call__(self, model: str, request: MediaRequest) -> MediaReply:
        """Return what was asked for."""
        match request.operation:
            case "generate" | "edit":
                return await self._pictures(model, request)
            case "transcribe":
                return await self._transcribed(model, request)
            case "speak":
                return await self._spoken(model, request)

    async def _pictures(self, model: str, request: MediaRequest) -> MediaReply:
        """Make pictures, with a request for each: an answer has one."""
        settings: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
        ratio = _ratio(str(request.settings.get("size", "")))
        if ratio:
            settings["imageConfig"] = {"aspectRatio": ratio}
        ignored = [name for name in request.settings if name != "size" or not ratio]
        if request.mask is not None:
            ignored.append("mask")
        parts = [{"text": request.text}, *map(_inline, request.media)]
        found: list[Media] = []
        text, usage = "", Usage()
        for _ in range(request.count):
            answer = await self._post(model, parts, settings)
            found += [Media(each.content, media_type_of(each.content)) for each in _media(answer)]
            text, usage = text or _text(answer), usage + _usage(answer)
        return MediaReply(tuple(found), text=text, usage=usage, model=model, ignored=tuple(ignored))

    async def _transcribed(self, model: str, request: MediaRequest) -> MediaReply:
        language = request.settings.get("language")
        words = [_TRANSCRIBE, f"Its language is {language}." if language else "", request.text]
        parts = [{"text": " ".join(filter(None, words))}, _inline(request.media[0])]
        answer = await self._post(model, parts, {"temperature": request.settings.get("temperature", 0)})
        seconds = wave_seconds(request.media[0].content)
        details: dict[str, Any] = {"language": language, "segments": []}
        text = _text(answer).strip()
        return MediaReply(text=text, details=details, seconds=seconds, usage=_usage(answer), model=model)

    async def _spoken(self, model: str, request: MediaRequest) -> MediaReply:
        voice = request.settings.get("voice") or "Kore"
        instructions = request.settings.get("instructions")
        text = f"{instructions}: {request.text}" if instructions else request.text
        settings = {
            "responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}},
        }
        answer = await self._post(model, [{"text": text}], settings)
        pieces = list(_media(answer))
        rate = _RATE.search(pieces[0].media_type) if pieces else None
        content = b"".join(each.content for each in pieces)
        if rate is not None or (pieces and pieces[0].media_type.lower().startswith("audio/l16")):
            content = wave_file(content, int(rate[1]) if rate else 24_000)
        others = {name: value for name, value in request.settings.items() if name not in ("voice", "instructions")}
        ignored = tuple(name for name, value in others.items() if (name, value) != ("format", "wav"))
        made = (Media(content, media_type_of(content)),) if content else ()
        return MediaReply(made, seconds=wave_seconds(content), usage=_usage(answer), model=model, ignored=ignored)

    async def _post(self, model: str, parts: list[Any], settings: Mapping[str, Any]) -> Mapping[str, Any]:
        body = {"contents": [{"role": "user", "parts": parts}], "generationConfig": settings}
        headers = {"x-goog-api-key": self._endpoint.key} if self._endpoint.key else {}
        address = f"{self._base}/v1beta/models/{model}:generateContent"
        response = await self._http.post(address, json=body, headers=headers, timeout=times(self._endpoint))
        raise_status(response, model)
        answer: Mapping[str, Any] = pydantic_core.from_json(response.content)
        blocked = (answer.get("promptFeedback") or {}).get("blockReason")
        ended = next((each.get("finishReason") for each in answer.get("candidates") or ()), None)
        if blocked or ended in _REFUSED:
            reason = str(blocked or ended).replace("_", " ").lower()
            raise ModelRefused(f"`{model}` refused: {reason}", provider=self._endpoint.provider.name, model=model)
        return answer


def _parts(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for candidate in answer["candidates"]:
        yield from (candidate.get("content") or {}).get("parts") or ()


def _media(answer: Mapping[str, Any]) -> Iterator[Media]:
    for part in _parts(answer):
        found = part.get("inlineData") or part.get("inline_data")
        if found and not part.get("thought"):
            kind = str(found.get("mimeType") or found.get("mime_type") or "")
            yield Media(base64.b64decode(found["data"], validate=True), kind)


def _text(answer: Mapping[str, Any]) -> str:
    return "".join(str(part["text"]) for part in _parts(answer) if part.get("text") and not part.get("thought"))


def _usage(answer: Mapping[str, Any]) -> Usage:
    told = answer.get("usageMetadata") or {}
    output = count(told.get("candidatesTokenCount")) + count(told.get("thoughtsTokenCount"))
    return Usage(input=count(told.get("promptTokenCount")), output=output, requests=1)


def _inline(media: Media) -> dict[str, Any]:
    return {"inlineData": {"mimeType": media.media_type, "data": base64.b64encode(media.content).decode()}}


def _ratio(size: str) -> str:
    """Return the ratio that is nearest to a size such as `1536x1024`; empty for another text."""
    found = re.fullmatch(r"(\d+)[x:](\d+)", size)
    if found is None or int(found[2]) == 0:
        return ""
    wanted = int(found[1]) / int(found[2])
    return min(_RATIOS, key=lambda each: abs(_RATIOS[each] - wanted))
