"""What a running tool reports reaches the journal from any thread, not too often, and never after its end."""

import asyncio
import math
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator.journal.payload import Payload
from orchestrator.runtime.run.tool_context import PROGRESS_INTERVAL, StepContext
from orchestrator.tools import Permissions

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Reports:
    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []

    def report(self, path: str, attempt: int, payload: Payload) -> None:
        self.all.append((payload.type, payload.to_data()))


def context(reports: Reports, tmp_path: Path) -> StepContext:
    return StepContext(
        reports,
        run_id="r",
        idempotency_key="r:a[2].b",
        step="a[2].b",
        attempt=3,
        directory=tmp_path,
        permissions=Permissions(directory=tmp_path),
        loop=asyncio.get_running_loop(),
    )


async def test_progress_that_comes_fast_is_joined(tmp_path: Path) -> None:
    reports = Reports()
    one = context(reports, tmp_path)
    for step in range(1000):
        one.progress(step / 1000, f"{step}")
    assert [data["message"] for _, data in reports.all] == ["0"]
    await asyncio.sleep(PROGRESS_INTERVAL * 2)  # what is tested is that the rest comes after a while
    assert [data["message"] for _, data in reports.all] == ["0", "999"]


@pytest.mark.parametrize(
    ("given", "kept"), [(-1, 0.0), (7, 1.0), (math.nan, None), (None, None), (1.30000216e-07, 0.0), (1 / 3, 0.3333)]
)
async def test_a_fraction_lies_between_0_and_1_and_has_four_digits(
    given: float | None, kept: float | None, tmp_path: Path
) -> None:
    reports = Reports()
    context(reports, tmp_path).progress(given)
    assert reports.all == [("step.progress", {"fraction": kept, "message": ""})]


async def test_a_thread_can_report(tmp_path: Path) -> None:
    reports = Reports()
    one = context(reports, tmp_path)
    thread = threading.Thread(target=lambda: (one.progress(0.5, "half"), one.log("hello", "warning")))
    thread.start()
    thread.join()
    await asyncio.sleep(0)
    assert [type for type, _ in reports.all] == ["step.progress", "step.log"]


async def test_what_an_abandoned_attempt_reports_is_ignored(tmp_path: Path) -> None:
    reports = Reports()
    one = context(reports, tmp_path)
    one.progress(0.1)
    one.progress(0.2)
    one.end()
    one.progress(0.3)
    one.log("late")
    await asyncio.sleep(PROGRESS_INTERVAL * 2)  # as above
    assert [data.get("fraction") for _, data in reports.all] == [0.1]
