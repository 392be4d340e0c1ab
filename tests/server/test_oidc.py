"""Logging in with an identity provider, through a real one on a loopback address."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey
from pytest_httpserver import HTTPServer

from orchestrator.config.tables.oidc import OidcTable
from orchestrator.errors import ConfigurationError
from orchestrator.server.access.oidc import OidcLogin
from orchestrator.server.service import Service
from tests.server.provider import CLIENT, SECRET, Provider
from tests.server.support import Client, serving


@pytest.fixture
def provider(httpserver: HTTPServer) -> Provider:
    return Provider(httpserver)


@pytest.fixture
def server(
    project: Path, url: str, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Service, str]]:
    """A server that the provider knows; its address is known when it has started."""
    monkeypatch.setenv("RUNS_SECRET", SECRET)
    settings = table(provider.issuer)
    with serving(project, store=url, oidc=settings) as running:
        assert running[0].oidc is not None
        running[0].oidc.url = running[1]
        yield running


def table(issuer: str, **changed: Any) -> OidcTable:
    given = {
        "issuer": issuer,
        "client_id": CLIENT,
        "client_secret_env": "RUNS_SECRET",
        "url": "http://127.0.0.1:1",
        "groups": {"staff": ("read", "answer"), "ops": ("admin",)},
        **changed,
    }
    return OidcTable.model_validate(given)


class Browser:
    """Follows redirects one by one, and keeps its cookies."""

    def __init__(self, address: str) -> None:
        self.client = Client(address, None)
        self.http = self.client.http

    def to_provider(self) -> str:
        """Begin a login, and return the address with which the provider sends the browser back."""
        begun = self.http.get("/login/oidc")
        assert begun.status_code == 303, begun.text
        answered = httpx.get(begun.headers["location"])
        assert answered.status_code == 302
        return str(answered.headers["location"])

    def log_in(self) -> httpx.Response:
        return self.http.get(self.to_provider())

    def session(self) -> Any:
        return self.client.json("GET", "/v1/session")

    def is_out(self) -> bool:
        return self.http.get("/v1/session").status_code == 401


def test_a_user_logs_in_and_may_do_what_the_groups_permit(server: tuple[Service, str]):
    browser = Browser(server[1])
    assert browser.client.json("GET", "/v1/login")["provider"]["href"] == "/login/oidc"
    response = browser.log_in()
    assert response.status_code == 200
    assert 'content="0;url=/"' in response.text
    cookies = response.headers.get_list("set-cookie")
    session = next(cookie for cookie in cookies if cookie.startswith("orchestrator_session="))
    assert "HttpOnly" in session
    assert "SameSite=strict" in session
    assert browser.session() == {"name": "oidc:ada", "scopes": ["read", "answer"], "asked_as": ["oidc:ada"]}
    browser.client.problem("POST", "/v1/runs", {"pipeline": "hello"}, status=403, code="ORC912")
    browser.http.delete("/v1/session")
    assert browser.is_out()


def test_the_scopes_of_all_groups_count_and_the_journal_names_the_user(server: tuple[Service, str], provider: Provider):
    provider.claims |= {"groups": ["staff", "ops", "unknown", 4], "preferred_username": "grace"}
    browser = Browser(server[1])
    browser.log_in()
    assert browser.session()["scopes"] == ["read", "run", "answer", "admin"]
    run = browser.client.start("hello", wait=30)["run"]["run_id"]
    events = browser.client.json("GET", f"/v1/runs/{run}/events")["events"]
    assert events[1]["data"]["by"] == "oidc:grace from 127.0.0.1"


@pytest.mark.parametrize("groups", [["unknown"], [], None, "unknown", {"staff": True}, 7])
def test_a_user_in_no_known_group_may_do_nothing(server: tuple[Service, str], provider: Provider, groups: Any):
    provider.claims["groups"] = groups
    browser = Browser(server[1])
    response = browser.log_in()
    assert response.status_code == 403
    assert "in no group" in response.text
    assert browser.is_out()


def test_a_group_that_is_a_text_is_one_group(server: tuple[Service, str], provider: Provider):
    provider.claims["groups"] = "staff"
    browser = Browser(server[1])
    browser.log_in()
    assert browser.session()["scopes"] == ["read", "answer"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"aud": None},
        {"iss": "http://127.0.0.1:1"},
        {"iss": None},
        {"exp": int(time.time()) - 3_600},
        {"exp": None},
        {"iat": None},
        {"sub": None},
        {"iat": int(time.time()) + 3_600},
        {"nbf": int(time.time()) + 3_600},
    ],
    ids=" ".join,
)
def test_a_token_that_is_not_for_this_login_is_refused(
    server: tuple[Service, str], provider: Provider, wrong: dict[str, Any]
):
    provider.wrong = wrong
    browser = Browser(server[1])
    response = browser.log_in()
    assert response.status_code == 401
    assert browser.is_out()


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", RSAKey.generate_key(2048, parameters={"kid": "one"})),
        ("ES256", ECKey.generate_key("P-256", parameters={"kid": "one"})),
        ("HS256", OctKey.generate_key(256, parameters={"kid": "one"})),
    ],
)
def test_a_token_that_the_provider_did_not_sign_is_refused(
    server: tuple[Service, str], provider: Provider, algorithm: str, key: Any
):
    provider.algorithm, provider.key = algorithm, key
    browser = Browser(server[1])
    assert browser.log_in().status_code == 401
    assert browser.is_out()


def test_the_response_of_the_provider_works_once_and_only_in_the_browser_that_asked(server: tuple[Service, str]):
    browser, other = Browser(server[1]), Browser(server[1])
    back = browser.to_provider()
    assert other.http.get(back).status_code == 401
    other.to_provider()
    assert other.http.get(back).status_code == 401
    assert browser.http.get(back).status_code == 200
    assert browser.http.get(back).status_code == 401
    assert other.is_out()


def test_a_replayed_code_is_refused(server: tuple[Service, str]):
    browser = Browser(server[1])
    used = re.search(r"code=([^&]+)", str(browser.log_in().url))
    assert used is not None
    browser.http.delete("/v1/session")
    back = re.sub(r"code=[^&]+", f"code={used[1]}", browser.to_provider())
    assert browser.http.get(back).status_code == 401
    assert browser.is_out()


@pytest.mark.parametrize("query", ["", "?state=x", "?code=x", "?error=access_denied&state=x", "?code=x&state=x"])
def test_a_callback_without_a_login_is_refused(server: tuple[Service, str], query: str):
    browser = Browser(server[1])
    assert browser.http.get(f"/login/oidc/callback{query}").status_code == 401
    browser.to_provider()
    assert browser.http.get(f"/login/oidc/callback{query}").status_code == 401
    assert browser.is_out()


def test_the_provider_changes_its_key(server: tuple[Service, str], provider: Provider):
    browser = Browser(server[1])
    browser.log_in()
    assert server[0].oidc is not None
    server[0].oidc._provider._keys_at = float("-inf")
    provider.published = provider.key = RSAKey.generate_key(2048, parameters={"kid": "two"})
    other = Browser(server[1])
    assert other.log_in().status_code == 401  # it still says that the key is `one`


def test_a_provider_that_cannot_be_reached_is_a_problem(server: tuple[Service, str], httpserver: HTTPServer):
    httpserver.clear()
    found = Client(server[1], None).problem("GET", "/login/oidc", status=401, code="ORC916")
    assert "provider" in found["detail"]


def test_logins_that_are_begun_are_limited(server: tuple[Service, str]):
    browser = Browser(server[1])
    statuses = {browser.http.get("/login/oidc").status_code for _ in range(25)}
    assert statuses == {303, 429}


def test_a_server_without_a_provider_says_so(project: Path, url: str):
    with serving(project, store=url) as running:
        client = Client(running[1], None)
        assert client.json("GET", "/v1/login") == {"provider": None}
        client.problem("GET", "/login/oidc", status=404, code="ORC914")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"issuer": None}, "needs `issuer`"),
        ({"client_id": None}, "needs `client_id`"),
        ({"url": None}, "needs `url`"),
        ({"groups": {}}, "needs `groups`"),
        ({"issuer": "http://login.example.com"}, "must begin with `https://`"),
        ({"url": "http://runs.example.com"}, "must begin with `https://`"),
        ({"client_secret_env": "NOT_SET_ANYWHERE"}, "is not set"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(
    changed: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RUNS_SECRET", SECRET)
    with pytest.raises(ConfigurationError, match=problem):
        OidcLogin(table(**{"issuer": "https://login.example.com", **changed}))
