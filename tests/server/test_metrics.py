"""The metrics of a server, as a monitoring system reads them."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.server import metrics
from orchestrator.server.service import Service
from tests.runtime.support import Bench
from tests.server.support import Client, client_of, serving


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(client: Client, name: str, **labels: str) -> float:
    response = client.http.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return samples(response.text)[f"orchestrator_{name}", tuple(sorted(labels.items()))]


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "STORE_SECONDS", 0.0)


def test_runs_steps_and_commits_are_counted(client: Client, project: Path, bench: Bench):
    (project / "gate.yaml").write_text("steps: [{id: a, tool: gate}]\n")
    client.start("hello", wait=30)
    client.start("gate")
    bench.wait_for("a")
    assert value(client, "runs", state="succeeded") == 1
    assert value(client, "runs", state="running") == 1
    assert value(client, "runs", state="failed") == 0
    assert value(client, "executed_runs") == 1
    assert value(client, "running_steps") == 1
    assert value(client, "queued_runs") == 0
    assert value(client, "commits_total") > 0
    assert value(client, "store_bytes") > 0
    assert value(client, "store_up") == 1
    with client.list_stream() as stream:
        next(stream)
        assert value(client, "stream_readers", stream="list") == 1
    bench.open("a")


def test_what_waits_for_workers_is_counted_by_its_labels(client: Client):
    assert value(client, "submitted_runs", labels="") == 0
    for labels in ([], ["gpu", "eu"], ["eu", "gpu"]):
        assert client.start("hello", runs_on=labels)["run"]["state"] == "queued"
    assert value(client, "submitted_runs", labels="") == 1
    assert value(client, "submitted_runs", labels="eu,gpu") == 2
    assert value(client, "submitted_oldest_seconds", labels="eu,gpu") >= 0
    assert value(client, "workers") == 0
    found = client.json("GET", "/v1/workers")
    assert [(each["labels"], each["runs"]) for each in found["queue"]] == [([], 1), (["eu", "gpu"], 2)]


def test_requests_are_measured_by_the_path_that_the_api_declares(client: Client):
    for path in ("/v1/runs/a", "/v1/runs/b", "/v1/nothing/1", "/v1/nothing/2"):
        client.http.get(path)
    client.http.request("BREW", "/v1/runs")
    counted = {
        labels: number
        for (name, labels), number in samples(client.http.get("/metrics").text).items()
        if name == "orchestrator_http_request_seconds_count"
    }
    assert counted[("method", "GET"), ("path", "/v1/runs/{run_id}"), ("status", "4xx")] == 2
    assert counted[("method", "GET"), ("path", "none"), ("status", "4xx")] == 2
    assert ("method", "other") in {label for labels in counted for label in labels}


def test_metrics_need_the_scope_to_read(server: tuple[Service, str]):
    assert Client(server[1], None).http.get("/metrics").status_code == 401
    assert client_of(*server, "read", name="prometheus").http.get("/metrics").status_code == 200


def test_metrics_can_be_open_to_programs_on_this_machine(project: Path, url: str):
    with serving(project, store=url, open_metrics=True) as running:
        local = Client(running[1], None)
        assert local.http.get("/metrics").status_code == 200
        for headers in (
            {"host": "evil.example"},
            {"origin": running[1]},
            {"sec-fetch-site": "cross-site"},
            {"x-forwarded-for": "192.0.2.7"},
        ):
            assert local.http.get("/metrics", headers=headers).status_code == 401, headers
