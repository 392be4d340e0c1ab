"""A step with `detach` starts a run of its own: once, whatever ends the process, and nothing of its run ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

import orchestrator as orc
from orchestrator.api.run import Run
from tests.runtime.support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHILD = """
inputs:
  name: {type: string}
labels: ["for:{{ name }}"]
steps:
  - {id: greeting, pipeline: parts/greeting.yaml, inputs: {name: "{{ name }}"}}
outputs: {greeting: "{{ greeting.text }}"}
"""
GREETING = """
inputs: {name: {type: string}}
steps:
  - {id: text, action: text.template, parameters: {template: "Hello, {{ name }}"}}
outputs: {text: "{{ text }}"}
"""
PARENT = """
steps:
  - {id: started, pipeline: child.yaml, detach: true, inputs: {name: Ada}}
  - {id: told, value: "started {{ started }}"}
outputs: {child: "{{ started }}"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    for name, text in {"child": CHILD, "parts/greeting": GREETING, "parent": PARENT}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.fixture
def client(project: Path) -> Iterator[orc.Orchestrator]:
    with orc.Orchestrator(store=f"sqlite:///{project}/runs.db", directory=project) as client:
        yield client


def children_of(client: orc.Orchestrator, parent: str) -> list[str]:
    return [status.run_id for status in client.list_runs(labels=[f"parent:{parent}"])]


def test_the_value_of_the_step_is_the_id_of_a_run_of_its_own(client: orc.Orchestrator, project: Path) -> None:
    result = client.compile(project / "parent.yaml").run()
    child = client.get_run(result.outputs["child"])
    assert child.result(timeout=PATIENCE).outputs == {"greeting": "Hello, Ada"}
    assert children_of(client, result.run_id) == [child.id]
    assert [status.run_id for status in client.list_runs(labels=["for:Ada"])] == [child.id]
    assert list(result.steps) == ["started", "told"]
    assert client.compile(project / "child.yaml").to_dict()["digest"] == child.record().digest


KILLED = """
    import os, signal, sys
    import orchestrator as orc
    from orchestrator.runtime.host.engine import Engine

    start = Engine.start

    async def killed(self, plan, inputs, options, **more):
        if more.get("run_id") is None:
            return await start(self, plan, inputs, options, **more)
        if sys.argv[1] == "after":
            await start(self, plan, inputs, options, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    Engine.start = killed
    orc.Orchestrator(store="sqlite:///runs.db").compile("parent.yaml").run()
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_is_killed_around_the_start_starts_one_run(when: str, project: Path) -> None:
    done = subprocess.run([sys.executable, "-c", dedent(KILLED), when], cwd=project, check=False)
    assert done.returncode == -signal.SIGKILL
    with orc.Orchestrator(store=f"sqlite:///{project}/runs.db", directory=project) as client:
        parents = client.list_runs(pipeline="parent")
        assert len(children_of(client, parents[0].run_id)) == (when == "after")
        parent = client.resume(parents[0].run_id)
        child = parent.result(timeout=PATIENCE).outputs["child"]
        assert children_of(client, parent.id) == [child]
        if when == "after":
            assert client.get_run(child).status().state == "interrupted"
            client.resume(child)
        assert client.get_run(child).result(timeout=PATIENCE).outputs == {"greeting": "Hello, Ada"}
        assert len(client.list_runs()) == 2


def test_cancelling_a_run_does_not_cancel_what_it_started(client: orc.Orchestrator, project: Path) -> None:
    (project / "child.yaml").write_text("steps: [{id: go, ask: Go?}]\noutputs: {go: '{{ go }}'}\n")
    (project / "parent.yaml").write_text(
        "steps:\n  - {id: started, pipeline: child.yaml, detach: true}\n"
        "  - {id: more, ask: 'More of {{ started }}?'}\noutputs: {more: '{{ more }}'}\n"
    )
    parent = client.compile(project / "parent.yaml").start()
    assert parent.wait(timeout=PATIENCE).state == "waiting"
    (child,) = map(client.get_run, children_of(client, parent.id))
    parent.cancel()
    assert parent.wait(timeout=PATIENCE).state == "cancelled"
    child.answer("go", "yes")
    assert child.result(timeout=PATIENCE).outputs == {"go": "yes"}
    assert children_of(client, parent.id) == [child.id]


def test_retrying_the_step_starts_another_run(client: orc.Orchestrator, project: Path) -> None:
    run = client.compile(project / "parent.yaml").start()
    first = run.result(timeout=PATIENCE).outputs["child"]
    again = client.retry(run.id, "started")
    second = again.result(timeout=PATIENCE).outputs["child"]
    assert sorted(children_of(client, run.id)) == sorted({first, second})


def test_a_secret_reaches_only_a_secret_input(client: orc.Orchestrator, project: Path) -> None:
    (project / "child.yaml").write_text(CHILD.replace("{type: string}", "{type: string, secret: true}", 1))
    (project / "child.yaml").write_text((project / "child.yaml").read_text().replace('["for:{{ name }}"]', "[]"))
    secret = "inputs: {token: {type: string, secret: true}}\nvariables: {same: '{{ token }}'}\n"
    text = secret + PARENT.replace("name: Ada", "name: '{{ same }}'")
    client.compile(text).run(token="a-long-token-of-theirs")
    (child,) = (status for status in client.list_runs() if status.pipeline == "child")
    events = [str(event.data) for event in client.get_run(child.run_id).events()]
    assert not [event for event in events if "a-long-token-of-theirs" in event]

    (project / "child.yaml").write_text(CHILD)
    with pytest.raises(orc.RunFailed, match="contains a secret"):
        client.compile(text).run(token="a-long-token-of-theirs")
    assert len([status for status in client.list_runs() if status.pipeline == "child"]) == 1


def test_the_command_stays_until_the_started_run_has_ended(project: Path) -> None:
    (project / "child.yaml").write_text(
        "steps: [{id: nap, sleep: 300ms}, {id: said, value: done, dependencies: [nap]}]\n"
        "outputs: {said: '{{ said }}'}\n"
    )
    (project / "parent.yaml").write_text(
        "steps:\n  - {id: started, pipeline: child.yaml, detach: true}\noutputs: {child: '{{ started }}'}\n"
    )
    command = [sys.executable, "-m", "orchestrator", "run", "parent.yaml", "--quiet"]
    done = subprocess.run(command, cwd=project, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with orc.Orchestrator(directory=project) as client:
        child = client.get_run(done.stdout.partition(": ")[2].strip())
        assert isinstance(child, Run)
        assert child.status().state == "succeeded"
    assert f"run {child.id}, which a step started, continues here until it ends" in done.stderr
