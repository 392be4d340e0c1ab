"""Requests to OpenAI's protocol go out as the SDK itself would send them, only sooner."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import openai
import pytest
from msgspec.structs import replace

from orchestrator.models.clients import ProviderClient
from orchestrator.models.clients.protocols import openai as plain_module
from orchestrator.models.messages import Media, Message, ModelRequest, ToolOffer, ToolRequest
from tests.models.adapter.dialects import DIALECTS
from tests.models.adapter.wire import Answer, Server

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.anyio

CHAT = next(dialect for dialect in DIALECTS.values() if dialect.path == "/v1" and dialect.api == "chat")
PLAIN = ModelRequest((Message("user", "Ä?"),), system="Be short.", temperature=0.5, max_tokens=7, seed=3, stop=("x",))
FORM: Mapping[str, Any] = {"type": "object", "properties": {"a": {"type": "string", "format": "date-time"}}}
LOOKED = Message("assistant", "", (ToolRequest("1", "look", {"at": "2026-01-01", "file_data": "x"}),))
REQUESTS = {
    "plain": PLAIN,
    "a form": replace(PLAIN, schema=FORM),
    "a picture": replace(PLAIN, messages=(Message("user", ("what?", Media(b"\x89PNG\r\n", "image/png", "a.png"))),)),
    "tools": replace(
        PLAIN,
        tools=(ToolOffer("look", "Look.", FORM),),
        messages=(*PLAIN.messages, LOOKED, Message("tool", "seen", request_id="1", name="look")),
    ),
    "a time": replace(PLAIN, timeout=9),
}
_OWN = ("host", "content-length")


async def sent(request: ModelRequest, stream: bool) -> tuple[dict[str, str], Any]:
    async with Server(Answer(b"{}", status=500)) as server:
        client = ProviderClient(lambda _: CHAT.endpoint(server.url))
        with suppress(Exception):
            await client.ask(CHAT.model_name, request, on_text=(lambda _: None) if stream else None)
        await client.aclose()
        (asked,) = server.asked
    return {key: value for key, value in asked.headers.items() if key not in _OWN}, asked.data


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_a_request_is_what_the_sdk_sends(
    request_: ModelRequest, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = await sent(request_, stream)
    monkeypatch.setattr(plain_module, "PlainOpenAI", openai.AsyncOpenAI)
    headers, data = await sent(request_, stream)
    data["messages"] = plain_module._with_one_system_message(data["messages"])
    assert ours == (headers, data)
