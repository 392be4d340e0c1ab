"""Providers are asked over real sockets: a server that answers as each of them does when it is asked for its models."""

import asyncio
import socket
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from orchestrator.models.catalog.keys import Keys
from orchestrator.models.catalog.probe import Probe, probe, probe_all
from orchestrator.models.catalog.settings import ModelSettings

KEY = "sk-secret-4711"
OPENAI = {"object": "list", "data": [{"id": "gpt-5-mini"}, {"id": "gpt-5"}]}


def asked(directory: Path, name: str, url: str, kind: str = "openai", key: str = KEY, timeout: str = "5s") -> Probe:
    (directory / "orchestrator.toml").write_text(
        f'[servers.{name}]\nbase_url = "{url}"\nkind = "{kind}"\napi_key_env = "LAB_KEY"\ntimeout = "{timeout}"\n'
    )
    provider = ModelSettings.load(directory).providers[name]
    found = asyncio.run(probe(provider, Keys(directory / ".env", {"LAB_KEY": key} if key else {})))
    assert KEY not in repr(found)
    return found


@pytest.mark.parametrize(
    ("kind", "path", "header", "value", "answer", "models"),
    [
        ("openai", "/v1/models", "authorization", f"Bearer {KEY}", OPENAI, ("gpt-5-mini", "gpt-5")),
        ("anthropic", "/v1/v1/models", "x-api-key", KEY, {"data": [{"id": "claude-haiku-4-5"}]}, ("claude-haiku-4-5",)),
        (
            "google",
            "/v1/v1beta/models",
            "x-goog-api-key",
            KEY,
            {"models": [{"name": "models/gemini-2.5-flash"}]},
            ("gemini-2.5-flash",),
        ),
        ("ollama", "/v1/models", "authorization", f"Bearer {KEY}", {"data": [{"id": "qwen3:8b"}]}, ("qwen3:8b",)),
    ],
)
def test_each_kind_is_asked_in_its_own_way(
    kind: str,
    path: str,
    header: str,
    value: str,
    answer: object,
    models: tuple[str, ...],
    httpserver: HTTPServer,
    tmp_path: Path,
) -> None:
    httpserver.expect_request(path, method="GET", headers={header: value}).respond_with_json(answer)
    found = asked(tmp_path, "lab", httpserver.url_for("/v1"), kind)
    assert (found.ok, found.models) == (True, models)
    assert found.seconds > 0


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "the key in LAB_KEY is rejected"),
        (403, "the key in LAB_KEY is rejected"),
        (503, "status 503"),
        (302, "302"),
    ],
)
def test_what_the_provider_says_against_it_is_told(
    status: int, said: str, httpserver: HTTPServer, tmp_path: Path
) -> None:
    def refuse(request: Request) -> Response:
        return Response(f"no: {request.headers['authorization']}", status, {"location": "http://127.0.0.1:9/"})

    httpserver.expect_request("/v1/models").respond_with_handler(refuse)
    found = asked(tmp_path, "lab", httpserver.url_for("/v1"))
    assert not found.ok
    assert said in found.problem
    assert KEY not in found.problem


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        found = asked(tmp_path, "lab", f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
    assert "cannot be reached" in found.problem


def test_a_server_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = asked(tmp_path, "lab", f"http://127.0.0.1:{silent.getsockname()[1]}/v1", timeout="200ms")
    assert found.problem == "no answer within 0.2 s"


@pytest.mark.parametrize("content", ["", "no json", "[1, 2]", '{"data": 3}', '{"data": [{"id": 3}, null]}', "null"])
def test_an_answer_without_a_list_names_no_models(content: str, httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/v1/models").respond_with_data(content)
    found = asked(tmp_path, "lab", httpserver.url_for("/v1"))
    assert (found.ok, found.models) == (True, ())


def test_without_a_key_nobody_is_asked(httpserver: HTTPServer, tmp_path: Path) -> None:
    assert asked(tmp_path, "lab", httpserver.url_for("/v1"), key="").problem == "no API key"
    assert httpserver.log == []


def test_the_public_list_of_openrouter_is_no_proof_of_a_key(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/api/v1/key", headers={"authorization": f"Bearer {KEY}"}).respond_with_json({})
    assert asked(tmp_path, "openrouter", httpserver.url_for("/api/v1")).ok


def test_several_are_asked_at_once_and_told_in_their_order(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/v1/models").respond_with_json(OPENAI)
    (tmp_path / "orchestrator.toml").write_text(
        "".join(f'[servers.lab{n}]\nbase_url = "{httpserver.url_for("/v1")}"\n' for n in range(5))
    )
    providers = ModelSettings.load(tmp_path).providers
    servers = [providers[f"lab{n}"] for n in range(5)]
    found = asyncio.run(probe_all(servers, Keys(tmp_path / ".env", {})))
    assert [each.provider for each in found] == [server.name for server in servers]
    assert all(each.ok for each in found)
