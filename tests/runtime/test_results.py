"""Results that are read while the run changes: what they say is true of one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

import orchestrator as orc
from orchestrator.runtime.host.follow import recorded_end
from tests.runtime.support import pipeline, step

if TYPE_CHECKING:
    from orchestrator import Run
    from tests.runtime.support import Bench


@pytest.fixture
def succeeded(client: orc.Orchestrator) -> Run:
    """A run that has succeeded."""
    run = client.compile(pipeline(step("a", "echo"), outputs={"text": "done"})).start()
    run.wait()
    return run


@pytest.mark.parametrize("ahead", [1, -1])
def test_a_status_whose_end_is_not_at_its_place_in_the_store_is_read_again(succeeded: Run, ahead: int):
    status = succeeded.status()
    result = succeeded.follower.result(replace(status, last_seq=status.last_seq + ahead))
    assert (result.state, result.outputs) == ("succeeded", {"text": "done"})
    assert result.log[-1].type == "run.succeeded"


def test_a_run_that_has_succeeded_here_but_not_yet_in_the_store_is_shown_as_recorded(
    client: orc.Orchestrator, bench: Bench
):
    run = client.compile(pipeline(step("a", "hang"), outputs={"text": "done"})).start()
    bench.wait_for("a")
    status = run.status()
    result = run.follower.result(replace(status, state="succeeded", last_seq=status.last_seq + 5))
    assert (result.state, result.outputs) == ("running", {})
    run.cancel()


def test_an_end_is_returned_with_the_status_that_it_belongs_to(client: orc.Orchestrator, succeeded: Run):
    store, before = client.backend.store, succeeded.status()
    client.retry(succeeded.id, "a").wait()
    for status in (before, succeeded.status()):
        agreed, end = recorded_end(store, status)
        assert end is not None
        assert (end.type, end.seq) == ("run.succeeded", agreed.last_seq)
        assert agreed == status


def test_a_run_that_is_removed_meanwhile_is_not_found(client: orc.Orchestrator, succeeded: Run):
    status = succeeded.status()
    client.prune(keep=0)
    with pytest.raises(orc.RunNotFound):
        succeeded.follower.result(status)
