"""Servers of tools: real processes on the official SDK, over stdio and over HTTP."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.errors import ConfigurationError, McpError
from orchestrator.tools.mcp import McpServers, load_servers
from tests.tools.test_processes import has_ended, needs_pidfd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVER = str(Path(__file__).with_name("mcp_server.py"))
PATIENCE = 30

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextmanager
def configured(directory: Path, settings: str) -> Iterator[McpServers]:
    (directory / "orchestrator.toml").write_text(settings)
    servers = McpServers(directory)
    try:
        yield servers
    finally:
        servers.close()


def program(*arguments: str, more: str = "") -> str:
    command = ", ".join(f'"{part}"' for part in (sys.executable, SERVER, *arguments))
    return f"[mcp.tests]\ncommand = [{command}]\n{more}"


@contextmanager
def over_http() -> Iterator[str]:
    """Start the server, and say where it is."""
    process = subprocess.Popen([sys.executable, SERVER, "http"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"running on (http://\S+)", line):
                yield f"{found[1]}/mcp"
                break
        else:
            pytest.fail("the server has ended")
    finally:
        process.terminate()
        process.wait(PATIENCE)
        if process.stderr is not None:
            process.stderr.close()


@pytest.fixture(params=["stdio", "http"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[McpServers]:
    """One server, `tests`, over each of the transports."""
    if request.param == "stdio":
        with configured(tmp_path, program()) as found:
            yield found
    else:
        with over_http() as url, configured(tmp_path, f'[mcp.tests]\nurl = "{url}"\n') as found:
            yield found


async def until(met: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    async with asyncio.timeout(PATIENCE):
        while not met():  # noqa: ASYNC110 - no event of ours tells of it
            await asyncio.sleep(0.01)


async def refused(call: Any) -> McpError:
    with pytest.raises(McpError) as caught:
        await call
    assert caught.value.code == "ORC731"
    return caught.value


async def test_a_server_says_what_it_offers(servers: McpServers) -> None:
    tools = {tool.name: tool for tool in await servers.tools("tests")}
    assert tools["add"].description == "Return the sum."
    assert tools["add"].parameters["required"] == ["a", "b"]


async def test_a_tool_is_called_and_returns_text_and_data(servers: McpServers) -> None:
    result = await servers.call("tests", "add", {"a": 20, "b": 22})
    assert (result.text, result.data) == ("42", {"result": 42})


async def test_a_server_is_started_once_and_serves_calls_side_by_side(servers: McpServers) -> None:
    results = await asyncio.gather(*(servers.call("tests", "whoami", {}) for _ in range(5)))
    assert len({result.data["pid"] for result in results}) == 1


async def test_what_a_tool_refuses_is_an_error_with_what_it_says(servers: McpServers) -> None:
    error = await refused(servers.call("tests", "add", {"a": "one"}))
    assert "`add` of `tests` failed" in error.message
    assert "valid integer" in error.message


async def test_a_tool_that_a_server_does_not_have_is_told_with_the_one_that_was_meant(servers: McpServers) -> None:
    error = await refused(servers.call("tests", "ad", {"a": 1, "b": 2}))
    assert (error.message, error.help) == ("unknown tool `ad` of the server `tests`", "did you mean `add`?")


async def test_a_cancelled_call_is_cancelled_on_the_server_too(servers: McpServers, tmp_path: Path) -> None:
    call = asyncio.create_task(servers.call("tests", "hang", {"directory": str(tmp_path)}))
    await until((tmp_path / "begun").exists)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until((tmp_path / "cancelled").exists)
    assert (await servers.call("tests", "add", {"a": 1, "b": 2})).text == "3"


async def test_a_server_that_dies_in_a_call_is_started_again_by_the_next(tmp_path: Path) -> None:
    with configured(tmp_path, program()) as servers:
        before = (await servers.call("tests", "whoami", {})).data["pid"]
        error = await refused(servers.call("tests", "die", {}))
        assert "the server has exited; the last line of its log: the disk is on fire" in error.message
        assert error.retryable
        assert (await servers.call("tests", "whoami", {})).data["pid"] != before


async def test_a_program_gets_only_the_variables_that_are_meant_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLS_TOKEN", "s3cret")
    with configured(tmp_path, program(more='env = {LEVEL = "debug"}\n')) as servers:
        data = (await servers.call("tests", "whoami", {})).data
        assert (data["token"], data["level"]) == (None, "debug")
    with configured(tmp_path, program(more='pass_env = ["TOOLS_TOKEN"]\n')) as servers:
        assert (await servers.call("tests", "whoami", {})).data["token"] == "s3cret"
    monkeypatch.delenv("TOOLS_TOKEN")
    with configured(tmp_path, program(more='pass_env = ["TOOLS_TOKEN"]\n')) as servers:
        error = await refused(servers.tools("tests"))
        assert "requires the environment variable `TOOLS_TOKEN`" in error.message
        assert not error.retryable


async def test_headers_are_taken_from_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLS_KEY", "Bearer s3cret")
    with over_http() as url:
        settings = f'[mcp.tests]\nurl = "{url}"\nheaders_env = {{Authorization = "TOOLS_KEY"}}\n'
        with configured(tmp_path, settings) as servers:
            assert (await servers.call("tests", "token", {})).text == "Bearer s3cret"


@pytest.mark.parametrize("behaviour", ["leave", "stay"])
async def test_a_closed_server_has_ended_even_if_it_would_rather_stay(tmp_path: Path, behaviour: str) -> None:
    with configured(tmp_path, program(behaviour)) as servers:
        pid = (await servers.call("tests", "whoami", {})).data["pid"]
        child = int((await servers.call("tests", "spawn", {})).text) if behaviour == "stay" else None
    for one in filter(None, (pid, child)):
        with pytest.raises(ProcessLookupError):
            os.kill(one, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('command = ["no-such-program"]', "`x` cannot be started: the program `no-such-program` is not found"),
        (
            f'command = ["{sys.executable}", "-c", "import sys; sys.exit(\'no key\')"]',
            "`x` cannot be started: it has exited; the last line of its log: no key",
        ),
        ('url = "http://127.0.0.1:1/mcp"', "`x` cannot be reached at 127.0.0.1"),
        (
            f'command = ["{sys.executable}", "-c", "import time; time.sleep(60)"]\nstart_timeout = 0.2',
            "`x` was not ready within 0.2 s",
        ),
    ],
)
async def test_a_server_that_cannot_be_had_says_why(tmp_path: Path, settings: str, message: str) -> None:
    with configured(tmp_path, f"[mcp.x]\n{settings}\n") as servers:
        error = await refused(servers.tools("x"))
        assert message in error.message
        assert error.help


async def test_a_server_that_nobody_has_named_is_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    with configured(tmp_path, program()) as servers:
        assert (await refused(servers.call("test", "add", {}))).help == "did you mean `tests`?"


async def test_nothing_is_called_once_all_are_closed(tmp_path: Path) -> None:
    with configured(tmp_path, program()) as servers:
        pass
    assert "closed" in (await refused(servers.tools("tests"))).message


def test_servers_are_shared_by_event_loops(tmp_path: Path) -> None:
    with configured(tmp_path, program()) as servers:
        pids = {asyncio.run(servers.call("tests", "whoami", {})).data["pid"] for _ in range(2)}
    assert len(pids) == 1


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("", "must have either a `command` or a `url`"),
        ('command = ["a"]\nurl = "http://a"', "must have either a `command` or a `url`"),
        ('command = "a"', "must be a list of strings"),
        ('url = "a"', "must be the URL of a server"),
        ('url = "http://a"\npass_env = ["A"]', "`mcp.x.pass_env` is only valid with `command`"),
        ('command = ["a"]\nheaders_env = {A = "B"}', "`mcp.x.headers_env` is only valid with `url`"),
        ('url = "http://a"\nheaders_env = {A = "Bearer x"}', "must name environment variables, not contain a secret"),
        ('command = ["a"]\nenv = {A = 1}', "`mcp.x.env.A` must be a string"),
        ('comand = ["a"]', "unknown setting `mcp.x.comand`"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, settings: str, problem: str) -> None:
    (tmp_path / "orchestrator.toml").write_text(f"[mcp.x]\n{settings}\n")
    with pytest.raises(ConfigurationError, match=re.escape(problem)):
        load_servers(tmp_path)


RUDE = str(Path(__file__).with_name("mcp_rude.py"))


def rude(how: str, more: str = "") -> str:
    return f'[mcp.rude]\ncommand = ["{sys.executable}", "{RUDE}", "{how}"]\n{more}'


@needs_pidfd
@pytest.mark.parametrize("waiting", [1, 3])
async def test_a_server_that_is_not_ready_in_time_is_ended(tmp_path: Path, waiting: int) -> None:
    with configured(tmp_path, rude("deaf", "start_timeout = 5")) as servers:
        errors = await asyncio.gather(*(refused(servers.call("rude", "pid", {})) for _ in range(waiting)))
        assert all("`rude` was not ready within 5 s" in error.message for error in errors)
        assert "Welcome!" in errors[0].message
        pid = int((tmp_path / "pid").read_text())
        assert await asyncio.to_thread(has_ended, pid)


@needs_pidfd
async def test_a_server_that_was_not_ready_in_time_has_ended_when_all_are_closed(tmp_path: Path) -> None:
    with configured(tmp_path, rude("deaf", "start_timeout = 5")) as servers:
        await refused(servers.call("rude", "pid", {}))
        first = int((tmp_path / "pid").read_text())
        (tmp_path / "orchestrator.toml").write_text(rude("deaf", "start_timeout = 5"))
        await refused(servers.call("rude", "pid", {}))  # another one is tried while the first is being ended
        second = int((tmp_path / "pid").read_text())
    assert first != second
    for pid in (first, second):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_an_error_with_the_code_of_a_lost_connection_is_the_servers_own(tmp_path: Path) -> None:
    with configured(tmp_path, rude("well")) as servers:
        pid = (await servers.call("rude", "pid", {})).text
        error = await refused(servers.call("rude", "own_error", {}))
        assert error.message == "`rude` failed to return `own_error`: the quota is used up"
        assert not error.retryable
        assert (await servers.call("rude", "pid", {})).text == pid


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("cut", 'its response is not an MCP message: {"jsonrpc": "2.0", "id": '),
        ("shape", "its response is not an MCP message: {'jsonrpc': '2.0', 'id': "),
        ("null_id", "I could not read that"),
    ],
)
async def test_an_answer_that_cannot_be_read_fails_its_call_at_once(tmp_path: Path, tool: str, said: str) -> None:
    with configured(tmp_path, rude("well")) as servers:
        pid = (await servers.call("rude", "pid", {})).text
        error = await refused(servers.call("rude", tool, {}))
        assert error.message.startswith(f"`rude` failed to return `{tool}`: {said}")
        assert error.help == "fix the server"
        assert (await servers.call("rude", "pid", {})).text == pid


async def test_lines_that_are_no_messages_are_passed_over(tmp_path: Path) -> None:
    with configured(tmp_path, rude("well")) as servers:
        assert (await servers.call("rude", "noise", {})).text == "fine"
        assert (await servers.call("rude", "latin", {})).text == "caf�"


async def test_a_greeting_that_cannot_be_read_is_an_error_at_once(tmp_path: Path) -> None:
    with configured(tmp_path, rude("unreadable")) as servers:
        error = await refused(servers.tools("rude"))
        assert "`rude` cannot be started: its response is not an MCP message" in error.message


@needs_pidfd
def test_a_server_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(rude("well"))
    code = (
        "import asyncio, pathlib, sys, time\nfrom orchestrator.tools.mcp import McpServers\n"
        "servers = McpServers(pathlib.Path(sys.argv[1]))\n"
        "print(asyncio.run(servers.call('rude', 'pid', {})).text, flush=True)\ntime.sleep(300)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        owner.kill()
    assert has_ended(pid)
