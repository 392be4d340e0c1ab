"""Notices of runs: one for each occasion, to the right targets, without secrets, never at the expense of a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.plan.triggers import Webhook
from orchestrator.runtime.notices import run_notices
from orchestrator.server.triggers.signatures import verified_delivery
from orchestrator.testing import FakeModel
from tests.notices.conftest import SECRET, SETTINGS
from tests.runtime.support import crash, ended, pipeline, step

if TYPE_CHECKING:
    from pathlib import Path

    from tests.notices.receivers import HttpReceiver
    from tests.runtime.support import Bench


def failing(**more: Any) -> dict[str, Any]:
    return pipeline(step("broken", "fail", message="the tide is out"), **more)


def asking(*ids: str, **more: Any) -> dict[str, Any]:
    return pipeline(*({"id": id, "ask": f"How about {id}?"} for id in ids), **more)


def notices_of(client: orc.Orchestrator, run_id: str) -> list[tuple[str, str, str]]:
    return [(each.occasion, each.to, each.state) for each in client.get_run(run_id).status().notices]


def recorded(client: orc.Orchestrator, run_id: str, type: str) -> list[Any]:
    return [event.payload for event in client.get_run(run_id).events() if event.type == type]


# --- content


def test_a_failure_is_told_with_its_code_and_how_to_continue(client: orc.Orchestrator, oncall: HttpReceiver) -> None:
    result = ended(client.compile(failing(notify="oncall")))
    [delivery] = oncall.rest()
    assert delivery.json["type"] == "run.failed"
    data = delivery.json["data"]
    assert data["run"] == {"id": result.run_id, "pipeline": "test", "name": "test"}
    assert data["title"] == "test failed in broken"
    assert (data["error"]["code"], data["error"]["step"]) == ("ORC701", "broken")
    assert data["error"]["message"] == "the tide is out"
    assert data["error"]["commands"] == [f"orchestrator resume {result.run_id}"]
    assert "the tide is out [ORC701]" in data["text"]
    assert f"orchestrator resume {result.run_id}" in data["text"]


def test_a_delivery_is_signed_as_standard_webhooks_has_it(client: orc.Orchestrator, oncall: HttpReceiver) -> None:
    ended(client.compile(failing(notify="oncall")))
    delivery = oncall.next()
    assert verified_delivery(Webhook("X"), SECRET, delivery.headers, delivery.body, time.time())
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.json["data"]["id"] == delivery.id


def test_slack_receives_a_text_in_which_nothing_is_markup(client: orc.Orchestrator, team: HttpReceiver) -> None:
    ended(client.compile(pipeline(step("a", "fail", message="<!channel> & more"), notify={"failed": "team"})))
    delivery = team.next()
    assert delivery.json.keys() == {"text"}
    assert "&lt;!channel&gt; &amp; more" in delivery.json["text"]
    assert "webhook-signature" not in delivery.headers


def test_questions_of_one_moment_are_one_notice(client: orc.Orchestrator, oncall: HttpReceiver) -> None:
    run = client.compile(asking("one", "two", notify={"waiting": "oncall"})).start()
    data = oncall.next().json["data"]
    assert data["title"] == "test waits for an answer to one and 1 more question"
    assert [(each["step"], each["prompt"], each["command"]) for each in data["questions"]] == [
        ("one", "How about one?", f"orchestrator answer {run.id} one VALUE"),
        ("two", "How about two?", f"orchestrator answer {run.id} two VALUE"),
    ]
    run.answer("one", "yes")
    run.answer("two", "no")
    assert run.result().state == "succeeded"
    assert oncall.rest() == []


def test_the_page_of_the_run_is_linked_where_the_server_has_an_address(project: Path, oncall: HttpReceiver) -> None:
    (project / "orchestrator.toml").write_text(SETTINGS + '[serve]\nurl = "https://runs.example.com/"\n')
    with orc.Orchestrator(directory=project) as client:
        result = ended(client.compile(pipeline({"id": "a", "fail": "sold out"}, notify="oncall")))
    data = oncall.next().json["data"]
    assert data["run"]["url"] == f"https://runs.example.com/runs/{result.run_id}"
    assert data["run"]["url"] in data["text"]
    assert data["error"]["commands"] == []  # it failed on purpose: a resume would fail again


def test_a_budget_is_told_once_when_the_share_is_reached(project: Path, oncall: HttpReceiver) -> None:
    steps = [{"id": f"s{number}", "prompt": "Hello", "model": "ollama:m"} for number in range(4)]
    text = pipeline(*steps, in_order=True, budget={"requests": 4}, notify={"budget": {"at": "50%", "to": ["oncall"]}})
    with orc.Orchestrator(directory=project, models=FakeModel()) as client:
        result = client.compile(text).run()
    [delivery] = oncall.rest()
    assert delivery.json["type"] == "run.budget"
    assert delivery.json["data"]["budget"] == {"share": 0.5, "limits": {"requests": 4}, "used": {"requests": 2}}
    assert "2 of 4 requests" in delivery.json["data"]["text"]
    assert result.state == "succeeded"


def test_a_message_can_read_what_the_run_has_achieved(client: orc.Orchestrator, oncall: HttpReceiver) -> None:
    text = pipeline(
        step("a", value="seven"),
        step("b", "fail", "a"),
        step("c", "echo", "b"),
        inputs={"who": "Ada"},
        notify={"failed": {"to": "oncall", "message": "{{ who }}: {{ a }} {{ c }} {{ notice.error.code }}"}},
    )
    ended(client.compile(text))
    assert oncall.next().json["data"]["text"] == "Ada: seven  ORC701"


def test_a_message_that_cannot_be_evaluated_is_the_usual_one(client: orc.Orchestrator, oncall: HttpReceiver) -> None:
    message = {"to": "oncall", "message": "{{ a + 1 }}"}
    result = ended(client.compile(pipeline(step("a", value="x"), step("b", "fail", "a"), notify={"failed": message})))
    assert oncall.next().json["data"]["text"].startswith("test failed in b\n")
    assert "the message of the notice `failed` cannot be evaluated" in result.warnings[0]


def test_no_secret_and_no_output_is_told_or_recorded(client: orc.Orchestrator, oncall: HttpReceiver) -> None:
    text = pipeline(
        step("a", value="an output of a step"),
        step("b", "fail", "a", message="wrong key {{ key }}"),
        inputs={"key": {"type": "string", "secret": True}},
        notify={"failed": "oncall"},
    )
    result = ended(client.compile(text), key="hunter2-hunter2")
    delivery = oncall.next()
    assert b"hunter2" not in delivery.body
    assert "wrong key [redacted:key" in delivery.json["data"]["text"]
    assert b"an output of a step" not in delivery.body
    told = "".join(str(event.to_dict()) for event in client.get_run(result.run_id).events())
    assert SECRET not in told
    assert "a-key-in-the-address" not in told


# --- targets


def test_the_project_says_who_is_told_where_the_pipeline_does_not(
    project: Path, oncall: HttpReceiver, team: HttpReceiver
) -> None:
    defaults = '[notify]\nfailed = ["team"]\nwaiting = ["team"]\n\n'
    (project / "orchestrator.toml").write_text(defaults + SETTINGS)
    with orc.Orchestrator(directory=project) as client:
        broken = {"id": "a", "fail": "sold out"}
        ended(client.compile(pipeline(broken)))
        assert (len(team.rest()), len(oncall.rest())) == (1, 0)
        ended(client.compile(pipeline(broken, notify={"failed": ["oncall", "team"]})))
        assert (len(team.rest()), len(oncall.rest())) == (1, 1)
        ended(client.compile(pipeline(broken, notify={"waiting": "oncall"})))
        assert (len(team.rest()), len(oncall.rest())) == (1, 0)
        ended(client.compile(pipeline(broken, notify=[])))
        assert (len(team.rest()), len(oncall.rest())) == (0, 0)


def test_runs_that_succeed_notify_no_one(client: orc.Orchestrator, oncall: HttpReceiver) -> None:
    result = client.compile(pipeline(step("a"), notify="oncall")).run()
    assert (oncall.rest(), result.notices) == ([], ())


def test_an_orchestrator_without_notices_notifies_no_one(project: Path, bench: Bench, oncall: HttpReceiver) -> None:
    with orc.Orchestrator(directory=project, tools=bench.tools(), notify=False) as client:
        result = ended(client.compile(failing(notify="oncall")))
    assert (oncall.rest(), result.notices, result.warnings) == ([], (), ())


def test_an_unknown_target_is_an_error_of_the_pipeline(client: orc.Orchestrator) -> None:
    [found] = client.check(failing(notify={"failed": ["oncal"]})).diagnostics
    assert (found.code, found.help) == ("ORC435", "did you mean `oncall`?")


# --- delivery


def test_a_notice_is_sent_again_until_it_is_accepted(client: orc.Orchestrator, oncall: HttpReceiver) -> None:
    oncall.answers = [503]
    result = ended(client.compile(failing(notify="oncall")))
    first, second = oncall.rest()
    assert first.id == second.id
    assert first.body == second.body
    [notified] = recorded(client, result.run_id, "run.notified")
    assert (notified.attempts, notified.error) == (2, None)
    assert notices_of(client, result.run_id) == [("failed", "oncall", "sent")]


def test_a_refused_notice_changes_nothing_but_its_own_state(client: orc.Orchestrator, oncall: HttpReceiver) -> None:
    oncall.answers = [404]
    result = ended(client.compile(failing(notify="oncall")))
    assert (result.state, dict(result.error or {})["code"]) == ("failed", "ORC701")
    [notified] = recorded(client, result.run_id, "run.notified")
    assert notified.error == {"code": "ORC821", "message": "it answered with status 404"}
    [notice] = client.get_run(result.run_id).status().notices
    assert (notice.state, notice.error, notice.title) == (
        "failed",
        "it answered with status 404",
        "test failed in broken",
    )
    assert 0 < notice.at <= (notice.ended_at or 0.0)


def test_redirects_are_not_followed(client: orc.Orchestrator, oncall: HttpReceiver, team: HttpReceiver) -> None:
    oncall.answers, oncall.answer_headers = [307], {"location": team.url}
    result = ended(client.compile(failing(notify="oncall")))
    assert (len(oncall.rest()), team.rest()) == (1, [])
    assert notices_of(client, result.run_id) == [("failed", "oncall", "failed")]


def test_the_end_of_a_run_waits_only_for_a_while(
    client: orc.Orchestrator, oncall: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_notices, "END_PATIENCE", 0.2)
    oncall.held.set()
    result = ended(client.compile(failing(notify="oncall")))
    [notice] = result.notices
    assert (notice.state, notice.error) == ("failed", "the run has ended, and it was not accepted until then")
    assert [event.type for event in result.log][-3:] == ["run.notice", "run.notified", "run.failed"]


def test_a_target_that_cannot_be_used_is_reported_when_the_run_starts(
    client: orc.Orchestrator, oncall: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ONCALL_SECRET")
    result = client.compile(pipeline(step("a"), notify="oncall")).run()
    reason = "the environment variable `ONCALL_SECRET` is not set"
    assert result.warnings == (f"notices to `oncall` cannot be sent: {reason}",)


def test_an_address_that_is_not_one_is_not_shown(
    client: orc.Orchestrator, oncall: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONCALL_URL", "ftp://example.com/a-key-in-the-address")
    result = ended(client.compile(failing(notify="oncall")))
    [notice] = result.notices
    assert notice.error == "its address is not a valid URL"


def test_a_run_that_waits_is_idle_when_its_question_has_been_sent(
    client: orc.Orchestrator, oncall: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = client.compile(asking("one", notify={"waiting": "oncall"})).start()
    run.wait()
    assert notices_of(client, run.id) == [("waiting", "oncall", "sent")]
    monkeypatch.setattr(run_notices, "END_PATIENCE", 0.2)
    oncall.held.set()
    second = client.compile(asking("one", notify={"waiting": "oncall"})).start()
    second.wait()
    assert notices_of(client, second.id) == [("waiting", "oncall", "pending")]


# --- across resumes


def test_a_question_that_is_asked_again_is_not_told_again(
    project: Path, client: orc.Orchestrator, oncall: HttpReceiver
) -> None:
    run = client.compile(asking("one", notify={"waiting": "oncall"})).start()
    oncall.next()
    run.wait()
    client.close()
    with orc.Orchestrator(directory=project) as second:
        resumed = second.resume(run.id)
        resumed.wait()
        resumed.answer("one", "yes")
        assert resumed.result().state == "succeeded"
        assert oncall.rest() == []
        assert notices_of(second, run.id) == [("waiting", "oncall", "sent")]


def test_each_failure_of_a_run_is_told(client: orc.Orchestrator, bench: Bench, oncall: HttpReceiver) -> None:
    result = ended(client.compile(failing(notify="oncall")))
    with pytest.raises(orc.RunFailed):
        client.resume(result.run_id).result()
    first, second = oncall.rest()
    assert first.id != second.id


def test_what_a_lost_owner_did_not_send_is_sent_after_the_resume(
    project: Path, bench: Bench, client: orc.Orchestrator, oncall: HttpReceiver
) -> None:
    oncall.held.set()
    question = {"id": "one", "ask": "How about one?"}
    run = client.compile(pipeline(question, step("g", "gate"), notify={"waiting": "oncall"})).start()
    first = oncall.next()
    bench.wait_for("g")
    crash(client, run, lost=lambda: bench.open("g"))
    oncall.held.clear()
    with orc.Orchestrator(directory=project, tools=bench.tools()) as second:
        resumed = second.resume(run.id)
        again = oncall.next()
        assert (again.id, again.body) == (first.id, first.body)
        resumed.answer("one", "yes")
        assert resumed.result().state == "succeeded"
        assert notices_of(second, run.id) == [("waiting", "oncall", "sent")]


def test_a_target_that_was_removed_keeps_no_run_from_being_resumed(
    project: Path, client: orc.Orchestrator, oncall: HttpReceiver
) -> None:
    run = client.compile(asking("one", notify={"failed": "oncall"})).start()
    run.wait()
    client.close()
    (project / "orchestrator.toml").write_text("")
    with orc.Orchestrator(directory=project) as second:
        resumed = second.resume(run.id)
        resumed.answer("one", "yes")
        assert resumed.result().warnings == (
            "notices to `oncall` cannot be sent: `orchestrator.toml` has no such target",
        )


KILLED = """\
import sys
import orchestrator as orc
with orc.Orchestrator(directory=sys.argv[1]) as client:
    client.compile({"id": "test", "steps": [{"id": "a", "fail": "sold out"}], "notify": "oncall"}).run()
"""


def test_a_notice_survives_the_kill_of_its_process(project: Path, oncall: HttpReceiver) -> None:
    oncall.held.set()
    with subprocess.Popen([sys.executable, "-c", KILLED, str(project)], env=dict(os.environ)) as process:
        try:
            first = oncall.next()
        finally:
            process.send_signal(signal.SIGKILL)
    oncall.held.clear()
    with orc.Orchestrator(directory=project) as client:
        [status] = client.list_runs()
        assert notices_of(client, status.run_id) == [("failed", "oncall", "pending")]
        with pytest.raises(orc.RunFailed):
            client.resume(status.run_id).result()
        [again] = oncall.rest()
        assert (again.id, again.body) == (first.id, first.body)
        assert notices_of(client, status.run_id) == [("failed", "oncall", "sent")]
