"""Several questions in one step, who is asked, and when they are reminded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import orchestrator as orc
from orchestrator.cli.terminal import prompts
from orchestrator.errors import InputError
from orchestrator.journal.audience import is_same_question, may_answer, names_of, times_announced
from orchestrator.runtime.values import reminders
from orchestrator.runtime.values.answers import accepted, parsed_each, single_questions

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = """
inputs: {product: pots}
steps:
  - id: order
    ask:
      questions:
        count: {prompt: "How many {{ product }}?", type: integer, minimum: 1}
        delivery: {prompt: How fast?, choices: [slow, fast], default: slow}
        name: For whom?
outputs: {order: "{{ order }}", count: "{{ order.count }}"}
"""


def asked(run: orc.Run) -> dict[str, Any]:
    (step,) = [step for step in run.wait().active if step.question]
    return dict(step.question or {})


def test_several_questions_are_one_with_an_object_for_an_answer(tmp_path: Path) -> None:
    with orc.Orchestrator(directory=tmp_path) as client:
        run = client.compile(PIPELINE).start()
        question = asked(run)
        assert question["questions"] == ["count", "delivery", "name"]
        parts = single_questions(question)
        assert [part["prompt"] for part in parts.values()] == ["How many pots?", "How fast?", "For whom?"]
        for wrong, said in (
            ({"count": 0, "name": "Ada"}, "at least 1"),
            ({"count": 1}, "`name`"),
            ({"count": 1, "name": "Ada", "delivery": "soon"}, "slow"),
            ({"count": 1, "name": "Ada", "colour": "red"}, "`colour`"),
            ("two", "object"),
        ):
            with pytest.raises(InputError, match=said):
                run.answer("order", wrong)
        run.answer("order", {"count": 2, "name": "Ada"})
        order = {"count": 2, "name": "Ada", "delivery": "slow"}
        assert run.result().outputs == {"order": order, "count": 2}


@pytest.mark.parametrize(
    ("ask", "code", "said"),
    [
        ("{questions: {}}", "ORC202", "questions by name"),
        ("{questions: {a: 3}}", "ORC202", "question"),
        ("{type: integer, questions: {a: Who?}}", "ORC207", "does not apply to several questions"),
        ("{questions: {a: {prompt: x, questions: {b: y}}}}", "ORC213", "cannot be nested"),
        ("{questions: {a: {prompt: x, assignee: ada}}}", "ORC213", "applies to all of its questions"),
        ("{questions: {a: {type: integer}}}", "ORC203", "`prompt`"),
        ("{questions: {a: {prompt: x, choices: [1], type: string}}}", "ORC208", "a choice of `q.a`"),
        ("{questions: {a: {prompt: 'x {{ y }}'}}}", "ORC301", "`y`"),
        ("{prompt: x, escalate: {after: 5d}}", "ORC203", "has no `to`"),
        ("{prompt: x, escalate: {to: ada}}", "ORC203", "has no `after`"),
        ("{prompt: x, escalate: 5d}", "ORC202", "such as `{after: 5d, to: director}`"),
        ("{prompt: x, escalate: {after: 0, to: ada}}", "ORC205", "at once"),
        ("{prompt: x, remind: often}", "ORC206", "not a duration"),
        ("{prompt: x, remind: 0s}", "ORC205", "at once"),
        ("{prompt: x, remind: 2d, timeout: 1d}", "ORC205", "never takes effect: the `timeout` of the step is `1d`"),
        ("{prompt: x, remind: '{{ [1] }}'}", "ORC202", "`remind` of `q` must be a duration"),
        ("{prompt: x, assignee: []}", "ORC205", "names no one"),
        ("{prompt: x, assignee: [ada, ' ']}", "ORC205", "names no one"),
        ("{prompt: x, assignee: '{{ 1 }}'}", "ORC202", "`assignee` of `q` must be names"),
        ("{prompt: x, assignee: 5}", "ORC202", "`assignee` must be"),
    ],
)
def test_questions_are_checked_before_a_run(tmp_path: Path, ask: str, code: str, said: str) -> None:
    with orc.Orchestrator(directory=tmp_path) as client:
        found = client.check(f"steps: [{{id: q, ask: {ask}}}]\noutputs: {{q: '{{{{ q }}}}'}}\n").diagnostics
    assert code in [one.code for one in found]
    assert any(said in one.message for one in found), [one.message for one in found]


@pytest.mark.parametrize(
    ("step", "help"),
    [
        ("{id: a, tool: log, parameters: {message: x}, remind: 2d}", None),
        ("{id: a, ask: x, remind: 2d}", "write it below `ask:`: `ask: {prompt: ..., remind: ...}`"),
        ("{id: a, approve: x, assignee: ada}", "write it below `approve:`: `approve: {title: ..., assignee: ...}`"),
    ],
)
def test_who_is_asked_is_said_in_the_question(tmp_path: Path, step: str, help: str | None) -> None:
    with orc.Orchestrator(directory=tmp_path) as client:
        found = client.check(f"steps: [{step}]\n").diagnostics
    assert [one.code for one in found] == ["ORC201"]
    assert help is None or found[0].help == help


def test_the_fields_of_the_answers_are_known_to_the_compiler(tmp_path: Path) -> None:
    with orc.Orchestrator(directory=tmp_path) as client:
        found = client.check(PIPELINE.replace("order.count", "order.cuont")).diagnostics
    assert [one.code for one in found] == ["ORC303"]


def test_a_terminal_asks_one_after_another_goes_back_and_shows_all_for_a_review(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with orc.Orchestrator(directory=tmp_path) as client:
        question = asked(client.compile(PIPELINE).start())
    typed = iter(["none", "2", "back", "3", "", "Ada", "2", "fast", "maybe", "yes"])
    hints: list[str] = []

    def line(hint: str) -> str:
        hints.append(hint)
        return next(typed)

    monkeypatch.setattr(prompts, "_line", line)
    answer = prompts.ask("order", question)
    assert answer == {"count": 3, "delivery": "fast", "name": "Ada"}
    assert accepted(question, answer) == answer
    shown = capsys.readouterr().err
    assert shown.count("1/3 How many pots?") == 2
    assert "  1. count: 3\n  2. delivery: slow\n  3. name: Ada\n" in shown
    assert [hint for hint in hints if "back" in hint]
    assert "back" not in hints[0]
    assert list(typed) == []


# --- who is asked, and when they are reminded


def audience(keys: str) -> str:
    ask = f"ask: {{prompt: Go?, {keys}}}"
    return f"inputs: {{owner: ada}}\nsteps: [{{id: q, {ask}}}]\noutputs: {{q: '{{{{ q }}}}'}}\n"


def test_a_question_says_who_is_to_answer(tmp_path: Path) -> None:
    with orc.Orchestrator(directory=tmp_path) as client:
        question = asked(client.compile(audience('assignee: ["{{ owner }}", finance]')).start())
        assert question["assignee"] == ["ada", "finance"]
        assert asked(client.compile(audience('assignees: "{{ owner }}"')).start())["assignee"] == ["ada"]
        assert "assignee" not in asked(client.compile(audience("type: string")).start())


@pytest.mark.parametrize(
    "names", ["{{ [1] }}", "{{ [] }}", "{{ owner | replace('ada', '') }}", "{{ owner if owner == 'eve' else none }}"]
)
def test_names_that_name_nobody_fail_the_step_and_let_nobody_answer(tmp_path: Path, names: str) -> None:
    with orc.Orchestrator(directory=tmp_path) as client:
        status = client.compile(audience(f'assignee: "{names}"')).start().wait()
    assert status.state == "failed"
    assert dict(status.error or {})["code"] == "ORC708"


def test_durations_can_be_computed_and_are_recorded(tmp_path: Path) -> None:
    keys = (
        "remind: \"{{ '2d' if owner == 'ada' else '5d' }}\", escalate: {after: \"{{ 3 * 3600 }}\", to: \"{{ owner }}\"}"
    )
    with orc.Orchestrator(directory=tmp_path) as client:
        run = client.compile(audience(keys)).start()
        question = next(event.data["question"] for event in run.events() if event.type == "step.waiting")
        assert (question["remind"], question["escalate"]) == (172800.0, {"after": 10800.0, "to": ["ada"]})
        run.answer("q", "yes")
        assert run.result().outputs == {"q": "yes"}
        status = client.compile(audience('remind: "{{ owner }}"')).start().wait()
        assert dict(status.error or {})["code"] == "ORC718"


TIMES = st.none() | st.integers(1, 50)


@given(TIMES, TIMES, st.lists(st.integers(0, 300), min_size=1, max_size=12))
def test_reminders_come_at_their_times_whoever_executes_the_run(
    every: int | None, after: int | None, looks: list[int]
) -> None:
    """A process looks at these times, in seconds after the question was asked: it is a new one each time."""
    question: dict[str, Any] = {"asked_at": 1000.0, "assignee": ["ada"]}
    question |= {} if every is None else {"remind": float(every), "reminded": 0}
    question |= {} if after is None else {"escalate": {"after": float(after), "to": ["grace"]}}
    recorded, announced = dict(question), [0]
    for look in sorted(looks):
        now = 1000.0 + look
        current = reminders.continued({**question, "asked_at": now}, recorded)
        assert current["asked_at"] == 1000.0
        while (due := reminders.next_at(current)) is not None and due <= now:
            current = reminders.reminded(current, now)
            assert is_same_question(current, recorded)
            announced.append(times_announced(current))
        recorded = dict(current)
        assert recorded.get("reminded", 0) == (0 if every is None else look // every)
        assert ("escalated" in recorded) == (after is not None and look >= after)
        assert recorded["assignee"] == (["ada", "grace"] if "escalated" in recorded else ["ada"])
    assert announced == sorted(set(announced))
    assert len(announced) <= len(looks) * 2 + 1  # what was missed is made up for once


def test_a_timer_that_is_early_and_a_clock_that_is_set_back_count_as_the_due_time() -> None:
    question: dict[str, Any] = {"asked_at": 1000.0, "remind": 10.0, "reminded": 0}
    assert reminders.reminded(question, 1009.999)["reminded"] == 1
    assert reminders.reminded(question, 0.0)["reminded"] == 1
    assert reminders.next_at({**question, "reminded": reminders.MOST_REMINDERS}) is None


def test_a_reminder_and_an_escalation_are_recorded_and_outlive_the_process(tmp_path: Path) -> None:
    document = audience("assignee: ada, remind: 50ms, escalate: {after: 20ms, to: director}")
    with orc.Orchestrator(directory=tmp_path) as client:
        run = client.compile(document).start()
        found: list[dict[str, Any]] = []
        for event in run.events():
            if event.type == "step.waiting":
                found.append(dict(event.data["question"]))
            if found and found[-1].get("escalated") and found[-1]["reminded"] >= 2:
                break
        assert found[0]["assignee"] == ["ada"]
        assert found[-1]["assignee"] == ["ada", "director"]
        assert {question["asked_at"] for question in found} == {found[0]["asked_at"]}
        (step,) = run.status().active
        assert step.started_at < found[-1]["asked_at"] + 0.05  # it is still the same question
        reasons = [reason.text for reason in run.why("q").reasons]
        assert reasons[0] == "it asks: Go? (for ada)"
        assert any(text.startswith("it still asks: Go? (for ada, director; escalated to director") for text in reasons)
        run.pause(now=True)
        run.wait()
    with orc.Orchestrator(directory=tmp_path) as client:
        client.get_run(run.id).answer("q", "yes")
        assert client.resume(run.id).result().outputs == {"q": "yes"}


def test_an_answer_by_name_is_parsed_by_the_type_of_its_question(tmp_path: Path) -> None:
    with orc.Orchestrator(directory=tmp_path) as client:
        question = asked(client.compile(PIPELINE).start())
    found = parsed_each(question, {"count": "2", "name": "7"})
    assert found == {"count": 2, "name": "7", "delivery": "slow"}
    for texts, said in (
        ({"count": "two", "name": "Ada"}, "integer"),
        ({"cuont": "2", "name": "Ada"}, "did you mean `count`"),
        ({"count": "2"}, "`name`"),
    ):
        with pytest.raises(InputError, match=said):
            parsed_each(question, texts)
    with pytest.raises(InputError, match="one question"):
        parsed_each({"kind": "ask", "prompt": "Who?", "answer": {}}, {"a": "b"})


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("ada", {"ada", "finance"}),
        ("grace", {"grace"}),
        ("finance", set()),  # a token with the name of a group belongs to nobody in it
    ],
)
def test_people_are_asked_by_their_names_and_those_of_their_groups(name: str, names: set[str]) -> None:
    assert names_of(name, {"finance": ("ada", "linus")}) == names
    assert may_answer({"assignee": ["finance", "eve"]}, names_of(name, {"finance": ("ada",)})) is (name == "ada")
    assert may_answer({}, names_of(name, {}))
