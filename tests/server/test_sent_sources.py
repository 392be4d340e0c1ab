"""A pipeline in a request: of the server's files, it reaches only the pipelines that the server offers."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.server.service import Service
from tests.server.conftest import HELLO
from tests.server.support import Client, client_of

SECRET = "s3cret-in-a-file"
FILES = [
    ".orchestrator/server-token", ".env", ".git/config", "orchestrator.toml", "notes.txt", "compose.yaml",
    "reports/.hidden.yaml", "linked.yaml", "linked/x.yaml", "inner.yaml", "../beside.yaml", "{project}/.env",
    "{project}/../beside.yaml",
]  # fmt: skip


@pytest.fixture
def project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose files all contain a secret, in `project/`, next to files of somebody else."""
    home = tmp_path_factory.mktemp("home")
    project = project.rename(home / "project")
    (home / "beside.yaml").write_text(f"steps: [{SECRET}\n")
    (home / "away").mkdir()
    (home / "away" / "x.yaml").write_text(f"steps: [{SECRET}\n")
    for name in (".orchestrator/server-token", ".env", ".git/config", "notes.txt", "reports/.hidden.yaml"):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(f"steps:\n  - {SECRET}\n")
    (project / "orchestrator.toml").write_text(f'# {SECRET}\n[allow]\npaths = ["{home}"]\n')
    (project / "compose.yaml").write_text(f"services: {SECRET}\n")
    (project / "linked.yaml").symlink_to(home / "beside.yaml")
    (project / "linked").symlink_to(home / "away")
    (project / "inner.yaml").symlink_to(".env")
    return project


def calling(file: str) -> str:
    return f"steps:\n  - {{id: a, pipeline: {json.dumps(file)}}}\n"


@pytest.mark.parametrize("file", FILES)
def test_a_source_reads_no_file_but_the_pipelines_that_are_offered(
    server: tuple[Service, str], project: Path, file: str
):
    client, source = client_of(*server), calling(file.format(project=project))
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/v1/pipelines/check", {}),
        ("/v1/pipelines/draw", {}),
        ("/v1/pipelines/forecast", {}),
        ("/v1/runs", {}),
    ]
    for path, more in requests:
        response = client.http.post(path, json={"source": source, **more})
        assert response.status_code == (200 if path.endswith("check") else 422)
        found = response.json()
        assert [each["code"] for each in found["diagnostics"]] == ["ORC406"]
        assert list(found["sources"].values()) == [source]
        assert SECRET not in response.text


@pytest.mark.parametrize("file", FILES)
def test_a_file_that_cannot_be_called_is_reported_as_one_that_does_not_exist(client: Client, project: Path, file: str):
    def reported(name: str) -> str:
        found = client.json("POST", "/v1/pipelines/check", {"source": calling(name)})
        return json.dumps(found["diagnostics"]).replace(name, "FILE").replace(str(len(name)), "")

    name = file.format(project=project)
    other = "z" * len(name)
    assert reported(name).split("FILE") == reported(other).split("FILE") or "FILE" not in reported(name)


def prompted(file: str) -> str:
    return f"model: ollama:m\nsteps:\n  - {{id: a, prompt: {{file: {json.dumps(file)}}}}}\n"


@pytest.mark.parametrize("file", [*FILES, "prompts/free.md"])
def test_a_source_uses_no_prompt_but_those_of_the_pipelines_that_are_offered(client: Client, project: Path, file: str):
    (project / "prompts").mkdir()
    (project / "prompts" / "free.md").write_text(SECRET)
    for path in ("check", "draw", "forecast"):
        response = client.http.post(f"/v1/pipelines/{path}", json={"source": prompted(file.format(project=project))})
        assert [each["code"] for each in response.json()["diagnostics"]] == ["ORC406"]
        assert SECRET not in response.text


def test_a_source_uses_the_prompts_of_pipelines_that_are_offered(client: Client, project: Path):
    (project / "prompts").mkdir()
    (project / "prompts" / "critic.md").write_text("Judge it.")
    (project / "judged.yaml").write_text(prompted("prompts/critic.md"))
    found = client.json("POST", "/v1/pipelines/check", {"source": prompted("prompts/critic.md")})
    assert found["ok"]
    (project / "prompts" / "critic.md").write_text("Judge it well.")
    (offered,) = [each for each in client.json("GET", "/v1/pipelines")["pipelines"] if each["name"] == "judged"]
    assert offered["errors"] == 0
    assert "Judge it well." in json.dumps(client.json("GET", "/v1/pipelines/judged"))


def test_the_lock_of_another_file_is_not_read(client: Client, project: Path):
    (project / "notes.txt.lock").write_text(SECRET)
    found = client.http.post("/v1/pipelines/check", json={"source": HELLO, "name": "notes.txt"})
    assert found.json()["ok"]
    assert SECRET not in found.text


def test_a_source_does_not_tell_which_files_exist(client: Client):
    source = "steps: [{id: a, tool: filesystem, action: read, parameters: {path: PATH}}]"
    found = [
        client.json("POST", "/v1/pipelines/check", {"source": source.replace("PATH", path)})["diagnostics"]
        for path in ("notes.txt", "other.txt")
    ]
    assert found == [[], []]


def test_a_source_calls_pipelines_that_are_offered(client: Client, project: Path):
    found = client.json("POST", "/v1/pipelines/check", {"source": calling("hello.yaml"), "name": "new.yaml"})
    assert (found["ok"], list(found["compiled"]["plan"]["pipelines"])) == (True, ["hello.yaml"])
    found = client.json("POST", "/v1/pipelines/check", {"source": calling("../hello.yaml"), "name": "reports/new.yaml"})
    assert found["ok"]


@pytest.mark.parametrize("scope", ["read", "run", "answer"])
def test_a_source_is_evaluated_only_for_an_admin(server: tuple[Service, str], scope: str):
    client = client_of(*server, scope, name="bob")
    for path in ("draw", "forecast"):
        client.problem("POST", f"/v1/pipelines/{path}", {"source": HELLO}, status=403, code="ORC912")
        assert client.http.post(f"/v1/pipelines/{path}", json={"pipeline": "hello"}).status_code == 200
    assert client.json("POST", "/v1/pipelines/check", {"source": HELLO})["ok"]


@pytest.mark.parametrize("declared", ["type: integer", "type: string, max_length: 2", "type: file", "enum: [a]"])
def test_a_forecast_tells_nothing_of_an_environment_variable(
    client: Client, monkeypatch: pytest.MonkeyPatch, declared: str
):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    source = (
        f"inputs: {{k: {{{declared}, default_from_env: SENT_SECRET}}}}\n"
        "variables: {letters: '{{ k | string | list }}'}\n"
        "steps:\n"
        "  - {id: a, for_each: '{{ letters }}', prompt: 'Say {{ k }} {{ item }}', model: 'openai:gpt-5-mini'}\n"
    )
    found = []
    for value in (None, SECRET, "7"):
        monkeypatch.delenv("SENT_SECRET", raising=False) if value is None else monkeypatch.setenv("SENT_SECRET", value)
        found.append(json.dumps(client.json("POST", "/v1/pipelines/forecast", {"source": source})))
    assert len(set(found)) == 1
    assert SECRET not in found[0]


@pytest.mark.parametrize("declared", ["type: integer", "type: string, max_length: 2", "type: file", "enum: [a]"])
def test_a_run_that_is_refused_tells_nothing_of_an_environment_variable(
    client: Client, monkeypatch: pytest.MonkeyPatch, declared: str
):
    source = f"inputs: {{k: {{{declared}, default_from_env: SENT_SECRET}}}}\nsteps: [{{id: a, value: '{{{{ k }}}}'}}]\n"
    found = []
    for value in (SECRET, "another value"):
        monkeypatch.setenv("SENT_SECRET", value)
        response = client.http.post("/v1/runs", json={"source": source})
        assert (response.status_code, response.json()["code"]) == (422, "ORC603")
        found.append(response.text)
    assert found[0] == found[1]
    assert "SENT_SECRET" in found[0]
