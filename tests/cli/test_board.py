"""The board that the live table and the plain lines show."""

from typing import Any

from rich.console import Console

from orchestrator.cli.board import Board, error_text, line_for
from orchestrator.cli.live import Table
from orchestrator.cli.output import printable, seconds, table
from orchestrator.journal.events import Event
from orchestrator.journal.fold import fold_all, status_of


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
        console.print(Table(board, "demo", console))
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
    assert line_for(failed, board.rows["a"]) == ("✗ a failed after 3 attempts: no (the run goes on)", "yellow")


def test_a_line_has_the_first_of_the_details_that_an_error_announces() -> None:
    assert error_text({"message": "`sh` ended with exit status 3:\n\n  oops\nmore"}) == (
        "`sh` ended with exit status 3: oops"
    )
    assert error_text({"message": "no answer:"}) == "no answer:"


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
