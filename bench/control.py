"""The cost of control: commands from another process, and cancelling a program that ignores SIGTERM."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orchestrator as orc

_HOLD = "id: hold\nsteps:\n  - {id: wait, tool: sleep, parameters: {seconds: 600}}\n"
_DEAF = "trap '' TERM; echo $$ > pid; while :; do sleep 1; done"


def commands(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Pause and resume a run that another process executes, each as soon as the one before is recorded."""
    (directory / "hold.yaml").write_text(_HOLD, encoding="utf-8")
    url = f"sqlite:///{directory / 'runs.db'}"
    words = [sys.executable, "-m", "orchestrator", "run", "hold.yaml", "--store", url, "--quiet"]
    done = 0
    with (
        subprocess.Popen(words, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other,
        orc.Orchestrator(store=url, directory=directory) as client,
    ):
        while not (runs := client.list_runs()) or not runs[0].running:
            time.sleep(0.05)
        run, seen = client.get_run(runs[0].run_id), runs[0].last_seq
        clock.start()
        for number in range(work.count):
            kind, act = (("run.resumed", run.resume), ("run.paused", run.pause))[number % 2 == 0]
            act()
            while not (found := [e.seq for e in run.events(after=seen, follow=False) if e.type == kind]):
                time.sleep(0.001)
            seen, done = found[-1], done + 1
        clock.stop()
        other.kill()
    return {"stored": done}


def cancels(work: Any, directory: Path, clock: Any) -> dict[str, Any]:
    """Cancel a program that ignores SIGTERM, until no process of its group is left."""
    step = {"id": "deaf", "tool": "terminal", "action": "execute", "parameters": {"command": _DEAF}}
    permissions = orc.Permissions(directory=directory, allow_run=True)
    with orc.Orchestrator(directory=directory, permissions=permissions) as client:
        run = client.compile({"id": "deaf", "steps": [step]}).start()
        while not (directory / "pid").exists() or not (directory / "pid").read_text().strip():
            time.sleep(0.01)
        group = int((directory / "pid").read_text())
        clock.start()
        run.cancel()
        run.wait()
        while _lives(group):
            time.sleep(0.001)
        clock.stop()
    return {"stored": work.count}


def _lives(group: int) -> bool:
    """Whether a process of the group still runs; one that has ended and waits for its parent does not."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has gone meanwhile
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False
