"""The terminal and python tools: real processes, real signals."""

import asyncio
import os
import select
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import PermissionDenied, StepError, StepTimeout
from orchestrator.tools import Unresolved
from tests.tools.support import REGISTRY, Workplace


@pytest.fixture
def shell(workplace: Workplace) -> Workplace:
    return Workplace(workplace.directory, run=True)


def test_a_command_gives_its_output(shell: Workplace) -> None:
    done = shell("terminal.execute", command=["sh", "-c", "echo out; echo err >&2"])
    assert (done["stdout"], done["stderr"], done["exit_code"]) == ("out\n", "err\n", 0)
    assert done["duration"] > 0
    assert done["truncated"] is False


def test_an_argument_list_needs_no_quoting(shell: Workplace) -> None:
    assert shell("terminal.execute", command=["echo", "a; echo $HOME 'b'"])["stdout"] == "a; echo $HOME 'b'\n"


def test_a_text_is_for_the_shell_and_gets_input_and_variables(shell: Workplace) -> None:
    (shell.directory / "sub").mkdir()
    done = shell("terminal.execute", command='echo "$NAME"; pwd; cat', env={"NAME": "Ada"}, cwd="sub", stdin="in")
    assert done["stdout"] == f"Ada\n{shell.directory / 'sub'}\nin"


def test_large_input_and_output_do_not_block_each_other(shell: Workplace) -> None:
    text = "x" * 3_000_000
    assert shell("terminal.execute", command="cat", stdin=text)["stdout"] == text


def test_too_much_output_is_cut_and_said(shell: Workplace) -> None:
    done = shell("terminal.execute", command="seq 10000; seq 10000 >&2", max_output=100)
    assert (len(done["stdout"]), len(done["stderr"]), done["truncated"]) == (100, 100, True)
    assert done["stdout"].startswith("1\n2\n")
    assert done["stderr"].endswith("9999\n10000\n")


def test_a_failing_command_is_an_error_that_shows_the_end_of_what_it_said(shell: Workplace) -> None:
    with pytest.raises(StepError) as caught:
        shell("terminal.execute", command="seq 5000 >&2; echo 'disk on fire' >&2; exit 3")
    assert caught.value.code == "ORC707"
    assert "ended with exit status 3" in caught.value.message
    assert caught.value.message.endswith("disk on fire")
    assert len(caught.value.message) < 3000
    assert shell("terminal.execute", command="exit 3", check=False)["exit_code"] == 3
    with pytest.raises(StepError, match="was ended by SIGSEGV"):
        shell("terminal.execute", command="kill -SEGV $$")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"command": ["no-such-program"]}, "`no-such-program` cannot be started: no such file"),
        ({"command": ["true"], "cwd": "nope"}, "cannot be started"),
        ({"command": []}, "empty list"),
        ({"command": ["a\0b"]}, "cannot be started"),
    ],
)
def test_a_command_that_cannot_start_says_why(parameters: dict[str, Any], said: str, shell: Workplace) -> None:
    with pytest.raises(StepError, match=said) as caught:
        shell("terminal.execute", **parameters)
    assert not caught.value.retryable


STUBBORN = """
trap '' TERM
echo $$ >> pids
sh -c "trap '' TERM; echo \\$\\$ >> pids; echo ready > ready; while :; do sleep 60; done" &
while :; do sleep 60; done
"""


def pids(directory: Path) -> list[int]:
    return [int(line) for line in (directory / "pids").read_text().split()]


def has_ended(pid: int, seconds: float = 10) -> bool:
    """Wait until a process has ended: a killed one still takes a moment to be gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


needs_pidfd = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes of others by pidfd")


@needs_pidfd
def test_cancelling_ends_a_whole_group_that_ignores_sigterm(shell: Workplace) -> None:
    os.mkfifo(shell.directory / "ready")

    async def main() -> None:
        task = asyncio.create_task(shell.acall("terminal.execute", command=STUBBORN))
        await asyncio.to_thread((shell.directory / "ready").read_text)  # returns when the second process is there
        assert not any(has_ended(pid, 0) for pid in pids(shell.directory))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(pids(shell.directory)) == 2
        assert all(has_ended(pid) for pid in pids(shell.directory))

    asyncio.run(main())


@needs_pidfd
def test_a_timeout_ends_what_the_command_started(shell: Workplace) -> None:
    with pytest.raises(StepTimeout, match="ran longer than 1 s and was ended") as caught:
        shell("terminal.execute", command="echo $$ >> pids; sleep 60 & wait", timeout=1)
    assert caught.value.seconds == 1
    assert all(has_ended(pid) for pid in pids(shell.directory))


@needs_pidfd
def test_a_command_leaves_no_process_behind(shell: Workplace) -> None:
    done = shell("terminal.execute", command="sleep 60 & echo $! >> pids; echo done")
    assert done["stdout"] == "done\n"
    assert all(has_ended(pid) for pid in pids(shell.directory))


def test_commands_are_denied_by_default(workplace: Workplace) -> None:
    for name, parameters in (
        ("terminal.execute", {"command": ["true"]}),
        ("terminal.execute", {"command": "true"}),
        ("python.execute", {"code": ""}),
    ):
        with pytest.raises(PermissionDenied) as caught:
            workplace(name, **parameters)
        assert caught.value.flag == "--allow-run"


def test_a_refusal_is_known_before_the_values_are(workplace: Workplace) -> None:
    resolved = REGISTRY.resolve("terminal")
    assert not isinstance(resolved, Unresolved)
    assert resolved[1].refusal is not None
    assert resolved[1].refusal({}, workplace.permissions) is not None
    assert resolved[1].refusal({}, workplace.permissions.extended(run=["git"])) is None
    assert resolved[1].refusal({"command": ["rm"]}, workplace.permissions.extended(run=["git"])) is not None


def test_only_the_named_commands_run_and_none_in_their_place(workplace: Workplace) -> None:
    place = Workplace(workplace.directory, run=["echo"])
    fake = workplace.directory / "echo"
    fake.write_text("#!/bin/sh\necho fake")
    fake.chmod(0o755)
    assert place("terminal.execute", command=["echo", "real"])["stdout"] == "real\n"
    for parameters in (
        {"command": ["./echo"]},
        {"command": "echo hi"},
        {"command": ["echo"], "env": {"PATH": "."}},
        {"command": ["echo"], "env": {"LD_PRELOAD": "x.so"}},
        {"command": ["echo"], "cwd": ".."},
    ):
        with pytest.raises(PermissionDenied):
            place("terminal.execute", **parameters)
    assert Path(place.permissions.find_program("echo")) == Path(str(shutil.which("echo")))


def test_code_reads_inputs_and_leaves_a_result(shell: Workplace) -> None:
    done = shell("python.execute", code="print('hi')\nresult = {'sum': sum(inputs['n'])}", inputs={"n": [1, 2]})
    assert done == {"result": {"sum": 3}, "stdout": "hi\n", "stderr": ""}
    assert shell("python.execute", code="x = 1")["result"] is None
    assert shell("python.execute", code="result = 'ä'; raise SystemExit")["result"] == "ä"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\ny = x / 0", "line 2 of the code (`y = x / 0`) raised ZeroDivisionError: division by zero"),
        ("def f():\n    raise KeyError('a')\nf()", "line 2 of the code (`raise KeyError('a')`) raised KeyError: 'a'"),
        ("x = (", "line 1 of the code (`x = (`) raised SyntaxError"),
        ("raise SystemExit(3)", "raised SystemExit: 3"),
        ("import os; os._exit(4)", "ended by itself with exit status 4"),
        ("result = {1, 2}", "`result` is no JSON data"),
        ("result = float('nan')", "`result` is no JSON data"),
        ("import json\njson.loads('{')", "line 2 of the code"),
    ],
)
def test_a_mistake_in_the_code_is_shown_with_its_line(code: str, said: str, shell: Workplace) -> None:
    with pytest.raises(StepError) as caught:
        shell("python.execute", code=code)
    assert said in caught.value.message
    assert "Traceback" not in caught.value.message


def test_code_does_not_see_the_environment(shell: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "x")
    code = "import os, sys\nresult = [os.environ.get('SECRET_KEY'), os.environ.get('GIVEN'), sys.flags.isolated]"
    assert shell("python.execute", code=code, env={"GIVEN": "y"})["result"] == [None, "y", 1]


def test_code_that_hangs_is_ended(shell: Workplace) -> None:
    with pytest.raises(StepTimeout):
        shell("python.execute", code="while True: pass", timeout=0.3)
    assert sys.executable
