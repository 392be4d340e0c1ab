"""Checking pipelines over HTTP, and those that a server offers."""

from pathlib import Path

import pytest

from orchestrator.language.spec.input_schema import input_schema, inputs_schema
from orchestrator.language.spec.inputs import InputSpec
from tests.server.conftest import BROKEN
from tests.server.support import Client


def test_a_check_reports_every_problem_at_its_place(client: Client):
    found = client.json("POST", "/v1/pipelines/check", {"source": BROKEN, "name": "broken.yaml"})
    assert not found["ok"]
    [problem] = found["diagnostics"]
    assert (problem["code"], problem["file"], problem["line"]) == ("ORC401", "broken.yaml", 2)
    assert problem["help"] == "write `tool: log`; it needs `message`"
    assert client.json("POST", "/v1/pipelines/check", {"source": "steps: [{id: a, tool: log}]"})["ok"] is False


def test_a_source_is_never_taken_for_a_path(client: Client, project: Path):
    found = client.json("POST", "/v1/pipelines/check", {"source": str(project / "hello.yaml")})
    assert [problem["code"] for problem in found["diagnostics"]] == ["ORC107"]


def test_the_pipelines_of_a_directory_are_offered_by_their_paths(client: Client):
    found = {each["name"]: each for each in client.json("GET", "/v1/pipelines")["pipelines"]}
    assert list(found) == ["ask", "hello", "reports/broken"]
    assert [each["ok"] for each in found.values()] == [True, True, False]
    hello = found["hello"]
    assert (hello["id"], hello["title"], hello["description"]) == ("hello", "Greeting", "Greets somebody.")
    assert hello["inputs"]["properties"]["pin"] == {
        "type": ["string", "null"],
        "writeOnly": True,
        "format": "password",
    }


def test_a_pipeline_has_its_source_graph_diagnostics_and_newest_runs(client: Client):
    run = client.start("hello", wait=30)["run"]
    found = client.json("GET", "/v1/pipelines/hello")
    assert "Hello {{ name }}" in found["source"]
    assert found["graph"].startswith("flowchart")
    assert [each["run_id"] for each in found["runs"]] == [run["run_id"]]
    broken = client.json("GET", "/v1/pipelines/reports/broken")
    assert (broken["graph"], [each["code"] for each in broken["diagnostics"]]) == ("", ["ORC401"])


def test_an_edited_file_is_compiled_again(client: Client, project: Path):
    assert client.json("GET", "/v1/pipelines/reports/broken")["ok"] is False
    (project / "reports" / "broken.yaml").write_text(BROKEN.replace("lgo", "log, parameters: {message: a}"))
    assert client.json("GET", "/v1/pipelines/reports/broken")["ok"] is True
    (project / "reports" / "broken.yaml").unlink()
    client.problem("GET", "/v1/pipelines/reports/broken", status=404, code="ORC915")


@pytest.mark.parametrize(
    "name",
    ["../hello", "reports/../hello", "%2e%2e/hello", ".hidden", "reports/%00", "/etc/passwd", "compose", "x" * 400],
)
def test_a_name_leads_to_no_other_file(client: Client, project: Path, name: str):
    (project.parent / "hello.yaml").write_text("steps: [{id: a, action: sleep, parameters: {seconds: 0}}]")
    (project / ".hidden.yaml").write_text("steps: [{id: a, action: sleep, parameters: {seconds: 0}}]")
    (project / "reports" / "link.yaml").symlink_to(project.parent / "hello.yaml")
    for each in (name, "reports/link"):
        response = client.http.get(f"/v1/pipelines/{each}")
        assert response.status_code == 404 or response.json()["name"] == "hello", response.text


def test_an_unknown_name_suggests_the_nearest(client: Client):
    found = client.problem("POST", "/v1/runs", {"pipeline": "helo"}, status=404, code="ORC915")
    assert found["help"] == "did you mean `hello`?"


def test_the_schema_of_inputs_says_what_the_declarations_say():
    specs = {
        "count": InputSpec(type="integer", minimum=1, maximum=9, default=3),
        "files": InputSpec(type="array", items=InputSpec(type="file"), min_length=1, required=True),
        "tone": InputSpec(enum=["dry", "warm"], required=True, description="The tone"),
        "who": InputSpec(type="object", properties={"name": InputSpec(type="string", pattern="^[A-Z]")}, required=True),
        "key": InputSpec(type="string", secret=True, default="x"),
    }
    schema = inputs_schema(specs)
    assert schema["required"] == ["files", "tone", "who"]
    assert schema["additionalProperties"] is False
    assert input_schema(specs["count"]) == {"type": ["integer", "null"], "default": 3, "minimum": 1, "maximum": 9}
    assert schema["properties"]["files"] == {
        "type": "array",
        "items": {"type": "string", "format": "path"},
        "minItems": 1,
    }
    assert schema["properties"]["tone"] == {"type": "string", "description": "The tone", "enum": ["dry", "warm"]}
    assert schema["properties"]["who"]["required"] == ["name"]
    assert "default" not in schema["properties"]["key"]
