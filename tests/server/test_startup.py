"""How a server starts, or says why it cannot: before it executes anything, with the way out."""

import io
import os
import socket
import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

import pytest

import orchestrator as orc
from orchestrator.cli.app import run_command
from orchestrator.config.tables.serve import ServeTable
from orchestrator.errors import ConfigurationError, OrchestratorError
from orchestrator.server.access.request_guard import is_loopback
from orchestrator.server.http_server import exposure
from orchestrator.server.service import Service
from orchestrator.server.sockets import listening_sockets
from tests.server.support import client_of, serving


@pytest.fixture
def in_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ORCHESTRATOR_STORE", "ORCHESTRATOR_SERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(project)
    return project


def test_a_port_in_use_is_an_error_with_the_way_out(in_project: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "orchestrator", "serve", "--port", port]
        found = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
    assert found.returncode == 2
    assert found.stderr == (
        f"error[ORC921]: the port {port} of 127.0.0.1 is in use, by another server or another program\n"
        "  help: stop that one, name another port, or take a free port with: --port 0\n"
    )
    assert found.stdout == ""


@pytest.mark.parametrize(
    ("words", "message", "help"),
    [
        (["--port", "99999"], "`--port` takes a whole number from 0 to 65535", "`--port 65535`"),
        (["--port", "-1"], "`--port` takes a whole number from 0 to 65535", "--port"),
        (["--port", "http"], "`--port` takes a whole number from 0 to 65535", "--port"),
        (["--pipelines", "nosuch"], "there is no directory {project}/nosuch", "create it"),
        (["--pipelines", "hello.yaml"], "{project}/hello.yaml is not a directory", "name another directory"),
        (["--drain", "soon"], "`--drain` takes a duration", "--drain 30d"),
        (["--store", "nonsense"], "nonsense", "sqlite:///"),
        (["--store", "sqlite:///hello.yaml/runs.db"], "cannot be created", "another place"),
        (["--store", "postgresql://nobody@127.0.0.1:1/none"], "cannot be used", "check that the server runs"),
        (["--tools", "nosuch.py"], "nosuch.py", ""),
        (["--allow-host", "http://a/b"], "http://a/b", ""),
    ],
)
def test_an_option_that_cannot_work_is_refused(in_project: Path, words: list[str], message: str, help: str):
    err = io.StringIO()
    with redirect_stderr(err):
        code = run_command(["serve", *words])
    text = err.getvalue()
    assert code in (1, 2)
    assert text.startswith("error[ORC")
    assert message.format(project=in_project) in text
    assert help in text
    assert "Traceback" not in text
    assert "ORC999" not in text


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("pipelines", "nosuch", "there is no directory"),
        ("pipelines", "hello.yaml", "is not a directory"),
        ("outputs", "hello.yaml", "is not a directory"),
        ("names", "https://runs.example.com", "is not the name of a server"),
        ("names", "runs.example.com/path", "is not the name of a server"),
        ("names", "ada@runs.example.com", "is not the name of a server"),
        ("names", "runs.example.com:99999", "is not the name of a server"),
        ("origins", "tools.example.com", "is not the origin of a site"),
        ("origins", "https://tools.example.com/", "is not the origin of a site"),
        ("origins", "https://Tools.example.com", "is not the origin of a site"),
        ("origins", "*", "is not the origin of a site"),
        ("origins", "null", "is not the origin of a site"),
        ("proxies", "proxy.internal", "is not an address"),
        ("proxies", "10.0.0.1/8", "is not an address"),
        ("proxies", "*", "is not an address"),
        ("proxies", "0.0.0.0/0", "is every address"),
        ("proxies", "::/0", "is every address"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(project: Path, setting: str, value: str, message: str):
    with orc.Orchestrator(directory=project) as client, pytest.raises(ConfigurationError, match=message) as refused:
        Service(client, ServeTable.model_validate({setting: (value,)}))
    assert refused.value.message.startswith(f"`{setting}` of [serve]")
    assert refused.value.help
    assert not (project / ".orchestrator").exists(), "nothing is made before"


def test_settings_that_work_are_accepted(project: Path):
    settings: dict[str, Any] = {
        "pipelines": (".", "reports"),
        "outputs": ("output", "/srv/reports"),
        "names": ("runs.example.com", "runs.example.com:8443", "192.0.2.7", "[2001:db8::1]:8420"),
        "origins": ("https://tools.example.com", "http://localhost:5173", "https://[2001:db8::1]"),
        "proxies": ("10.0.0.1", "172.16.0.0/12", "2001:db8::/64"),
    }
    with orc.Orchestrator(directory=project) as client:
        Service(client, ServeTable.model_validate(settings))


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("nosuch.invalid", "is unknown"),
        ("http://127.0.0.1", "is unknown"),
        ("a" * 300, "is unknown"),
        ("\udcff", "is unknown"),
        ("192.0.2.7", "is not an address of this machine"),
    ],
)
def test_a_host_at_which_no_one_can_listen_is_an_error(host: str, message: str):
    with pytest.raises(OrchestratorError, match=message) as refused:
        listening_sockets(host, 0)
    assert refused.value.code == "ORC921"
    assert "127.0.0.1" in str(refused.value.help)


def test_all_addresses_of_a_name_have_one_free_port():
    opened = listening_sockets("localhost", 0)
    try:
        assert len({each.getsockname()[1] for each in opened}) == 1
        with pytest.raises(ConfigurationError, match="is in use"):
            listening_sockets("localhost", opened[0].getsockname()[1])
    finally:
        for each in opened:
            each.close()


@pytest.mark.parametrize(
    ("host", "proxies", "warned"),
    [
        ("127.0.0.1", (), False),
        ("127.0.0.2", (), False),
        ("localhost", (), False),
        ("::1", (), False),
        ("0.0.0.0", (), True),
        ("::", (), True),
        ("192.0.2.7", (), True),
        ("runs.example.com", (), True),
        ("0.0.0.0", ("10.0.0.1",), False),
    ],
)
def test_a_server_for_other_machines_warns_unless_a_proxy_encrypts(
    project: Path, host: str, proxies: tuple[str, ...], warned: bool
):
    with orc.Orchestrator(directory=project) as client:
        found = exposure(Service(client, ServeTable(host=host, proxies=proxies)))
    assert (found is not None) is warned
    assert found is None or "without TLS" in found


def test_loopback_addresses_are_known_by_their_value():
    assert is_loopback("127.0.0.1")
    assert is_loopback("LOCALHOST")
    assert not any(map(is_loopback, ("", "0.0.0.0", "127.0.0.1.evil.example", "10.0.0.1")))


@pytest.mark.parametrize(
    ("proxies", "forwarded", "by"),
    [
        ((), "192.0.2.9", "127.0.0.1"),
        (("10.0.0.1",), "192.0.2.9", "127.0.0.1"),
        (("127.0.0.1",), "192.0.2.9", "192.0.2.9"),
        (("127.0.0.0/8",), "192.0.2.9", "192.0.2.9"),
        (("127.0.0.1",), "203.0.113.66, 192.0.2.9", "192.0.2.9"),
        (("127.0.0.1",), "2001:db8::9", "2001:db8::9"),
        (("127.0.0.1",), "ada' OR 1=1 <script>", "unknown"),
        (("127.0.0.1",), "", "127.0.0.1"),
    ],
)
def test_the_address_of_a_client_is_what_a_trusted_proxy_says(
    project: Path, proxies: tuple[str, ...], forwarded: str, by: str
):
    with serving(project, proxies=proxies) as running:
        client = client_of(*running)
        client.http.headers["x-forwarded-for"] = forwarded
        run = client.start("hello", wait=30)["run"]["run_id"]
        events = client.json("GET", f"/v1/runs/{run}/events")["events"]
    assert {event["data"]["by"] for event in events if "by" in event["data"]} == {f"ada from {by}"}


@pytest.mark.parametrize(("proxies", "secure"), [((), False), (("10.0.0.1",), False), (("127.0.0.1",), True)])
def test_only_a_trusted_proxy_says_that_a_browser_uses_https(project: Path, proxies: tuple[str, ...], secure: bool):
    with serving(project, proxies=proxies) as running:
        client = client_of(*running)
        token = client.http.headers["authorization"].removeprefix("Bearer ")
        host = client.http.base_url.netloc.decode()
        headers = {"x-forwarded-proto": "https", "origin": f"https://{host}"}
        response = client.http.post("/v1/session", json={"token": token}, headers=headers)
        assert response.status_code == (200 if secure else 403), "the origin has the scheme of the browser"
        response = client.http.post("/v1/session", json={"token": token}, headers={"x-forwarded-proto": "https"})
        assert ("secure" in response.headers["set-cookie"].lower()) is secure
        response = client.http.post("/v1/session", json={"token": token}, headers={"x-forwarded-host": "evil.example"})
        assert response.status_code == 200
        assert client.http.get("/v1/runs", headers={"host": "evil.example"}).status_code == 421
