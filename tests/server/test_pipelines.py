"""Checking pipelines over HTTP, and those that a server offers."""

from pathlib import Path

import pytest

from orchestrator.language.spec.input_schema import input_schema, inputs_schema
from orchestrator.language.spec.inputs import InputSpec
from orchestrator.server.service import Service
from tests.server.conftest import BROKEN
from tests.server.support import Client, client_of


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


CALLS = """\
steps:
  - {id: inner, pipeline: parts/inner.yaml}
  - {id: draft, prompt: {file: parts/draft.md}, model: "openai:gpt-5-mini"}
notify: {failed: oncall}
"""


def test_a_check_follows_the_files_that_it_looked_at_also_missing_ones(
    client: Client, project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    parts = project / "parts"
    parts.mkdir()
    (project / "calls.yaml").write_text(CALLS)

    def problems() -> list[str]:
        return [each["message"] for each in client.json("GET", "/v1/pipelines/calls")["diagnostics"]]

    assert len(problems()) == 3
    (parts / "draft.md").write_text("Draft {% include 'style.md' %}")
    assert len(problems()) == 3
    (parts / "style.md").write_text("a letter")
    (project / "orchestrator.toml").write_text('[notify.oncall]\ntype = "slack"\nurl_env = "TEAM_URL"\n')
    (parts / "inner.yaml").write_text(BROKEN)
    assert len(problems()) == 1
    (parts / "inner.yaml").write_text(BROKEN.replace("lgo", "log, parameters: {message: a}"))
    assert problems() == []
    (parts / "style.md").unlink()
    assert len(problems()) == 1


def test_pipelines_stay_as_they_were_read_while_the_settings_cannot_be(client: Client, project: Path):
    assert client.json("GET", "/v1/pipelines/hello")["ok"] is True
    (project / "orchestrator.toml").write_text("[run")
    assert client.json("GET", "/v1/pipelines/hello")["ok"] is True
    (project / "orchestrator.toml").unlink()
    assert client.json("GET", "/v1/pipelines/hello")["ok"] is True


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


def test_an_admin_writes_a_new_pipeline_and_edits_it(client: Client, project: Path):
    made = client.json("POST", "/v1/pipelines", {"name": "weekly/report"}, status=201)
    assert (made["name"], made["ok"]) == ("weekly/report", True)
    path = project / "weekly" / "report.yaml"
    assert path.read_text() == made["source"]
    edited = {"source": made["source"] + "# more\n", "replaces": made["source"]}
    assert client.json("PUT", "/v1/pipelines/weekly/report", edited)["source"].endswith("# more\n")
    assert path.read_text() == edited["source"]
    client.problem("PUT", "/v1/pipelines/weekly/report", edited, status=409, code="ORC914")
    broken = {"source": "steps: [", "replaces": edited["source"]}
    assert client.json("PUT", "/v1/pipelines/weekly/report", broken)["ok"] is False


def test_a_name_that_is_taken_is_refused_and_nothing_is_changed(client: Client, project: Path):
    before = (project / "hello.yaml").read_text()
    client.problem("POST", "/v1/pipelines", {"name": "hello", "source": "steps: []"}, status=409, code="ORC914")
    (project / "compose.yml").write_text("services: {}")
    client.problem("POST", "/v1/pipelines", {"name": "compose", "source": "steps: []"}, status=409, code="ORC914")
    assert (project / "hello.yaml").read_text() == before


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/cron", ".hidden", "a/../../b", "a\0b", "x.test", "a\\b", "a/.b", "a."]
)
def test_pipelines_are_written_into_the_directory_of_the_server_only(client: Client, project: Path, name: str):
    before = sorted(project.parent.rglob("*"))
    client.problem("POST", "/v1/pipelines", {"name": name}, status=422, code="ORC914")
    assert sorted(project.parent.rglob("*")) == before


def test_a_link_to_elsewhere_is_not_written_through(
    client: Client, project: Path, tmp_path_factory: pytest.TempPathFactory
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (project / "linked").symlink_to(elsewhere)
    client.problem("POST", "/v1/pipelines", {"name": "linked/x"}, status=403, code="ORC914")
    assert list(elsewhere.iterdir()) == []


def test_only_an_admin_writes_pipelines(server: tuple[Service, str]):
    runner = client_of(*server, "run", "answer", name="bob")
    runner.problem("POST", "/v1/pipelines", {"name": "new"}, status=403, code="ORC912")
    body = {"source": "steps: []", "replaces": ""}
    runner.problem("PUT", "/v1/pipelines/hello", body, status=403, code="ORC912")


def test_a_forecast_runs_nothing_and_has_the_cost_and_the_upper_bound(
    client: Client, project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-forecast")  # nothing is asked of a model
    (project / "paid.yaml").write_text(
        "budget: {usd: 0.5}\n"
        "inputs: {topics: {type: array}}\n"
        "steps:\n"
        "  - id: draft\n"
        "    for_each: '{{ topics }}'\n"
        "    prompt: 'About {{ item }}.'\n"
        "    model: openai:gpt-5-mini\n"
        "    max_tokens: 500\n"
    )
    found = client.json("POST", "/v1/pipelines/forecast", {"pipeline": "paid", "inputs": {"topics": ["a", "b", "c"]}})
    [step] = [step for step in found["steps"] if step["calls"]]
    assert step["times"] == 3
    assert [model["model"] for model in step["calls"][0]["models"]] == ["openai:gpt-5-mini"]
    assert 0 < found["cost"] <= found["most"]["cost"]
    assert found["budget"] == {"usd": 0.5}
    assert client.json("GET", "/v1/runs")["runs"] == []
    client.problem("POST", "/v1/pipelines/forecast", {"pipeline": "paid"}, status=422, code="ORC601")
