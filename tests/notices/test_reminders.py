"""Reminders and escalations are notices: each is sent once, whatever becomes of the process that sends them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from tests.runtime.support import pipeline

if TYPE_CHECKING:
    from pathlib import Path

    from tests.notices.receivers import HttpReceiver


def reminding(**keys: Any) -> dict[str, Any]:
    return pipeline({"id": "release", "approve": {"title": "Release it?", **keys}}, notify={"waiting": "oncall"})


def asked(receiver: HttpReceiver) -> dict[str, Any]:
    """Return the question of the next notice."""
    (question,) = receiver.next().json["data"]["questions"]
    return dict(question)


def test_people_are_notified_of_each_reminder_and_of_the_escalation(
    client: orc.Orchestrator, oncall: HttpReceiver
) -> None:
    escalate = {"after": "250ms", "to": "director"}
    run = client.compile(reminding(assignee="ada", remind="100ms", escalate=escalate)).start()
    first = oncall.next().json["data"]
    assert first["title"] == "test waits for an answer to release"
    assert "release: Release it? (for ada)" in first["text"]
    assert first["questions"][0]["assignee"] == ["ada"]
    assert "reminded" not in first["questions"][0]
    second = oncall.next().json["data"]
    assert second["title"] == "test still waits for an answer to release"
    assert second["questions"][0]["reminded"] >= 1
    last = second["questions"][0]
    while "escalated" not in last:
        last = asked(oncall)
    assert (last["assignee"], last["escalated"]) == (["ada", "director"], ["director"])
    run.answer("release", True)
    assert run.result().state == "succeeded"


PROCESS = """\
import json, sys
import orchestrator as orc
with orc.Orchestrator(directory=sys.argv[1]) as client:
    run = client.resume(sys.argv[2]) if len(sys.argv) > 2 else client.compile(json.load(sys.stdin)).start()
    print(run.id, flush=True)
    for _ in run.events():  # until it is killed
        pass
"""


def test_no_reminder_is_lost_or_sent_twice_when_processes_are_killed(
    project: Path, client: orc.Orchestrator, oncall: HttpReceiver
) -> None:
    text = json.dumps(reminding(remind="40ms", escalate={"after": "300ms", "to": "director"}))
    seen: dict[str, tuple[int, bool]] = {}
    run_id = ""
    for life in range(4):
        words = [sys.executable, "-c", PROCESS, str(project), *([run_id] if run_id else [])]
        with subprocess.Popen(words, env=dict(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(text.encode() if not run_id else b"")
                process.stdin.close()
                run_id = process.stdout.readline().decode().strip()
                fresh = 0
                while fresh < 2 + life % 2:  # it is killed while it sends, or between two reminders
                    delivery = oncall.next()
                    (question,) = delivery.json["data"]["questions"]
                    state = (question.get("reminded", 0), "escalated" in question)
                    fresh += delivery.id not in seen
                    assert seen.setdefault(delivery.id, state) == state  # what is sent again has the same id
            finally:
                process.kill()
    states = list(seen.values())
    assert states == sorted(set(states)), "a reminder was sent under two ids, or an earlier one after a later"
    events = [event for event in client.get_run(run_id).events(follow=False) if event.type == "step.waiting"]
    counts = [event.data["question"]["reminded"] for event in events]
    assert counts == sorted(counts)
    assert len({event.data["question"]["asked_at"] for event in events}) == 1
    assert states[0] == (0, False)


def test_what_was_recorded_and_not_announced_is_announced_by_the_next_owner(
    project: Path, oncall: HttpReceiver
) -> None:
    text = reminding(remind="1h", escalate={"after": "20ms", "to": "director"})
    with orc.Orchestrator(directory=project, notify=False) as silent:
        run = silent.compile(text).start()
        for event in run.events():
            if event.type == "step.waiting" and "escalated" in event.data["question"]:
                break
    assert oncall.rest() == []
    with orc.Orchestrator(directory=project) as client:
        resumed = client.resume(run.id)
        assert asked(oncall)["escalated"] == ["director"]
        resumed.answer("release", False)
        assert resumed.result().state == "succeeded"
    assert oncall.rest() == []


@pytest.mark.parametrize(
    ("notify", "default", "warned"),
    [
        ({}, "", True),
        ({"failed": "oncall"}, "", True),
        ({"waiting": "oncall"}, "", False),
        ({}, '[notify]\nwaiting = ["oncall"]\n', False),
        ({"waiting": []}, '[notify]\nwaiting = ["oncall"]\n', True),
    ],
)
def test_a_reminder_of_which_nobody_is_notified_is_reported(
    project: Path, notify: dict[str, Any], default: str, warned: bool
) -> None:
    settings = (project / "orchestrator.toml").read_text()
    (project / "orchestrator.toml").write_text(default + settings)
    text = reminding(remind="2d") | {"notify": notify}
    with orc.Orchestrator(directory=project) as client:
        found = client.check(text).diagnostics
        assert [(one.code, one.severity) for one in found] == ([("ORC515", "warning")] if warned else [])
        (project / "child.yaml").write_text(json.dumps(reminding(remind="2d") | {"notify": {}}))
        parent = pipeline({"id": "call", "pipeline": "./child.yaml"}, notify=notify)
        assert ["ORC515" in one.code for one in client.check(parent).diagnostics] == ([True] if warned else [])
