"""Where models are asked, with which key, and what is said where something for that is missing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.errors import MissingExtra, ModelMissing, ModelRejected
from orchestrator.models.catalog.keys import Keys
from orchestrator.models.catalog.providers import PROVIDERS
from orchestrator.models.clients import Endpoint, ProviderClient, endpoint_of, missing_extra
from orchestrator.models.messages import Message, ModelName, ModelRequest
from orchestrator.remedies import StoreKey
from tests.models.adapter.dialects import DIALECTS
from tests.models.adapter.wire import Answer, Server

if TYPE_CHECKING:
    from pathlib import Path

HELLO = ModelRequest((Message("user", "hello"),), max_tokens=100)


def keys(tmp_path: Path, **environ: str) -> Keys:
    return Keys(tmp_path / ".env", environ)


def test_a_provider_is_asked_with_the_key_in_the_environment(tmp_path: Path) -> None:
    found = endpoint_of(ModelName("openai", "gpt-5-mini"), keys=keys(tmp_path, OPENAI_API_KEY="k"))
    assert found == Endpoint(PROVIDERS["openai"], "", "k")


def test_a_key_is_not_shown() -> None:
    assert "secret" not in repr(Endpoint(PROVIDERS["openai"], "", "secret"))


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "mistral", "groq", "huggingface"])
def test_a_missing_key_says_how_to_give_it(provider: str, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no API key") as caught:
        endpoint_of(ModelName(provider, "m"), keys=keys(tmp_path))
    assert caught.value.code == "ORC728"
    assert caught.value.help == f"set {PROVIDERS[provider].key_variables[0]}"
    assert caught.value.remedies == (StoreKey(provider),)


def test_an_unknown_provider_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="unknown provider"):
        endpoint_of(ModelName("opnai", "m"), keys=keys(tmp_path))


def test_a_key_of_azure_is_not_sent_to_openai(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="has no address") as caught:
        endpoint_of(ModelName("azure", "m"), keys=keys(tmp_path, AZURE_OPENAI_API_KEY="k"))
    assert "AZURE_OPENAI_BASE_URL" in str(caught.value.help)


def test_a_server_of_ones_own_needs_no_key(tmp_path: Path) -> None:
    found = endpoint_of(ModelName("ollama", "m"), keys=keys(tmp_path, OLLAMA_HOST="gpu-box"))
    assert (found.base_url, found.key) == ("http://gpu-box:11434/v1", None)


@pytest.mark.parametrize(
    ("provider", "module", "extra"),
    [
        ("openai", "openai", "openai"),
        ("vllm", "openai", "openai"),
        ("ollama", "openai", "ollama"),
        ("huggingface", "openai", "huggingface"),
        ("anthropic", "anthropic", "anthropic"),
        ("google", "google.genai", "google"),
        ("mistral", "mistralai", "mistral"),
        ("groq", "groq", "groq"),
        ("bedrock", "boto3", "bedrock"),
        ("openai", "pydantic_ai", "openai"),
    ],
)
def test_a_missing_package_is_named_by_the_command_that_installs_it(
    provider: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert missing_extra(PROVIDERS[provider]) is None
    monkeypatch.setitem(sys.modules, module, None)
    client = ProviderClient(lambda name: Endpoint(PROVIDERS[provider], "http://127.0.0.1:1/v1", "key"))
    with pytest.raises(MissingExtra) as caught:
        asyncio.run(client.ask(ModelName(provider, "m"), HELLO))
    assert caught.value.advice == f'install it with: pip install "pyorchestrator[{extra}]"'


@pytest.mark.anyio
async def test_a_server_that_wants_a_key_and_got_none_says_how_to_give_one() -> None:
    answer = Answer(b'{"error": {"message": "who are you?"}}', status=401)
    async with Server(answer) as server:
        client = ProviderClient(lambda _: Endpoint(PROVIDERS["vllm"], server.url + "/v1"))
        with pytest.raises(ModelRejected, match="who are you") as caught:
            await client.ask(ModelName("vllm", "m"), HELLO)
        await client.aclose()
    assert caught.value.help == "vLLM requires a key: set VLLM_API_KEY"
    assert caught.value.remedies == (StoreKey("vllm"),)


@pytest.mark.anyio
async def test_one_connection_serves_all_calls_of_an_endpoint() -> None:
    dialect = DIALECTS["vllm"]
    async with Server(dialect.answer("Hi.")) as server:
        client = ProviderClient(lambda _: dialect.endpoint(server.url))
        replies = await asyncio.gather(*(client.ask(dialect.model_name, HELLO) for _ in range(5)))
        assert [reply.text for reply in replies] == ["Hi."] * 5
        assert len(client._connections) == 1
        await client.aclose()


@pytest.mark.anyio
async def test_whoever_is_cancelled_while_a_library_is_loaded_does_not_stop_the_others() -> None:
    dialect = DIALECTS["vllm"]
    async with Server(dialect.answer("Hi.")) as server:
        client = ProviderClient(lambda _: dialect.endpoint(server.url))
        first, second = (asyncio.ensure_future(client.ask(dialect.model_name, HELLO)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).text == "Hi."
        with pytest.raises(asyncio.CancelledError):
            await first
        await client.aclose()


@pytest.mark.anyio
async def test_a_server_of_the_settings_has_a_timeout_of_its_own() -> None:
    provider = replace(PROVIDERS["vllm"], timeout=0.3)
    async with Server(Answer(then="hang")) as server:
        client = ProviderClient(lambda _: Endpoint(provider, server.url + "/v1"))
        with pytest.raises(Exception, match=r"did not answer within 0\.3 s"):
            await client.ask(ModelName("vllm", "m"), HELLO)
        await client.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("setting", [{"seed": 7}, {"stop": ("END",)}])
async def test_openai_is_asked_by_the_api_that_has_the_setting(setting: dict[str, object]) -> None:
    async with Server(DIALECTS["openai-chat"].answer("Hi.")) as server:
        client = ProviderClient(lambda _: DIALECTS["openai"].endpoint(server.url))
        await client.ask(ModelName("openai", "gpt-4.1-mini"), replace(HELLO, **setting))  # type: ignore[arg-type]
        await client.aclose()
    assert server.asked[0].path == "/v1/chat/completions"
    sent = server.asked[0].data
    assert (sent.get("seed"), sent.get("stop")) == ((7, None) if "seed" in setting else (None, ["END"]))


@pytest.mark.anyio
async def test_a_temperature_is_not_sent_to_models_that_refuse_one() -> None:
    async with Server(DIALECTS["openai"].answer("Hi.")) as server:
        client = ProviderClient(lambda _: DIALECTS["openai"].endpoint(server.url))
        for model in ("gpt-5-mini", "gpt-4.1-mini"):
            await client.ask(ModelName("openai", model), replace(HELLO, temperature=0.5))
        await client.aclose()
    assert [asked.data.get("temperature") for asked in server.asked] == [None, 0.5]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("dialect", "model", "path"),
    [
        ("openai", "gpt-5-mini", ("reasoning", "effort")),
        ("openai-chat", "gpt-5-mini", ("reasoning_effort",)),
        ("anthropic", "claude-haiku-4-5", ("thinking",)),
        ("google", "gemini-2.5-flash", ("generationConfig", "thinkingConfig")),
    ],
)
async def test_an_effort_is_sent_as_the_provider_takes_it(dialect: str, model: str, path: tuple[str, ...]) -> None:
    async with Server(DIALECTS[dialect].answer("Hi.")) as server:
        client = ProviderClient(lambda _: DIALECTS[dialect].endpoint(server.url))
        name = ModelName(DIALECTS[dialect].endpoint(server.url).provider.name, model)
        reply = await client.ask(name, replace(HELLO, effort="low", max_tokens=None if dialect == "google" else 9000))
        await client.aclose()
    sent = server.asked[0].data
    for key in path:
        sent = sent[key]
    assert sent
    assert reply.ignored == ()


@pytest.mark.anyio
async def test_an_effort_is_reported_as_ignored_by_a_model_that_has_none() -> None:
    async with Server(DIALECTS["openai"].answer("Hi.")) as server:
        client = ProviderClient(lambda _: DIALECTS["openai"].endpoint(server.url))
        reply = await client.ask(ModelName("openai", "gpt-4.1-mini"), replace(HELLO, effort="high"))
        await client.aclose()
    assert reply.ignored == ("effort",)
    assert "reasoning" not in server.asked[0].data


@pytest.mark.anyio
async def test_no_temperature_is_sent_to_claude_while_it_reasons() -> None:
    async with Server(DIALECTS["anthropic"].answer("Hi.")) as server:
        client = ProviderClient(lambda _: DIALECTS["anthropic"].endpoint(server.url))
        name = ModelName("anthropic", "claude-haiku-4-5")
        for effort in ("high", None):
            await client.ask(name, replace(HELLO, effort=effort, temperature=0.5, max_tokens=20_000))
        await client.aclose()
    assert [asked.data.get("temperature") for asked in server.asked] == [None, 0.5]


@pytest.mark.anyio
async def test_anthropic_streams_what_may_be_long() -> None:
    async with Server(DIALECTS["anthropic"].stream("Par", "is.")) as server:
        client = ProviderClient(lambda _: DIALECTS["anthropic"].endpoint(server.url))
        reply = await client.ask(ModelName("anthropic", "claude-haiku-4-5"), replace(HELLO, max_tokens=None))
        await client.aclose()
    assert (reply.text, server.asked[0].data["stream"]) == ("Paris.", True)


def test_no_sdk_is_loaded_before_a_model_is_asked() -> None:
    code = (
        "import sys, json; import orchestrator.models.clients as a;"
        "from orchestrator.models.catalog.providers import PROVIDERS;"
        "a.ProviderClient(); [a.missing_extra(p) for p in PROVIDERS.values()];"
        "print(json.dumps([m for m in ('pydantic_ai', 'openai', 'anthropic', 'google.genai', 'groq', 'mistralai',"
        " 'boto3', 'httpx', 'httpx2') if m in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []
