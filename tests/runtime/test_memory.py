"""What steps and agents keep from one run to another, within the bounds and the permissions of the project."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.models.clients.fake import FakeModel
from tests.runtime.support import PATIENCE
from tests.runtime.test_agents import agent, asks

if TYPE_CHECKING:
    from pathlib import Path

NOTES = """
inputs: {user: ada, language: de}
steps:
  - {id: before, action: memory.get, parameters: {namespace: "user/{{ user }}", key: language, default: en}}
  - id: kept
    action: memory.set
    dependencies: [before]
    parameters: {namespace: "user/{{ user }}", key: language, value: "{{ language }}", ttl: 30d}
  - {id: all, action: memory.list, dependencies: [kept], parameters: {namespace: "user/{{ user }}"}}
outputs: {before: "{{ before }}", found: "{{ before.found }}", created: "{{ kept.created }}", all: "{{ all }}"}
"""


def test_a_value_is_there_in_the_next_run_and_in_another_process(url: str, tmp_path: Path) -> None:
    with orc.Orchestrator(directory=tmp_path, store=url) as client:
        first = client.compile(NOTES).run().outputs
    with orc.Orchestrator(directory=tmp_path, store=url) as client:
        second = client.compile(NOTES).run(language="fr").outputs
        other = client.compile(NOTES).run(user="bob").outputs
    assert first == {"before": "en", "found": False, "created": True, "all": ["language"]}
    assert second == {"before": "de", "found": True, "created": False, "all": ["language"]}
    assert other == first


def test_every_action_in_one_run(tmp_path: Path) -> None:
    text = """
    in_order: true
    steps:
      - {id: a, action: memory.append, parameters: {key: notes, value: {place: Brest}}}
      - {id: b, action: memory.append, parameters: {key: notes, value: two, keep: 2}}
      - {id: c, action: memory.append, parameters: {key: notes, value: three, keep: 2}}
      - {id: d, action: memory.set, parameters: {key: tides, value: 13.1, ttl: 60}}
      - {id: e, action: memory.get, parameters: {key: notes}}
      - {id: f, action: memory.search, parameters: {query: THREE tides}}
      - {id: g, action: memory.list, parameters: {limit: 1}}
      - {id: h, action: memory.list, parameters: {after: "{{ g.next }}"}}
      - {id: i, action: memory.delete, parameters: {key: tides}}
      - {id: j, action: memory.delete, parameters: {key: tides}}
      - {id: k, action: memory.clear, parameters: {namespace: default}}
      - {id: l, action: memory.get, parameters: {key: notes}}
    """
    with orc.Orchestrator(directory=tmp_path) as client:
        steps = client.compile(text).run().steps
    out = {path: step.output for path, step in steps.items()}
    assert [out[step]["count"] for step in "abc"] == [1, 2, 2]
    assert out["e"]["value"] == ["two", "three"]
    assert out["d"]["expires_at"] > out["e"]["updated_at"]
    assert [each["key"] for each in out["f"]["results"]] == ["tides", "notes"]
    assert (out["g"]["keys"], out["g"]["next"], out["h"]["keys"], out["h"]["next"]) == (
        ["notes"],
        "notes",
        ["tides"],
        None,
    )
    assert (out["i"]["deleted"], out["j"]["deleted"], out["k"]["count"], out["l"]["found"]) == (True, False, 1, False)


WRONG = {
    "memory.set, parameters: {key: a, value: 1, ttl: soon}": "ORC710",
    "memory.set, parameters: {key: a, value: 1, ttl: 0}": "ORC710",
}


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_time_is_found_before_the_run(call: str, tmp_path: Path) -> None:
    with orc.Orchestrator(directory=tmp_path) as client:
        report = client.check(f"steps:\n  - {{id: a, action: {call}}}\n")
    assert not report.ok
    assert "`ttl`" in str(report.diagnostics[0].message)


@pytest.mark.parametrize(
    "parameters",
    [
        "memory.set, parameters: {key: a, value: '{{ key }}'}",
        "memory.set, parameters: {key: '{{ key }}', value: 1}",
        "memory.set, parameters: {namespace: '{{ key }}', key: a, value: 1}",
        "memory.append, parameters: {key: a, value: {text: ['the key is {{ key }}!']}}",
    ],
)
def test_a_secret_of_the_run_is_refused_and_nowhere_in_the_store(
    parameters: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "s3cr3t-w0rd")
    text = f"inputs: {{key: {{secret: true, default_from_env: TEST_KEY}}}}\nsteps:\n  - {{id: a, action: {parameters}}}"
    with orc.Orchestrator(directory=tmp_path) as client:
        run = client.compile(text).start()
        status = run.wait(timeout=PATIENCE)
        assert status.state == "failed"
        error = run.status().error
        assert error is not None
        assert "would contain the secret `key`, which is not kept" in error["message"]
        assert "s3cr3t" not in json.dumps(error)
    assert b"s3cr3t" not in b"".join(path.read_bytes() for path in (tmp_path / ".orchestrator").iterdir())


def test_the_project_says_which_namespaces_steps_may_use(tmp_path: Path) -> None:
    settings = '[memory]\nnamespaces = ["notes", "user/*", "facts"]\nread_only = ["facts"]\nttl = "1d"\n'
    (tmp_path / "orchestrator.toml").write_text(settings)

    def step(namespace: str, action: str = "set") -> str:
        value = ", value: 1" if action == "set" else ""
        return (
            f"steps:\n  - {{id: a, action: memory.{action}, parameters: {{namespace: {namespace}, key: k{value}}}}}\n"
        )

    with orc.Orchestrator(directory=tmp_path) as client:
        assert client.compile(step("user/ada")).run().steps["a"].output["expires_at"] is not None
        client.compile(step("facts", "get")).run()
        (unknown,) = client.check(step("other", "get")).diagnostics
        (read_only,) = client.check(step("facts")).diagnostics
        assert (unknown.code, read_only.code) == ("ORC406", "ORC406")
        assert "`namespaces` of `[memory]`" in (unknown.help or "")
        assert "`read_only` of `[memory]`" in (read_only.help or "")
        for action in ("get", "set"):
            late = step('"{{ name }}"', action).replace("steps", "inputs: {name: other}\nsteps", 1)
            status = client.compile(late).start().wait(timeout=PATIENCE)
            assert status.error is not None
            assert status.error["code"] == "ORC703"


def test_an_agent_remembers_what_it_noted_in_an_earlier_run(tmp_path: Path) -> None:
    note = asks(("memory_set", {"namespace": "user/ada", "key": "diet", "value": "no nuts"}))
    look = asks(("memory_search", {"namespace": "user/ada", "query": "nuts"}))
    wrong = asks(("memory_get", {"namespace": "user/ada", "key": ""}))
    script = FakeModel({"research.answer": [note, "Noted.", look, wrong, "Without nuts."]})
    with orc.Orchestrator(directory=tmp_path, models=script) as client:
        pipeline = client.compile(agent(tools=["memory"]))
        pipeline.run()
        steps = pipeline.run().steps
    found = steps["research[0].memory_search"].output["results"]
    assert [(each["key"], each["value"]) for each in found] == [("diet", "no nuts")]
    assert "the key is empty" in str(script.requests[-1].request.messages[-1].content)


KILLED = """
import os, signal, sys
import orchestrator as orc
from orchestrator.journal.store.memory_store import StoredMemory

change = StoredMemory.change

def changed(self, wanted):
    change(self, wanted)  # it is committed, and the success of the step is not
    os.kill(os.getpid(), signal.SIGKILL)

StoredMemory.change = changed
with orc.Orchestrator(directory=sys.argv[1], store=sys.argv[2]) as client:
    client.compile(os.path.join(sys.argv[1], "p.yaml")).run()
"""


def test_a_write_is_made_once_although_its_process_is_killed_after_it(url: str, tmp_path: Path) -> None:
    text = "steps:\n  - {id: a, action: memory.append, parameters: {key: k, value: 1}}\noutputs: {n: '{{ a.count }}'}\n"
    (tmp_path / "p.yaml").write_text(text)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), url], capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    with orc.Orchestrator(directory=tmp_path, store=url) as client:
        run = client.resume(client.list_runs()[0].run_id)
        assert run.wait(timeout=PATIENCE).state == "succeeded"
        assert run.result().outputs == {"n": 1}
        again: dict[str, Any] = client.compile(tmp_path / "p.yaml").run().outputs
    assert again == {"n": 2}
