"""The history of a run, its timeline and its plan: what a person needs to understand how it went."""

from pathlib import Path

import pytest

from orchestrator.journal import Journal
from orchestrator.server.service import Service
from tests.journal.support import create
from tests.runtime.support import Bench
from tests.server.support import Client

FAIL = """\
inputs: {pin: {type: string, secret: true, required: false}}
steps:
  - {id: a, tool: echo, parameters: {value: 1}}
  - {id: b, tool: fail, dependencies: [a], parameters: {message: it is full, retryable: false}}
  - {id: c, tool: echo, parameters: {value: "{{ a }}"}, dependencies: [b]}
"""
SLOW = """\
steps:
  - {id: a, tool: hang}
  - {id: b, tool: echo, dependencies: [a]}
"""


@pytest.fixture
def failed(project: Path, client: Client) -> str:
    """The address of a run that has failed."""
    (project / "fail.yaml").write_text(FAIL)
    return f"/v1/runs/{client.start('fail', wait=30)['run']['run_id']}"


def ended(client: Client, run: str, after: int) -> None:
    client.http.get(f"{run}/events?after={after}", headers={"accept": "text/event-stream"}).read()


def test_resumes_retries_and_edits_are_chapters_of_one_history(client: Client, failed: str):
    for command, body in (
        ("resume", None),
        ("retry", {"step": "b"}),
        (
            "resume",
            {
                "source": FAIL.replace("tool: fail", "tool: echo").replace(
                    "message: it is full, retryable: false", "value: 2"
                )
            },
        ),
    ):
        seq = client.json("GET", failed)["last_seq"]
        client.json("POST", f"{failed}/{command}", body)
        ended(client, failed, seq)
    found = client.json("GET", f"{failed}/history")["chapters"]
    assert [(each["kind"], each["state"], each["step"]) for each in found] == [
        ("started", "failed", ""),
        ("resumed", "failed", ""),
        ("retried", "failed", "b"),
        ("edited", "succeeded", ""),
    ]
    assert found[2]["again"] == ["b", "c"]
    assert found[3]["kept"]["succeeded"] == 1
    assert {each["by"] for each in found[1:]} == {"ada from 127.0.0.1"}
    assert found[0]["error"]["message"] == "it is full"


def test_a_fork_names_the_run_that_it_continues(client: Client, failed: str):
    forked = client.json("POST", f"{failed}/fork", {"step": "b"}, status=201)["run_id"]
    ended(client, f"/v1/runs/{forked}", 0)
    found = client.json("GET", f"/v1/runs/{forked}/history")
    assert found["forked_from"] == {"run_id": failed.rpartition("/")[2], "step": "b"}
    assert found["chapters"][0]["kind"] == "forked"


def test_pauses_are_in_the_history_with_who_gave_them(client: Client, project: Path, bench: Bench):
    (project / "slow.yaml").write_text(SLOW)
    run = f"/v1/runs/{client.start('slow')['run']['run_id']}"
    bench.wait_for("a")
    client.json("POST", f"{run}/pause")
    client.json("POST", f"{run}/resume")
    client.json("POST", f"{run}/cancel", {"reason": "enough"})
    ended(client, run, 0)
    (chapter,) = client.json("GET", f"{run}/history")["chapters"]
    (pause,) = chapter["pauses"]
    assert (pause["by"], pause["resumed_by"]) == ("ada from 127.0.0.1", "ada from 127.0.0.1")
    assert (chapter["state"], chapter["reason"], chapter["ended_by"]) == ("cancelled", "enough", "ada from 127.0.0.1")


def test_what_an_edited_pipeline_would_keep_is_shown_before_it_is_used(client: Client, failed: str):
    edited = FAIL.replace("value: 1", "value: 3")
    found = client.json("POST", f"{failed}/changes", {"source": edited})["steps"]
    assert {each["path"]: each["action"] for each in found} == {"a": "run", "b": "run", "c": "run"}
    assert found[0] == {"path": "a", "action": "run", "reason": "its `parameters` changed", "ran": True}
    kept = client.json("POST", f"{failed}/changes", {"source": FAIL.replace("it is full", "it was full")})["steps"]
    assert kept[0]["action"] == "keep"
    assert client.json("GET", failed)["state"] == "failed"


def test_the_plan_of_a_run_has_its_steps_edges_source_and_inputs(client: Client, failed: str):
    found = client.json("GET", f"{failed}/plan")
    assert [node["path"] for node in found["nodes"]] == ["a", "b", "c"]
    assert found["edges"] == [
        {"source": "a", "target": "b", "kind": "order"},
        {"source": "a", "target": "c", "kind": "value"},
        {"source": "b", "target": "c", "kind": "order"},
    ]
    assert (found["source"], found["secrets"], found["complete"]) == (FAIL, [], True)
    assert found["inputs_schema"]["properties"]["pin"]["writeOnly"] is True


def test_a_run_says_what_it_was_started_with_and_which_pipeline_of_the_server_it_is(client: Client, project: Path):
    (project / "reports" / "daily.yaml").write_text(
        "inputs: {topic: {type: string}, pin: {type: string, secret: true}, text: {type: string}}\n"
        "steps: [{id: a, tool: echo, parameters: {value: '{{ topic }}'}}]\n"
    )
    inputs = {"topic": "tides", "pin": "sesame-4711", "text": "x" * 60_000}
    run = client.start("reports/daily", inputs=inputs, labels=["nightly"], wait=30)["run"]
    response = client.http.get(f"/v1/runs/{run['run_id']}/start")
    found = response.json()
    assert (found["offered"], found["labels"]) == ("reports/daily", ["nightly"])
    assert (found["inputs"]["topic"], found["omitted"]) == ("tides", {"text": 60_002})
    assert "sesame-4711" not in response.text
    assert client.json("GET", f"/v1/runs/{run['run_id']}/plan")["offered"] == "reports/daily"
    (project / "reports" / "daily.yaml").unlink()
    assert client.json("GET", f"/v1/runs/{run['run_id']}/start")["offered"] is None


def test_a_run_that_was_cancelled_long_after_its_process_ended_worked_until_then(
    server: tuple[Service, str], client: Client, project: Path
):
    store = server[0].orchestrator.backend.store
    with Journal(store) as journal:
        lease = create(store, "killed")
        run = journal.attach(lease)
        run.record("run.started", data={"owner": "test"})
        run.record("step.started", "a", 1)
        run.flush()
        store.release(lease)
    at = store.events("killed")[-1].at
    assert client.json("GET", "/v1/runs/killed/timeline")["end"] == at
    client.json("POST", "/v1/runs/killed/cancel")
    (chapter,) = client.json("GET", "/v1/runs/killed/history")["chapters"]
    assert (chapter["state"], chapter["until"]) == ("cancelled", at)


def test_steps_inside_others_know_what_they_are_inside_of(client: Client, project: Path):
    (project / "nested.yaml").write_text(
        "inputs: {kind: {type: string, default: x}}\n"
        "steps:\n"
        "  - id: each\n"
        "    for_each: [1]\n"
        "    steps:\n"
        "      - {id: one, tool: echo}\n"
        "      - {id: two, tool: echo, dependencies: [one]}\n"
        "  - id: pick\n"
        '    switch: "{{ kind }}"\n'
        "    cases: {x: [{id: yes_, tool: echo}]}\n"
        "    default: [{id: no_, tool: echo}]\n"
        "finally: [{id: bye, tool: echo}]\n"
    )
    run = client.start("nested", wait=30)["run"]["run_id"]
    found = client.json("GET", f"/v1/runs/{run}/plan")
    assert [(node["path"], node["parent"], node["section"]) for node in found["nodes"]] == [
        ("each", "", ""),
        ("each[*].one", "each", "[*]"),
        ("each[*].two", "each", "[*]"),
        ("pick", "", ""),
        ("pick.yes_", "pick", "x"),
        ("pick.no_", "pick", "default"),
        ("finally.bye", "", "finally"),
    ]
    assert {"source": "each[*].one", "target": "each[*].two", "kind": "order"} in found["edges"]


def test_the_timeline_shows_attempts_and_what_was_waited_for(client: Client, project: Path):
    (project / "waits.yaml").write_text(
        "steps:\n"
        "  - {id: a, tool: fail, retry: {max_attempts: 2, delay: 0.2}, on_failure: continue}\n"
        "  - {id: b, approve: Really?, dependencies: [a]}\n"
        "  - {id: c, tool: echo, dependencies: [b]}\n"
    )
    run = f"/v1/runs/{client.start('waits', wait=30, status=202)['run']['run_id']}"
    client.json("POST", f"{run}/answer", {"step": "b", "value": True})
    ended(client, run, 0)
    found = client.json("GET", f"{run}/timeline")
    kinds = {
        row["path"]: [(each["kind"], each["outcome"]) for each in row["segments"] if each["kind"] != "place"]
        for row in found["rows"]
    }
    assert kinds["a"] == [("attempt", "failed"), ("retry", ""), ("attempt", "failed")]
    assert kinds["b"] == [("person", "succeeded")]
    assert [row["critical"] for row in found["rows"]] == [True, True, True]
    assert found["begin"] <= found["rows"][0]["segments"][0]["begin"] <= found["end"] <= found["now"]


def test_the_estimate_is_what_earlier_runs_took(client: Client):
    first = client.start("hello", wait=30)["run"]
    assert client.json("GET", f"/v1/runs/{first['run_id']}/timeline")["estimate"] is None
    second = client.start("hello", wait=30)["run"]
    found = client.json("GET", f"/v1/runs/{second['run_id']}/timeline")["estimate"]
    assert found == {"seconds": first["elapsed"], "runs": 1}


AGAIN = """\
steps:
  - {id: first, value: 1}
  - id: sums
    for_each: [1, 2, 3]
    initial: {sum: 0}
    update: {sum: "{{ sum + item }}"}
    steps:
      - {id: one, tool: echo, parameters: {value: "{{ item }}"}}
      - {id: two, tool: echo, parameters: {value: "{{ one }}"}}
  - id: free
    for_each: [1, 2, 3]
    steps: [{id: one, tool: echo, parameters: {value: "{{ item }}"}}]
  - {id: last, value: "{{ sums }}"}
"""


@pytest.mark.parametrize(
    ("path", "steps", "rounds"),
    [
        ("first", [], []),
        ("sums[1]", ["last"], ["sums"]),
        ("sums[1].one", ["sums[1].two", "last"], ["sums"]),
        ("sums[2]", ["last"], []),
        ("free[1].one", [], []),
    ],
)
def test_what_a_retry_would_run_again_is_said_before_it(
    client: Client, project: Path, path: str, steps: list[str], rounds: list[str]
):
    (project / "again.yaml").write_text(AGAIN)
    run = client.start("again", wait=30)["run"]["run_id"]
    found = client.json("GET", f"/v1/runs/{run}/again/{path}")
    assert found == {"path": path, "steps": steps, "count": len(steps), "later_rounds": rounds}
    client.problem("GET", f"/v1/runs/{run}/again/nothing", status=404, code="ORC809")
