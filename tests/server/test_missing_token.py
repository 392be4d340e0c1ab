"""A request without a valid token is told what is wrong and how to get one, by the case."""

from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.client.address import ServerAddress
from orchestrator.client.missing_token import explained
from orchestrator.config.server_token import token_file
from orchestrator.errors import RequestError
from orchestrator.server.access.refused_logins import no_token
from orchestrator.server.access.tokens import add_token, create_token, revoke_token
from orchestrator.server.first_token import ensure_token
from orchestrator.server.service import Service
from tests.server.support import Client


def test_a_request_is_told_what_is_wrong_with_its_token(server: tuple[Service, str]):
    store = server[0].credentials
    revoked = add_token(store, "gone", ["read"])
    revoke_token(store, "gone")
    expired = create_token(store, "ci", ["read"], lifetime=-1)
    cases = {
        None: "the request has no token",
        "swordfish": "the token does not begin with `orc_`",
        "orc_0_0": "the token is unknown",
        revoked: "the token is unknown: it was revoked",
        expired: "the token `ci` has expired",
        f"{expired}x": "the token is unknown",
        create_token(store, "ada", ["read"], kind="login", lifetime=60): "is that of a login link",
    }
    for token, message in cases.items():
        found = Client(server[1], token).problem("GET", "/v1/runs", status=401, code="ORC911")
        assert message in found["detail"]
        assert [remedy["command"] for remedy in found["remedies"]] == ["orchestrator tokens add NAME"]
        assert found["help"]
        assert token is None or token.split("_")[-1] not in found["detail"] or token == "orc_0_0"
    found = Client(server[1], None).problem("POST", "/v1/session", {"token": expired}, status=401, code="ORC911")
    assert "the token `ci` has expired" in found["detail"]


def test_a_browser_is_told_that_its_session_has_ended(server: tuple[Service, str]):
    store = server[0].credentials
    browser = Client(server[1], None)
    browser.json("POST", "/v1/session", {"token": add_token(store, "ada", ["read"])})
    (session,) = store.list("session")
    store.remove(session.id)
    found = browser.problem("GET", "/v1/runs", status=401, code="ORC911")
    assert "the session has ended" in found["detail"]
    assert "log in again" in found["help"]


def test_where_the_token_of_a_machine_is_is_told_to_that_machine_only():
    assert ".orchestrator/server-token" in str(no_token("127.0.0.1").help)
    assert ".orchestrator/server-token" not in str(no_token("192.0.2.7").help)
    assert ".orchestrator/server-token" not in str(no_token("unknown").help)


def test_a_client_is_told_where_its_token_is_from(
    server: tuple[Service, str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    with orc.connect(server[1]) as client, pytest.raises(RequestError, match="has no token") as refused:
        client.list_runs()
    assert "run it in the project of the server" in str(refused.value.help)
    file = token_file(elsewhere)
    file.parent.mkdir()
    file.write_text("orc_0_of-another-server\n")
    with orc.connect(server[1]) as client, pytest.raises(RequestError, match="is unknown") as refused:
        client.list_runs()
    assert f"the token is from {file}" in str(refused.value.help)
    with orc.connect(server[1], token="orc_0_0") as client, pytest.raises(RequestError, match="is unknown") as refused:
        client.list_runs()
    assert "use another token, and give it as ORCHESTRATOR_TOKEN" in str(refused.value.help)
    remote = explained(no_token("192.0.2.7"), ServerAddress("https://runs.example.com"))
    assert "the server needs a token: give it as ORCHESTRATOR_TOKEN" in str(remote.help)


def test_the_token_of_the_project_is_found_without_help(
    server: tuple[Service, str], project: Path, monkeypatch: pytest.MonkeyPatch
):
    ensure_token(server[0].credentials, project)
    monkeypatch.chdir(project)
    with orc.connect(server[1]) as client:
        assert client.list_runs() == []


def test_the_name_of_an_expired_token_is_free(server: tuple[Service, str]):
    store = server[0].credentials
    create_token(store, "ci", ["read"], lifetime=-1)
    add_token(store, "ci", ["read"])
    assert [token.name for token in store.list("token")].count("ci") == 1
