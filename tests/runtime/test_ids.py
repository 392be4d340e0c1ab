"""Run ids are unique, short, and sort by the time of their making."""

from concurrent.futures import ThreadPoolExecutor

from orchestrator.runtime.ids import new_run_id


def test_ids_sort_in_the_order_of_their_making() -> None:
    ids = [new_run_id() for _ in range(5000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_ids_are_twenty_lower_case_letters_and_digits() -> None:
    assert all(len(id) == 20 and id.isascii() and id.isalnum() and id == id.lower() for id in [new_run_id()] * 10)


def test_threads_never_share_an_id() -> None:
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: new_run_id(), range(4000)))
    assert len(set(ids)) == len(ids)
