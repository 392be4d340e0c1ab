"""Webhooks: a delivery starts one run if it is genuine, recent and new, and else nothing."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from orchestrator.server.service import Service
from tests.server.support import Client, client_of, serving

SECRET = "it is never stored 4711"
HOOKS = """\
inputs:
  ref: {type: string, max_length: 30}
  event: {type: string, default: none}
  pin: {type: string, secret: true, required: false, default_from_env: HOOK_PIN}
steps:
  - {id: text, tool: log, parameters: {message: "{{ ref }} {{ event }}"}}
outputs: {ref: "{{ ref }}", event: "{{ event }}"}
triggers:
  standard: {webhook: HOOK_SECRET, inputs: {ref: "{{ body.ref }}"}}
  github:
    webhook: {secret: HOOK_SECRET, signature: github, max_bytes: 2000}
    inputs: {ref: "{{ body.ref }}", event: "{{ headers['x-github-event'] }}"}
  bearer:
    webhook: {secret: HOOK_SECRET, signature: bearer, max_per_minute: 3}
    inputs: {ref: "{{ query.ref }}", event: "{{ body }}"}
  without: {webhook: NOT_SET, inputs: {ref: "{{ body.ref }}"}}
  nightly: {schedule: "0 3 1 1 *", inputs: {ref: main}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("HOOK_PIN", "sesame-4711")
    (tmp_path / "repo.yaml").write_text(HOOKS)
    return tmp_path


@pytest.fixture
def sender(server: tuple[Service, str]) -> Client:
    """Whoever sends deliveries: it has no token."""
    return Client(server[1], None)


def sign(body: bytes, *, secret: str = SECRET, id: str = "d-1", at: float | None = None) -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    digest = hmac.digest(key, f"{id}.{stamp}.".encode() + body, "sha256")
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": id, "webhook-timestamp": stamp, "webhook-signature": f"v1,AAAA {signature}"}


def send(sender: Client, hook: str, body: Any, headers: dict[str, str], **options: Any) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = {"content-type": "application/json"}
    return sender.http.post(f"/v1/hooks/repo/{hook}", content=content, headers={**kind, **headers}, **options)


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def outputs(client: Client, response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 202, response.text
    run = response.json()["run_id"]
    assert response.headers["location"] == f"/v1/runs/{run}"
    with client.stream(run) as stream:
        assert list(stream)[-1][2]["state"] == "succeeded"
    return client.json("GET", f"/v1/runs/{run}/result")["outputs"]


def test_a_signed_delivery_starts_a_run_with_its_inputs(client: Client, sender: Client):
    body = b'{"ref": "main"}'
    response = send(sender, "standard", body, sign(body))
    assert response.json()["repeated"] is False
    assert outputs(client, response) == {"ref": "main", "event": "none"}
    (run,) = client.json("GET", "/v1/runs", params={"label": "trigger:repo/standard"})["runs"]
    (firing,) = client.json("GET", "/v1/triggers/repo/standard")["firings"]
    assert (firing["run_id"], firing["state"]) == (run["run_id"], "started")
    assert firing["by"].startswith("a delivery from 127.0.0.1")


def test_secrets_that_are_base64_are_decoded(client: Client, sender: Client, monkeypatch: pytest.MonkeyPatch):
    secret = "whsec_" + base64.b64encode(b"any bytes \xff").decode()
    monkeypatch.setenv("HOOK_SECRET", secret)
    body = b'{"ref": "main"}'
    assert outputs(client, send(sender, "standard", body, sign(body, secret=secret)))["ref"] == "main"


def test_a_repeated_delivery_returns_the_run_of_the_first(client: Client, sender: Client):
    body = b'{"ref": "main"}'
    first, second = (send(sender, "standard", body, sign(body)) for _ in range(2))
    assert second.json() == {**first.json(), "repeated": True}
    other = b'{"ref": "other"}'
    assert refusal(send(sender, "standard", other, sign(other))) == (409, "ORC920")
    assert outputs(client, send(sender, "standard", other, sign(other, id="d-2")))["ref"] == "other"
    assert len(client.json("GET", "/v1/runs")["runs"]) == 2


def test_a_delivery_that_is_not_genuine_starts_nothing(client: Client, sender: Client):
    body = b'{"ref": "main"}'
    good = sign(body)
    now = time.time()
    wrong = [
        {},
        {**good, "webhook-id": "d-2"},
        {**good, "webhook-timestamp": str(int(now) + 1)},
        {**good, "webhook-signature": good["webhook-signature"].replace("v1,", "v2,")},
        sign(body, secret="another"),
        sign(body + b" "),
        sign(body, at=now - 301),
        sign(body, at=now + 310),
        sign(body, id="x" * 201),
    ]
    for headers in wrong:
        response = sender.http.post("/v1/hooks/repo/standard", content=body, headers=headers)
        assert refusal(response) == (401, "ORC920"), headers
        assert SECRET not in response.text
    assert client.json("GET", "/v1/runs")["runs"] == []
    assert client.json("GET", "/v1/triggers/repo/standard")["firings"] == []


def test_secrets_cannot_be_guessed(sender: Client):
    codes = [refusal(send(sender, "standard", b"{}", {}))[0] for _ in range(21)]
    assert codes[:20] == [401] * 20
    assert codes[20] == 429


def test_deliveries_of_github_are_signed_by_their_body(client: Client, sender: Client):
    body = b'{"ref": "main"}'
    signature = f"sha256={hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}"
    headers = {"x-hub-signature-256": signature, "x-github-event": "push", "x-github-delivery": "1"}
    first = send(sender, "github", body, headers)
    assert outputs(client, first) == {"ref": "main", "event": "push"}
    replayed = send(sender, "github", body, {**headers, "x-github-delivery": "2"})
    assert replayed.json() == {**first.json(), "repeated": True}
    assert refusal(send(sender, "github", body + b" ", headers)) == (401, "ORC920")


def test_a_bearer_secret_is_enough_and_is_not_readable(client: Client, sender: Client):
    headers = {"authorization": f"Bearer {SECRET}", "content-type": "text/plain", "webhook-id": "1"}
    first = send(sender, "bearer", b"deployed", headers, params={"ref": "v2"})
    assert outputs(client, first) == {"ref": "v2", "event": "deployed"}
    again = send(sender, "bearer", b"deployed", headers, params={"ref": "v2"})
    assert again.json()["repeated"]
    wrong = {**headers, "authorization": "Bearer wrong"}
    assert refusal(send(sender, "bearer", b"deployed", wrong, params={"ref": "v2"})) == (401, "ORC920")


def test_deliveries_are_limited_in_number(sender: Client):
    headers = {"authorization": f"Bearer {SECRET}", "content-type": "text/plain"}
    found = [send(sender, "bearer", b"x", headers, params={"ref": "v2"}).status_code for _ in range(4)]
    assert found == [202, 202, 202, 429]


def test_inputs_are_checked_and_nothing_is_left_of_a_delivery_that_does_not_fit(client: Client, sender: Client):
    for body, found in [
        (b'{"ref": 7}', None),
        (b'{"other": 1}', (400, "ORC703")),
        (json.dumps({"ref": "x" * 31}).encode(), (422, "ORC603")),
        (b"{", (400, "ORC914")),
        (b"\xff", (400, "ORC914")),
        (b'{"a": 1, "a": 2}', (400, "ORC914")),
        (b"[" * 100_000, (400, "ORC914")),
    ]:
        response = send(sender, "standard", body, sign(body, id=str(len(body))))
        if found is None:
            assert outputs(client, response)["ref"] == "7"
        else:
            assert (response.status_code // 100, refusal(response)[1][:4]) == (4, "ORC" + found[1][3])
    assert len(client.json("GET", "/v1/triggers/repo/standard")["firings"]) == 1


def test_a_large_delivery_is_refused_before_it_is_read(server: tuple[Service, str], sender: Client):
    assert refusal(send(sender, "github", b"x" * 2001, {})) == (413, "ORC913")

    def pieces() -> Any:
        yield from (b"x" * 1000 for _ in range(3))

    response = sender.http.post("/v1/hooks/repo/github", content=pieces())
    assert refusal(response) == (413, "ORC913")


def test_what_is_no_webhook_or_not_ready_or_paused_says_so(client: Client, sender: Client):
    body = b'{"ref": "main"}'
    assert refusal(send(sender, "nightly", body, sign(body))) == (404, "ORC919")
    assert refusal(send(sender, "unknown", body, sign(body))) == (404, "ORC919")
    assert refusal(send(sender, "without", body, sign(body))) == (503, "ORC920")
    listed = {each["name"]: each["ready"] for each in client.json("GET", "/v1/triggers")["triggers"]}
    assert listed == {"standard": True, "github": True, "bearer": True, "without": False, "nightly": True}
    client.json("POST", "/v1/triggers/repo/standard/pause")
    assert refusal(send(sender, "standard", body, sign(body))) == (409, "ORC920")
    client.json("POST", "/v1/triggers/repo/standard/resume")
    assert send(sender, "standard", body, sign(body)).status_code == 202


def test_other_names_of_the_server_and_pages_of_other_sites_are_refused(sender: Client):
    body = b'{"ref": "main"}'
    assert refusal(send(sender, "standard", body, {**sign(body), "host": "evil.example"})) == (421, "ORC913")
    assert refusal(send(sender, "standard", body, {**sign(body), "origin": "https://evil.example"})) == (403, "ORC913")


def test_no_secret_is_in_the_store(project: Path, sender: Client, client: Client, server: tuple[Service, str]):
    body = b'{"ref": "main"}'
    outputs(client, send(sender, "standard", body, sign(body)))
    outputs(client, send(sender, "bearer", b'"x"', {"authorization": f"Bearer {SECRET}"}, params={"ref": "v2"}))
    kept = b"".join(path.read_bytes() for path in project.glob("runs.db*"))
    assert SECRET.encode() not in kept
    assert b"sesame-4711" not in kept


def test_a_server_without_triggers_accepts_no_deliveries(project: Path):
    with serving(project, triggers=False) as (service, address):
        body = b'{"ref": "main"}'
        assert refusal(send(Client(address, None), "standard", body, sign(body))) == (404, "ORC919")
        assert client_of(service, address).json("GET", "/v1/triggers")["triggers"]


def test_a_stranger_learns_nothing_of_pipelines(project: Path, sender: Client):
    (project / "secret-plans.yaml").write_text("steps:\n  - {id: one, tool: lgo}\n# a secret plan\n")
    for name in ("repo/standrd", "repoo/standard", "secret-plan/x", "", "/", "repo", "repo/nightly"):
        response = sender.http.post(f"/v1/hooks/{name}", content=b"{}")
        assert refusal(response)[0] in (404, 405)
        assert "secret-plans" not in response.text
        assert "did you mean" not in response.text
    response = sender.http.post("/v1/hooks/secret-plans/x", content=b"{}")
    assert refusal(response) == (503, "ORC920")
    assert "lgo" not in response.text
    assert "a secret plan" not in response.text


def test_wrong_deliveries_from_an_address_do_not_lock_out_genuine_ones_from_it(client: Client, sender: Client):
    body = b'{"ref": "main"}'
    while refusal(send(sender, "standard", body, {})) != (429, "ORC913"):
        pass
    assert outputs(client, send(sender, "standard", body, sign(body)))["ref"] == "main"
