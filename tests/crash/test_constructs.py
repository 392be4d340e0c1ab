"""Each construct is killed in its middle, while one step of it is held, and goes on in another process."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

import orchestrator as orc
from orchestrator.journal import Store
from tests.crash.conftest import PATIENCE
from tests.crash.worker import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.crash.conftest import Forge


@dataclass(frozen=True)
class Case:
    """A pipeline; the steps that are held when its process is killed; all calls, but for the second ones of those.

    `redone` are the calls that are made again besides: what is begun anew by definition.
    """

    text: str
    held: tuple[str, ...]
    calls: tuple[str, ...]
    outputs: dict[str, Any]
    redone: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    gates: tuple[str, ...] = ()

    def is_gate(self, path: str) -> bool:
        """Whether the step at this path is held until the test lets it end."""
        return path.endswith("g") or path in self.held or path in self.gates


def add(id: str, *numbers: Any, more: str = "") -> str:
    """A step that adds, and one."""
    values = ", ".join(f'"{{{{ {one} }}}}"' if isinstance(one, str) else str(one) for one in numbers)
    return f"{{id: {id}, tool: add, parameters: {{numbers: [{values}]}}{more}}}"


def total(id: str, *numbers: Any) -> str:
    """A step without effects that adds."""
    return add(id, *numbers).replace("tool: add", "tool: total")


def gate(id: str, value: str = "1", more: str = "") -> str:
    """A step that is held until the test lets it end."""
    return f'{{id: {id}, tool: gate, parameters: {{value: "{{{{ {value} }}}}"}}{more}}}'


def agent(*turns: Any, check: str | None = None, **more: Any) -> str:
    """A pipeline whose one step is an agent; its model is told what to say in each turn."""
    step: dict[str, Any] = {
        "id": "r",
        "action": "agent",
        "model": "ollama:m",
        "tools": more.pop("tools", ["add", "gate"]),
        "prompt": json.dumps(turns),
    }
    step["parameters"] = more
    if check is not None:
        step["check"] = check
    return json.dumps({"steps": [step], "outputs": {"r": "{{ r }}"}})


ADD = ["add", {"numbers": [1, 2]}]
SECOND = ", condition: 'index == 1'"

CASES = {
    "steps without effects before one with effects": Case(
        f"steps: [{total('a', 1)}, {total('b', 'a')}, {add('c', 'b')}, {total('d', 'c')}, {gate('g', 'd')}, "
        f"{total('e', 'g')}, {total('f', 'e')}]\noutputs: {{f: '{{{{ f }}}}'}}",
        ("g",),
        ("a", "b", "c", "d", "g", "e", "f"),
        {"f": 2},
    ),
    "steps without effects in blocks": Case(
        f"steps: [{{id: l, for_each: [1, 2], max_parallel: 1, steps: [{total('x', 'item')}, {total('y', 'x')}]}}, "
        f"{{id: p, parallel: [{total('u', 'l.count')}, {add('v', 'l.count')}]}}, {gate('g', 'p.u')}, "
        f"{total('e', 'g', 'p.v')}]\noutputs: {{e: '{{{{ e }}}}'}}",
        ("g",),
        ("l[0].x", "l[0].y", "l[1].x", "l[1].y", "p.u", "p.v", "g", "e"),
        {"e": 5},
    ),
    "for_each over a list": Case(
        f"steps: [{{id: l, for_each: [1, 2, 3], max_parallel: 1, steps: [{add('x', 'item')}, "
        f"{gate('g', 'x', SECOND)}, {add('y', 'x', 'g | default(0, true)')}]}}]\noutputs: {{l: '{{{{ l }}}}'}}",
        ("l[1].g",),
        ("l[0].x", "l[0].y", "l[1].x", "l[1].g", "l[1].y", "l[2].x", "l[2].y"),
        {"l": [3, 7, 5]},
    ),
    "for_each with several items under way": Case(
        f"steps: [{{id: l, for_each: [1, 2, 3], max_parallel: 2, steps: [{gate('g', 'item')}]}}]\n"
        "outputs: {l: '{{ l }}'}",
        ("l[0].g", "l[1].g"),
        ("l[0].g", "l[1].g", "l[2].g"),
        {"l": [1, 2, 3]},
    ),
    "for_each with an action of its own": Case(
        f"steps: [{{id: l, for_each: {{range: 3}}, max_parallel: 1, {gate('x', 'item').partition(', ')[2]}]\n"
        "outputs: {l: '{{ l }}', n: '{{ l.count }}'}",
        ("l[0]",),
        ("l[0]", "l[1]", "l[2]"),
        {"l": [0, 1, 2], "n": 3},
        gates=("l[1]", "l[2]"),
    ),
    "for_each over a file": Case(
        f"steps: [{{id: l, for_each: {{file: rows.jsonl}}, max_parallel: 1, steps: [{add('x', 'item.n')}, "
        f"{gate('g', 'x', SECOND)}]}}]\noutputs: {{n: '{{{{ l.count }}}}'}}",
        ("l[1].g",),
        ("l[0].x", "l[1].x", "l[1].g", "l[2].x"),
        {"n": 3},
        files={"rows.jsonl": '{"n": 1}\n{"n": 2}\n{"n": 3}\n'},
    ),
    "for_each within for_each": Case(
        "steps: [{id: l, for_each: [10, 20], as: ten, max_parallel: 1, steps: [{id: m, for_each: [1, 2], "
        f"max_parallel: 1, steps: [{add('x', 'ten', 'item')}, "
        f"{gate('g', 'x', ', condition: ten + item == 21')}]}}, {add('y', 'm | length')}]}}]\n"
        "outputs: {l: '{{ l }}'}",
        ("l[1].m[0].g",),
        ("l[0].m[0].x", "l[0].m[1].x", "l[0].y", "l[1].m[0].x", "l[1].m[0].g", "l[1].m[1].x", "l[1].y"),
        {"l": [3, 3]},
    ),
    "while with large accumulators": Case(
        "steps: [{id: w, while: iteration < 5, initial: {notes: '{{ range(500) }}', log: '{{ \"x\" * 2000 }}'}, "
        "update: {notes: '{{ notes + [y] }}', log: '{{ log ~ y }}'}, steps: ["
        f"{add('x', 'iteration')}, {gate('g', 'x', ', condition: iteration == 3')}, {add('y', 'x', 'g or 0')}]}}]\n"
        "outputs: {notes: '{{ w.notes[500:] }}', n: '{{ w.notes | length }}', log: '{{ w.log[2000:] }}'}",
        ("w[3].g",),
        tuple(f"w[{n}].{id}" for n in range(5) for id in ("x", "g", "y") if id != "g" or n == 3),
        {"notes": [2, 3, 4, 9, 6], "n": 505, "log": "23496"},
    ),
    "while": Case(
        "steps: [{id: w, while: total < 9, initial: {total: 1}, update: {total: '{{ total + y }}'}, steps: ["
        f"{add('x', 'previous.y or 0')}, {gate('g', 'x', ', condition: iteration == 2')}, "
        f"{add('y', 'x', 'g or 0')}]}}]\n"
        "outputs: {w: '{{ w.iterations }}', total: '{{ w.total }}'}",
        ("w[2].g",),
        ("w[0].x", "w[0].y", "w[1].x", "w[1].y", "w[2].x", "w[2].g", "w[2].y"),
        {"w": [2, 4, 11], "total": 18},
    ),
    "until": Case(
        f"steps: [{{id: u, until: y > 3, steps: [{gate('g', 'iteration')}, {add('y', 'g', 'previous.y or 0')}]}}]\n"
        "outputs: {u: '{{ u.iterations }}'}",
        ("u[1].g",),
        ("u[0].g", "u[0].y", "u[1].g", "u[1].y", "u[2].g", "u[2].y"),
        {"u": [1, 3, 6]},
    ),
    "agent, while its model answers": Case(
        agent([ADD], [ADD, ADD], "seen:"),
        ("r[1].answer",),
        ("r[0].answer", "r[0].add", "r[1].answer", "r[1].add", "r[1].add_2", "r[2].answer"),
        {"r": "seen: 4 4 4"},
    ),
    "agent, in a call": Case(
        agent([ADD], [ADD, ["gate", {"value": 7}]], "seen:", parallel=False),
        ("r[1].gate",),
        ("r[0].answer", "r[0].add", "r[1].answer", "r[1].add", "r[1].gate", "r[2].answer"),
        {"r": "seen: 4 4 7"},
    ),
    "agent, in several calls": Case(
        agent([["gate", {"value": 7}], ["gate", {"value": 8}]], "seen:"),
        ("r[0].gate", "r[0].gate_2"),
        ("r[0].answer", "r[0].gate", "r[0].gate_2", "r[1].answer"),
        {"r": "seen: 7 8"},
    ),
    "agent, in a pipeline that it calls": Case(
        agent([ADD, ["other", {"n": 5}]], "seen:", tools=["add", {"pipeline": "other.yaml"}], parallel=False),
        ("r[0].other.g",),
        ("r[0].answer", "r[0].add", "r[0].other.x", "r[0].other.g", "r[0].other.y", "r[1].answer"),
        {"r": 'seen: 4 {"o": 7}'},
        files={
            "other.yaml": "inputs: {n: {type: integer}}\n"
            f"steps: [{add('x', 'n')}, {gate('g', 'x')}, {add('y', 'g')}]\noutputs: {{o: '{{{{ y }}}}'}}\n"
        },
    ),
    "agent, after an answer that was refused": Case(
        agent([ADD], "bad", "seen:", check="'bad' not in output", parallel=False),
        ("r[2].answer",),
        ("r[0].answer", "r[0].add", "r[1].answer", "r[2].answer"),
        {"r": "seen: 4"},
    ),
    "switch": Case(
        f"steps: [{add('a', 1)}, {{id: s, switch: '{{{{ a }}}}', cases: {{'2': [{add('x', 'a')}, {gate('g', 'x')}, "
        f"{add('y', 'g')}]}}, default: [{add('z', 0)}]}}]\noutputs: {{s: '{{{{ s }}}}'}}",
        ("s.g",),
        ("a", "s.x", "s.g", "s.y"),
        {"s": 4},
    ),
    "parallel that waits for one": Case(
        f"steps: [{{id: p, wait_for: 2, parallel: [{add('x', 1)}, {gate('g', 'x')}, {gate('never', 'x')}]}}, "
        f"{add('z', 'p.x')}]\n"
        "outputs: {p: '{{ p }}', z: '{{ z }}'}",
        ("p.g", "p.never"),
        ("p.x", "p.g", "p.never", "z"),
        {"p": {"x": 2, "g": 2, "never": None}, "z": 3},
    ),
    "group": Case(
        f"steps: [{{id: g, steps: [{add('x', 1)}, {gate('h', 'x')}, {add('y', 'h')}]}}]\n"
        "outputs: {g: '{{ g }}', x: '{{ g.x }}'}",
        ("g.h",),
        ("g.x", "g.h", "g.y"),
        {"g": 3, "x": 2},
    ),
    "called pipeline": Case(
        f"steps: [{add('a', 1)}, {{id: s, pipeline: ./other.yaml, inputs: {{n: '{{{{ a }}}}'}}}}]\n"
        "outputs: {o: '{{ s.o }}'}",
        ("s.g",),
        ("a", "s.x", "s.g", "s.y"),
        {"o": 4},
        files={
            "other.yaml": "inputs: {n: {type: integer}}\n"
            f"steps: [{add('x', 'n')}, {gate('g', 'x')}, {add('y', 'g')}]\noutputs: {{o: '{{{{ y }}}}'}}\n"
        },
    ),
    "a second attempt": Case(
        "steps: [{id: a, tool: second, retry: {max_attempts: 2, delay: 0}}]\noutputs: {a: '{{ a }}'}",
        ("a",),
        ("a", "a"),
        {"a": 2},
    ),
    "finally": Case(
        f"steps: [{add('a', 1)}]\nfinally: [{add('x', 'a')}, {gate('g', 'x')}, {add('y', 'g')}]\n"
        "outputs: {a: '{{ a }}'}",
        ("finally.g",),
        ("a", "finally.x", "finally.g", "finally.y"),
        {"a": 2},
        redone=("finally.x",),  # it is begun anew by whoever goes on
    ),
    "handler of an error": Case(
        f"steps: [{add('b', 1)}, {{id: a, tool: broken, parameters: {{value: '{{{{ b }}}}'}}, "
        f"on_error: {{steps: [{add('x', 'b')}, {gate('g', 'x')}]}}}}, {add('c', 'a')}]\noutputs: {{c: '{{{{ c }}}}'}}",
        ("a.on_error[0].g",),
        ("b", "a", "a.on_error[0].x", "a.on_error[0].g", "c"),
        {"c": 4},
        redone=("a", "a.on_error[0].x"),  # a handler belongs to the attempt that failed
    ),
    "cache": Case(
        f"steps: [{add('a', 1, more=', cache: true')}, {gate('g', 'a')}, "
        f"{add('b', 1, more=', dependencies: [g], cache: true')}]\n"
        "outputs: {b: '{{ b }}'}",
        ("g",),
        ("a", "g"),  # what `a` gave is taken for `b`, too
        {"b": 2},
    ),
}


@pytest.fixture(autouse=True)
def _patience() -> Iterator[None]:
    """Have a test fail that waits for a step which is never begun."""

    def give_up(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)


def prepare(directory: Path, case: Case) -> None:
    for name, text in {"pipeline.yaml": case.text, **case.files}.items():
        (directory / name).write_text(text)
    for path in filter(case.is_gate, dict.fromkeys(case.calls)):
        os.mkfifo(directory / path)


def calls(directory: Path) -> list[str]:
    return (directory / "calls").read_text().split()


def held(directory: Path, path: str) -> Any:
    """Return when the step waits at its gate; it ends when the returned file is closed, or its process."""
    return (directory / path).open("wb")


def ends(directory: Path, run_id: str) -> list[tuple[str, str]]:
    """What has succeeded, in order; the events have no gap."""
    with Store.open(f"sqlite:///{directory}/.orchestrator/runs.db") as store:
        events = store.events(run_id, limit=10_000)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    return [(event.path, event.type) for event in events if event.type in ("step.succeeded", "step.skipped")]


@pytest.mark.parametrize("name", CASES)
def test_a_construct_killed_in_its_middle_goes_on(forge: Forge, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    prepare(tmp_path, case)
    worker = forge.start(tmp_path)
    said = worker.read()
    assert said is not None
    for path in list(case.calls):  # the gates before the ones that are held
        if path in case.held:
            break
        if case.is_gate(path):
            held(tmp_path, path).close()
    gates = [held(tmp_path, path) for path in case.held]
    worker.kill()
    for one in gates:
        one.close()
    before, done = calls(tmp_path), ends(tmp_path, said["run"])
    again = forge.start(tmp_path, resume=said["run"])
    assert again.read() == said
    gates = {path: held(tmp_path, path) for path in case.held}
    after = case.calls[case.calls.index(case.held[-1]) + 1 :]
    for path, one in gates.items():
        if "never" not in path:
            one.close()
    for path in after:
        if case.is_gate(path) and path not in gates:
            held(tmp_path, path).close()
    assert again.read() == {"outputs": case.outputs}
    again.join()
    for one in gates.values():
        one.close()
    made = calls(tmp_path)
    assert made[: len(before)] == before
    assert Counter(made) == Counter(case.calls) + Counter(case.held) + Counter(case.redone)
    assert not {path for path, type in done if type == "step.succeeded"} & set(made[len(before) :]) - set(case.redone)
    assert ends(tmp_path, said["run"])[: len(done)] == done
    if len(case.held) == 1:
        order = list(dict.fromkeys(made))
        assert order == list(dict.fromkeys(case.calls))


ASKING = """
steps:
  - {id: a, tool: add, parameters: {numbers: [1]}}
  - {id: q, %s, dependencies: [a]}
  - {id: g, tool: gate, dependencies: [a]}
  - {id: b, tool: gate, parameters: {value: ["{{ q }}", "{{ q.content }}"]}, dependencies: [g]}
outputs: {b: "{{ b }}"}
"""


@pytest.mark.parametrize(
    ("question", "answer", "seen"),
    [
        ("ask: {prompt: How many?, type: integer}", 5, 5),
        ("approve: {title: Go?, content: draft, allow_editing: true}", {"approved": True, "content": "x"}, True),
    ],
)
def test_a_question_outlives_its_process(forge: Forge, tmp_path: Path, question: str, answer: Any, seen: Any) -> None:
    text = ASKING % question
    (tmp_path / "pipeline.yaml").write_text(text if "approve" in question else text.replace(', "{{ q.content }}"', ""))
    for name in ("g", "b"):
        os.mkfifo(tmp_path / name)
    worker = forge.start(tmp_path)
    said = worker.read()
    assert said is not None
    with orc.Orchestrator(directory=tmp_path, tools=TOOLS) as client:
        run = client.get_run(said["run"])
        next(event for event in run.events() if event.type == "step.waiting")
        with held(tmp_path, "g"):
            worker.kill()
        status = run.status()
        assert status.state in ("interrupted", "waiting")
        assert [one.path for one in status.active if one.question] == ["q"]
    worker = forge.start(tmp_path, resume=said["run"])
    worker.read()
    held(tmp_path, "g").close()
    assert worker.read() == {"error": "ORC807"}  # it waits, and its process has ended
    worker.join()
    with orc.Orchestrator(directory=tmp_path, tools=TOOLS) as client:
        run = client.get_run(said["run"])
        assert run.status().state == "waiting"
        run.answer("q", answer)
    worker = forge.start(tmp_path, resume=said["run"])
    worker.read()
    with held(tmp_path, "b"):
        worker.kill()  # once more, after the answer was taken
    worker = forge.start(tmp_path, resume=said["run"])
    worker.read()
    held(tmp_path, "b").close()
    assert worker.read() == {"outputs": {"b": [seen, "x"] if "approve" in question else [seen]}}
    worker.join()
    assert Counter(calls(tmp_path)) == Counter(a=1, g=2, b=2)


def test_an_approval_of_a_call_outlives_its_process(forge: Forge, tmp_path: Path) -> None:
    tools = ["add", {"tool": "gate", "approve": "arguments.value > 5"}]
    (tmp_path / "pipeline.yaml").write_text(agent([ADD, ["gate", {"value": 7}]], "seen:", tools=tools))
    os.mkfifo(tmp_path / "r[0].gate")
    worker = forge.start(tmp_path)
    said = worker.read()
    assert said is not None
    assert worker.read() == {"error": "ORC807"}  # it waits, and its process has ended
    worker.join()
    with orc.Orchestrator(directory=tmp_path, tools=TOOLS) as client:
        run = client.get_run(said["run"])
        assert [one.path for one in run.status().active if one.question] == ["r[0].gate_approval"]
        run.answer("r[0].gate_approval", {"approved": True, "content": {"value": 6}})
        worker = forge.start(tmp_path, resume=said["run"])
        worker.read()
        with held(tmp_path, "r[0].gate"):
            next(one for one in run.events() if one.type == "step.succeeded" and one.path == "r[0].add")
            worker.kill()  # in the call that was approved; the one beside it has ended
    worker = forge.start(tmp_path, resume=said["run"])
    worker.read()
    held(tmp_path, "r[0].gate").close()
    note = 'note: a person changed the arguments to {"value": 6}'
    assert worker.read() == {"outputs": {"r": f"seen: 4 {note}\n6"}}
    worker.join()
    assert Counter(calls(tmp_path)) == Counter({"r[0].answer": 1, "r[0].add": 1, "r[0].gate": 2, "r[1].answer": 1})


def test_a_wait_outlives_its_process(forge: Forge, tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(
        "steps: [{id: a, tool: add, parameters: {numbers: [1]}}, {id: w, sleep: 0.3, dependencies: [a]}, "
        "{id: b, tool: add, parameters: {numbers: ['{{ a }}']}, dependencies: [w]}]\noutputs: {b: '{{ b }}'}"
    )
    worker = forge.start(tmp_path)
    said = worker.read()
    assert said is not None
    with orc.Orchestrator(directory=tmp_path, tools=TOOLS) as client:
        run = client.get_run(said["run"])
        until = next(event for event in run.events() if event.type == "step.waiting").data["until"]
        worker.kill()
        assert run.status().state == "interrupted"
        worker = forge.start(tmp_path, resume=said["run"])
        worker.read()
        assert worker.read() == {"outputs": {"b": 3}}
        worker.join()
        events = list(run.events())
    assert {event.data["until"] for event in events if event.type == "step.waiting"} == {until}
    assert next(event.at for event in events if event.path == "w" and event.type == "step.succeeded") >= until
    assert calls(tmp_path) == ["a", "b"]


@pytest.mark.parametrize(
    ("on_resume", "end", "made"),
    [("rerun", {"outputs": {"b": 1}}, 2), ("fail", {"error": "ORC805"}, 1), ("ask", {"error": "ORC807"}, 1)],
)
def test_a_call_that_its_process_did_not_outlive_is_known_however_short_it_was(
    forge: Forge, tmp_path: Path, on_resume: str, end: dict[str, Any], made: int
) -> None:
    (tmp_path / "pipeline.yaml").write_text(
        f"steps: [{add('a', 1)}, {{id: b, tool: deadly, dependencies: [a], on_resume: {on_resume}}}]\n"
        "outputs: {b: '{{ b }}'}"
    )
    worker = forge.start(tmp_path)
    worker.read()
    assert worker.read() is None
    worker.join()
    again = forge.start(tmp_path, resume="last")
    again.read()
    assert again.read() == end
    again.join()
    assert Counter(calls(tmp_path)) == Counter(a=1, b=made)
