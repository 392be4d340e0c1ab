"""Where a run stands, from its events alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.journal import Event, EventType, RunFold, RunStatus, fold, fold_all, status_of, step_records
from orchestrator.paths import is_at_or_below
from tests.journal.support import event, story


def at_end(events: list[Event]) -> RunStatus:
    return status_of(fold_all(events), events[-1].at)


def counts(status: RunStatus) -> dict[str, int]:
    return {state: number for state, number in status.counts.items() if number}


def test_a_new_run_is_running_with_all_steps_pending():
    status = at_end(story(total=4))
    assert (status.state, status.progress, counts(status)) == ("running", 0.0, {"pending": 4})
    assert (status.pipeline, status.name, status.total) == ("p", "P", 4)


def test_progress_counts_ended_steps_and_the_fractions_of_running_ones():
    status = at_end(
        story(
            ("step.started", "a", 1),
            ("step.succeeded", "a", 1, {"output": 1}),
            ("step.skipped", "b", 0, {"reason": "condition"}),
            ("step.started", "c", 1),
            ("step.progress", "c", 1, {"fraction": 0.5, "message": "page 4 of 8"}),
        )
    )
    assert status.progress == pytest.approx(2.5 / 4)
    assert counts(status) == {"pending": 1, "running": 1, "succeeded": 1, "skipped": 1}
    (running,) = status.running
    assert (running.path, running.attempt, running.fraction, running.message) == ("c", 1, 0.5, "page 4 of 8")
    assert running.elapsed == 1.0


def test_a_step_between_two_attempts_is_waiting_with_a_reason():
    facts = [
        ("step.started", "a", 1),
        ("step.waiting", "a", 1, {"reason": "retry", "until": 1009.5, "error": {"message": "no"}}),
    ]
    status = at_end(story(*facts))
    assert (status.active[0].state, status.active[0].waiting_until) == ("waiting", 1009.5)
    assert status.running == ()
    assert status.waiting_on == ("a: retry",)
    status = at_end(story(*facts, ("step.started", "a", 2)))
    assert (counts(status), status.active[0].attempt) == ({"pending": 3, "running": 1}, 2)


def test_a_failure_that_the_run_continues_after_is_counted_and_listed():
    status = at_end(
        story(("step.started", "a", 1), ("step.failed", "a", 1, {"error": {"message": "no"}, "handled": "continue"}))
    )
    assert (status.state, status.failures, counts(status)) == ("running", ("a",), {"pending": 3, "failed": 1})


def test_a_failed_run_carries_its_error_and_stops_its_clock():
    error = {"code": "ORC701", "message": "no", "step": "a", "attempt": 1}
    facts = story(
        ("step.started", "a", 1),
        ("step.started", "b", 1),
        ("step.failed", "a", 1, {"error": error, "handled": "fail"}),
        ("step.cancelled", "b", 1, {"reason": "`a` failed"}),
        ("run.failed", "", 0, {"error": error, "step": "a"}),
    )
    status = status_of(fold_all(facts), facts[-1].at + 100)
    assert (status.state, status.error, status.ended) == ("failed", error, True)
    assert counts(status) == {"pending": 2, "failed": 1, "cancelled": 1}
    assert status.elapsed == facts[-1].at - facts[1].at
    assert status.active == ()


def test_resuming_resets_what_was_not_settled():
    facts = story(
        ("step.started", "a", 1),
        ("step.succeeded", "a", 1),
        ("step.started", "b", 1),
        ("step.failed", "b", 1, {"handled": "continue"}),
        ("step.started", "c", 1),
        ("step.failed", "c", 1, {"handled": "fail"}),
        ("step.started", "d", 1),
        ("step.cancelled", "d", 1),
        ("run.failed", "", 0, {"error": {"message": "no"}, "step": "c"}),
        ("run.started", "", 0, {"owner": "other", "resumed": True}),
        total=6,
    )
    status = at_end(facts)
    assert (status.state, status.error, status.ended_at) == ("running", None, None)
    assert counts(status) == {"pending": 4, "succeeded": 1, "failed": 1}
    assert status.failures == ("b",)


def test_a_step_in_flight_at_a_crash_is_pending_after_resuming():
    status = at_end(story(("step.started", "a", 1), ("run.started", "", 0, {"resumed": True})))
    assert counts(status) == {"pending": 4}


def test_elapsed_excludes_pauses_and_the_time_between_a_crash_and_the_resume():
    events = [
        event(1, "run.created", steps=1),
        Event("r", 2, 10.0, "run.started"),
        Event("r", 3, 13.0, "run.paused", data={"by": "ann"}),
        Event("r", 4, 50.0, "run.resumed"),
        Event("r", 5, 54.0, "step.started", "a", 1),
        Event("r", 6, 90.0, "run.started", data={"resumed": True}),
        Event("r", 7, 95.0, "run.succeeded"),
    ]
    assert status_of(fold_all(events), 1000.0).elapsed == 3 + 4 + 5
    paused = status_of(fold_all(events[:3]), 40.0)
    assert (paused.state, paused.elapsed) == ("paused", 3.0)
    assert paused.waiting_on == ("a resume: paused by ann",)


@pytest.mark.parametrize(
    ("type", "path"), [("run.cancelled", ""), ("run.paused", ""), ("step.answered", "q")], ids=lambda each: each
)
def test_the_time_in_which_no_process_executed_a_run_is_not_worked(type: EventType, path: str):
    events = [
        event(1, "run.created", steps=2),
        Event("r", 2, 10.0, "run.started"),
        Event("r", 3, 11.0, "step.waiting", "q", 1, {"reason": "human", "question": {"kind": "ask"}}),
        Event("r", 4, 12.0, "step.started", "a", 1),
        Event("r", 5, 15.0, "step.progress", "a", 1),
        Event("r", 6, 5_000.0, type, path, data={"idle": True}),
    ]
    interrupted = status_of(fold_all(events[:5]), 4_000.0, interrupted=True)
    assert (interrupted.state, interrupted.elapsed) == ("interrupted", 4.0)
    assert status_of(fold_all(events), 6_000.0, interrupted=True).elapsed == 4.0
    resumed = [*events, Event("r", 7, 9_000.0, "run.started", data={"resumed": True})]
    works = 2.0 if type == "step.answered" else 0.0  # otherwise it waits for the answer
    assert status_of(fold_all(resumed), 9_002.0).elapsed == 4.0 + works


def test_the_clock_of_a_pause_stops_when_the_last_running_step_has_ended():
    events = [
        event(1, "run.created", steps=2),
        Event("r", 2, 10.0, "run.started"),
        Event("r", 3, 11.0, "step.started", "a", 1),
        Event("r", 4, 12.0, "run.paused", data={"by": "ann"}),
        Event("r", 5, 20.0, "step.succeeded", "a", 1),
        Event("r", 6, 50.0, "run.resumed"),
        Event("r", 7, 55.0, "run.succeeded"),
    ]
    assert [status_of(fold_all(events[:n]), 30.0).elapsed for n in (4, 5)] == [20.0, 10.0]
    assert status_of(fold_all(events), 100.0).elapsed == 10 + 5


def test_a_cancelled_run_has_its_reason_until_it_is_resumed():
    facts = [("step.started", "a", 1), ("step.cancelled", "a", 1), ("run.cancelled", "", 0, {"reason": "too slow"})]
    status = at_end(story(*facts))
    assert (status.state, status.reason, status.done, status.progress) == ("cancelled", "too slow", 0, 0.0)
    assert at_end(story(*facts, ("run.started", "", 0, {"resumed": True}))).reason == ""


def test_the_clock_of_an_interrupted_run_stops_at_its_last_event():
    events = story(("step.started", "a", 1))
    status = status_of(fold_all(events), events[-1].at + 500, interrupted=True)
    assert (status.state, status.elapsed) == ("interrupted", 1.0)
    assert status.active[0].elapsed == 0.0


def test_an_unknown_event_type_changes_nothing():
    events = story(("step.started", "a", 1))
    unknown: Any = "step.dreamt"
    status = at_end([*events, event(len(events) + 1, unknown, "a", 1)])
    assert counts(status) == {"pending": 3, "running": 1}
    assert status.last_seq == len(events) + 1


def test_a_status_is_json_data_with_the_running_steps():
    status = at_end(
        story(("step.started", "a", 1), ("step.waiting", "a", 1, {"reason": "retry"}), ("step.started", "b", 1))
    )
    data = json.loads(json.dumps(status.to_dict()))
    assert [step["path"] for step in data["active"]] == ["a", "b"]
    assert [step["path"] for step in data["running"]] == ["b"]
    assert data["counts"]["running"] == 1


# --- properties


def called(tokens: int, cost: int | None) -> dict[str, Any]:
    """The data of a call of a model. Such costs are sums of binary fractions, so that adding them up is exact."""
    usage = {"input": tokens, "output": 1, "cached": 0, "reasoning": 0, "requests": 1}
    return {"model": "openai:m", "usage": usage, "cost": None if cost is None else cost / 64, "error": None}


PATHS = ["a", "b", "c", "d"]
_path = st.sampled_from([*PATHS, "a.x", "b[0]", "b[0].y", "b[1].y", "b[1].y.z", "d.on_error[0].h", "finally.f"])
_facts = st.one_of(
    st.tuples(
        st.sampled_from(
            [
                "step.started",
                "step.succeeded",
                "step.skipped",
                "step.cancelled",
                "step.answered",
                "step.requeued",
                "step.log",
                "step.running",
            ]
        ),
        _path,
        st.integers(1, 3),
        st.just({}),
    ),
    st.tuples(
        st.just("step.started"),
        _path,
        st.just(0),
        st.fixed_dictionaries(
            {"kind": st.sampled_from(["for_each", "group"]), "done": st.just(0), "failed": st.just(0)},
            optional={"of": st.integers(0, 3)},
        ),
    ),
    st.tuples(
        st.just("step.progress"),
        _path,
        st.just(1),
        st.fixed_dictionaries({"fraction": st.floats(0, 1), "message": st.text(max_size=3)}),
    ),
    st.tuples(
        st.just("step.waiting"),
        _path,
        st.just(1),
        st.fixed_dictionaries(
            {"reason": st.sampled_from(["retry", "human", "time", "60 requests a minute"]), "until": st.none()},
            optional={"question": st.just({"kind": "ask", "prompt": "?" * 250})},
        ),
    ),
    st.tuples(
        st.just("step.failed"),
        _path,
        st.just(1),
        st.fixed_dictionaries({"handled": st.sampled_from(["fail", "continue", "value", "jump"])}),
    ),
    st.tuples(
        st.sampled_from(["run.paused", "run.resumed", "run.cancelled"]), st.just(""), st.just(0), st.just({"by": "x"})
    ),
    st.tuples(
        st.just("step.model"),
        _path,
        st.just(1),
        st.builds(called, st.integers(0, 9), st.one_of(st.none(), st.integers(0, 9))),
    ),
    st.tuples(st.just("run.warning"), st.just(""), st.just(0), st.fixed_dictionaries({"message": st.text(max_size=1)})),
    st.tuples(
        st.just("run.notice"),
        st.just(""),
        st.just(0),
        st.fixed_dictionaries({"notice": st.sampled_from("abc"), "occasion": st.just("failed"), "to": st.just("us")}),
    ),
    st.tuples(
        st.just("run.notified"),
        st.just(""),
        st.just(0),
        st.fixed_dictionaries(
            {"notice": st.sampled_from("abc"), "error": st.sampled_from([None, {"code": "ORC821", "message": "no"}])}
        ),
    ),
    st.tuples(st.just("run.failed"), st.just(""), st.just(0), st.just({"error": {"message": "no"}})),
    st.tuples(st.just("run.succeeded"), st.just(""), st.just(0), st.just({"outputs": {}})),
    st.tuples(st.just("run.started"), st.just(""), st.just(0), st.fixed_dictionaries({"resumed": st.booleans()})),
    st.tuples(
        st.just("run.revised"),
        st.just(""),
        st.just(0),
        st.fixed_dictionaries({"reason": st.just("retry"), "forget": st.lists(_path, max_size=2)}),
    ),
)
stories = st.lists(_facts, max_size=40)


def lives(facts: list[tuple[Any, ...]]) -> list[Event]:
    """The facts as the events of one run, without those that follow a step's success or skip."""
    settled: dict[str, str] = {}
    kept = []
    for type, path, attempt, data in facts:
        if path and path in settled:
            continue
        if type == "run.revised":
            settled = {p: how for p, how in settled.items() if not touches(p, data["forget"])}
            tops = [how for p, how in settled.items() if p in PATHS]
            data |= {"settled": {how: tops.count(how) for how in ("succeeded", "skipped", "failed")}}
        if type in ("step.succeeded", "step.skipped") or data.get("handled", "fail") != "fail":
            settled[path] = type.removeprefix("step.")
        kept.append((type, path, attempt, data))
    return story(*kept, total=len(PATHS))


def touches(path: str, others: list[str]) -> bool:
    return any(is_at_or_below(path, other) or is_at_or_below(other, path) for other in others)


@given(stories, st.data())
@settings(max_examples=300)
def test_a_status_from_any_snapshot_and_the_rest_equals_that_from_all_events(facts, data):
    events = lives(facts)
    cut = data.draw(st.integers(0, len(events)))
    snapshot = RunFold.from_dict(json.loads(json.dumps(fold_all(events[:cut]).to_dict())))
    whole = fold_all(events)
    assert fold_all(events[cut:], snapshot) == whole
    assert status_of(snapshot, 5000.0) == status_of(whole, 5000.0)


@given(stories)
@settings(max_examples=300)
def test_counts_equal_those_of_remembering_every_step(facts):
    """The oracle keeps the state of every path for ever; the fold only what is active."""
    events = lives(facts)
    status = at_end(events)
    states: dict[str, str] = {}
    waits: dict[str, str] = {}
    for e in events:
        name = e.type.removeprefix("step.")
        if e.type == "run.started" and e.data.get("resumed"):
            for path, state in states.items():
                again = path.startswith("finally") or ".on_error[" in path
                outlives = state == "waiting" and waits[path] in ("human", "time") and not again
                if state not in ("succeeded", "skipped", "handled") and not outlives:
                    states[path] = "pending"
        elif e.type == "run.revised":
            states = {p: "pending" if touches(p, e.data["forget"]) else state for p, state in states.items()}
        elif name == "running":
            if states.get(e.path) == "waiting":
                states[e.path] = "running"
        elif name in ("waiting", "succeeded", "skipped", "cancelled", "failed", "started", "requeued"):
            if name in ("succeeded", "skipped", "cancelled", "failed", "requeued") or (
                name == "started" and not e.data.get("kind")
            ):
                for path, state in states.items():
                    if is_at_or_below(path, e.path) and state in ("running", "waiting"):
                        states[path] = "pending"
            waits[e.path] = e.data.get("reason", "")
            handled = name == "failed" and e.data["handled"] != "fail"
            renamed = {"started": "running", "requeued": "pending"}.get(name, name)
            states[e.path] = "handled" if handled else renamed
    if status.ended:
        states = {p: "pending" if state in ("running", "waiting") else state for p, state in states.items()}
    tops = ["failed" if states.get(p) == "handled" else states.get(p, "pending") for p in PATHS]
    assert status.counts == {state: tops.count(state) for state in status.counts}
    assert sum(status.counts.values()) == status.total
    assert 0.0 <= status.progress <= 1.0
    assert {step.path for step in status.active} == {p for p, s in states.items() if s in ("running", "waiting")}
    assert set(status.failures) == {p for p, s in states.items() if s == "handled"}


@given(stories)
@settings(max_examples=200)
def test_the_cost_of_models_is_the_sum_of_all_calls_also_of_failed_steps(facts):
    events = lives(facts)
    calls = [(e.path, e.data) for e in events if e.type == "step.model"]
    status = at_end(events)
    assert status.spending.calls == len(calls)
    assert status.usage.input == sum(data["usage"]["input"] for _, data in calls)
    assert status.spending.known_cost == sum(data["cost"] or 0 for _, data in calls)
    assert status.cost == (None if any(data["cost"] is None for _, data in calls) else status.spending.known_cost)
    for path, record in step_records(events).items():
        within = [data for at, data in calls if is_at_or_below(at, path)]
        assert (record.spending.calls, record.spending.usage.output) == (len(within), len(within))
        assert record.spending.known_cost == sum(data["cost"] or 0 for data in within)


def test_warnings_of_a_run_are_kept_once_each_and_up_to_a_limit():
    status = at_end(story(*(("run.warning", "", 0, {"message": f"look at {n % 30}"}) for n in range(60))))
    assert status.warnings == tuple(f"look at {n}" for n in range(20))


def test_the_latest_notices_are_part_of_the_status() -> None:
    told = [("run.notice", "", 0, {"notice": f"n{n}", "occasion": "waiting", "to": "us"}) for n in range(25)]
    ends = [
        ("run.notified", "", 0, {"notice": "n0", "to": "us"}),  # it is not kept any more
        ("run.notified", "", 0, {"notice": "n23", "to": "us"}),
        ("run.notified", "", 0, {"notice": "n24", "to": "us", "error": {"code": "ORC821", "message": "refused"}}),
    ]
    status = at_end(story(*told, *ends))
    assert [each.id for each in status.notices] == [f"n{n}" for n in range(5, 25)]
    assert [(each.state, each.error) for each in status.notices[-3:]] == [
        ("pending", ""),
        ("sent", ""),
        ("failed", "refused"),
    ]


def test_a_step_that_waited_for_a_model_call_continues_in_the_same_attempt():
    facts = [
        ("step.started", "a", 2),
        ("step.waiting", "a", 2, {"reason": "60 requests a minute", "until": 1009.5}),
    ]
    status = at_end(story(*facts))
    assert (status.active[0].state, status.waiting_on) == ("waiting", ("a: 60 requests a minute",))
    status = at_end(story(*facts, ("step.running", "a", 2)))
    assert (status.active[0].state, status.active[0].attempt, status.waiting_on) == ("running", 2, ())


def test_folding_changes_the_state_in_place():
    state = RunFold()
    assert fold(state, story()[0]) is state


# --- the record of each step


def test_a_record_of_a_step_has_everything_about_it():
    records = step_records(
        story(
            ("step.started", "a", 1),
            ("step.waiting", "a", 1, {"reason": "retry", "error": {"message": "once"}}),
            ("step.started", "a", 2),
            ("step.warning", "a", 2, {"message": "slow"}),
            ("step.succeeded", "a", 2, {"output": [1], "duration": 0.25}),
        )
    )
    record = records["a"]
    assert (record.state, record.attempts, record.output, record.error) == ("succeeded", 2, [1], None)
    assert (record.started_at, record.ended_at, record.duration) == (1003.0, 1007.0, 0.25)
    assert record.warnings == ["slow"]


def test_a_record_of_a_handled_failure_has_the_value_that_the_run_continued_with():
    error = {"message": "no"}
    records = step_records(
        story(("step.started", "a", 1), ("step.failed", "a", 1, {"error": error, "handled": "value", "value": 7}))
    )
    assert (records["a"].state, records["a"].output, records["a"].error) == ("failed", 7, error)
    assert records["a"].duration == 1.0


def test_records_of_unsettled_steps_are_reset_when_a_run_is_resumed():
    records = step_records(
        story(
            ("step.started", "a", 1),
            ("step.failed", "a", 1, {"error": {"message": "no"}, "handled": "fail"}),
            ("step.skipped", "b", 0, {"reason": "condition"}),
            ("run.started", "", 0, {"resumed": True}),
        )
    )
    assert (records["a"].state, records["a"].error) == ("pending", None)
    assert (records["b"].state, records["b"].reason) == ("skipped", "condition")


def test_handlers_of_an_earlier_owner_are_forgotten_until_the_error_recurs():
    failed = {"error": {"message": "no"}, "handled": "fail"}
    earlier = [
        ("step.started", "a.on_error[0].fix", 1),
        ("step.failed", "a.on_error[0].fix", 1, failed),
        ("step.failed", "a", 1, failed),
        ("step.cancelled", "l[3].b.on_error[1].c", 1, {"reason": "stopped"}),
        ("step.succeeded", "error_handlers[0].tell", 1, {"output": 1}),
        ("step.succeeded", "finally.clean", 1, {"output": 1}),
        ("run.started", "", 0, {"resumed": True}),
    ]
    assert {path: record.state for path, record in step_records(story(*earlier)).items()} == {
        "a": "pending",
        "finally.clean": "pending",
    }
    again = step_records(story(*earlier, ("step.started", "a.on_error[0].fix", 1)))
    assert again["a.on_error[0].fix"].state == "running"


def test_handler_steps_that_succeeded_are_forgotten_when_their_step_is_attempted_again():
    failed = {"error": {"message": "no"}, "handled": "fail"}
    handled = [
        ("step.started", "a", 1),
        ("step.waiting", "a", 1, {"reason": "handler", "error": {"message": "no"}}),
        ("step.started", "a.on_error[0].group", 1, {"kind": "group"}),
        ("step.succeeded", "a.on_error[0].group.tell", 1, {"output": 1}),
        ("step.succeeded", "a.on_error[0].group", 1, {"output": 1}),
    ]
    resumed = ("run.started", "", 0, {"resumed": True})
    for end in ([], [("step.waiting", "a.on_error[0].ask", 1, {"reason": "human"})], [("step.failed", "a", 1, failed)]):
        assert {path: record.state for path, record in step_records(story(*handled, *end, resumed)).items()} == {
            "a": "pending"
        }
    assert (
        fold_all(story(*handled, ("step.waiting", "a.on_error[0].ask", 1, {"reason": "human"}), resumed)).active == {}
    )
    paused = step_records(story(*handled, ("step.requeued", "a", 1, {"reason": "paused"}), ("step.started", "a", 1)))
    assert {path: record.state for path, record in paused.items()} == {"a": "running"}
    settled = step_records(story(*handled, ("step.failed", "a", 1, {**failed, "handled": "value"}), resumed))
    assert settled["a.on_error[0].group.tell"].state == "succeeded"


def test_steps_inside_a_settled_step_are_kept_when_a_run_is_resumed():
    failed = {"error": {"message": "no"}}
    records = step_records(
        story(
            ("step.succeeded", "l[0].call.finally.f", 1, {"output": 1}),
            ("step.succeeded", "l[0].call", 1, {"output": {}}),
            ("step.succeeded", "l[1].call.finally.f", 1, {"output": 2}),
            ("step.failed", "l[2].a", 1, {**failed, "handled": "fail"}),
            ("step.failed", "l[2]", 1, {**failed, "handled": "continue"}),
            ("step.cancelled", "p.slow", 1, {"reason": "enough other branches had succeeded"}),
            ("step.succeeded", "p", 1, {"output": {}}),
            ("step.failed", "l[3].a", 1, {**failed, "handled": "fail"}),
            ("step.succeeded", "finally.f", 1, {"output": 3}),
            ("run.started", "", 0, {"resumed": True}),
        )
    )
    again = {path for path, record in records.items() if record.state == "pending"}
    assert again == {"l[1].call.finally.f", "l[3].a", "finally.f"}
    assert (records["l[2].a"].state, records["p.slow"].state) == ("failed", "cancelled")
