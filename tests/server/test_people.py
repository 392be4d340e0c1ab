"""Who may answer a question over HTTP: the people that it is for, members of groups, and admins."""

from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.server.adoption import HOSTED, Adoption
from orchestrator.server.service import Service
from tests.runtime.support import Bench
from tests.server.support import client_of, serving

RELEASE = """
steps:
  - {id: release, approve: {title: Release it?, assignee: [grace, managers]}}
  - {id: name, ask: For whom?}
outputs: {released: "{{ release }}", name: "{{ name }}"}
"""


@pytest.fixture
def service(project: Path, url: str, bench: Bench):
    (project / "release.yaml").write_text(RELEASE)
    with serving(project, store=url, tools=bench.tools(), groups={"managers": ("linus",)}) as running:
        yield running


@pytest.mark.parametrize(
    ("name", "scope", "admitted"),
    [
        ("grace", "answer", True),
        ("linus", "answer", True),
        ("eve", "answer", False),
        ("managers", "answer", False),
        ("eve", "admin", True),
    ],
)
def test_an_answer_is_taken_from_those_who_are_asked(
    service: tuple[Service, str], name: str, scope: str, admitted: bool
):
    run_id = client_of(*service).start("release")["run"]["run_id"]
    assert service[0].orchestrator.get_run(run_id).wait().state == "waiting"
    client, path = client_of(*service, scope, name=name), f"/v1/runs/{run_id}/answer"
    answer = ("POST", path, {"step": "release", "value": True, "resume": False})
    if admitted:
        client.json(*answer)
    else:
        found = client.problem(*answer, status=403, code="ORC922")
        assert found["detail"] == f"`{name}` cannot answer `release`: the question is for `grace` or `managers`"
    client.json("POST", path, {"step": "name", "value": "Ada", "resume": False})


@pytest.mark.parametrize(("name", "names"), [("linus", ["linus", "managers"]), ("eve", ["eve"]), ("managers", [])])
def test_who_is_logged_in_knows_for_which_names_of_questions(service: tuple[Service, str], name: str, names: list[str]):
    client = client_of(*service, "answer", name=name)
    assert client.json("GET", "/v1/session")["asked_as"] == names


def test_a_run_that_reminds_is_continued_by_a_server_and_another_that_asks_is_left(
    service: tuple[Service, str], project: Path, url: str
):
    asked = "steps: [{id: a, ask: {prompt: Who?, assignee: ada%s}}]"
    with orc.Orchestrator(directory=project, store=url) as other:
        for more in ("", ", remind: 2d", ", escalate: {after: 2d, to: grace}"):
            run = other.compile(asked % more).with_options(labels=[HOSTED]).start()
            next(event for event in run.events() if event.type == "step.waiting")
    assert Adoption(service[0]).look() == 2


def test_no_other_pipeline_replaces_the_question_that_is_for_others(service: tuple[Service, str], project: Path):
    """Who may start runs and answer questions could otherwise choose a pipeline in which the question is for no one."""
    (project / "open.yaml").write_text(RELEASE.replace(", assignee: [grace, managers]", ""))
    eve = client_of(*service, "run", "answer", name="eve")
    run_id = eve.start("release")["run"]["run_id"]
    assert service[0].orchestrator.get_run(run_id).wait().state == "waiting"
    eve.json("POST", f"/v1/runs/{run_id}/cancel")
    service[0].orchestrator.get_run(run_id).wait()
    path = f"/v1/runs/{run_id}/resume"
    eve.problem("POST", path, {"pipeline": "open"}, status=403, code="ORC912")
    assert eve.json("POST", path, {"pipeline": "release"})["run_id"] == run_id
    service[0].orchestrator.get_run(run_id).wait()
    eve.problem("POST", f"/v1/runs/{run_id}/answer", {"step": "release", "value": True}, status=403, code="ORC922")
    eve.json("POST", f"/v1/runs/{run_id}/cancel")
    service[0].orchestrator.get_run(run_id).wait()
    admin = client_of(*service, "admin", name="admin")
    assert admin.json("POST", path, {"pipeline": "open"})["run_id"] == run_id
