"""Questions to people, waiting for a time, what was under way at a crash, and stopping for good."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.tools import Permissions
from tests.runtime.support import PATIENCE, Bench, crash, ended, states

if TYPE_CHECKING:
    from orchestrator.journal import Lease, Owner

ASK = """
steps:
  - {id: a, tool: echo, parameters: {value: 3}}
  - {id: q, ask: {prompt: "More than {{ a }}?", type: integer, minimum: 4}}
  - {id: b, tool: echo, parameters: {value: "{{ q + a }}"}}
outputs: {b: "{{ b }}"}
"""

APPROVE = """
steps:
  - {id: q, approve: {title: Publish?, content: a draft, allow_editing: true}}
  - {id: b, tool: echo, condition: q, parameters: {value: "{{ q.content }}, {{ q.comment }}"}}
outputs: {q: "{{ q }}", b: "{{ b }}"}
"""


def waiting(run: orc.Run) -> Any:
    """The question that the run waits for."""
    status = run.wait(timeout=PATIENCE)
    assert status.state == "waiting"
    return next(one for one in status.active if one.question)


def test_a_run_waits_for_an_answer_and_goes_on_with_it(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(ASK).start()
    active = waiting(run)
    assert (active.path, active.state, active.question["kind"]) == ("q", "waiting", "ask")
    assert active.question["prompt"] == "More than 3?"
    assert bench.calls == ["a"]
    run.answer("q", 5)
    assert run.result().outputs == {"b": 8}


@pytest.mark.parametrize("wrong", [3, "five", None, 5.5, True])
def test_an_answer_that_does_not_fit_is_refused_and_the_question_stays(client: orc.Orchestrator, wrong: Any) -> None:
    run = client.compile(ASK).start()
    waiting(run)
    with pytest.raises(orc.InputError) as refused:
        run.answer("q", wrong)
    assert refused.value.code == "ORC605"
    assert run.status().state == "waiting"
    run.answer("q", 4)
    assert run.result().outputs == {"b": 7}


@pytest.mark.parametrize("path", ["a", "b", "nothing"])
def test_an_answer_to_a_question_that_nobody_asked_is_refused(client: orc.Orchestrator, path: str) -> None:
    run = client.compile(ASK).start()
    waiting(run)
    with pytest.raises(orc.OrchestratorError) as refused:
        run.answer(path, 5)
    assert refused.value.code == "ORC606"
    run.cancel()
    assert run.wait().state == "cancelled"


def test_an_answer_is_one_of_the_choices(client: orc.Orchestrator) -> None:
    run = client.compile(
        "inputs: {of: {type: array, default: [red, blue]}}\n"
        "steps: [{id: q, ask: {prompt: Which?, choices: '{{ of }}'}}]\noutputs: {q: '{{ q }}'}"
    ).start()
    assert waiting(run).question["choices"] == ["red", "blue"]
    with pytest.raises(orc.InputError):
        run.answer("q", "green")
    run.answer("q", "blue")
    assert run.result().outputs == {"q": "blue"}


def test_a_question_waits_without_any_process(client: orc.Orchestrator, bench: Bench, tmp_path: Path) -> None:
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools()) as first:
        run_id = first.compile(ASK).start().id
        waiting(first.get_run(run_id))
    assert client.get_run(run_id).status().state == "waiting"
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools()) as second:
        second.get_run(run_id).answer("q", 6)
    assert bench.calls == ["a"] or bench.calls == ["a", "b"]
    run = client.get_run(run_id)
    if run.status().state != "succeeded":
        run.resume()
    assert run.result().outputs == {"b": 9}
    assert bench.calls == ["a", "b"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (True, {"q": True, "b": "a draft, "}),
        (False, {"q": False, "b": None}),
        ({"approved": True, "content": "better", "comment": "shorter"}, {"q": True, "b": "better, shorter"}),
    ],
)
def test_something_is_approved_or_not_or_edited(
    client: orc.Orchestrator, answer: Any, expected: dict[str, Any]
) -> None:
    run = client.compile(APPROVE).start()
    question = waiting(run).question
    assert (question["kind"], question["prompt"], question["content"]) == ("approve", "Publish?", "a draft")
    run.answer("q", answer)
    assert run.result().outputs == expected


def test_what_may_not_be_edited_is_not(client: orc.Orchestrator) -> None:
    run = client.compile(APPROVE.replace(", allow_editing: true", "")).start()
    waiting(run)
    with pytest.raises(orc.InputError):
        run.answer("q", {"approved": True, "content": "better"})
    run.answer("q", {"approved": True, "comment": "fine"})
    assert run.result().outputs == {"q": True, "b": "a draft, fine"}


@pytest.mark.parametrize(
    ("question", "outcome"),
    [
        ("ask: {prompt: N?, type: integer, default: 7}", 7),
        ("approve: {title: Go?, default: false}", False),
    ],
)
def test_when_nobody_answers_in_time_the_default_counts(client: orc.Orchestrator, question: str, outcome: Any) -> None:
    result = ended(client.compile(f"steps: [{{id: q, {question}, timeout: 0.01}}]\noutputs: {{q: '{{{{ q }}}}'}}"))
    assert result.outputs == {"q": outcome}


def test_when_nobody_answers_in_time_and_there_is_no_default_the_step_fails(client: orc.Orchestrator) -> None:
    result = ended(client.compile("steps: [{id: q, ask: How many?, timeout: 0.01}]"))
    assert result.error is not None
    assert (result.state, result.error["code"], result.error["step"]) == ("failed", "ORC702", "q")


def test_what_does_not_need_the_answer_goes_on_meanwhile(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile(
        "steps: [{id: q, ask: Well?}, {id: x, tool: gate}, {id: y, tool: echo, dependencies: [x]}]"
    ).start()
    bench.wait_for("x")
    assert run.status().state == "running"
    bench.open("x")
    waiting(run)
    assert bench.calls == ["x", "y"]
    run.answer("q", "yes")
    assert run.result().state == "succeeded"


def test_each_item_of_a_loop_asks_for_itself(client: orc.Orchestrator) -> None:
    run = client.compile(
        "steps: [{id: l, for_each: [a, b], steps: [{id: q, ask: 'And {{ item }}?'}]}]\noutputs: {l: '{{ l }}'}"
    ).start()
    status = run.wait(timeout=PATIENCE)
    questions = {one.path: one.question["prompt"] for one in status.active if one.question}
    assert questions == {"l[0].q": "And a?", "l[1].q": "And b?"}
    run.answer("l[1].q", "two")
    assert run.wait(timeout=PATIENCE).state == "waiting"
    run.answer("l[0].q", "one")
    assert run.result().outputs == {"l": ["one", "two"]}


def test_a_waiting_run_can_be_cancelled(client: orc.Orchestrator) -> None:
    run = client.compile(ASK).start()
    waiting(run)
    run.cancel(reason="no longer needed")
    assert run.wait().state == "cancelled"


# --- time


@pytest.mark.parametrize(
    "wait",
    [
        "sleep: 0",
        "sleep: 0s",
        "sleep: '{{ zero }}'",
        "wait_until: '2020-02-02T02:02:02Z'",
        "wait_until: '2020-02-02'",
        "wait_until: '{{ past }}'",
        "wait_until: '{{ zero }}'",
    ],
)
def test_what_is_past_is_not_waited_for(client: orc.Orchestrator, wait: str) -> None:
    result = ended(
        client.compile(
            "inputs: {zero: {type: integer, default: 0}, past: {type: string, default: '2020-02-02T02:02'}}\n"
            f"steps: [{{id: w, {wait}}}, {{id: b, tool: echo, dependencies: [w]}}]\noutputs: {{w: '{{{{ w }}}}'}}"
        )
    )
    assert result.outputs == {"w": None}
    assert states(result) == {"w": "succeeded", "b": "succeeded"}


@pytest.mark.parametrize("wait", ["sleep: '{{ no }}'", "wait_until: '{{ no }}'"])
def test_what_is_no_time_is_a_failure(client: orc.Orchestrator, wait: str) -> None:
    result = ended(client.compile(f"inputs: {{no: {{default: soon}}}}\nsteps: [{{id: w, {wait}}}]"))
    assert result.error is not None
    assert (result.state, result.error["code"], result.error["step"]) == ("failed", "ORC718", "w")


def test_a_wait_goes_on_where_it_was_after_a_restart(client: orc.Orchestrator, bench: Bench, tmp_path: Path) -> None:
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools()) as first:
        run = first.compile("steps: [{id: w, sleep: 0.2}, {id: b, tool: echo, dependencies: [w]}]").start()
        event = next(event for event in run.events() if event.type == "step.waiting")
    until = event.data["until"]
    assert client.get_run(run.id).status().state == "interrupted"
    client.resume(run.id).result(timeout=PATIENCE)
    deadlines = {one.data["until"] for one in run_events(client, run.id) if one.type == "step.waiting"}
    assert deadlines == {until}
    assert time.time() >= until


def run_events(client: orc.Orchestrator, run_id: str) -> list[Any]:
    return list(client.get_run(run_id).events(follow=False))


# --- what was under way


def crashed(client: orc.Orchestrator, bench: Bench, on_resume: str) -> orc.Run:
    run = client.compile(
        f"steps: [{{id: a, tool: echo}}, {{id: b, tool: gate, dependencies: [a], on_resume: {on_resume}, "
        "parameters: {value: 1}}]\noutputs: {b: '{{ b }}'}"
    ).start()
    bench.wait_for("b")
    crash(client, run)
    bench.open("b")
    return run


def test_a_step_that_was_under_way_is_run_again(client: orc.Orchestrator, bench: Bench) -> None:
    run = crashed(client, bench, "rerun")
    assert client.resume(run.id).result().outputs == {"b": 1}
    assert bench.calls == ["a", "b", "b"]


def test_a_step_that_must_not_be_run_again_fails(client: orc.Orchestrator, bench: Bench) -> None:
    run = crashed(client, bench, "fail")
    with pytest.raises(orc.RunFailed) as failed:
        client.resume(run.id).result()
    assert failed.value.result.error["code"] == "ORC716"
    assert bench.calls == ["a", "b"]
    # Who resumes a failed run wants it to go on: the step is run now.
    assert client.resume(run.id).result().outputs == {"b": 1}


@pytest.mark.parametrize("again", [True, False])
def test_a_person_decides_whether_a_step_is_run_again(client: orc.Orchestrator, bench: Bench, again: bool) -> None:
    run = crashed(client, bench, "ask")
    resumed = client.resume(run.id)
    assert waiting(resumed).question["kind"] == "resume"
    assert bench.calls == ["a", "b"]
    resumed.answer("b", again)
    result = resumed.wait(timeout=PATIENCE)
    assert result.state == ("succeeded" if again else "failed")
    assert bench.calls == (["a", "b", "b"] if again else ["a", "b"])


def test_every_attempt_of_a_step_has_one_key_of_its_own(client: orc.Orchestrator, tmp_path: Path) -> None:
    keys: list[tuple[str, str, str]] = []

    @orc.tool
    async def pay(context: orc.ToolContext, key: str) -> None:
        keys.append((context.step, context.idempotency_key, key))
        if len(keys) in (1, 2, 4):
            raise orc.StepError("not now")

    with orc.Orchestrator(directory=tmp_path, tools=[pay]) as other:
        text = """
        steps:
          - id: l
            for_each: [1, 2]
            max_parallel: 1
            retry: {max_attempts: 2, delay: 0}
            tool: pay
            parameters: {key: "{{ step.idempotency_key }}"}
        """
        failed = ended(other.compile(text))
        other.resume(failed.run_id).result()
    assert [step for step, *_ in keys] == ["l[0]"] * 3 + ["l[1]"] * 2
    assert all(one == read for _, one, read in keys)
    assert len({(step, key) for step, key, _ in keys}) == len({key for _, key, _ in keys}) == 2


# --- pausing and stopping


def test_pausing_now_interrupts_what_runs_and_requeues_it(client: orc.Orchestrator, bench: Bench) -> None:
    run = client.compile("steps: [{id: a, tool: report, parameters: {fraction: 0.5, message: m}}]").start()
    bench.wait_for("a")
    run.pause(now=True)
    assert run.wait(timeout=PATIENCE).state == "paused"
    assert [event.type for event in run_events(client, run.id) if event.path == "a"][-1] == "step.requeued"
    bench.open("a")
    run.resume()
    assert run.result().state == "succeeded"
    assert run.result().steps["a"].attempts == 1 or bench.entered["a"].is_set()


# What is ignored stays ignored in the programs that a shell starts.
STUBBORN = """\
trap '' TERM INT
sleep 1000 &
echo "$$ $!" > pids
exec sleep 1000
"""


@pytest.mark.parametrize("end", ["cancel", "timeout", "sibling"])
def test_a_program_that_ignores_being_asked_is_dead_when_its_step_has_ended(
    bench: Bench, tmp_path: Path, end: str
) -> None:
    (tmp_path / "stubborn.sh").write_text(STUBBORN)
    os.mkfifo(tmp_path / "pids")
    timeout = "timeout: 2, " if end == "timeout" else ""
    text = f"""
    steps:
      - {{id: s, tool: terminal, {timeout}parameters: {{command: [sh, stubborn.sh]}}}}
      - {{id: g, tool: gate}}
      - {{id: f, tool: fail, dependencies: [g]}}
    """
    permissions = Permissions(tmp_path, allow_run=True)
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools(), permissions=permissions) as client:
        run = client.compile(text).start()
        pids = written_to(tmp_path / "pids")  # it waits until the program has begun
        if end == "cancel":
            run.cancel()
        elif end == "sibling":
            bench.open("g")
        state = run.wait(timeout=PATIENCE).state
        still_there = [pid for pid in pids if alive(pid)]
        bench.open("g")
    assert state == ("cancelled" if end == "cancel" else "failed")
    assert not still_there


def written_to(fifo: Path) -> list[int]:
    """The numbers of the line that comes out of the named pipe, which is there within the patience of the tests."""
    pipe = os.open(fifo, os.O_RDWR)  # to open it for reading alone would wait for a writer, for ever if it needs be
    try:
        assert select.select([pipe], [], [], PATIENCE)[0], f"nothing was written to {fifo.name}"
        return [int(number) for number in os.read(pipe, 1000).split()]
    finally:
        os.close(pipe)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- memory


MEASURED = """
import resource, sys, orchestrator as orc

@orc.tool
async def square(n: int) -> dict[str, object]:
    return {"square": n * n, "text": f"row {n} " * 20}

text = '''
steps:
  - id: l
    for_each: {file: rows.jsonl}
    max_parallel: 16
    on_item_failure: continue
    tool: square
    parameters: {n: "{{ item.n }}"}
outputs: {count: "{{ l.count }}", failed: "{{ l.failed }}"}
'''
with orc.Orchestrator(directory=sys.argv[1], tools=[square]) as client:
    run = client.compile(text).start()
    status = run.wait()
    assert status.state == "succeeded", status.error
    print(status.total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
ROWS = 100_000
MEGABYTES = 60
"""What 100 times as many rows may cost more: without the outputs, some bytes a row."""


def measured(directory: Path, rows: int) -> int:
    """The most memory in KiB that a loop over so many rows needs, in a process of its own."""
    directory.mkdir()
    with (directory / "rows.jsonl").open("w") as file:
        file.writelines(f'{{"n": {n}}}\n' for n in range(rows))
    done = subprocess.run([sys.executable, "-c", MEASURED, str(directory)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    total, peak = done.stdout.split()
    assert total == "1"
    return int(peak)


def test_a_loop_over_a_long_file_needs_hardly_more_memory_than_over_a_short_one(tmp_path: Path) -> None:
    short = measured(tmp_path / "short", 1_000)
    long = measured(tmp_path / "long", ROWS)
    assert long - short < MEGABYTES * 1024


@pytest.mark.parametrize("late", ["answer", "cancel"])
@pytest.mark.parametrize("resumed", [False, True])
def test_who_acts_on_a_run_just_after_somebody_answered_is_told_and_changes_nothing(
    client: orc.Orchestrator, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: str, resumed: bool
) -> None:
    with orc.Orchestrator(directory=tmp_path, tools=bench.tools()) as first:
        run = first.compile("steps: [{id: q, ask: N?}]\noutputs: {q: '{{ q }}'}").start()
        assert run.wait(timeout=PATIENCE).state == "waiting"
    store = client.backend.engine.store
    acquire = store.acquire

    def just_too_late(run_id: str, owner: Owner) -> Lease:
        monkeypatch.undo()
        with orc.Orchestrator(directory=tmp_path, tools=bench.tools()) as other:
            other.get_run(run_id).answer("q", "mine")
            if resumed:
                assert other.resume(run_id).wait(timeout=PATIENCE).state == "succeeded"
        return acquire(run_id, owner)

    monkeypatch.setattr(store, "acquire", just_too_late)
    again = client.get_run(run.id)
    if late == "answer" or resumed:
        with pytest.raises(orc.RunError) as caught:
            again.answer("q", "yours") if late == "answer" else again.cancel()
        assert caught.value.code == ("ORC606" if late == "answer" else "ORC804")
        if not resumed:
            client.resume(run.id)
        assert again.result().outputs == {"q": "mine"}
    else:
        again.cancel()
        assert again.status().state == "cancelled"
    types = [event.type for event in again.events(follow=False)]
    assert types.count("step.answered") == 1
