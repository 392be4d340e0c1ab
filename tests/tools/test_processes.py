"""The terminal and python tools: real processes, real signals."""

import asyncio
import json
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import PermissionDenied, StepError, StepTimeout
from orchestrator.remedies import AllowCommands
from orchestrator.tools import Unresolved
from orchestrator.tools.sandbox import guardian, guardian_server, processes
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
    assert "failed with exit status 3" in caught.value.message
    assert caught.value.message.endswith("disk on fire")
    assert len(caught.value.message) < 3000
    assert shell("terminal.execute", command="exit 3", check=False)["exit_code"] == 3
    with pytest.raises(StepError, match="was killed by SIGSEGV"):
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
    with pytest.raises(StepTimeout, match="ran longer than 1 s and was stopped") as caught:
        shell("terminal.execute", command="echo $$ >> pids; sleep 60 & wait", timeout=1)
    assert caught.value.seconds == 1
    assert all(has_ended(pid) for pid in pids(shell.directory))


@needs_pidfd
def test_a_command_leaves_no_process_behind(shell: Workplace) -> None:
    done = shell("terminal.execute", command="sleep 60 & echo $! >> pids; echo done")
    assert done["stdout"] == "done\n"
    assert all(has_ended(pid) for pid in pids(shell.directory))


NOTE = "echo $$ >> pids; echo >> ready; exec sleep 300"
WITHIN = NOTE.replace("$", "\\$")
STARTED = {
    "in its session": f"sh -c '{NOTE}' & wait",
    "in a session of its own": f"setsid sh -c '{NOTE}' & wait",
    "without its pipes": f"setsid sh -c '{NOTE}' >/dev/null 2>&1 </dev/null & wait",
    "by a parent that has gone": f"(setsid sh -c '{NOTE}' &); sleep 300",
    "without its environment": (f"""(env -i PATH="$PATH" setsid sh -c '(setsid sh -c "{WITHIN}" &)' &); sleep 300"""),
    "ignoring signals": f"setsid sh -c 'trap \"\" TERM INT HUP; {NOTE}' & wait",
    "by Python": "python",
}
IN_PYTHON = """
import subprocess, sys
subprocess.Popen(["sh", "-c", "echo $$ >> pids; echo >> ready; exec sleep 300"], start_new_session=True).wait()
"""
WITHOUT_GROUPS = (
    "import sys; sys.path.insert(0, {directory!r}); import guardian; guardian._control_group = lambda: None; "
    "guardian.serve(int(sys.argv[1]), int(sys.argv[2]))"
)


@pytest.fixture(params=["control groups where allowed", "no control groups"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no control groups":
        code = WITHOUT_GROUPS.format(directory=str(Path(guardian.__file__).parent))
        monkeypatch.setattr(guardian_server, "SCRIPT", (sys.executable, "-I", "-S", "-c", code))


@pytest.fixture
def noting(shell: Workplace) -> Workplace:
    os.mkfifo(shell.directory / "ready")
    return shell


def call_for(started: str) -> tuple[str, dict[str, Any]]:
    if started == "by Python":
        return "python.execute", {"code": IN_PYTHON}
    return "terminal.execute", {"command": STARTED[started]}


def noted(directory: Path) -> int:
    """Wait until the innermost process has written its id, and return that."""
    (directory / "ready").read_text()
    return pids(directory)[-1]


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="other systems end the process group alone")


@needs_linux
@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("started", STARTED)
def test_cancelling_ends_whatever_the_program_started(started: str, noting: Workplace) -> None:
    name, parameters = call_for(started)

    async def main() -> None:
        task = asyncio.create_task(noting.acall(name, **parameters))
        pid = await asyncio.to_thread(noted, noting.directory)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert has_ended(pid)

    asyncio.run(main())


@needs_linux
@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("started", ["in a session of its own", "without its environment"])
def test_a_program_that_ends_leaves_nothing_behind(started: str, noting: Workplace) -> None:
    command = STARTED[started].removesuffix("wait").removesuffix("sleep 300") + " cat ready"
    noting("terminal.execute", command=command)
    assert all(has_ended(pid) for pid in pids(noting.directory))


KILLED = """
import asyncio, json, sys
from pathlib import Path
from tests.tools.support import Workplace

asyncio.run(Workplace(Path(sys.argv[1]), run=True).acall(sys.argv[2], **json.loads(sys.argv[3])))
"""


@needs_linux
@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("started", STARTED)
def test_what_a_killed_process_had_started_ends_too(started: str, noting: Workplace) -> None:
    name, parameters = call_for(started)
    code = KILLED.replace(
        "asyncio.run",
        "from orchestrator.tools.sandbox import guardian_server\n"
        f"guardian_server.SCRIPT = {guardian_server.SCRIPT!r}\nasyncio.run",
    )
    with subprocess.Popen([sys.executable, "-c", code, str(noting.directory), name, json.dumps(parameters)]) as owner:
        pid = noted(noting.directory)
        owner.kill()
        owner.wait()
        assert has_ended(pid)


RUNNER = """
import os, time
for _ in range(2000):
    if os.fork():
        os._exit(0)
    os.setsid()
    with open("pids", "a") as file:
        print(os.getpid(), file=file)
    if _ == 100:
        open("ready", "w").close()
    time.sleep(0.002)
time.sleep(300)
"""


@needs_linux
@pytest.mark.usefixtures("either_way")
def test_what_moves_on_all_the_time_is_caught(noting: Workplace) -> None:
    (noting.directory / "runner.py").write_text(RUNNER)
    noting("terminal.execute", command=f"{sys.executable} -I -S runner.py & cat ready")
    assert all(has_ended(pid) for pid in pids(noting.directory))
    assert len(pids(noting.directory)) < 2000


@needs_linux
@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("started", [name for name in STARTED if name != "by Python"])
def test_a_program_ends_with_its_guardian(started: str, noting: Workplace) -> None:
    async def main() -> None:
        command = f"echo $PPID >> pids; {STARTED[started]}"
        task = asyncio.create_task(noting.acall("terminal.execute", command=command, check=False))
        pid = await asyncio.to_thread(noted, noting.directory)
        os.kill(pids(noting.directory)[0], 9)
        assert (await task)["exit_code"] == -9
        assert has_ended(pid)

    asyncio.run(main())


@needs_linux
def test_programs_run_after_somebody_has_killed_what_makes_guardians(shell: Workplace) -> None:
    assert shell("terminal.execute", command="echo one")["stdout"] == "one\n"
    pid, _ = guardian_server._servers[guardian_server.SCRIPT]
    os.kill(pid, 9)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert shell("terminal.execute", command="echo two")["stdout"] == "two\n"


FORKED = """
import asyncio, os, sys
from pathlib import Path
from tests.tools.support import Workplace

def run():
    place = Workplace(Path(sys.argv[1]), run=True)
    return asyncio.run(place.acall("terminal.execute", command="echo done"))["stdout"]

assert run() == "done\\n"
if os.fork() == 0:
    os._exit(0 if run() == "done\\n" else 1)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@needs_linux
def test_a_process_that_was_forked_runs_programs_of_its_own(shell: Workplace) -> None:
    done = subprocess.run([sys.executable, "-c", FORKED, str(shell.directory)], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_the_status_and_the_duration_are_those_of_the_program(shell: Workplace) -> None:
    done = shell("terminal.execute", command="setsid sleep 300 & exit 7", check=False)
    assert done["exit_code"] == 7
    assert done["duration"] < 60
    assert shell("terminal.execute", command="kill -9 $$", check=False)["exit_code"] == -9


def test_a_program_starts_with_the_usual_signals_and_no_other_open_files(shell: Workplace) -> None:
    code = "import signal; result = [signal.getsignal(getattr(signal, n)).name for n in ('SIGTERM', 'SIGHUP')]"
    assert shell("python.execute", code=code)["result"] == ["SIG_DFL", "SIG_DFL"]
    if Path("/proc/self/fd").exists():
        assert shell("terminal.execute", command="ls /proc/self/fd")["stdout"].split() == ["0", "1", "2", "3"]


@needs_linux
def test_where_no_guardian_can_run_the_process_group_is_ended(
    shell: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "has_guardian", lambda: False)
    with pytest.raises(StepTimeout):
        shell("terminal.execute", command="echo $$ >> pids; sleep 300 & wait", timeout=0.5)
    assert all(has_ended(pid) for pid in pids(shell.directory))
    assert shell("terminal.execute", command=["sh", "-c", "exit 3"], check=False)["exit_code"] == 3
    with pytest.raises(StepError, match="cannot be started: no such file"):
        shell("terminal.execute", command=["no-such-program"])


def test_commands_are_denied_by_default(workplace: Workplace) -> None:
    for name, parameters in (
        ("terminal.execute", {"command": ["true"]}),
        ("terminal.execute", {"command": "true"}),
        ("python.execute", {"code": ""}),
    ):
        with pytest.raises(PermissionDenied) as caught:
            workplace(name, **parameters)
        assert caught.value.remedies == (AllowCommands(),)


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
        ("import os; os._exit(4)", "the process exited with status 4"),
        ("result = {1, 2}", "`result` is not JSON data"),
        ("result = float('nan')", "`result` is not JSON data"),
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
