"""A server that is killed or stopped: its runs continue by themselves under the next one, and lose nothing."""

import json
from pathlib import Path

import pytest

from tests.server.support import ServerProcess

TOOLS = '''
import asyncio
from pathlib import Path
import orchestrator as orc

@orc.tool
async def note(file: str, line: str, context: orc.ToolContext) -> str:
    """Add a line to a file."""
    with (context.directory / file).open("a") as out:
        print(line, file=out)
    return line

@orc.tool
async def await_file(file: str, context: orc.ToolContext) -> str:
    """Return when a file exists."""
    context.log("waiting")
    while not (context.directory / file).exists():
        await asyncio.sleep(0.02)
    return file
'''
PIPELINE = """\
inputs: {pin: {type: string, secret: true, required: false}}
steps:
  - {id: first, tool: note, parameters: {file: notes.txt, line: "first{{ '' if pin is none else '' }}"}}
  - {id: gate, tool: await_file, parameters: {file: open}, depends_on: [first]}
  - {id: last, tool: note, parameters: {file: notes.txt, line: last}, depends_on: [gate]}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "lib.py").write_text(TOOLS)
    (tmp_path / "orchestrator.toml").write_text('tools = ["lib.py"]\n')
    (tmp_path / "notes.yaml").write_text(PIPELINE)
    return tmp_path


def started(server: ServerProcess, **inputs: str) -> str:
    """Start a run, and return its id when its second step has started."""
    run = server.client.start("notes", inputs=inputs)["run"]["run_id"]
    with server.client.stream(run) as stream:
        for name, _, data in stream:
            if name == "step.log" and data["path"] == "gate":
                break
    return run


def test_a_killed_servers_runs_continue_under_the_next_one(project: Path):
    server = ServerProcess(project)
    run = started(server)
    before = server.client.json("GET", f"/v1/runs/{run}/events")["events"]
    server.kill()
    server = ServerProcess(project)
    (project / "open").touch()
    with server.client.stream(run, after=before[-1]["seq"]) as stream:
        after = [(number, data) for _, number, data in stream]
    assert [number for number, _ in after[:-1]] == list(range(before[-1]["seq"] + 1, after[-1][1]["last_seq"] + 1))
    assert after[-1][1]["state"] == "succeeded"
    assert (project / "notes.txt").read_text().split() == ["first", "last"]
    server.stop()


def test_a_stopped_server_waits_for_runs_and_interrupts_those_that_remain(project: Path):
    server = ServerProcess(project, "--drain", "0.2s")
    run = started(server)
    said = server.stop()
    assert "Traceback" not in said
    assert server.process.returncode == 0
    server = ServerProcess(project, "--drain", "1m")
    while server.client.json("GET", f"/v1/runs/{run}")["state"] != "running":
        pass
    (project / "open").touch()
    server.stop()
    server = ServerProcess(project)
    assert server.client.json("GET", f"/v1/runs/{run}")["state"] == "succeeded"
    assert (project / "notes.txt").read_text().split() == ["first", "last"]
    server.stop()


def test_a_run_with_a_secret_is_left_to_a_person(project: Path):
    server = ServerProcess(project)
    run = started(server, pin="sesame-4711")
    server.kill()
    (project / "open").touch()
    server = ServerProcess(project)
    found = server.client.problem("POST", f"/v1/runs/{run}/resume", status=422, code="ORC604")
    assert "sesame" not in json.dumps(found)
    server.client.json("POST", f"/v1/runs/{run}/resume", {"inputs": {"pin": "sesame-4711"}})
    with server.client.stream(run) as stream:
        assert list(stream)[-1][2]["state"] == "succeeded"
    assert f"run {run} is not continued" in server.said
    server.stop()


def test_the_first_start_makes_a_token_and_prints_a_link_that_logs_in(project: Path):
    server = ServerProcess(project)
    assert server.client.json("GET", "/v1/session")["scopes"] == ["read", "run", "answer", "admin"]
    assert "/login?token=orc_" in server.link
    again = ServerProcess(project)
    assert again.client.http.headers["authorization"] == server.client.http.headers["authorization"]
    server.stop()
    again.stop()


def test_a_port_that_is_taken_is_an_error(project: Path):
    server = ServerProcess(project)
    port = str(server.client.http.base_url.port)
    with pytest.raises(AssertionError, match=r"ORC921.*is in use"):
        ServerProcess(project, "--port", port)
    server.stop()
