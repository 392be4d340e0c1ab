"""Who may use a server, and from where."""

import json
import stat
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from orchestrator.config.server_token import read_token, token_file
from orchestrator.errors import ConfigurationError
from orchestrator.server.access.request_guard import served_names
from orchestrator.server.access.scopes import SCOPES, parse_scopes, permitted
from orchestrator.server.access.tokens import add_token, create_token, revoke_token, verified
from orchestrator.server.first_token import ensure_token
from orchestrator.server.http_server import exposure, login_link
from orchestrator.server.service import Service
from tests.server.support import Client, client_of

HELLO = {"pipeline": "hello"}
SOURCE = {"source": "steps: [{id: a, action: sleep, parameters: {seconds: 0}}]"}

REQUESTS = [
    ("read", "GET", "/v1/runs", None),
    ("read", "GET", "/v1/pipelines", None),
    ("read", "GET", "/v1/batches", None),
    ("read", "POST", "/v1/pipelines/check", SOURCE),
    ("read", "GET", "/v1/runs/RUN/events", None),
    ("run", "POST", "/v1/runs", HELLO),
    ("run", "POST", "/v1/runs/RUN/pause", None),
    ("run", "POST", "/v1/runs/RUN/resume", None),
    ("run", "POST", "/v1/runs/RUN/cancel", None),
    ("run", "POST", "/v1/runs/RUN/retry", {"step": "greet"}),
    ("run", "POST", "/v1/runs/RUN/fork", {"step": "greet"}),
    ("answer", "POST", "/v1/runs/RUN/answer", {"step": "greet", "value": True}),
    ("admin", "POST", "/v1/runs", SOURCE),
    ("admin", "POST", "/v1/runs/RUN/resume", SOURCE),
]


def test_every_request_needs_its_scope(server: tuple[Service, str], client: Client):
    run = client.start("hello", wait=30)["run"]["run_id"]
    clients = {scope: client_of(*server, scope, name=f"with {scope}") for scope in SCOPES}
    stranger = Client(server[1], None)
    for needed, method, path, body in REQUESTS:
        where = path.replace("RUN", run)
        for there in (where, path.replace("RUN", "nothing")):
            stranger.problem(method, there, body, status=401, code="ORC911")
        for scope, one in clients.items():
            if needed in permitted([scope]):
                assert one.http.request(method, where, json=body).status_code not in (401, 403)
            else:
                one.problem(method, where, body, status=403, code="ORC912")


def test_only_health_is_open(server: tuple[Service, str]):
    stranger = Client(server[1], None)
    assert stranger.json("GET", "/healthz")["status"] == "ok"
    assert stranger.json("GET", "/readyz")["status"] == "ok"
    for path in ("/v1/runs", "/v1/session", "/v1/batches", "/v1/pipelines"):
        assert stranger.http.get(path).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "orc_", "orc_a_b", "orc__", "Bearer", "orc_" + "a" * 5_000, "orc_\x00_b"])
def test_a_wrong_token_is_refused(server: tuple[Service, str], token: str):
    assert verified(server[0].credentials, token, "token") is None


def test_a_token_is_only_a_digest_in_the_store(server: tuple[Service, str], project: Path):
    token = add_token(server[0].credentials, "ci", ["read"])
    stored = server[0].credentials.find(token.split("_")[1])
    assert stored is not None
    secret = token.split("_", 2)[2]
    assert secret not in repr(stored)
    assert verified(server[0].credentials, token, "token") == stored
    assert verified(server[0].credentials, token[:-1] + ("a" if token[-1] != "a" else "b"), "token") is None
    assert verified(server[0].credentials, token, "session") is None


def test_a_revoked_token_and_its_sessions_end_at_once(server: tuple[Service, str]):
    client = client_of(*server, "read", name="ci")
    browser = Client(server[1], None)
    browser.json("POST", "/v1/session", {"token": client.http.headers["authorization"].removeprefix("Bearer ")})
    assert browser.json("GET", "/v1/session") == {"name": "ci", "scopes": ["read"], "asked_as": ["ci"]}
    revoke_token(server[0].credentials, "ci")
    client.problem("GET", "/v1/runs", status=401, code="ORC911")
    browser.problem("GET", "/v1/runs", status=401, code="ORC911")
    with pytest.raises(ConfigurationError, match="unknown token"):
        revoke_token(server[0].credentials, "ci")


def test_a_token_expires(server: tuple[Service, str]):
    token = create_token(server[0].credentials, "ci", ["read"], lifetime=-1)
    assert verified(server[0].credentials, token, "token") is None
    server[0].credentials.remove_expired(time.time())
    assert server[0].credentials.find(token.split("_")[1]) is None


def test_a_session_ends_with_its_token(server: tuple[Service, str]):
    token = add_token(server[0].credentials, "ci", ["read"], lifetime=60)
    browser = Client(server[1], None)
    browser.json("POST", "/v1/session", {"token": token})
    (session,) = server[0].credentials.list("session")
    (known,) = server[0].credentials.list("token")
    assert session.expires_at == pytest.approx(known.expires_at, abs=30)


def test_a_login_link_works_once(server: tuple[Service, str]):
    link = urlsplit(login_link(*server))
    browser = Client(server[1], None)
    response = browser.http.get(f"{link.path}?{link.query}")
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert browser.json("GET", "/v1/session")["scopes"] == list(SCOPES)
    other = Client(server[1], None)
    assert other.http.get(f"{link.path}?{link.query}").status_code == 401
    assert verified(server[0].credentials, parse_qs(link.query)["token"][0], "login", "token") is None
    browser.http.request("DELETE", "/v1/session")
    browser.problem("GET", "/v1/session", status=401, code="ORC911")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-dest": "image", "sec-fetch-site": "same-origin", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-dest": "iframe", "sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"},
        {"sec-fetch-dest": "empty", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"},
        {"sec-fetch-dest": "document", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-dest": "document", "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_no_page_follows_a_login_link(server: tuple[Service, str], headers: dict[str, str]):
    link = urlsplit(login_link(*server))
    browser = Client(server[1], None)
    response = browser.http.get(f"{link.path}?{link.query}", headers=headers)
    assert response.status_code == 403
    assert "set-cookie" not in response.headers
    opened = {"sec-fetch-dest": "document", "sec-fetch-site": "none", "sec-fetch-mode": "navigate"}
    assert browser.http.get(f"{link.path}?{link.query}", headers=opened).status_code == 303


def test_a_token_is_not_a_login_link(server: tuple[Service, str]):
    token = add_token(server[0].credentials, "ci", ["read"])
    response = Client(server[1], None).http.get(f"/login?token={token}")
    assert response.status_code == 401
    assert "set-cookie" not in response.headers


def test_keys_of_requests_differ_whatever_their_tokens_are_called(server: tuple[Service, str]):
    one, other = (client_of(*server, "run", name=name) for name in ("k", "k:x"))
    started = {
        each.json("POST", "/v1/runs", HELLO, status=202, headers={"idempotency-key": key})["run"]["run_id"]
        for each, key in ((one, "x:1"), (other, "1"), (one, "x:1"))
    }
    assert len(started) == 2


def test_the_token_of_the_machine_is_in_a_private_file(server: tuple[Service, str], project: Path):
    store = server[0].credentials
    token = ensure_token(store, project)
    assert ensure_token(store, project) == token == read_token(project)
    assert stat.S_IMODE(token_file(project).stat().st_mode) == 0o600
    token_file(project).unlink()
    renewed = ensure_token(store, project)
    assert verified(store, renewed, "token") is not None
    assert verified(store, token, "token") is None, "a lost token does not stay valid"


def test_too_many_failed_logins_are_refused_for_a_while(server: tuple[Service, str]):
    wrong = Client(server[1], "orc_0_0")
    codes = {wrong.http.get("/v1/runs").status_code for _ in range(40)}
    assert codes == {401, 429}
    found = wrong.problem("GET", "/v1/runs", status=429, code="ORC913")
    assert "seconds" in found["help"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "localhost@evil.example"}, 421),
        ({"host": ""}, 421),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, 403),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, 200),
        ({"host": "localhost:1"}, 200),
        ({}, 200),
    ],
)
def test_requests_of_other_sites_are_refused_on_every_route(client: Client, headers: dict[str, str], status: int):
    run = client.start("hello", wait=30)["run"]["run_id"]
    for path in ("/v1/runs", f"/v1/runs/{run}/events", "/v1/pipelines/hello"):
        for accept in ("application/json", "text/event-stream"):
            assert client.http.get(path, headers={**headers, "accept": accept}).status_code == status
    if status != 200:
        assert client.http.get("/v1/nothing", headers=headers).status_code == status


def test_the_own_page_may_send_requests(client: Client, server: tuple[Service, str]):
    assert client.http.get("/v1/runs", headers={"origin": server[1]}).status_code == 200


def test_responses_are_safe_for_browsers(client: Client):
    for path in ("/v1/runs", "/v1/nothing", "/healthz"):
        headers = client.http.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
    assert client.http.get("/v1/runs").headers["cache-control"] == "no-store"


def test_the_names_of_a_server_follow_from_where_it_listens():
    assert served_names("127.0.0.1", ()) == {"localhost", "127.0.0.1", "::1"}
    assert served_names("192.0.2.7", ["Runs.Example.com:443"]) == {"192.0.2.7", "runs.example.com"}
    assert "localhost" in served_names("0.0.0.0", ())


def test_scopes_are_words_of_a_closed_set():
    assert parse_scopes(["answer", "run", "run"]) == ("run", "answer")
    with pytest.raises(ConfigurationError, match="unknown scope `raed`"):
        parse_scopes(["raed"])
    with pytest.raises(ConfigurationError, match="needs a scope"):
        parse_scopes([])
    assert permitted(["superuser"]) == frozenset()


def test_a_server_for_other_machines_warns_that_nothing_is_encrypted(server: tuple[Service, str]):
    service = server[0]
    assert exposure(service) is None
    service.settings = service.settings.model_copy(update={"host": "0.0.0.0"})
    assert "without TLS" in str(exposure(service))


def test_a_body_over_the_limit_is_refused(client: Client):
    found = client.problem("POST", "/v1/pipelines/check", {"source": "x" * 17_000_000}, status=413, code="ORC913")
    assert "16,000,000 bytes" in found["detail"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"", b'{"source": 1e999}', b'{"a": NaN}'])
def test_a_body_that_is_not_what_it_should_be_is_refused(client: Client, body: bytes):
    response = client.http.post("/v1/pipelines/check", content=body, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert json.loads(response.content)["code"] == "ORC914"
