"""The board that the live table and the plain lines show."""

from typing import Any

from orchestrator.cli.board import Board, line_for
from orchestrator.cli.output import printable, seconds, table
from orchestrator.journal.events import Event


def events(*facts: tuple[Any, ...]) -> list[Event]:
    return [
        Event("r", seq, 100.0 + seq, type, path, attempt, data)
        for seq, (type, path, attempt, data) in enumerate(facts, start=1)
    ]


def board_of(paths: list[str], *facts: tuple[Any, ...]) -> Board:
    board = Board.of(paths)
    for event in events(*facts):
        board.apply(event)
    return board


def test_progress_counts_ended_steps_and_fractions_of_running_ones() -> None:
    board = board_of(
        ["a", "b", "c", "d"],
        ("run.created", "", 0, {"steps": 4}),
        ("step.started", "a", 1, {}),
        ("step.succeeded", "a", 1, {"output": 1, "duration": 1.0}),
        ("step.started", "b", 1, {}),
        ("step.progress", "b", 1, {"fraction": 0.5, "message": "half"}),
        ("step.skipped", "c", 0, {"reason": "condition"}),
    )
    assert board.progress == 2.5 / 4
    assert board.counts == {"succeeded": 1, "running": 1, "skipped": 1, "pending": 1}
    assert [(row.path, row.message) for row in board.active()] == [("b", "half")]


def test_a_resumed_run_starts_again_what_had_not_succeeded() -> None:
    board = board_of(
        [],
        ("run.created", "", 0, {"steps": 3}),
        ("step.succeeded", "a", 1, {}),
        ("step.failed", "b", 1, {"error": {"message": "no"}, "handled": "fail"}),
        ("run.failed", "", 0, {}),
        ("run.started", "", 0, {"resumed": True}),
    )
    assert board.state == "running"
    assert {path: row.state for path, row in board.rows.items()} == {"a": "succeeded", "b": "pending"}
    assert board.counts["pending"] == 2


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
    assert line_for(failed, board.rows["a"]) == ("✗ a failed after 3 attempts: no (the run goes on)", "yellow")


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
