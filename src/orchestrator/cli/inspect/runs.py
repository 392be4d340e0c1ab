"""`runs`, `status` and `events`: the states of runs, and their events."""

import enum
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from orchestrator import codes
from orchestrator.cli.inspect.notices import notice_lines
from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.place import Place
from orchestrator.cli.options.usage_errors import choice_metavar, choice_parser, past, whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.cli.terminal.hints import Hints
    from orchestrator.journal.events import Event
    from orchestrator.journal.records import BatchStatus
    from orchestrator.journal.state.status import ActiveStep, RunStatus
    from orchestrator.journal.state.usage import Spending


MOST_ACTIVE: Final = 30
MOST_QUESTIONS: Final = 5
MOST_WORDS: Final = 8
"""How much of what there may be any number of is shown: the rest is counted, and in `--json`."""

_MANY: Final = 2**62  # no store holds a larger number


class StateFilter(enum.StrEnum):
    """The states that a run can be in."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


@with_groups
def runs(
    state: Annotated[
        StateFilter | None,
        typer.Option(
            "--state",
            parser=choice_parser("--state", StateFilter),
            metavar=choice_metavar(StateFilter),
            help="Only runs in this state.",
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit",
            parser=whole_number("--limit", least=1),
            metavar="N",
            help="At most N runs, the newest first.",
        ),
    ] = 50,
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", metavar="ID", help="Only runs of the pipeline with this id.")
    ] = None,
    batch: Annotated[str | None, typer.Option("--batch", metavar="ID", help="Only runs of this batch.")] = None,
    since: Annotated[
        float | None,
        typer.Option(
            "--since",
            parser=past("--since"),
            metavar="WHEN",
            help="Only runs that were created since then: 12h, 7d, 2026-03-14, 2026-03-14T09:00.",
        ),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="TEXT", help="Only runs with this label. Repeatable.")
    ] = None,
    json: common.JsonOption = False,
    *,
    place: Place,
) -> None:
    """List runs, newest first."""
    from orchestrator.cli.terminal.output import emit, emit_json, moment, say, seconds, table

    with place.open() as orchestrator:
        found = orchestrator.list_runs(
            state=state.value if state else None,
            limit=min(limit, _MANY),
            pipeline=pipeline,
            batch=batch,
            since=since,
            labels=label or (),
        )
        narrowed = pipeline or batch or label or since is not None
        if json:
            emit_json([status.to_dict() for status in found])
        elif not found:
            none = "no runs yet" if state is None else f"no runs are {state.value}"
            say("no matching runs" if narrowed else none)
        else:
            paid = any(s.spending for s in found)
            rows = [
                (
                    *(
                        s.run_id,
                        s.name or s.pipeline,
                        *(("damaged", "") if s.damage else (s.state, f"{s.progress:.0%}")),
                    ),
                    moment(s.created_at),
                    *("" if s.damage else seconds(s.elapsed), *(_paid(s.spending) if paid else ())),
                )
                for s in found
            ]
            headers = ("RUN", "PIPELINE", "STATE", "DONE", "CREATED", "ELAPSED", *(("TOKENS", "COST") if paid else ()))
            emit(table(headers, rows))
            for damaged in (s for s in found if s.damage):
                say(f"run {damaged.run_id} cannot be read: {damaged.damage}", "yellow")


@with_groups
def batches(
    limit: Annotated[
        int,
        typer.Option("--limit", parser=whole_number("--limit", least=1), metavar="N", help="At most N batches."),
    ] = 50,
    json: common.JsonOption = False,
    *,
    place: Place,
) -> None:
    """List the batches of `map`, newest first.

    A row counts by its newest run. Rows that were read and never started are listed as pending.
    """
    from orchestrator.cli.terminal.output import emit, emit_json, moment, say, table
    from orchestrator.models.budget import usd

    with place.open() as orchestrator:
        found = orchestrator.list_batches(limit=min(limit, _MANY))
    if json:
        emit_json([each.to_dict() for each in found])
    elif not found:
        say("no batches yet")
    else:
        rows = [
            (
                *(each.batch, each.pipeline, f"{each.rows + each.pending:,}" + ("" if each.complete else "+")),
                ", ".join(f"{count:,} {state}" for state, count in _row_states(each)),
                moment(each.created_at),
                *((f"{each.spent.tokens:,}", usd(each.spent.usd)) if each.spent.requests else ("", "")),
            )
            for each in found
        ]
        emit(table(("BATCH", "PIPELINE", "ROWS", "STATES", "CREATED", "TOKENS", "COST"), rows))


def _row_states(batch: "BatchStatus") -> list[tuple[str, int]]:
    states = dict(batch.states) | ({"pending": batch.pending} if batch.pending else {})
    return sorted(states.items())


@with_groups
def status(
    run: common.RunArgument,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow the run until it ends, is paused or waits.")
    ] = False,
    json: common.JsonOption = False,
    *,
    place: Place,
) -> None:
    """Show the status of a run.

    With --watch the exit code is that of `run`: 0 succeeded, 1 failed, cancelled or interrupted, 3 paused or waiting
    for an answer.
    """
    from orchestrator.cli.terminal.output import DONE, emit, emit_json

    code = DONE
    with place.open() as orchestrator:
        handle = orchestrator.get_run(run)
        hints = place.hints.about(orchestrator, handle.id)
        now = handle.status()
        if watch:
            from orchestrator.cli.run.foreground import end_code
            from orchestrator.cli.terminal.live import follow, view_of
            from orchestrator.cli.terminal.progress import Board

            board = Board.of(step["id"] for step in handle.record().plan["steps"])
            with view_of(board, now.name or now.pipeline, quiet=json, hints=hints) as view:
                now = follow(handle, board, view, since=0 if not now.ended else now.last_seq - 1)
            code = end_code(now)
        if json:
            produced = [file.to_dict() for file in handle.files() if file.digest is not None]
            emit_json({**now.to_dict(), "files": produced})
        else:
            emit(status_text(now, hints))
    raise typer.Exit(code)


def _paid(spending: "Spending") -> tuple[str, str]:
    """Return the cells of a run for tokens and cost."""
    if not spending:
        return "", ""
    return f"{spending.tokens:,}", spending.price


def status_text(status: "RunStatus", hints: "Hints") -> str:
    """Format a status as text."""
    from orchestrator.cli.terminal.output import STATE_STYLES, moment, paint, printable, seconds
    from orchestrator.cli.terminal.prompts import open_questions

    title = status.pipeline + (f" ({status.name})" if status.name and status.name != status.pipeline else "")
    counts = ", ".join(f"{count} {state}" for state, count in status.counts.items() if count)
    pairs = [
        ("run", status.run_id),
        ("pipeline", title),
        ("state", status.state),
        ("progress", f"{status.progress:.0%} ({counts or 'no steps'})"),
        ("started", moment(status.started_at or status.created_at)),
        ("elapsed", seconds(status.elapsed)),
    ]
    if status.spending:
        from orchestrator.cli.inspect.show import models_text

        pairs.append(("models", models_text(status.spending)))
    if status.budget:
        from orchestrator.cli.options.budgets import budget_text

        pairs.append(("budget", budget_text(status.budget)))
    if status.reason:
        pairs.append(("reason", status.reason))
    if status.owner and status.state in ("queued", "running", "waiting"):
        pairs.append(("owner", status.owner))
    lines = [f"{name:<9} {printable(value)}" for name, value in pairs]
    lines[2] = f"{'state':<9} {paint(status.state, STATE_STYLES.get(status.state, ''), stream=sys.stdout)}"
    if status.compensating:
        lines.append(
            "some steps remain to be undone" if status.ended else "the steps that had succeeded are being undone"
        )
    if status.waiting_on:
        lines.append(f"waits for {_some(status.waiting_on, '; ')}")
    lines += [f"! {printable(message)}" for message in status.warnings]
    lines += notice_lines(status.notices)
    if status.failures:
        lines.append(f"continued despite failures in {_some(status.failures, ', ')}")
    if status.active:
        lines += ["", *_active(status)]
    questions = open_questions(status)
    if questions:
        lines += ["", *_asked(status, questions, hints)]
    if status.error:
        where = f" in step `{status.error['step']}`" if status.error.get("step") else ""
        message = printable(str(status.error.get("message", "")))
        lines += ["", f"error[{status.error.get('code', codes.RUN_FAILED)}]{where}: {message}"]
    left_alone = status.state == "waiting" and status.owner is None and not questions
    if status.resumable or left_alone:
        lines += [f"continue with: {hints.command('resume', status.run_id)}"]
    return "\n".join(lines)


def _active(status: "RunStatus") -> list[str]:
    """Format the active steps as a tree that fits on a screen."""
    from time import time

    from orchestrator.cli.terminal.output import seconds, table
    from orchestrator.cli.terminal.progress_tree import doing, nested, progress_text

    tree, left_out = nested(status.active, MOST_ACTIVE)
    now = time()
    rows = [
        (
            "  " * one.depth + one.label,
            one.step.state + (f" (attempt {one.step.attempt})" if one.step.attempt > 1 else ""),
            seconds(one.step.elapsed),
            progress_text(one.step),
            doing(one.step, now),
        )
        for one in tree
    ]
    lines = table(("STEP", "STATE", "ELAPSED", "DONE", "MESSAGE"), rows).split("\n")
    return lines + ([f"… {left_out} more"] if left_out else [])


def _asked(status: "RunStatus", questions: "Sequence[ActiveStep]", hints: "Hints") -> list[str]:
    """The open questions, and how to answer them."""
    from orchestrator.cli.terminal.prompts import question_lines

    lines = []
    for step in questions[:MOST_QUESTIONS]:
        lines += question_lines(status.run_id, step.path, step.question or {}, hints)
    left_out = len(questions) - MOST_QUESTIONS
    return lines + ([f"… {left_out} more questions"] if left_out > 0 else [])


def _some(words: "Sequence[str]", separator: str) -> str:
    from orchestrator.cli.terminal.output import printable

    more = f"{separator}{len(words) - MOST_WORDS} more" if len(words) > MOST_WORDS else ""
    return printable(separator.join(words[:MOST_WORDS])) + more


@with_groups
def events(
    run: common.RunArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for new events until the run ends.")] = False,
    after: Annotated[
        int,
        typer.Option(
            "--after", parser=whole_number("--after", least=0), metavar="N", help="Only events after number N."
        ),
    ] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    *,
    place: Place,
) -> None:
    """Print the events of a run, in order and without gaps."""
    from orchestrator.cli.terminal.output import emit, emit_json

    with place.open() as orchestrator:
        for event in orchestrator.get_run(run).events(after=min(after, _MANY), follow=follow):
            printed = emit_json(event.to_dict(), indent=None) if json else emit(describe_event(event))
            if not printed:
                break


def describe_event(event: "Event") -> str:
    """Format an event as one line."""
    from json import dumps

    from orchestrator.cli.terminal.output import moment, printable

    attempt = f" #{event.attempt}" if event.attempt > 1 else ""
    words = [f"{event.seq:>5}", moment(event.at), f"{event.type:<14}"]
    if event.path:
        words.append(printable(event.path) + attempt)
    given = event.payload.to_data()
    for name in SHOWN.get(event.type, ()):
        value = given.get(name)
        if value not in (None, "", {}, []):
            text = value if isinstance(value, str) else dumps(value, ensure_ascii=False, default=str)
            words.append(f"{name}={printable(text[:200] + ('…' if len(text) > 200 else ''))}")
    return "  ".join(words).rstrip()


SHOWN: Final[dict[str, tuple[str, ...]]] = {
    "run.created": ("pipeline", "inputs", "steps", "forked_from", "batch"),
    "run.revised": ("reason", "by", "forget"),
    "run.queued": ("key", "max", "runs", "ahead"),
    "run.started": ("owner", "resumed"),
    "run.paused": ("by",),
    "run.resumed": ("by",),
    "run.succeeded": ("outputs",),
    "run.failed": ("step", "error"),
    "run.cancelled": ("reason", "by"),
    "run.warning": ("code", "message"),
    "run.notice": ("to", "occasion", "title"),
    "run.notified": ("to", "attempts", "error"),
    "run.compensating": ("within", "reason", "by", "error"),
    "run.compensated": ("within",),
    "step.started": ("kind", "of", "done", "case"),
    "step.progress": ("fraction", "message"),
    "step.log": ("level", "message"),
    "step.file": ("path", "size"),
    "step.warning": ("code", "message"),
    "step.model": ("model", "usage", "cost", "latency", "finish", "error"),
    "step.waiting": ("reason", "until", "question", "error"),
    "step.answered": ("value", "by"),
    "step.succeeded": ("duration", "items", "cached", "output"),
    "step.failed": ("handled", "items", "error"),
    "step.skipped": ("reason", "by"),
    "step.cancelled": ("reason",),
    "step.requeued": ("reason",),
    "step.undone": ("of", "forget"),
}
"""What a line tells of each event; `--json` has everything."""
