"""A process that makes processes which each live one stretch of a run, and may die of it.

It reads requests from stdin, one JSON object a line, and answers each when the process it made for it has ended. That
is a fork of this one, which has imported everything and started no thread.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import orchestrator as orc
from orchestrator.journal import Store
from orchestrator.journal.records import RunFilter
from tests.model.agents import model
from tests.model.lives import Turn, die, store_url, stretch, tools


def lived(request: dict[str, Any]) -> tuple[str, str]:
    """Live a stretch, unless it ends with this process."""
    directory = Path(request["directory"])
    turn = Turn(*request["turn"]) if request["turn"] else None
    with orc.Orchestrator(
        directory=directory,
        tools=tools(),
        models=model(directory),
        store=store_url(directory),
        max_parallel=request["places"],
    ) as client:
        return stretch(client, request["run"], turn, die)


def main() -> None:
    """Serve requests."""
    orc.check({"steps": [{"id": "a", "tool": "log", "parameters": {"message": "x"}}]})
    Store.open("sqlite://").close()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writing, json.dumps(lived(request)).encode())
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as said:
            text = said.read()
        _, status = os.waitpid(child, 0)
        run_id, state = json.loads(text) if text else (newest(request), "crashed" if status else "broken")
        print(json.dumps({"run": run_id, "state": state}), flush=True)


def newest(request: dict[str, Any]) -> str:
    """The run of a process that died before it could name it; a directory has one, and those that its steps start."""
    with Store.open(store_url(Path(request["directory"]))) as store:
        return store.list(wanted=RunFilter(pipeline="model"))[0].run_id


if __name__ == "__main__":
    main()
