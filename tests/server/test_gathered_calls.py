"""Blocking calls of requests share trips to threads, and otherwise behave as if each had a thread of its own."""

import asyncio
import threading
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.server.gathered_calls import MOST, GatheredCalls

NAME: ContextVar[str] = ContextVar("name")


@given(st.lists(st.booleans(), max_size=80), st.integers(1, 3))
def test_each_call_has_its_own_result_error_and_context(fails: list[bool], threads: int):
    most, lock = [0, 0], threading.Lock()

    def work(number: int) -> tuple[int, str]:
        with lock:
            most[0] += 1
            most[1] = max(most)
        try:
            if fails[number]:
                raise ValueError(number)
            return number, NAME.get()
        finally:
            with lock:
                most[0] -= 1

    async def ask(calls: GatheredCalls, number: int) -> tuple[int, str]:
        NAME.set(f"name {number}")
        return await calls.call(work, number)

    async def main() -> list[object]:
        calls = GatheredCalls(threads)
        asked = [asyncio.create_task(ask(calls, number)) for number in range(len(fails))]
        return await asyncio.gather(*asked, return_exceptions=True)

    for number, found in enumerate(asyncio.run(main())):
        if fails[number]:
            assert isinstance(found, ValueError)
            assert found.args == (number,)
        else:
            assert found == (number, f"name {number}")
    assert most[1] <= threads


def test_calls_that_wait_share_a_trip_and_a_cancelled_one_is_not_made():
    gate, made, threads = threading.Event(), list[int](), set[int]()

    def work(number: int) -> None:
        made.append(number)
        threads.add(threading.get_ident())
        if number == 0:
            assert gate.wait(30)

    async def main() -> None:
        calls = GatheredCalls(1)
        asked = [asyncio.create_task(calls.call(work, number)) for number in range(MOST)]
        await asyncio.sleep(0)
        asked[3].cancel()
        await asyncio.wait([asked[3]])
        gate.set()
        await asyncio.wait(asked)
        with pytest.raises(asyncio.CancelledError):
            await asked[3]

    asyncio.run(main())
    assert made == [number for number in range(MOST) if number != 3]
    assert len(threads) == 1
