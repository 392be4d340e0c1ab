"""Which of the ready steps starts next, and that none of them starves."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.runtime.queue.ready_queue import AGEING, ReadyQueue

LENGTHS = st.sampled_from([1.0, 2.0, 2.0, 5.0]) | st.floats(0, 100)
ARRIVE_OR_TAKE = st.lists(LENGTHS.map(lambda length: ("arrive", length)) | st.integers(1, 4).map(lambda n: ("take", n)))


class Queue:
    """A queue of steps that are only numbers, by the lengths of their paths."""

    def __init__(self) -> None:
        self.lengths: list[float] = []
        self._queue: Any = ReadyQueue(lambda number: self.lengths[number])  # type: ignore[index]

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def waiting(self) -> list[int]:
        return list(self._queue)

    def arrive(self, length: float) -> int:
        self.lengths.append(length)
        self._queue.add(len(self.lengths) - 1)
        return len(self.lengths) - 1

    def put_back(self, number: int) -> None:
        self._queue.put_back(number)

    def take(self, free: int = 1) -> int:
        taken: int = self._queue.take(free)
        return taken

    def take_all(self) -> list[int]:
        return [self.take() for _ in range(len(self))]


def test_the_longest_path_comes_first_and_of_equal_ones_the_first():
    queue = Queue()
    for length in (1, 3, 2, 3, 1):
        queue.arrive(length)
    assert queue.take_all() == [1, 3, 2, 0, 4]


def test_steps_that_all_have_a_slot_are_not_measured():
    queue: Any = ReadyQueue(lambda node: 1 / 0)
    for number in range(3):
        queue.add(number)
    assert [queue.take(free) for free in (3, 2, 1)] == [0, 1, 2]


def test_an_interrupted_step_comes_before_all_others():
    queue = Queue()
    for length in (1, 9, 3):
        queue.arrive(length)
    again = queue.take()
    queue.put_back(again)
    assert queue.take_all() == [1, 2, 0]


def test_a_short_step_is_not_overtaken_for_ever():
    queue = Queue()
    short = queue.arrive(1)
    taken = []
    while short not in taken:
        queue.arrive(100)
        taken.append(queue.take())
    assert len(taken) == AGEING


@given(ARRIVE_OR_TAKE)
def test_no_step_starves(actions: list[tuple[str, Any]]):
    """A step that `n` others wait before is one of the next `AGEING * (n + 1)` that are taken."""
    queue = Queue()
    latest: dict[int, int] = {}
    taken = 0

    def arrive(length: float) -> None:
        number = queue.arrive(length)
        latest[number] = taken + AGEING * len(queue)

    def take(free: int) -> int:
        nonlocal taken
        taken += 1
        number = queue.take(free)
        assert taken <= latest[number]
        return number

    for action, value in actions:
        if action == "arrive":
            arrive(value)
        elif queue:
            take(value)
    left = set(queue.waiting)
    while left:  # although what arrives comes before all of them
        arrive(1000)
        left.discard(take(1))
        assert all(taken <= latest[number] for number in left)


@given(ARRIVE_OR_TAKE)
def test_every_step_is_taken_once_and_of_equal_paths_the_first_comes_first(actions: list[tuple[str, Any]]):
    queue = Queue()
    taken = []
    for action, value in actions:
        if action == "arrive":
            queue.arrive(value)
        elif queue:
            before = queue.waiting
            number = queue.take(value)
            assert number == next(n for n in before if queue.lengths[n] == queue.lengths[number])
            taken.append(number)
    taken += queue.take_all()
    assert sorted(taken) == list(range(len(queue.lengths)))


def test_what_was_taken_by_age_is_forgotten():
    queue = Queue()
    queue.arrive(100)
    for number in range(10_000):
        queue.arrive(1 + number / 10_000)
        queue.arrive(100)
        queue.take()
        queue.take()
    kept = sum(map(len, queue._queue._ranked.values()))
    assert kept < 3 * len(queue) + 200
