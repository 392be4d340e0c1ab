"""Why a step stands where it stands, in words: of every way in which a step can come to run, or not to."""

from __future__ import annotations

import asyncio
import getpass
from typing import TYPE_CHECKING

import pytest

import orchestrator as orc
from tests.runtime.support import Bench, crash, ended, pipeline, step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def told(run: orc.Run, path: str) -> tuple[str, list[str]]:
    """The state, and the kinds and texts of the reasons."""
    why = run.why(path)
    assert [reason.at for reason in why.reasons] == sorted(
        (reason.at for reason in why.reasons), key=lambda at: (at is None, at)
    )
    return why.state, [f"{reason.kind}: {reason.text}" for reason in why.reasons]


def last(client: orc.Orchestrator) -> orc.Run:
    return client.get_run("last")


def test_a_step_ran_because_what_it_waits_for_had_ended(client: orc.Orchestrator):
    client.compile(
        pipeline(step("a"), step("b"), step("c", "echo", "a", "b"), step("d", "echo", "c", condition="1 < 2"))
    ).run()
    run = last(client)
    assert told(run, "a") == ("succeeded", ["ran: it ran at once, because it depends on no other step"])
    assert told(run, "c") == ("succeeded", ["ran: it ran after `a` and `b` had ended"])
    assert told(run, "d") == ("succeeded", ["ran: it ran after `c` had ended; its condition `1 < 2` was true"])


def test_a_skipped_step_names_its_condition_or_who_jumped_over_it(client: orc.Orchestrator):
    client.compile(
        pipeline(
            step("a", on_success="d"),
            step("b"),
            step("c", "echo", "b"),
            step("d"),
            step("e", condition="1 > 2"),
            step("f", "fail", retryable=False, on_failure="h"),
            step("g", "echo", "f"),
            step("h"),
        )
    ).run()
    run = last(client)
    assert told(run, "e") == ("skipped", ["skipped: its condition `1 > 2` was false"])
    assert told(run, "b") == ("skipped", ["skipped: `a` jumped over it: its `on_success` continues at `d`"])
    assert told(run, "g") == ("skipped", ["skipped: `f` jumped over it: its `on_failure` continues at `h`"])
    assert told(run, "f")[1][-1] == "failed: it failed: it broke; its `on_failure` continues at `h`"


def test_each_further_attempt_names_the_failure_of_the_one_before(client: orc.Orchestrator, bench: Bench):
    bench.failures["a"] = 2
    client.compile(pipeline(step("a", "flaky", retry={"max_attempts": 3, "delay": 0}))).run()
    assert told(last(client), "a") == (
        "succeeded",
        [
            "ran: it ran at once, because it depends on no other step",
            "waiting: attempt 1 failed and is retried: 2 failures left",
            "ran: attempt 2: it ran again because attempt 1 failed: 2 failures left",
            "waiting: attempt 2 failed and is retried: 1 failures left",
            "ran: attempt 3: it ran again because attempt 2 failed: 1 failures left",
        ],
    )


def test_what_did_not_begin_says_what_was_before_it(client: orc.Orchestrator):
    group = {"id": "g", "steps": [step("x"), step("y", "echo", "x")], "dependencies": ["a"]}
    ended(client.compile(pipeline(step("a", "fail", retryable=False), step("b", "echo", "a"), group)))
    run = last(client)
    assert told(run, "b") == ("pending", ["pending: the run failed before it started: `a` failed"])
    assert told(run, "g.y") == ("pending", ["pending: `g`, which contains it, has not started"])


def test_a_step_that_must_wait_names_what_for(client: orc.Orchestrator, bench: Bench):
    run = (
        client.compile(pipeline(step("a", "gate"), step("b", "echo", "a"), step("c", "gate")))
        .with_options(max_parallel=1)
        .start()
    )
    bench.wait_for("a")
    assert told(run, "b") == ("pending", ["pending: it waits for `a`"])
    assert told(run, "c") == (
        "pending",
        ["pending: it is ready, and waits for a free slot: `max_parallel` steps are running"],
    )
    run.pause()
    bench.open("a")
    run.wait()
    assert told(run, "b")[1] == ["pending: the run is paused"]
    bench.open("c")
    run.resume()
    run.result()


def again_after_a_cancellation(run: orc.Run, client: orc.Orchestrator, bench: Bench) -> None:
    run.cancel(reason="too slow")
    run.wait()


def again_after_a_crash(run: orc.Run, client: orc.Orchestrator, bench: Bench) -> None:
    crash(client, run)


def again_after_a_pause(run: orc.Run, client: orc.Orchestrator, bench: Bench) -> None:
    run.pause(now=True)
    run.wait()


@pytest.mark.parametrize(
    ("stop", "cause"),
    [
        (again_after_a_cancellation, "it had been cancelled, and the run was resumed"),
        (again_after_a_crash, "the process that ran it ended before it did"),
        (again_after_a_pause, "a pause interrupted it"),
    ],
)
def test_a_step_that_ran_again_names_what_had_stopped_it(
    client: orc.Orchestrator, bench: Bench, stop: Callable[[orc.Run, orc.Orchestrator, Bench], None], cause: str
):
    calls = 0

    @orc.tool
    async def once() -> str:
        nonlocal calls
        calls += 1
        if calls == 1:
            bench.entered["b"].set()
            await asyncio.Event().wait()
        return "done"

    with orc.Orchestrator(directory=client.directory, tools=[*bench.tools(), once]) as other:
        run = other.compile(pipeline(step("a"), step("b", "once", "a"))).start()
        bench.wait_for("b")
        stop(run, other, bench)
        other.resume(run.id)
        run.result()
        assert told(run, "a")[1] == ["ran: it ran at once, because it depends on no other step"]
        state, reasons = told(run, "b")
        assert (state, calls) == ("succeeded", 2)
        assert reasons[-1].endswith(f"it ran again because {cause}")


def test_a_step_that_had_failed_ran_again_when_the_run_was_resumed(client: orc.Orchestrator, bench: Bench):
    bench.failures["a"] = 1
    ended(client.compile(pipeline(step("a", "flaky"))))
    client.resume(last(client).id).result()
    assert told(last(client), "a")[1] == [
        "ran: it ran at once, because it depends on no other step",
        "failed: it failed: 1 failures left",
        "ran: it ran again because it had failed, and the run was resumed",
    ]


def test_a_step_that_was_to_be_done_again_names_which_one(client: orc.Orchestrator):
    client.compile(pipeline(step("a"), step("b", "echo", "a"))).run()
    run = client.retry(last(client).id, "a")
    run.result()
    me = getpass.getuser()
    assert f"it ran again because {me} retried `a`" in told(run, "a")[1][-1]
    assert f"it ran again because {me} retried `a`" in told(run, "b")[1][-1]


def test_a_question_says_what_it_asks_and_that_somebody_answered(client: orc.Orchestrator):
    run = client.compile(pipeline({"id": "ok", "ask": "Go on?"}, step("b", "echo", "ok"))).start()
    run.wait()
    assert told(run, "ok") == ("waiting", ["waiting: it asks: Go on?"])
    assert told(run, "b") == ("pending", ["pending: it waits for `ok`"])
    run.answer("ok", "yes")
    run.result()
    assert [text.partition(":")[0] for text in told(run, "ok")[1]] == ["waiting", "answered"]


def test_items_and_steps_in_loops_have_reasons_of_their_own(client: orc.Orchestrator):
    loop = {"id": "l", "for_each": [1, 2], "steps": [step("x"), step("y", condition="item > 1")]}
    client.compile(pipeline(loop, {"id": "own", "for_each": [1], "tool": "echo"})).run()
    run = last(client)
    assert told(run, "l[1]") == ("succeeded", ["ran: its steps ran"])
    assert told(run, "l[1].x") == ("succeeded", ["ran: it ran when `l[1]` started"])
    assert told(run, "l[0].y") == ("skipped", ["skipped: its condition `item > 1` was false"])
    assert told(run, "own[0]")[0] == "succeeded"
    assert told(run, "l[7].x") == ("pending", ["pending: `l`, which contains it, ended without it"])


@pytest.mark.parametrize(
    ("path", "help"),
    [
        ("l.x", "`l.x` is in a loop: name the item, as in `l[0].x`"),
        ("q", "see its steps with: orc.get_run("),
        ("firts", "did you mean `first`?"),
        ("l[0].z", "see its steps with"),
        ("first[0]", "see its steps with"),
        ("a..b", "see its steps with"),
    ],
)
def test_a_path_that_is_none_is_refused(client: orc.Orchestrator, path: str, help: str):
    client.compile(pipeline(step("first"), {"id": "l", "for_each": [1], "steps": [step("x")]})).run()
    with pytest.raises(orc.RunError) as caught:
        last(client).why(path)
    assert caught.value.code == "ORC809"
    assert help in caught.value.advice


def test_the_reasons_are_json_data(client: orc.Orchestrator):
    client.compile(pipeline(step("a"))).run()
    data = last(client).why("a").to_dict()
    assert (data["path"], data["state"], data["compared"]) == ("a", "succeeded", None)
    assert set(data["reasons"][0]) == {"kind", "text", "at"}


def test_what_stands_beside_the_steps_has_reasons_too(client: orc.Orchestrator, tmp_path: Path):
    aside = "error_handlers: {tool: fail}\nfinally: [{id: f, tool: echo}, {id: g, tool: echo, dependencies: [f]}]\n"
    (tmp_path / "sub.yaml").write_text(f"steps: [{{id: x, tool: fail}}]\n{aside}", encoding="utf-8")
    (tmp_path / "p.yaml").write_text(f"steps: [{{id: s, pipeline: sub.yaml}}]\n{aside}", encoding="utf-8")
    ended(client.compile(tmp_path / "p.yaml"))
    for path in ("error_handlers[0].handle", "finally.g", "s.error_handlers[0].handle", "s.finally.g"):
        assert told(last(client), path)[1]
