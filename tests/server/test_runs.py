"""Starting, reading and controlling runs over HTTP."""

import threading
from pathlib import Path

import pytest

import orchestrator as orc
from orchestrator.server.service import Service
from tests.runtime.support import PATIENCE, Bench
from tests.server.support import Client, client_of

HANG = "steps: [{id: a, tool: hang}, {id: b, tool: echo, dependencies: [a]}]\n"
FAIL = "steps: [{id: a, tool: echo, parameters: {value: 1}}, {id: b, tool: fail, dependencies: [a]}]\n"


@pytest.fixture
def hang(project: Path) -> str:
    (project / "hang.yaml").write_text(HANG)
    return "hang"


def run_id(started: dict[str, dict[str, str]]) -> str:
    return started["run"]["run_id"]


def test_a_run_is_started_and_its_result_is_read(client: Client):
    response = client.http.post("/v1/runs", json={"pipeline": "hello", "inputs": {"name": "Ada"}, "labels": ["first"]})
    assert response.status_code == 202
    run = response.headers["location"]
    client.start("hello", wait=30)
    client.http.get(f"{run}/events", headers={"accept": "text/event-stream"}).read()  # it ends with the run
    assert client.json("GET", run)["state"] == "succeeded"
    assert client.json("GET", f"{run}/result")["outputs"] == {"text": "Hello Ada"}
    assert client.json("GET", f"{run}/steps/greet")["output"].startswith("Hello Ada")
    assert [each["path"] for each in client.json("GET", f"{run}/steps")["steps"]] == ["greet"]
    assert client.json("GET", f"{run}/why/greet")["reasons"][-1]["kind"] == "ran"
    assert client.http.get(f"{run}/graph").text.startswith("<svg")
    assert client.http.get(f"{run}/graph?format=mermaid").text.startswith("flowchart")
    assert client.json("GET", "/v1/runs?label=first")["runs"][0]["run_id"] == run.rpartition("/")[2]


@pytest.mark.parametrize("label", ["trigger:hello/nightly", "parent:x", "instant:1", "orchestrator:hosted"])
def test_no_request_gives_the_labels_by_which_a_server_knows_its_runs(client: Client, label: str):
    response = client.http.post("/v1/runs", json={"pipeline": "hello", "labels": [label]})
    assert response.status_code == 422
    assert "are reserved" in response.text


def test_a_request_can_wait_for_the_outputs(client: Client, hang: str):
    assert client.start("hello", wait=30)["outputs"] == {"text": "Hello world"}
    still = client.start(hang, wait=0.1, status=202)
    assert (still["run"]["state"], still["outputs"]) == ("running", None)


def test_who_started_and_controlled_a_run_is_in_its_journal(server: tuple[Service, str], hang: str):
    client = client_of(*server, "run", name="ci")
    run = f"/v1/runs/{run_id(client.start(hang))}"
    client.json("POST", f"{run}/cancel", {"reason": "not needed"})
    client.http.get(f"{run}/events", headers={"accept": "text/event-stream"}).read()
    events = client.json("GET", f"{run}/events")["events"]
    assert events[1]["data"]["by"] == "ci from 127.0.0.1"
    assert events[-1]["data"] == {"reason": "not needed", "by": "ci from 127.0.0.1"}


def test_wrong_inputs_start_nothing_and_name_every_problem(client: Client):
    found = client.problem(
        "POST", "/v1/runs", {"pipeline": "hello", "inputs": {"name": 3, "nmae": "x"}}, status=422, code="ORC602"
    )
    assert len(found["problems"]) == 2
    assert client.json("GET", "/v1/runs") == {"runs": [], "labels": {}, "rows": {}, "next": None}


def test_a_secret_input_is_never_shown_again(client: Client):
    secret = "sesame-4711"
    run = f"/v1/runs/{run_id(client.start('hello', wait=30, inputs={'pin': secret}))}"
    for path in ("", "/result", "/steps", "/steps/greet", "/events", "/graph"):
        assert secret not in client.http.get(run + path).text


def test_a_broken_pipeline_is_refused_with_its_diagnostics(client: Client):
    found = client.problem("POST", "/v1/runs", {"pipeline": "reports/broken"}, status=422, code="ORC401")
    assert found["diagnostics"][0]["line"] == 2


def test_a_key_starts_one_run_however_often_it_is_sent(server: tuple[Service, str], client: Client):
    barrier, found = threading.Barrier(8), []

    def send() -> None:
        barrier.wait(PATIENCE)
        response = client.http.post("/v1/runs", json={"pipeline": "hello"}, headers={"idempotency-key": "order-17"})
        found.append((response.status_code, response.json()["run"]["run_id"]))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(found) == 8
    assert {status for status, _ in found} <= {200, 202}
    assert len({run for _, run in found}) == 1
    assert len(client.json("GET", "/v1/runs")["runs"]) == 1
    client.problem(
        "POST",
        "/v1/runs",
        {"pipeline": "hello", "inputs": {"name": "else"}},
        status=422,
        code="ORC820",
        headers={"idempotency-key": "order-17"},
    )
    other = client_of(*server, "run", name="somebody else")
    assert other.http.post("/v1/runs", json={"pipeline": "hello"}, headers={"idempotency-key": "order-17"}).json()[
        "run"
    ]["run_id"] not in {run for _, run in found}


def test_runs_are_listed_page_by_page(client: Client, orchestrator: orc.Orchestrator):
    started = [run_id(client.start("hello", wait=30, labels=[f"n{number % 2}"])) for number in range(5)]
    found, before = [], ""
    while True:
        page = client.json("GET", f"/v1/runs?limit=2{before}")
        found += [run["run_id"] for run in page["runs"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert found == started[::-1]
    orchestrator.prune(keep=0)  # the page goes on where it was, even if its last run is gone
    assert client.json("GET", f"/v1/runs?before={started[2]}")["runs"] == []


def test_runs_are_found_by_what_they_are(client: Client, hang: str):
    first = client.start("hello", wait=30, labels=["nightly"])["run"]
    second = client.start(hang)["run"]

    def found(query: str) -> list[str]:
        return [run["run_id"] for run in client.json("GET", f"/v1/runs?{query}")["runs"]]

    assert found("state=succeeded") == [first["run_id"]]
    assert found("pipeline=hang") == [second["run_id"]]
    assert found("label=nightly") == [first["run_id"]]
    assert found("text=night") == []
    assert found("text=nightly") == [first["run_id"]]
    assert found("text=han") == [second["run_id"]]
    assert found(f"text={first['run_id'][:19]}") == [first["run_id"]]
    assert found("text=%25") == []
    assert found(f"since={second['created_at']}") == [second["run_id"]]
    assert found(f"until={second['created_at']}") == [first["run_id"]]
    client.problem("GET", "/v1/runs?state=done", status=422, code="ORC914")


def test_a_status_that_has_not_changed_is_not_sent_again(client: Client, hang: str, bench: Bench):
    run = f"/v1/runs/{run_id(client.start(hang))}"
    bench.wait_for("a")
    tag = client.http.get(run).headers["etag"]
    unchanged = client.http.get(run, headers={"if-none-match": tag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    client.json("POST", f"{run}/pause")
    assert client.http.get(run, headers={"if-none-match": tag}).json()["state"] == "paused"


def test_a_run_is_paused_resumed_and_cancelled(client: Client, hang: str, bench: Bench):
    run = f"/v1/runs/{run_id(client.start(hang))}"
    bench.wait_for("a")
    assert client.json("POST", f"{run}/pause", {"now": True})["state"] == "paused"
    assert bench.stopped["a"].wait(PATIENCE)
    assert client.json("POST", f"{run}/resume")["state"] == "running"
    client.json("POST", f"{run}/cancel")
    client.http.get(f"{run}/events", headers={"accept": "text/event-stream"}).read()
    assert client.json("GET", run)["state"] == "cancelled"


def test_a_failed_run_is_retried_forked_and_resumed_with_an_edited_pipeline(client: Client, project: Path):
    (project / "fail.yaml").write_text(FAIL)
    failed = client.start("fail", wait=30)["run"]
    assert (failed["state"], failed["error"]["step"]) == ("failed", "b")
    run = f"/v1/runs/{failed['run_id']}"
    client.problem("POST", f"{run}/retry", {"step": "c"}, status=404, code="ORC809")
    forked = client.json("POST", f"{run}/fork", {"step": "b"}, status=201)
    assert forked["run_id"] != failed["run_id"]
    client.json("POST", f"{run}/resume", {"source": FAIL.replace("tool: fail", "tool: echo")})
    client.http.get(f"{run}/events?after={failed['last_seq']}", headers={"accept": "text/event-stream"}).read()
    assert client.json("GET", run)["state"] == "succeeded"
    found = client.problem("POST", f"{run}/resume", status=409, code="ORC804")
    assert found["remedies"][0]["href"] == f"/v1/runs/{failed['run_id']}"


def test_a_question_is_answered(client: Client):
    run = f"/v1/runs/{run_id(client.start('ask', wait=30, status=202))}"
    assert client.json("GET", run)["active"][0]["question"]["prompt"] == "Send it?"
    client.problem("POST", f"{run}/answer", {"step": "review", "value": "maybe"}, status=422, code="ORC605")
    client.problem("POST", f"{run}/answer", {"step": "sent", "value": True}, status=409, code="ORC606")
    client.json("POST", f"{run}/answer", {"step": "review", "value": True})
    client.http.get(f"{run}/events", headers={"accept": "text/event-stream"}).read()
    assert client.json("GET", f"{run}/result")["outputs"] == {"sent": True}


def test_a_server_executes_no_more_runs_than_it_may(client: Client, server: tuple[Service, str], hang: str):
    service = server[0]
    service.settings = service.settings.model_copy(update={"max_runs": 1})
    first = run_id(client.start(hang))
    found = client.problem("POST", "/v1/runs", {"pipeline": "hello"}, status=503, code="ORC913")
    assert "executes 1 run" in found["detail"]
    client.json("POST", f"/v1/runs/{first}/cancel")


def test_what_is_not_there_is_not_found(client: Client):
    for path in ("", "/result", "/steps", "/steps/a", "/why/a", "/graph", "/events"):
        client.problem("GET", f"/v1/runs/nothing{path}", status=404, code="ORC801")
    run = f"/v1/runs/{run_id(client.start('hello', wait=30))}"
    client.problem("GET", f"{run}/steps/nothing", status=404, code="ORC809")
    client.problem("GET", "/v1/nothing", status=404, code="ORC914")
    client.problem("DELETE", run, status=405, code="ORC914")
