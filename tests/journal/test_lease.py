"""Who may execute a run: one process at a time, and none that was away too long; on both kinds of database."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from orchestrator.errors import LeaseLost, RunNotFound, RunOwned
from orchestrator.journal import Journal, Owner, Store
from orchestrator.remedies import Cancel, Follow
from tests.journal.support import create, new_run, owner_elsewhere

RACER = """
import sys
from orchestrator.errors import RunOwned
from orchestrator.journal import Owner, Store
with Store.open(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print("won", store.acquire("one", Owner.current()).fence, flush=True)
    except RunOwned:
        print("lost", flush=True)
    sys.stdin.readline()  # the winner must live while the others try
"""


def test_a_run_that_a_live_process_executes_cannot_be_acquired(store: Store):
    create(store, "one")
    with pytest.raises(RunOwned) as caught:
        store.acquire("one", owner_elsewhere())
    assert caught.value.code == "ORC803"
    assert caught.value.owner == str(Owner.current())
    assert caught.value.remedies == (Follow("one"), Cancel("one"))


def test_a_released_run_is_free_at_once(store: Store):
    lease = create(store, "one")
    store.release(lease)
    assert store.acquire("one", owner_elsewhere()).fence > lease.fence


def test_a_run_is_free_when_its_lease_has_expired(store: Store):
    store.create_run(new_run("one"), owner_elsewhere(), ttl=-0.001)
    assert store.acquire("one", Owner.current()).fence == 2


def test_an_owner_on_another_machine_keeps_the_run_until_its_lease_expires(store: Store):
    store.create_run(new_run("one"), owner_elsewhere(), ttl=60.0)
    with pytest.raises(RunOwned):
        store.acquire("one", Owner.current())


def test_a_run_whose_process_was_killed_is_free_at_once(store: Store, url: str):
    program = (
        "import os, sys; from orchestrator.journal import Owner, Store\n"
        "from tests.journal.support import create\n"
        "create(Store.open(sys.argv[1]), 'one'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, url], check=False)
    assert store.status("one").state == "interrupted"
    assert store.acquire("one", Owner.current()).fence == 2


def test_a_later_process_with_the_same_id_is_not_the_owner(store: Store):
    here = Owner.current()
    if not here.process_start:
        pytest.skip("this system does not tell when a process started")
    store.create_run(new_run("one"), Owner(here.host, here.pid, "1", "", here.machine))
    assert store.acquire("one", Owner.current()).fence == 2


def test_a_zombie_process_is_dead():
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    here = Owner.current()
    assert Owner(here.host, child.pid, "", "", here.machine).is_dead()
    child.wait()
    assert not here.is_dead()


def test_an_owner_is_named_for_people():
    assert str(Owner("host", 12)) == "process 12 on host"
    assert str(Owner("host", 12, label="ci job 3")) == "ci job 3 (process 12 on host)"
    assert Owner.from_dict(Owner.current("x").to_dict()) == Owner.current("x")


def test_renewing_holds_a_lease_and_fails_when_it_is_lost(store: Store):
    lease = store.create_run(new_run("one"), owner_elsewhere(), ttl=-1.0)
    newer = store.acquire("one", owner_elsewhere(8), ttl=60.0)
    store.renew(newer)
    with pytest.raises(LeaseLost) as caught:
        store.renew(lease)
    assert caught.value.code == "ORC815"
    store.release(lease)  # what is lost cannot be given back
    store.renew(newer)


def test_events_of_an_older_owner_are_refused(store: Store, journal: Journal):
    old = journal.attach(store.create_run(new_run("one"), owner_elsewhere(), ttl=-1.0))
    new = journal.attach(store.acquire("one", Owner.current()))
    old.record("step.started", "old", 1)
    new.record("step.started", "new", 1)
    new.flush()
    with pytest.raises(LeaseLost):
        old.flush()
    with pytest.raises(LeaseLost):
        old.flush()
    old.record("step.started", "late", 1)
    new.record("step.succeeded", "new", 1, {"output": 1})
    new.flush()
    assert [(event.seq, event.path) for event in store.events("one", after=1)] == [(2, "new"), (3, "new")]


def test_a_released_lease_records_nothing_more(store: Store, journal: Journal):
    lease = create(store, "one")
    run = journal.attach(lease)
    store.release(lease)
    run.record("step.started", "a", 1)
    with pytest.raises(LeaseLost):
        run.flush()
    with pytest.raises(LeaseLost):
        journal.attach(lease)


def test_an_unknown_run_cannot_be_acquired(store: Store):
    with pytest.raises(RunNotFound):
        store.acquire("one", Owner.current())


def test_of_many_threads_exactly_one_acquires_a_run(store: Store):
    store.create_run(new_run("one"), owner_elsewhere(), ttl=-1.0)

    def attempt(_: int) -> int:
        try:
            return store.acquire("one", Owner.current()).fence
        except RunOwned:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == [0] * 7 + [2]


def test_of_two_processes_exactly_one_acquires_a_run(store: Store, url: str):
    store.create_run(new_run("one"), owner_elsewhere(), ttl=-1.0)
    command = [sys.executable, "-c", RACER, url]
    pipe = subprocess.PIPE
    racers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) for _ in range(2)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
    outcomes = [racer.stdout.readline() for racer in racers if racer.stdout is not None]
    for racer in racers:
        racer.communicate("end\n")
    assert sorted(outcomes) == ["lost\n", "won 2\n"]
