"""Workers are killed at random while they execute many runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.runtime.support import PATIENCE
from tests.workers.chaos import Chaos

if TYPE_CHECKING:
    from pathlib import Path


def test_runs_lose_nothing_and_do_nothing_twice_when_their_workers_are_killed(url: str, tmp_path: Path) -> None:
    chaos = Chaos(url, tmp_path, seed=7)
    try:
        chaos.submit(12)
        for number in range(6):
            chaos.open()
            chaos.wait_for_progress()
            chaos.halt() if number == 3 else chaos.kill()
        outcome = chaos.finish(4 * PATIENCE)
    finally:
        chaos.close()
    assert outcome.wrong == []
