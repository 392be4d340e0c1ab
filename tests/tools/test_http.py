"""The http tool against real servers on this machine."""

import asyncio
import gzip
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import PermissionDenied, StepError, StepTimeout
from orchestrator.remedies import AllowHost
from tests.tools.support import Workplace


class Server(ThreadingHTTPServer):
    """Answers from a table, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.silence = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        self.answers[path] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        return self.url + path


class Handler(BaseHTTPRequestHandler):
    server: Server

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if self.path == "/silent":
            self.server.silence.wait(30)
            return
        if self.path == "/cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            return
        status, headers, answer = self.server.answers[self.path.partition("?")[0]]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield running
        running.silence.set()
        running.shutdown()


@pytest.fixture
def web(workplace: Workplace, server: Server) -> Workplace:
    return Workplace(workplace.directory, hosts=[f"127.0.0.1:{server.server_port}"])


def test_json_arrives_as_data(web: Workplace, server: Server) -> None:
    url = server.answer("/items", b'{"items": [1, 2]}', content_type="application/json; charset=utf-8", X_Page="1")
    done = web("http.get", url=url, params={"q": "a b"})
    assert done["content"] == done["json"] == {"items": [1, 2]}
    assert done["body"] == '{"items": [1, 2]}'
    assert done["status_code"] == 200
    assert done["headers"]["x-page"] == "1"
    assert done["url"] == url
    assert server.requests[0][:2] == ("GET", "/items?q=a+b")


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("grüezi".encode(), "text/plain; charset=utf-8", "grüezi"),
        ("grüezi".encode("latin-1"), "text/plain; charset=latin-1", "grüezi"),
        (b"gr\xffezi", "text/plain; charset=klingon", "gr�ezi"),
        ("grüezi".encode("utf-16"), "text/plain", "grüezi"),
        (b"\xef\xbb\xbfhi", "text/plain", "hi"),
        (b"gr\xffezi", "text/plain", "gr�ezi"),
        *((b"hello", f"text/plain; charset={name}", "hello") for name in ("undefined", "idna", "hex", "rot13", "")),
        (b'{"a": NaN}', "application/json", '{"a": NaN}'),
        (b'{"a": 1e999}', "application/json", '{"a": 1e999}'),
        (b"[" * 100_000, "application/json", "[" * 100_000),
        (b"{", "application/json", "{"),
        (b'{"a": 1, "a": 2}', "application/json", '{"a": 1, "a": 2}'),
    ],
)
def test_anything_else_arrives_as_text(body: bytes, kind: str, text: str, web: Workplace, server: Server) -> None:
    done = web("http.get", url=server.answer("/x", body, content_type=kind))
    assert (done["content"], done["body"], done["json"]) == (text, text, None)
    warned = any("but the body is not valid JSON" in line for _, line in web.context.lines)
    assert warned == kind.startswith("application/json")


@pytest.mark.parametrize(
    ("body", "kind", "data"),
    [
        (b'\xef\xbb\xbf{"name": "Zo\xc3\xab"}', "application/json", {"name": "Zoë"}),
        ('{"name": "Zoë"}'.encode("utf-16"), "application/json; charset=utf-8", {"name": "Zoë"}),
        ('{"name": "Zoë"}'.encode("latin-1"), "application/json; charset=iso-8859-1", {"name": "Zoë"}),
        (rb'{"name": "cut \ud83d, whole \ud83d\ude00"}', "application/problem+json", {"name": "cut �, whole 😀"}),
        (b'{"id": 12345678901234567890123}', "application/json", {"id": 12345678901234567890123}),
    ],
)
def test_json_is_read_whatever_its_encoding(body: bytes, kind: str, data: Any, web: Workplace, server: Server) -> None:
    done = web("http.get", url=server.answer("/x", body, content_type=kind))
    assert done["json"] == done["content"] == data
    assert web.context.lines == []


def test_what_cannot_be_decoded_is_named_in_the_log(web: Workplace, server: Server) -> None:
    web("http.get", url=server.answer("/x", b"hi", content_type="text/plain; charset=klingon"))
    assert "declares the unknown charset `klingon`" in web.context.lines[-1][1]
    web("http.get", url=server.answer("/x", b"gr\xffezi", content_type="text/plain"))
    assert "is not UTF-8 text (byte 0xFF in line 1)" in web.context.lines[-1][1]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"X-Title": "Zoë"}, "invalid header `X-Title`: its value contains the character U+00EB"),
        (
            {"Authorization": "Bearer x\n"},
            "invalid header `Authorization`: its value contains a line break",
        ),
        ({"X-A": "a\r\nX-B: c"}, "invalid header `X-A`: its value contains a line break"),
        ({"X-A": "\0"}, "invalid header `X-A`: its value contains the character U+0000"),
        ({"X A": "a"}, "`X A` is not a valid header name"),
        ({"": "a"}, "`` is not a valid header name"),
    ],
)
def test_a_header_that_cannot_be_sent_is_named(
    headers: dict[str, str], said: str, web: Workplace, server: Server
) -> None:
    with pytest.raises(StepError) as caught:
        web("http.get", url=server.answer("/x", b""), headers=headers)
    assert caught.value.message == said
    assert caught.value.code == "ORC708"
    assert not caught.value.retryable
    assert server.requests == []


@pytest.mark.parametrize(
    ("parameters", "body", "kind"),
    [
        ({"json": {"a": [1]}}, b'{"a":[1]}', "application/json"),
        ({"data": {"a": "1", "b": "x y"}}, b"a=1&b=x+y", "application/x-www-form-urlencoded"),
        ({"data": "plain"}, b"plain", None),
    ],
)
def test_data_are_sent(
    parameters: dict[str, Any], body: bytes, kind: str | None, web: Workplace, server: Server
) -> None:
    web("http.post", url=server.answer("/x"), headers={"X-Key": "k"}, **parameters)
    method, _, headers, sent = server.requests[0]
    assert (method, sent, headers.get("content-type"), headers["x-key"]) == ("POST", body, kind, "k")
    web("http.request", method="PATCH", url=server.url + "/x", **parameters)
    assert server.requests[1][0] == "PATCH"


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (404, False), (408, True), (429, True), (500, True), (503, True)],
)
def test_an_error_status_fails_the_step(status: int, retryable: bool, web: Workplace, server: Server) -> None:
    url = server.answer("/x", b"no\n such thing", status)
    with pytest.raises(StepError) as caught:
        web("http.get", url=url + "?key=secret")
    assert caught.value.code == "ORC706"
    assert caught.value.retryable is retryable
    assert f"returned {status}" in caught.value.message
    assert "no such thing" in caught.value.message
    assert "secret" not in str(caught.value)
    assert web("http.get", url=url, check=False)["status_code"] == status


def test_the_servers_wish_to_wait_is_passed_on(web: Workplace, server: Server) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    for value, low, high in (("7", 7, 7), (later, 30, 60), ("soon", None, None)):
        with pytest.raises(StepError) as caught:
            web("http.get", url=server.answer("/x", status=429, Retry_After=value))
        if low is None:
            assert caught.value.retry_after is None
        else:
            assert low <= (caught.value.retry_after or 0) <= high


def test_redirects_are_followed_or_shown(web: Workplace, server: Server) -> None:
    target = server.answer("/target", b"here")
    url = server.answer("/start", status=302, Location="/target")
    assert web("http.get", url=url, headers={"X-Key": "k"})["url"] == target
    assert server.requests[1][2]["x-key"] == "k"
    assert web("http.get", url=url, follow_redirects=False)["status_code"] == 302
    with pytest.raises(StepError, match="redirects more than 10 times"):
        web("http.get", url=server.answer("/loop", status=302, Location="/loop"))


AFTER = {
    301: {"POST": "GET"},
    302: {"POST": "GET"},
    303: dict.fromkeys(("POST", "PUT", "PATCH", "DELETE", "OPTIONS"), "GET"),
    307: {},
    308: {},
}
"""The methods that a redirect changes (RFC 9110, 15.4); all others are kept, with what is sent."""


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("status", AFTER)
def test_a_redirect_keeps_or_changes_the_method_as_the_standard_says(
    status: int, method: str, web: Workplace, server: Server
) -> None:
    server.answer("/target")
    url = server.answer("/start", status=status, Location="/target")
    sent = {} if method in ("GET", "HEAD") else {"json": {"a": 1}}
    web("http.request", method=method, url=url, **sent)
    (_, _, _, first), (followed, path, headers, body) = server.requests
    assert (path, followed) == ("/target", AFTER[status].get(method, method))
    assert body == (first if followed == method else b"")
    assert ("content-type" in headers) == bool(body)


def test_keys_do_not_follow_a_redirect_to_another_server(workplace: Workplace, server: Server) -> None:
    place = Workplace(workplace.directory, hosts=["127.0.0.0/8"])
    server.answer("/target", b"here")
    elsewhere = f"http://localhost:{server.server_port}/target"
    place(
        "http.get", url=server.answer("/start", status=302, Location=elsewhere), headers={"X-Key": "k", "Cookie": "c"}
    )
    assert server.requests[0][2]["x-key"] == "k"
    assert not {"x-key", "cookie"} & server.requests[1][2].keys()


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/", "http://localhost:1/", "http://[::1]/", "file:///etc/passwd"]
)
def test_a_redirect_to_a_private_address_is_refused(target: str, web: Workplace, server: Server) -> None:
    with pytest.raises(StepError) as caught:
        web("http.get", url=server.answer("/start", status=302, Location=target))
    assert (
        isinstance(caught.value, PermissionDenied)
        or "`file:`" in caught.value.message
        or "valid" in caught.value.message
    )
    assert len(server.requests) == 1


def test_private_addresses_are_refused_with_the_option_that_allows_them(workplace: Workplace, server: Server) -> None:
    with pytest.raises(PermissionDenied) as caught:
        workplace("http.get", url=server.answer("/x"))
    assert caught.value.remedies == (AllowHost("127.0.0.1"),)
    assert server.requests == []


def test_a_name_that_resolves_to_a_private_address_is_refused(
    workplace: Workplace, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection goes to the address that was checked: a second look-up, with another answer, never happens."""
    looked_up = []

    async def resolve(_: object, host: str, port: int, **__: object) -> list[Any]:
        looked_up.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", resolve)
    url = server.answer("/x", b"here").replace("127.0.0.1", "rebinding.example")
    with pytest.raises(PermissionDenied, match=r"`rebinding.example` \(at 127.0.0.1\) is not a public address"):
        workplace("http.get", url=url)
    assert server.requests == []
    allowed = Workplace(workplace.directory, hosts=["rebinding.example"])
    assert allowed("http.get", url=url)["body"] == "here"
    assert looked_up == ["rebinding.example", "rebinding.example"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://example.org/x", "is not an HTTP URL"),
        ("example.org", "is not an HTTP URL"),
        ("", "is not an HTTP URL"),
        ("http://", "valid URL"),
        ("http://exa mple.org/", "valid URL"),
        ("http://[::1/", "address"),
        (
            "http://no-such-host.invalid/",
            "`http://no-such-host.invalid/` cannot be reached: the name cannot be resolved",
        ),
    ],
)
def test_a_wrong_address_is_named(url: str, said: str, web: Workplace) -> None:
    with pytest.raises(StepError) as caught:
        web("http.get", url=url)
    assert said in caught.value.message


def test_a_connection_that_fails_says_so(web: Workplace, server: Server) -> None:
    with pytest.raises(StepError, match="cannot be reached") as caught:
        web("http.get", url=server.url + "/cut")
    assert caught.value.code == "ORC706"
    assert caught.value.retryable
    with pytest.raises(StepTimeout, match=r"did not respond within 0.2 s"):
        web("http.get", url=server.url + "/silent", timeout=0.2)


def test_a_response_over_the_limit_is_refused_compressed_or_not(web: Workplace, server: Server) -> None:
    large = b"x" * 2_000_000
    for url in (
        server.answer("/plain", large),
        server.answer("/small", gzip.compress(large), content_encoding="gzip"),
    ):
        with pytest.raises(StepError, match="longer than the limit of 1,000,000 bytes"):
            web("http.get", url=url, max_bytes=1_000_000)
        assert len(web("http.get", url=url)["body"]) == 2_000_000
    with pytest.raises(StepError, match="compressed more than once"):
        web("http.get", url=server.answer("/bomb", gzip.compress(gzip.compress(large)), content_encoding="gzip, gzip"))


def test_a_download_is_a_whole_file_or_none(web: Workplace, server: Server) -> None:
    data = json.dumps(list(range(10_000))).encode()
    done = web("http.download", url=server.answer("/data", data), path="in/data.json")
    assert (done["path"], done["size"]) == ("in/data.json", len(data))
    assert (web.directory / "in" / "data.json").read_bytes() == data
    assert web.context.reports[-1][0] == 1.0
    for url, said in ((server.url + "/cut", "cannot be reached"), (server.answer("/no", status=404), "returned 404")):
        with pytest.raises(StepError, match=said):
            web("http.download", url=url, path="in/other.json")
    assert [path.name for path in (web.directory / "in").iterdir()] == ["data.json"]
    with pytest.raises(PermissionDenied):
        web("http.download", url=server.url + "/data", path="../data.json")
    assert not Path(web.directory.parent / "data.json").exists()
