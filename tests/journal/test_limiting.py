"""Several processes keep one limit together through a store, also when one of them dies."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from orchestrator.journal import Store
from orchestrator.journal.store.rate_limit_store import StoredRateUsage
from tests.journal.limits_worker import LIMIT, turns

if TYPE_CHECKING:
    from orchestrator.models.limits import RateUsage

assert LIMIT.requests is not None
REQUESTS = LIMIT.requests


def begin(url: str, calls: int, tokens: int, longest_wait: float) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "tests.journal.limits_worker", url, str(calls), str(tokens), str(longest_wait)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def most_in_a_minute(times: list[float]) -> int:
    return max(sum(begin <= at < begin + 60 for at in times) for begin in times)


def test_processes_together_use_a_limit_fully_and_no_more(url: str):
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(url))
        processes = [stack.enter_context(begin(url, 30, 10, 0.0)) for _ in range(4)]
        assert [line(each) for each in processes] == ["ready"] * 4
        for each in processes:
            go(each)
        taken = [json.loads(line(each)) for each in processes]
        assert [each.wait() for each in processes] == [0] * 4
        # What was kept for one that then went away is free again.
        rest = asyncio.run(turns(store, REQUESTS, 10, 0.0))
    times = [at for each in [*taken, rest] for at in each]
    assert most_in_a_minute(times) == REQUESTS


def test_a_process_that_is_killed_while_it_holds_and_waits_does_not_block_the_others(url: str):
    with Store.open(url) as store, begin(url, REQUESTS + 10, 10, 600.0) as killed:
        assert line(killed) == "ready"
        go(killed)
        assert line(killed) == "waiting"
        killed.kill()
        killed.wait()
        # What it had used counts for its minute, and its place in the queue is free.
        later = [asyncio.run(turns(store, 60, 10, 0.0, lambda: time.time() + 65)) for _ in range(2)]
    assert [len(each) for each in later] == [REQUESTS, 0]


def test_a_change_that_fails_changes_nothing(url: str):
    def spend(spending: RateUsage, now: float) -> float:
        spending.add(int(now), "qwen", 3, 5)
        return now

    def fail(spending: RateUsage, now: float) -> None:
        spend(spending, now)
        raise ValueError(now)

    with Store.open(url) as store:
        shared = StoredRateUsage(store.database)
        at = shared.change("lab", spend)
        assert at == pytest.approx(time.time(), abs=60)
        with pytest.raises(ValueError, match="1"):
            shared.change("lab", fail)
        assert shared.change("lab", lambda spending, _: spending.window("").requests) == 3
        assert shared.change("other", lambda spending, _: spending.windows) == {}
