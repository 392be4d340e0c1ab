"""`kill -9` in the middle of writing: what was committed is there, in order and without gaps."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

from orchestrator.journal import Journal, Owner, Store

WORKER = """
import asyncio, sys
from orchestrator.journal import Journal, Owner, Store
from tests.journal.support import new_run

async def work(run, say):
    number = 0
    while True:
        number += 1
        run.record("step.started", f"s{number}", 1)
        run.record("step.succeeded", f"s{number}", 1, {"output": "x" * (number * 997 % 40_000), "duration": 0.0})
        await run.commit()
        print(say, run.last_seq, flush=True)

async def main():
    store = Store.open(sys.argv[1])
    journal = Journal(store)
    leases = [store.create_run(new_run(name), Owner.current()) for name in ("one", "two")]
    await asyncio.gather(*(work(journal.attach(lease), lease.run_id) for lease in leases))

asyncio.run(main())
"""


def test_a_killed_process_leaves_every_committed_event(store: Store, url: str):
    chance = random.Random(7)
    worker = subprocess.Popen([sys.executable, "-c", WORKER, url], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    said = {"one": 0, "two": 0}
    for _ in range(chance.randrange(80, 160)):
        name, seq = worker.stdout.readline().split()
        said[name] = int(seq)
    worker.send_signal(signal.SIGKILL)
    for line in worker.stdout:
        if line.endswith("\n") and len(line.split()) == 2:
            name, seq = line.split()
            said[name] = int(seq)
    worker.stdout.close()
    worker.wait()
    for name, promised in said.items():
        events = store.events(name, limit=100_000, resolve=True)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert len(events) >= promised
        status = store.status(name)
        assert status.state == "interrupted"
        assert status.counts["succeeded"] == sum(event.type == "step.succeeded" for event in events)
        with Journal(store) as journal:
            run = journal.attach(store.acquire(name, Owner.current()))
            assert run.record("run.started", data={"owner": "next", "resumed": True}).seq == len(events) + 1
            run.flush()
        assert store.status(name).counts["running"] == 0
