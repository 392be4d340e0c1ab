"""The browsers that are logged in: an admin sees them, and logs them out."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.errors import ConfigurationError
from orchestrator.server.access.scopes import SCOPES
from orchestrator.server.access.tokens import add_token, create_token, revoke_token, verified
from orchestrator.server.service import Service
from tests.server.support import Client, client_of


def logged_in(server: tuple[Service, str], token: str) -> Client:
    browser = Client(server[1], None)
    browser.json("POST", "/v1/session", {"token": token})
    return browser


def test_sessions_are_listed_and_ended_by_id_and_by_name(server: tuple[Service, str], client: Client):
    store = server[0].credentials
    token = add_token(store, "ci", ["read"])
    create_token(store, "oidc:ada", ["read", "answer"], kind="session", lifetime=3_600.0)
    create_token(store, "gone", ["read"], kind="session", lifetime=-1.0)
    browsers = [logged_in(server, token) for _ in range(3)]
    listed = client.json("GET", "/v1/sessions")["sessions"]
    assert [(each["name"], each["token"]) for each in listed] == [("ci", "ci")] * 3 + [("oidc:ada", None)]
    assert "digest" not in str(listed)
    first = listed[0]["id"]
    assert [each["id"] for each in client.json("DELETE", f"/v1/sessions/{first}")["sessions"]] == [first]
    assert sorted(browser.http.get("/v1/runs").status_code for browser in browsers) == [200, 200, 401]
    assert len(client.json("DELETE", "/v1/sessions/ci")["sessions"]) == 2
    assert {browser.http.get("/v1/runs").status_code for browser in browsers} == {401}
    assert verified(store, token, "token") is not None, "the token stays valid"
    found = client.problem("DELETE", "/v1/sessions/oidc:adda", status=404, code="ORC914")
    assert found["help"] == "did you mean `oidc:ada`?"


def test_only_an_admin_sees_and_ends_sessions(server: tuple[Service, str]):
    for scope in SCOPES:
        if scope != "admin":
            one = client_of(*server, scope, name=scope)
            one.problem("GET", "/v1/sessions", status=403, code="ORC912")
            one.problem("DELETE", f"/v1/sessions/{scope}", status=403, code="ORC912")


@pytest.mark.parametrize("name", ["oidc:ada", "OIDC:ada", " oidc:ada", "oidc:"])
def test_no_token_has_the_name_of_a_user_of_the_provider(server: tuple[Service, str], name: str):
    with pytest.raises(ConfigurationError, match="cannot begin with `oidc:`") as refused:
        add_token(server[0].credentials, name, ["read"])
    assert "`ada`" in str(refused.value.help)


@pytest.mark.parametrize(
    "name",
    [
        "server",
        "Server",
        "the server, after a restart",
        "trigger:nightly",
        "trigger nightly, by its schedule",
        "schedule:x",
        "its schedule",
        "webhook",
        "a delivery from 10.0.0.1",
        "ｔｒｉｇｇｅｒ:nightly",
        "the orchestrator",
    ],
)
def test_no_token_has_a_name_that_the_server_records_for_what_it_does_itself(server: tuple[Service, str], name: str):
    with pytest.raises(ConfigurationError, match="the server's own commands") as refused:
        add_token(server[0].credentials, name, ["read"])
    assert "`ci`" in str(refused.value.help)


@pytest.mark.parametrize("name", ["server-1", "serverless", "triggers", "trigger.dev", "ada", "the scheduler"])
def test_a_name_may_contain_words_of_the_server(server: tuple[Service, str], name: str):
    assert add_token(server[0].credentials, name, ["read"])


def test_a_login_that_races_with_the_revocation_of_its_token_opens_no_session(server: tuple[Service, str]):
    store = server[0].credentials
    for number in range(30):
        token = add_token(store, f"ci {number}", ["read"])
        known = verified(store, token, "token")
        assert known is not None
        together = threading.Barrier(4)

        def open_session(name: str = known.name, parent: str = known.id, together: threading.Barrier = together) -> str:
            together.wait()
            try:
                return create_token(store, name, ["read"], kind="session", parent=parent)
            except ConfigurationError:
                return ""

        with ThreadPoolExecutor(4) as threads:
            opening = [threads.submit(open_session) for _ in range(3)]
            together.wait()
            revoke_token(store, known.name)
            opened = [each.result() for each in opening]
        assert not any(verified(store, session, "session") for session in opened)
    assert store.list("session") == []
