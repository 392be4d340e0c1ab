"""Clients that send nonsense, too much, or nothing: each is refused, nothing is lost, and others are served."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from orchestrator.server import connection_limit, http_protocol
from orchestrator.server.access import request_guard
from orchestrator.server.app import LARGEST_BODY
from orchestrator.server.downloads import Download
from orchestrator.server.service import Service
from tests.server.support import PATIENCE, Client, client_of, serving

NESTED = 100_000


@contextmanager
def connected(address: str) -> Iterator[socket.socket]:
    """A connection on which a test sends what it likes."""
    where = urlsplit(address)
    assert where.hostname is not None
    with socket.create_connection((where.hostname, where.port), timeout=PATIENCE) as connection:
        yield connection


def everything(connection: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    found = b""
    try:
        while piece := connection.recv(65_536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def head(client: Client, method: str, path: str, *lines: str) -> bytes:
    """Return the head of a request with the token of a client."""
    host = client.http.base_url.netloc.decode()
    fields = [f"host: {host}", f"authorization: {client.http.headers['authorization']}", *lines]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *fields, "", ""]).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe\x00",
        b'{"pipeline": "hello"} {}',
        b'{"pipeline": NaN}',
        b'{"pipeline": "hello", "inputs": {"name": ' + b"9" * 10_000 + b"}}",
        b'{"pipeline": "hello", "timeout": 1e999}',
        b'{"pipeline": "hello", "not_before": 1e300}',
        b'{"pipeline": "hello", "priority": 1000}',
        b'{"pipeline": "hello", "unknown": 1}',
        b'{"pipeline": "hello", "inputs": ' + b"[" * NESTED + b"]" * NESTED + b"}",
        b'{"pipeline": "hello", "inputs": ' + b'{"a":' * NESTED + b"1" + b"}" * NESTED + b"}",
    ],
    ids=lambda content: repr(content[:40]),
)
def test_a_body_that_is_no_request_is_refused(client: Client, content: bytes):
    response = client.http.post("/v1/runs", content=content, headers={"content-type": "application/json"})
    assert response.status_code in (400, 422), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] in ("ORC914", "ORC604", "ORC601")
    assert client.json("GET", "/v1/runs")["runs"] == []


@pytest.mark.parametrize("name", ["\ud800", "\x00", "\u202e", "a" * 1_000_000, "\ufffe"])
def test_any_text_is_an_input(client: Client, name: str):
    content = json.dumps({"pipeline": "hello", "inputs": {"name": name}})
    response = client.http.post("/v1/runs?wait=30", content=content, headers={"content-type": "application/json"})
    assert response.status_code in (200, 422), response.text
    client.start("hello", wait=30)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: Client, server: tuple[Service, str]):
    with connected(server[1]) as connection:
        connection.sendall(head(client, "POST", "/v1/runs", "content-length: 50000000"))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413")


def test_a_body_without_a_length_is_read_up_to_the_limit(client: Client, server: tuple[Service, str]):
    piece = b"a" * 65_536
    with connected(server[1]) as connection:
        connection.sendall(
            head(client, "POST", "/v1/runs", "transfer-encoding: chunked", "content-type: application/json")
        )
        sent = 0
        try:
            while sent < 50_000_000:
                connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                sent += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert everything(connection)[:12] in (b"HTTP/1.1 413", b"")
    assert sent < 50_000_000 or LARGEST_BODY < 50_000_000
    client.start("hello", wait=30)


def test_a_client_that_does_not_send_its_request_is_disconnected(
    server: tuple[Service, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.05)
    for sent in (b"", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: "):
        with connected(server[1]) as connection:
            connection.sendall(sent)
            assert everything(connection) == b""


def test_a_client_that_sends_its_second_request_slowly_is_disconnected(
    client: Client, server: tuple[Service, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(http_protocol, "HEADER_SECONDS", 0.05)
    with connected(server[1]) as connection:
        connection.sendall(head(client, "GET", "/healthz") + b"GET / HTTP/1.1\r\nx-slow: ")
        found = everything(connection)
    assert found.startswith(b"HTTP/1.1 200")
    assert found.count(b"HTTP/1.1") == 1


def test_a_client_that_does_not_send_its_body_is_refused(
    client: Client, server: tuple[Service, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(request_guard, "BODY_SECONDS", 0.05)
    with connected(server[1]) as connection:
        connection.sendall(
            head(client, "POST", "/v1/runs", "content-length: 100", "content-type: application/json") + b'{"pipe'
        )
        found = connection.recv(65_536)
    assert found.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in found


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: " + b"a" * 200_000 + b"\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
    ],
    ids=lambda sent: repr(sent[:40]),
)
def test_what_is_no_request_is_refused(client: Client, server: tuple[Service, str], sent: bytes):
    with connected(server[1]) as connection:
        connection.sendall(sent)
        found = connection.recv(65_536)
    assert found.split(b" ", 2)[1] in (b"400", b"421", b"501"), found
    assert client.json("GET", "/healthz")["status"] == "ok"


def test_a_request_hidden_in_another_one_is_not_carried_out(client: Client, server: tuple[Service, str]):
    hidden = head(client, "POST", "/v1/runs", "content-length: 21", "content-type: application/json")
    hidden += b'{"pipeline": "hello"}'
    with connected(server[1]) as connection:
        connection.sendall(
            head(
                client,
                "POST",
                "/v1/pipelines/check",
                "transfer-encoding: chunked",
                f"content-length: {len(hidden) + 5}",
                "connection: close",
            )
            + b"0\r\n\r\n"
            + hidden
        )
        everything(connection)
    assert client.json("GET", "/v1/runs")["runs"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/runs/..%2f..%2f..%2fetc%2fpasswd",
        "/v1/runs/%2e%2e/%2e%2e/etc/passwd",
        "/v1/pipelines/..%2f..%2fetc%2fpasswd",
        "/v1/pipelines/%2fetc%2fpasswd",
        "/v1/pipelines/%00",
        "/v1/runs/%00",
        "/v1/runs/%ff%fe",
        "/v1/runs/" + "a" * 5_000,
        "/v1/runs/last/files/content?path=..%2f..%2fetc%2fpasswd",
        "//v1/runs",
        "/v1//runs",
        "/V1/runs",
        "/v1/runs/*",
        "/v1/runs/%25",
        "/v1/runs?before=%00",
        "/v1/runs?text=%25&label=%00",
    ],
)
def test_a_path_leads_only_where_it_says(client: Client, server: tuple[Service, str], path: str):
    with connected(server[1]) as connection:
        connection.sendall(head(client, "GET", path, "connection: close"))
        found = everything(connection)
    status = int(found.split(b" ", 2)[1])
    assert status in (200, 404, 422), found
    assert b"root:" not in found
    if status == 200:
        assert json.loads(found.partition(b"\r\n\r\n")[2])["runs"] == []


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://"])
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_a_page_of_another_site_starts_nothing(client: Client, origin: str, kind: str):
    token = client.http.headers["authorization"].removeprefix("Bearer ")
    browser = Client(str(client.http.base_url), None)
    browser.json("POST", "/v1/session", {"token": token})
    sent = {"content": b'{"pipeline": "hello"}', "headers": {"origin": origin, "content-type": kind}}
    assert browser.http.post("/v1/runs", **sent).status_code == 403
    assert client.json("GET", "/v1/runs")["runs"] == []


def test_wrong_tokens_are_refused_and_then_no_longer_looked_at(server: tuple[Service, str]):
    stranger = Client(server[1], None)
    statuses = [
        stranger.http.get("/v1/runs", headers={"authorization": f"Bearer orc_{number:012x}_x"}).status_code
        for number in range(25)
    ]
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_a_reader_that_goes_away_leaves_nothing_behind(server: tuple[Service, str], client: Client):
    readers = server[0].metrics.readers.labels("list")
    for _ in range(20):
        with connected(server[1]) as connection:
            connection.sendall(head(client, "GET", "/v1/events"))
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    deadline = time.monotonic() + PATIENCE
    while readers._value.get() and time.monotonic() < deadline:
        client.json("GET", "/healthz")
    assert readers._value.get() == 0


def test_many_silent_connections_leave_room_for_others(server: tuple[Service, str], client: Client):
    held = [connected(server[1]) for _ in range(200)]
    opened = [each.__enter__() for each in held]
    try:
        for connection in opened:
            connection.sendall(b"GET / HTTP/1.1\r\n")
        client.start("hello", wait=30)
    finally:
        for each in held:
            each.__exit__(None, None, None)


def test_who_gave_a_command_and_from_where_is_recorded(server: tuple[Service, str], client: Client):
    ada = client_of(*server, "run", "answer", name="grace")
    asked = ada.start("ask")["run"]["run_id"]
    while ada.json("GET", f"/v1/runs/{asked}")["state"] != "waiting":
        pass
    for command, body in (("pause", None), ("resume", None), ("answer", {"step": "review", "value": True})):
        ada.json("POST", f"/v1/runs/{asked}/{command}", body)
    ada.http.get(f"/v1/runs/{asked}/events", headers={"accept": "text/event-stream"}).read()
    ada.json("POST", f"/v1/runs/{asked}/retry", {"step": "sent"})
    ada.http.get(f"/v1/runs/{asked}/events", headers={"accept": "text/event-stream"}).read()
    forked = ada.json("POST", f"/v1/runs/{asked}/fork", {"step": "sent"}, status=201)["run_id"]
    given = {
        event["type"]: event["data"]["by"]
        for run in (asked, forked)
        for event in ada.json("GET", f"/v1/runs/{run}/events")["events"]
        if event["data"].get("by")
    }
    assert set(given.values()) == {"grace from 127.0.0.1"}
    assert {"run.started", "run.paused", "run.resumed", "step.answered", "run.revised"} <= set(given)


def test_the_body_of_a_stranger_is_not_read(client: Client, server: tuple[Service, str]):
    paths = client.json("GET", "/v1/openapi.json")["paths"]
    sent = 0
    for path, methods in paths.items():
        for method in methods.keys() & {"post", "put", "patch", "delete"}:
            if path == "/v1/session" or path.startswith("/v1/hooks/"):
                continue
            with connected(server[1]) as connection:
                lines = [f"{method.upper()} {path.format_map(Anything())} HTTP/1.1", "host: localhost"]
                lines += ["content-type: application/json", "content-length: 15000000", "", ""]
                connection.sendall("\r\n".join(lines).encode())
                found = connection.recv(65_536)
                assert found.startswith(b"HTTP/1.1 401"), (method, path, found)
                sent += 1
    assert sent > 15


class Anything(dict[str, str]):
    """A value for every name in a path."""

    def __missing__(self, key: str) -> str:
        return "a"


@pytest.mark.parametrize("line", ["content-length: 5000", "transfer-encoding: chunked"])
def test_a_login_has_a_small_body(client: Client, server: tuple[Service, str], line: str):
    with connected(server[1]) as connection:
        connection.sendall(head(client, "POST", "/v1/session", line, "content-type: application/json"))
        if "chunked" in line:
            connection.sendall(b"1388\r\n" + b" " * 5_000 + b"\r\n")
        found = connection.recv(65_536)
    assert found.startswith(b"HTTP/1.1 413")


def test_a_request_with_many_problems_names_some_of_them(client: Client):
    body = {"pipeline": "hello", "refresh": list(range(900))}
    found = client.problem("POST", "/v1/runs", body, status=422, code="ORC914")
    assert found["detail"].startswith("900 problems: ")
    assert found["detail"].count("body.refresh[") == 20
    assert found["detail"].endswith("and others")


def test_unknown_fields_are_not_reported_one_by_one(client: Client):
    body = {f"field {number}": None for number in range(100_000)} | {"x" * 1_000_000: None}
    for path in ("/v1/runs", "/v1/pipelines/check"):
        found = client.problem("POST", path, body, status=422, code="ORC914")
        assert "it has 100001 fields" in found["detail"]
        assert len(json.dumps(found)) < 1_000
    found = client.problem("POST", "/v1/runs", {"x" * 1_000_000: None}, status=422, code="ORC914")
    assert len(json.dumps(found)) < 1_500


def test_wrong_tokens_from_an_address_do_not_lock_out_right_ones_from_it(client: Client, server: tuple[Service, str]):
    token = client.http.headers["authorization"].removeprefix("Bearer ")
    browser = Client(server[1], None)
    browser.json("POST", "/v1/session", {"token": token})
    stranger = Client(server[1], "orc_0_0")
    while stranger.http.get("/v1/runs").status_code != 429:
        pass
    assert stranger.http.post("/v1/session", json={"token": "orc_0_0"}).status_code == 429
    client.start("hello", wait=30)
    browser.start("hello", wait=30)
    Client(server[1], None).json("POST", "/v1/session", {"token": token})


@pytest.mark.parametrize(
    "body",
    [
        {"pipeline": "\ud800"},
        {"pipeline": "hello", "inputs": {"\ud800": "x"}},
        {"pipeline": "hello", "labels": ["\ud83d"]},
    ],
    ids=ascii,
)
def test_half_a_character_is_refused(client: Client, body: dict[str, object]):
    content = json.dumps(body)
    headers = {"content-type": "application/json"}
    client.problem("POST", "/v1/runs", status=422, code="ORC914", content=content, headers=headers)


@pytest.mark.parametrize(("seq", "status"), [("-1", 422), ("0", 422), ("1" + "0" * 30, 422), ("1000", 404)])
def test_the_number_of_no_event_is_refused(client: Client, seq: str, status: int):
    run = client.start("hello", wait=30)["run"]["run_id"]
    client.problem("GET", f"/v1/runs/{run}/outputs?seq={seq}", status=status, code="ORC914")


@pytest.mark.parametrize("last", ["9999999999999999999", "-1", "x"])
def test_a_stream_does_not_continue_after_the_number_of_no_event(client: Client, last: str):
    run = client.start("hello", wait=30)["run"]["run_id"]
    headers = {"accept": "text/event-stream", "last-event-id": last}
    client.problem("GET", f"/v1/runs/{run}/events", status=422, code="ORC914", headers=headers)


@pytest.mark.parametrize("name", ["a.html", "a.xhtml", "a.svg", "a.js", "a.mjs", "a.xml", "a.css", "a"])
def test_what_a_browser_would_execute_is_downloaded_without_its_type(name: str):
    assert Download(0, lambda start, count: b"", name=name, tag="a").media_type == "application/octet-stream"
    assert Download(0, lambda start, count: b"", name="a.png", tag="a").media_type == "image/png"


def following(client: Client, opened: ExitStack) -> None:
    """Open a connection that stays: that of a stream."""
    connection = opened.enter_context(connected(str(client.http.base_url)))
    connection.sendall(head(client, "GET", "/v1/events"))
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")


def test_a_connection_over_the_limit_is_told_so_whatever_it_sends(project: Path):
    with serving(project, max_connections=2) as running, ExitStack() as opened:
        client = client_of(*running)
        for _ in range(2):
            following(client, opened)
        for sent in (b"", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", b"a" * 100_000):
            with connected(running[1]) as connection:
                connection.sendall(sent)
                told, _, body = everything(connection).partition(b"\r\n\r\n")
            assert told.startswith(b"HTTP/1.1 503")
            assert b"retry-after: 2" in told
            assert json.loads(body)["detail"] == "the server has 2 connections already"
        metrics = running[0].metrics.text()
        assert b"orchestrator_connections 2.0" in metrics
        assert b"orchestrator_refused_connections_total 3.0" in metrics


def test_refused_clients_that_keep_their_connections_are_few(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection_limit, "LINGER_SECONDS", PATIENCE)
    with serving(project, max_connections=1) as running, ExitStack() as opened:
        following(client_of(*running), opened)
        for _ in range(connection_limit.MOST_LINGERING):
            refused = opened.enter_context(connected(running[1]))
            assert everything(refused).startswith(b"HTTP/1.1 503")
        further = opened.enter_context(connected(running[1]))
        assert everything(further) == b""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "accepted", "raised"),
    [(1_024, 4_096, 2_000, 2_000, 2_512), (1_024, 1_024, 2_000, 512, 1_024), (65_536, 65_536, 2_000, 2_000, 65_536)],
)
def test_the_limit_of_open_files_is_raised_as_far_as_it_can_be(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, wanted: int, accepted: int, raised: int
):
    resource = pytest.importorskip("resource")
    limits = [soft, hard]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: tuple(limits))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, given: limits.__setitem__(slice(None), given))
    assert connection_limit.connection_limit(wanted) == accepted
    assert limits == [raised, hard]
    warning = connection_limit.limit_warning(accepted, wanted)
    assert (warning is None) == (accepted == wanted)
