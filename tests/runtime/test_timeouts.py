"""How long a run may take: by its file, by who starts it, and what of its time counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import orchestrator as orc
from orchestrator.journal import fold_all
from tests.journal.support import story
from tests.runtime.support import Bench, crash, ended, pipeline, step

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("in_file", "of_client", "of_run", "counts"),
    [
        ("20ms", None, None, "20ms"),
        ("2h", 0.03, None, "30ms"),
        ("2h", 7200, 0.04, "40ms"),
        (None, None, 0.05, "50ms"),
    ],
)
def test_the_nearest_timeout_counts(
    bench: Bench, tmp_path: Path, in_file: str | None, of_client: float | None, of_run: float | None, counts: str
) -> None:
    source = pipeline(step("a", "hang"), **({"timeout": in_file} if in_file else {}))
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools(), timeout=of_client) as client:
        with pytest.raises(orc.RunFailed) as caught:
            client.compile(source).with_options(timeout=of_run).start().result(timeout=20)
        error = caught.value.result.error
    assert (error["code"], error["message"]) == ("ORC819", f"the run took longer than its timeout of {counts}")


def test_a_run_that_is_resumed_after_its_time_was_up_has_it_again(client: orc.Orchestrator, bench: Bench) -> None:
    source = pipeline(step("a"), step("b", "gate", "a"), timeout="200ms")
    failed = ended(client.compile(source))
    assert failed.error is not None
    assert failed.error["code"] == "ORC819"
    bench.open("b")
    assert client.resume(failed.run_id).result(timeout=20).state == "succeeded"


def test_the_time_before_a_crash_counts(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(pipeline(step("a", "hang"), timeout="2h")).start()
    bench.wait_for("a")
    execution = client.backend.engine.execution(run.id)
    assert execution is not None
    execution.journal._state.spent += 7200  # as if it had worked for so long
    execution.journal.record("run.paused", data={"by": "me"})  # a change of the state is written down with all of it
    execution.journal.record("run.resumed", data={"by": "me"})
    assert execution.journal.worked[0] >= 7200
    crash(client, run)
    result = client.resume(run.id).wait(timeout=20)
    assert result.error is not None
    assert result.error["code"] == "ORC819"


def test_time_in_which_a_run_is_paused_or_waits_or_had_ended_does_not_count() -> None:
    question = {"reason": "human", "question": {"kind": "ask"}}
    state = fold_all(story(("step.started", "a", 1, {}), ("step.waiting", "a", 1, question)))
    assert (state.spent, state.since) == (2.0, None)
    state = fold_all(story(("run.failed", "", 0, {"error": {}}), ("run.started", "", 0, {"resumed": True})))
    assert state.before == state.spent == 1.0
    state = fold_all(story(("run.started", "", 0, {"resumed": True})))
    assert state.before == 0.0
