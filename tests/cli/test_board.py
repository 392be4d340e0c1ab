"""The board that the live table and the plain lines show."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console
from wcwidth import wcswidth

from orchestrator.cli.inspect.runs import SHOWN, describe_event, status_text
from orchestrator.cli.terminal.hints import Hints
from orchestrator.cli.terminal.live import ProgressTable
from orchestrator.cli.terminal.output import printable, seconds, table
from orchestrator.cli.terminal.progress import Board, error_text, line_for
from orchestrator.cli.terminal.progress_tree import nested
from orchestrator.journal.events import Event
from orchestrator.journal.payloads import PAYLOADS
from orchestrator.journal.state.fold import fold_all
from orchestrator.journal.state.folded_status import status_of
from orchestrator.journal.state.status import ActiveStep
from orchestrator.paths import parent_of


def events(*facts: tuple[Any, ...]) -> list[Event]:
    return [
        Event("r", seq, 100.0 + seq, type, path, attempt, data)
        for seq, (type, path, attempt, data) in enumerate(facts, start=1)
    ]


def asks(prompt: str) -> dict[str, Any]:
    return {"reason": "human", "question": {"kind": "approve", "prompt": prompt}}


def board_of(paths: list[str], *facts: tuple[Any, ...]) -> Board:
    board = Board.of(paths)
    for event in events(*facts):
        board.apply(event)
    return board


def test_what_is_said_of_the_whole_run_is_what_its_status_says() -> None:
    facts: list[tuple[Any, ...]] = [
        ("run.created", "", 0, {"steps": 5}),
        ("run.started", "", 0, {}),
        ("step.started", "a", 1, {}),
        ("step.succeeded", "a", 1, {"output": 1, "duration": 1.0}),
        ("step.skipped", "b", 0, {"reason": "condition"}),
        ("step.started", "c", 1, {}),
        ("step.started", "d", 1, {}),
        ("step.failed", "c", 1, {"error": {"message": "no"}, "handled": "fail"}),
        ("step.cancelled", "d", 1, {"reason": "`c` failed"}),
        ("run.failed", "", 0, {"error": {"message": "no"}}),
    ]
    board = board_of(["a", "b", "c", "d", "e"], *facts)
    assert board.status(500.0) == status_of(fold_all(events(*facts)), 500.0)
    console = Console(width=120)
    with console.capture() as capture:
        console.print(ProgressTable(board, "demo", Hints(), console))
    heading, *rows = capture.get().splitlines()
    assert heading.endswith("3 of 5 steps, 8.0 s, 1 failed, 1 skipped, 1 cancelled")
    assert rows[3].split() == ["✗", "d", "cancelled", "2.0", "s", "`c`", "failed"]


def test_a_resumed_run_starts_again_what_was_not_settled() -> None:
    board = board_of(
        ["a", "b", "c"],
        ("run.created", "", 0, {"steps": 3}),
        ("step.succeeded", "a", 1, {}),
        ("step.failed", "b", 1, {"error": {"message": "no"}, "handled": "fail"}),
        ("step.failed", "c", 1, {"error": {"message": "no"}, "handled": "continue"}),
        ("run.failed", "", 0, {}),
        ("run.started", "", 0, {"resumed": True}),
    )
    assert {path: row.state for path, row in board.rows.items()} == {"a": "succeeded", "b": "pending", "c": "failed"}
    assert board.status(200.0).state == "running"


def test_a_retried_step_keeps_the_time_of_its_first_start() -> None:
    board = board_of(
        ["a"],
        ("step.started", "a", 1, {}),
        ("step.waiting", "a", 1, {"reason": "retry", "until": 107.0, "error": {"message": "busy"}}),
        ("step.started", "a", 2, {}),
    )
    assert board.rows["a"].elapsed(111.0) == 10.0
    assert board.rows["a"].attempt == 2


def test_a_line_tells_cause_and_what_follows() -> None:
    (failed,) = events(("step.failed", "a", 3, {"error": {"message": "no\nmore"}, "handled": "continue"}))
    board = Board.of(["a"])
    board.apply(failed)
    assert line_for(failed, board) == ("✗ a failed after 3 attempts: no (the run continues)", "yellow")


def test_a_line_tells_what_is_waited_for_and_then_how_long() -> None:
    reason = "`lab:tiny`: 2 requests per minute"
    (waiting,) = events(("step.waiting", "a", 1, {"reason": reason, "until": 1000.0}))
    line = line_for(replace(waiting, at=970.0), Board.of(["a"]))
    assert line == (f"… a waits, {reason}; continues in 30.0 s", "yellow")


def test_a_line_has_the_first_of_the_details_that_an_error_announces() -> None:
    assert error_text({"message": "`sh` ended with exit status 3:\n\n  oops\nmore"}) == (
        "`sh` ended with exit status 3: oops"
    )
    assert error_text({"message": "no answer:"}) == "no answer:"


LOOP: list[tuple[Any, ...]] = [
    ("run.created", "", 0, {"steps": 3}),
    ("run.started", "", 0, {}),
    ("step.started", "each", 1, {"kind": "for_each", "of": 100, "done": 0, "failed": 0}),
]


def drawn(board: Board, height: int = 30, store: str | None = None) -> list[str]:
    console = Console(width=110, height=height)
    with console.capture() as capture:
        console.print(ProgressTable(board, "demo", Hints(store), console))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_the_last_words_of_an_answer_are_on_one_line_until_its_step_has_ended() -> None:
    board = board_of(["a", "b"], ("run.created", "", 0, {"steps": 2}), ("step.started", "a", 1, {}))
    for text in ("First\n\x1b[2Jline. ", "long " * 60, "the end \u6f22\u5b57"):
        board.hear(Event("r", 0, 500.0, "step.partial", "a", 1, {"text": text}))
    line = drawn(board)[-1]
    assert line.startswith("» a: …")
    assert line.endswith("long the end \u6f22\u5b57")
    assert 105 <= wcswidth(line) <= 110
    assert board.status(500.0).last_seq == 2
    board.hear(Event("r", 0, 501.0, "step.partial", "b", 1, {"text": "another\x1b[2J"}))
    assert drawn(board)[-1] == "» b: another\ufffd[2J"
    board.apply(Event("r", 3, 502.0, "step.succeeded", "b", 1, {}))
    assert "»" not in "".join(drawn(board))


def test_below_a_loop_stands_what_runs_within_it_and_beside_it_how_far_it_is() -> None:
    facts = [
        *LOOP,
        ("step.started", "each[7].a", 1, {}),
        ("step.started", "each[8].a", 1, {}),
        ("step.failed", "each[3]", 1, {"error": {"message": "no"}, "handled": "continue"}),
        ("step.succeeded", "each[4]", 1, {"output": 1}),
    ]
    rows = drawn(board_of(["first", "each", "last"], *facts))
    assert [row.split()[:2] for row in rows[1:]] == [
        ["·", "first"],
        ["▸", "each"],
        ["▸", "[7].a"],
        ["▸", "[8].a"],
        ["·", "last"],
    ]
    assert rows[2].endswith("2 of 100, 1 failed")
    assert "0 of 3 steps" in rows[0]


def test_what_has_ended_within_a_step_leaves_the_table_and_the_step_stays() -> None:
    inner: list[tuple[Any, ...]] = [
        (type, f"each[{i}].a", 1, {}) for i in range(3) for type in ("step.started", "step.succeeded")
    ]
    ended = ("step.succeeded", "each", 1, {"output": None, "items": {"count": 3, "succeeded": 2, "failed": 1}})
    board = board_of(["each"], *LOOP, *inner, ended)
    rows = drawn(board)
    assert len(rows) == 2
    assert rows[1].split()[:3] == ["✓", "each", "succeeded"]
    assert rows[1].endswith("1 of 3 failed")


def test_the_table_is_never_higher_than_the_screen_and_has_something_of_everything() -> None:
    loops = [f"loop{n}" for n in range(4)]
    facts = [LOOP[0], LOOP[1]]
    for loop in loops:
        facts.append(("step.started", loop, 1, {"kind": "for_each", "of": 500, "done": 0, "failed": 0}))
        facts += [("step.started", f"{loop}[{i}]", 1, {}) for i in range(200)]
    facts += [("step.waiting", f"ask{n}", 1, asks("Publish?")) for n in range(8)]
    rows = drawn(board_of([*(f"s{n}" for n in range(300)), *loops], *facts))
    assert len(rows) < 30
    assert all(any(f" {loop} " in row for row in rows) for loop in loops)
    assert any("[0]" in row for row in rows)


def test_a_question_stands_below_the_table_with_the_command_that_answers_it() -> None:
    question = {"kind": "ask", "prompt": "How many?", "answer": {"type": "integer"}, "choices": [3, 4]}
    facts = [*LOOP, ("step.waiting", "each[2].n", 1, {"reason": "human", "question": question})]
    rows = drawn(board_of(["each"], *facts), store="sqlite:///x.db")
    assert any("asks: How many?" in row for row in rows)
    assert rows[-1] == "? each[2].n: orchestrator answer r 'each[2].n' 3 --store sqlite:///x.db"


def test_without_a_terminal_a_long_loop_is_told_of_in_tenths_and_its_failures_each() -> None:
    board = Board.of(["each"])
    told = []
    facts: list[tuple[Any, ...]] = [("step.succeeded", f"each[{i}]", 1, {"output": i}) for i in range(100)]
    facts[35] = ("step.failed", "each[35]", 1, {"error": {"message": "no"}, "handled": "continue", "duration": 2.0})
    for event in events(*LOOP, *facts):
        board.apply(event)
        line = line_for(event, board)
        told += [line[0]] if line else []
    assert told[:4] == [
        *(f"▸ each {n}0 of 100" for n in (1, 2, 3)),
        "✗ each[35] failed in 2.0 s: no (the run continues)",
    ]
    assert told[4:] == [f"▸ each {n}0 of 100, 1 failed" for n in range(4, 10)]


def test_what_a_revised_run_forgets_is_pending_again() -> None:
    board = board_of(
        ["a", "each", "z"],
        *LOOP,
        ("step.succeeded", "a", 1, {}),
        ("step.succeeded", "each", 1, {"items": {"count": 1}}),
        ("step.succeeded", "z", 1, {}),
        ("run.succeeded", "", 0, {}),
        ("run.revised", "", 0, {"reason": "retry", "forget": ["each[4]", "z"], "settled": {"succeeded": 1}}),
    )
    assert {path: row.state for path, row in board.rows.items()} == {
        "a": "succeeded",
        "each": "pending",
        "z": "pending",
    }


def test_a_resumed_run_still_waits_for_the_answers_that_it_waited_for() -> None:
    board = board_of(
        ["ask", "b"],
        *LOOP[:2],
        ("step.waiting", "ask", 1, asks("Publish?")),
        ("step.started", "b", 1, {}),
        ("run.started", "", 0, {"resumed": True}),
    )
    assert {path: row.state for path, row in board.rows.items()} == {"ask": "waiting", "b": "pending"}


NAMES = st.sampled_from(["a", "b", "a.x", "a.y", "b[0]", "b[1]", "b[1].z", "b[1].z.q", "c.d", "b[2].w"])


@given(st.lists(NAMES, unique=True), st.integers(0, 12))
def test_of_what_is_at_work_the_outermost_come_first_and_the_others_are_counted(paths: list[str], room: int) -> None:
    active = [ActiveStep(path, "running", 1, 0.0, 1.0) for path in paths]
    shown, left_out = nested(active, room)
    assert len(shown) == min(room, len(paths))
    assert left_out == len(paths) - len(shown)
    kept = {one.step.path for one in shown}
    for one in shown:  # a step is shown only with all that it stands in
        around = parent_of(one.step.path)
        while around:
            assert around not in paths or around in kept
            around = parent_of(around)
        assert one.step.path.endswith(one.label)
    assert all(second.depth <= first.depth + 1 for first, second in itertools.pairwise(shown))


def test_a_status_has_the_tree_the_questions_and_never_more_than_a_screenful() -> None:
    facts = [*LOOP, *(("step.started", f"each[{i}]", 1, {}) for i in range(50))]
    facts += [("step.waiting", f"each[{i}]", 1, asks("Publish?")) for i in range(50)]
    text = status_text(status_of(fold_all(events(*facts)), 500.0), Hints())
    assert len(text.splitlines()) < 60
    assert "each[0] asks: Publish? (yes or no)\n  answer with: orchestrator answer r 'each[0]' yes\n" in text
    assert "… 45 more questions" in text
    assert "… 21 more\n" in text
    assert "state     waiting" in text


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (("run.revised", "", 0, {"reason": "retry", "forget": ["a[2]"], "by": "me"}), 'forget=["a[2]"]'),
        (("step.started", "a", 1, {"kind": "for_each", "of": 3, "done": 0}), "kind=for_each  of=3"),
        (("step.answered", "a", 1, {"value": True, "by": "me"}), "value=true  by=me"),
        (("step.waiting", "a", 1, asks("Publish?")), '"prompt": "Publish?"'),
        (("step.succeeded", "a", 1, {"output": None, "items": {"count": 3}}), 'items={"count": 3}'),
        (("step.requeued", "a", 1, {"reason": "paused"}), "reason=paused"),
    ],
)
def test_a_line_of_events_says_what_happened(fact: tuple[Any, ...], words: str) -> None:
    (event,) = events(fact)
    assert words in describe_event(event)


def test_control_characters_are_replaced_and_columns_align_by_display_width() -> None:
    assert printable("a\x1b[2Jb\nc") == "a\N{REPLACEMENT CHARACTER}[2Jb c"
    assert table(("A", "B"), [("日本", "x"), ("é", "y")]).splitlines() == ["A     B", "日本  x", "é     y"]


def test_durations_are_written_for_people() -> None:
    assert [seconds(value) for value in (None, 0.123, 12.34, 65, 3600 * 2 + 60 * 7)] == [
        "",
        "0.12 s",
        "12.3 s",
        "1 m 05 s",
        "2 h 07 m",
    ]


MANY = [f"step_{number}" for number in range(12)]


def narrow_table(*, answered_here: bool) -> list[str]:
    facts: list[tuple[Any, ...]] = [
        ("run.created", "", 0, {"steps": 12}),
        ("run.started", "", 0, {}),
        *(fact for path in MANY[:8] for fact in (("step.started", path, 1, {}), ("step.succeeded", path, 1, {}))),
        ("step.started", "step_8", 2, {}),
        ("step.failed", "step_8", 2, {"error": {"message": "no such file"}, "handled": "continue"}),
        ("step.started", "step_9", 1, {}),
        ("step.progress", "step_9", 1, {"fraction": 0.4, "message": "page 4 of 10"}),
        ("step.waiting", "step_10", 0, asks("Send it?")),
    ]
    board = board_of(MANY, *facts)
    console = Console(width=60, height=14)
    with console.capture() as capture:
        console.print(
            ProgressTable(board, "a_report_with_a_long_name", Hints(), console, answered_here=lambda: answered_here)
        )
    return capture.get().splitlines()


def test_a_small_terminal_shows_the_counts_what_runs_and_what_failed() -> None:
    heading, *rows = narrow_table(answered_here=False)
    assert "9 of 12 steps" in heading
    assert "1 failed" in heading
    assert max(map(wcswidth, [heading, *rows])) <= 60
    assert len(rows) < 14
    assert [row.split()[:2] for row in rows[:3]] == [["✗", "step_8"], ["▸", "step_9"], ["…", "step_10"]]
    assert "(attempt 2) no such file" in rows[0]
    assert "40% page 4 of 10" in rows[1]
    assert rows[3].startswith("? step_10: orchestrator answer")


def test_who_is_asked_here_is_shown_no_command_that_answers() -> None:
    assert not any("orchestrator answer" in line for line in narrow_table(answered_here=True))


def test_what_a_line_shows_of_an_event_is_a_field_of_its_payload() -> None:
    assert [name for type, names in SHOWN.items() for name in names if name not in PAYLOADS[type].fields] == []
