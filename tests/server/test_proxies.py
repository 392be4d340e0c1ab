"""The settings of proxies in the guide, as they are written there, in front of a server."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec import Struct

from orchestrator.server.access.tokens import add_token
from orchestrator.server.app import LARGEST_BODY
from orchestrator.server.service import Service
from tests.runtime.support import Bench
from tests.server.support import PATIENCE, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from http.client import HTTPResponse

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "proxy.md"
NAME = "runs.example.com"
CLIENT = "127.0.0.2"
"""The address of the client, which is not that of the proxy."""

BATCH = "1" + 19 * "0"
GATE = "steps: [{id: a, tool: gate}]\n"


class Site(Struct):
    """A server behind a proxy."""

    service: Service
    port: int
    bench: Bench
    token: str

    @property
    def origin(self) -> str:
        """The origin of the page, as browsers name it."""
        return f"https://{NAME}:{self.port}"

    @contextmanager
    def connected(self) -> Iterator[HTTPSConnection]:
        """Connect to the proxy by its public name."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE, source_address=(CLIENT, 0))
        connection = HTTPSConnection(NAME, self.port, context=context, timeout=PATIENCE)
        connection.sock = context.wrap_socket(plain, server_hostname=NAME)
        try:
            yield connection
        finally:
            connection.close()

    def headers(self) -> dict[str, str]:
        """Return the headers of somebody who may do everything."""
        return {"authorization": f"Bearer {self.token}", "content-type": "application/json"}

    def json(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        """Send a request, and return the JSON of its response."""
        with self.connected() as connection:
            connection.request(method, path, None if body is None else json.dumps(body), self.headers() | headers)
            response = connection.getresponse()
            found = response.read()
        assert response.status == status, found
        return json.loads(found)


def snippet(title: str, changes: Mapping[str, str]) -> str:
    """Return the settings of the guide with this title, with what differs in a test; each change must apply."""
    text = GUIDE.read_text()
    found = re.search(rf'```\w+ title="{re.escape(title)}"\n(.*?)```', text, re.DOTALL)
    assert found is not None, title
    settings = found[1]
    for before, after in changes.items():
        assert before in settings, before
        settings = settings.replace(before, after)
    return settings


def nginx(directory: Path, port: int, upstream: str) -> Sequence[str]:
    """Write the settings of nginx, and return the command that runs it."""
    certificate, key = certified(directory)
    server = snippet(
        "/etc/nginx/conf.d/runs.conf",
        {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "/etc/ssl/runs.example.com.pem": str(certificate),
            "/etc/ssl/runs.example.com.key": str(key),
            "127.0.0.1:8420": upstream,
            "Host $host;": "Host $host:$server_port;",  # as the comment above it says
        },
    )
    temporary = "".join(
        f"{kind}_temp_path {directory / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    settings = directory / "nginx.conf"
    settings.write_text(
        f"daemon off;\nmaster_process off;\npid {directory / 'pid'};\nerror_log {directory / 'log'};\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{server}}}\n"
    )
    return ["nginx", "-p", str(directory), "-e", str(directory / "log"), "-c", str(settings)]


def caddy(directory: Path, port: int, upstream: str) -> Sequence[str]:
    """Write the settings of Caddy, with a certificate of its own, and return the command that runs it."""
    site = snippet("Caddyfile", {f"{NAME} {{": f"https://{NAME}:{port} {{", "127.0.0.1:8420": upstream})
    settings = directory / "Caddyfile"
    settings.write_text(
        "{\nadmin off\nauto_https disable_redirects\nlocal_certs\nskip_install_trust\n"
        f"storage file_system {directory / 'storage'}\n}}\n{site}"
    )
    return ["caddy", "run", "--config", str(settings), "--adapter", "caddyfile"]


def certified(directory: Path) -> tuple[Path, Path]:
    """Write a certificate for the name of the server, and return its path and that of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = directory / "certificate.pem", directory / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


PROXIES = {"nginx": nginx, "caddy": caddy}


@contextmanager
def running(command: Sequence[str], directory: Path, port: int) -> Iterator[None]:
    """Run a proxy until it is not needed any more; it is ready when it accepts connections."""
    home = {"HOME": str(directory), "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    with (directory / "output").open("w+") as output:
        process = subprocess.Popen(command, cwd=directory, env=os.environ | home, stdout=output, stderr=output)
        try:
            until = time.monotonic() + PATIENCE
            while True:
                if process.poll() is not None or time.monotonic() > until:
                    output.seek(0)
                    raise AssertionError(f"the proxy does not run: {output.read()}")
                try:
                    socket.create_connection(("127.0.0.1", port), PATIENCE).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.02)
            yield
        finally:
            process.kill()
            process.wait()


@pytest.fixture(params=PROXIES)
def site(request: pytest.FixtureRequest, project: Path, bench: Bench, tmp_path_factory: Any) -> Iterator[Site]:
    """A server behind each of the proxies of the guide."""
    kind = request.param
    if shutil.which(kind) is None:
        pytest.skip(f"there is no {kind}: install Debian's package `{kind}`")
    (project / "gate.yaml").write_text(GATE)
    directory = tmp_path_factory.mktemp(kind)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = {"names": (NAME,), "proxies": ("127.0.0.1",)}  # as the guide has them
    with serving(project, tools=bench.tools(), **settings) as (service, address):
        command = PROXIES[kind](directory, port, urlsplit(address).netloc)
        with running(command, directory, port):
            yield Site(service, port, bench, add_token(service.credentials, "ada", ["admin"]))


def block(response: HTTPResponse) -> str:
    """Return the next block of a stream of events."""
    lines = []
    while (line := response.readline().decode()) not in ("\n", ""):
        lines.append(line)
    return "".join(lines)


def test_a_person_logs_in_at_the_public_address(site: Site):
    token = add_token(site.service.credentials, "bob", ["run"])
    plain = {"origin": site.origin, "content-type": "application/json"}
    with site.connected() as connection:
        connection.request("POST", "/v1/session", json.dumps({"token": token}), plain)
        response = connection.getresponse()
        response.read()
        cookie = response.headers["set-cookie"]
        assert response.status == 200
        assert "Secure" in cookie
        with_session = plain | {"cookie": cookie.partition(";")[0]}
        connection.request("POST", "/v1/runs?wait=30", json.dumps({"pipeline": "hello"}), with_session)
        response = connection.getresponse()
        assert json.loads(response.read())["run"]["state"] == "succeeded"
        connection.request("POST", "/v1/runs", "{}", with_session | {"origin": "https://evil.example"})
        assert connection.getresponse().status == 403


def test_the_journal_has_the_address_of_the_client_whatever_it_claims(site: Site):
    run = site.json("POST", "/v1/runs?wait=30", {"pipeline": "hello"}, **{"x-forwarded-for": "192.0.2.9"})["run"]
    [chapter] = site.json("GET", f"/v1/runs/{run['run_id']}/history")["chapters"]
    assert chapter["by"] == f"ada from {CLIENT}"


def test_events_arrive_while_the_run_goes_on(site: Site):
    run = site.json("POST", "/v1/runs", {"pipeline": "gate"}, status=202)["run"]["run_id"]
    with site.connected() as connection:
        connection.request("GET", f"/v1/runs/{run}/events", headers=site.headers() | {"accept": "text/event-stream"})
        stream = connection.getresponse()
        while "step.started" not in block(stream):
            pass
        site.bench.open("a")
        while "run.succeeded" not in block(stream):
            pass


def test_a_large_body_is_refused_by_the_server_and_not_by_the_proxy(site: Site):
    source = "#" * 4_000_000
    assert site.json("POST", "/v1/pipelines/check", {"source": source})["ok"] is False
    with site.connected() as connection:
        with suppress(OSError):  # the response may be sent before all of the body was read
            connection.request("POST", "/v1/runs", b"#" * (LARGEST_BODY + 1), site.headers())
        assert connection.getresponse().status == 413


def test_rows_of_a_batch_run_while_it_is_sent(site: Site):
    with site.connected() as connection:
        connection.putrequest("POST", "/v1/batches")
        headers = site.headers() | {"content-type": "application/jsonl", "transfer-encoding": "chunked"}
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        for line in ({"pipeline": "hello", "batch": BATCH, "may_be_new": True}, {"name": "one"}):
            text = json.dumps(line).encode() + b"\n"
            connection.send(b"%x\r\n%b\r\n" % (len(text), text))
        results: list[Any] = []
        until = time.monotonic() + PATIENCE
        while not results and time.monotonic() < until:
            with site.connected() as other:
                other.request("GET", f"/v1/batches/{BATCH}/results?after=0&wait=5", headers=site.headers())
                response = other.getresponse()
                found = json.loads(response.read())
                results = found.get("results", [])
        assert [each["state"] for each in results] == ["succeeded"]
        connection.send(b"0\r\n\r\n")
        assert connection.getresponse().status == 202
