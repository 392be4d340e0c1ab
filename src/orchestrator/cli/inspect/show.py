"""`show`: what a run achieved, step by step."""

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orchestrator import codes
from orchestrator.cli.inspect.notices import notice_lines
from orchestrator.cli.options import common
from orchestrator.cli.options.option_groups import with_groups
from orchestrator.cli.options.place import Place
from orchestrator.cli.terminal.hints import Hints
from orchestrator.journal.audience import question_in_words
from orchestrator.text.words import plural, shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.api.interfaces import AnyRun
    from orchestrator.history.files import RecordedFile
    from orchestrator.history.result import Result
    from orchestrator.history.step_results import StepResult, StepResults
    from orchestrator.history.step_tree import TreeLine
    from orchestrator.journal.state.usage import Spending

MOST_NAMES: Final = 2_000
"""How many steps' paths a misspelt one is compared with."""

MOST_FILES: Final = 30
"""How many of the files that a run produced are shown; `--json` has all."""


@with_groups
def show(
    run: common.RunArgument,
    step: Annotated[str | None, typer.Option("--step", metavar="PATH", help="Only this step, with its output.")] = None,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Print where tools failed: the tracebacks of all attempts.")
    ] = False,
    json: common.JsonOption = False,
    *,
    place: Place,
) -> None:
    """Show a run's outputs, steps, timings and errors.

    A step's time is that of all its attempts, and of the waits between them. Of a loop the first items are shown and
    those that failed; --json has all.
    """
    from orchestrator.cli.terminal.output import emit, emit_json
    from orchestrator.cli.terminal.prompts import open_questions, question_lines

    with place.open() as orchestrator:
        handle = orchestrator.get_run(run)
        hints = place.hints.about(orchestrator, handle.id)
        if traceback:
            _show_tracebacks(handle, step, json=json)
            return
        result = handle.snapshot()
        if step is not None:
            _show_step(result, step, hints, json=json)
        elif json:
            emit_json({**result.to_dict(), "files": [file.to_dict() for file in handle.files()]})
        else:
            asked = [step for step in open_questions(handle.status()) if result.state in ("waiting", "running")]
            lines = [
                line for step in asked for line in question_lines(handle.id, step.path, step.question or {}, hints)
            ]
            files = _files_text([file for file in handle.files() if file.digest is not None])
            emit("\n".join([result_text(result, hints), *files, *([""] if lines else []), *lines]))


def _files_text(files: "Sequence[RecordedFile]") -> list[str]:
    """Format the files that steps declare: the first ones, and how many more there are."""
    from orchestrator.cli.terminal.output import printable, table

    if not files:
        return []
    rows = [(printable(file.path), f"{file.size:,} B", printable(file.step)) for file in files[:MOST_FILES]]
    more = [f"… {len(files) - MOST_FILES} more"] if len(files) > MOST_FILES else []
    return ["", table(("FILE", "SIZE", "STEP"), rows), *more]


def _show_tracebacks(run: "AnyRun", step: str | None, *, json: bool) -> None:
    """Print the tracebacks of what tools raised, of all attempts or those of one step."""
    from msgspec.structs import asdict

    from orchestrator.cli.terminal.output import LINES, emit, emit_json, moment, printable, say

    found = run.tracebacks(step)
    if json:
        emit_json([asdict(each) for each in found])
        return
    if not found:
        say("no tool raised an exception" + (f" in `{step}`" if step else ""))
    for number, each in enumerate(found):
        emit("\n" * (number > 0) + f"{printable(each.step)}, attempt {each.attempt}, {moment(each.at)}")
        emit(printable(each.text, keep=LINES))


def result_text(result: "Result", hints: Hints) -> str:
    """Format a result as text: outputs first, then the steps."""
    from orchestrator.cli.terminal.output import LINES, printable, table
    from orchestrator.history.step_outline import outline_of
    from orchestrator.history.step_tree import step_tree
    from orchestrator.journal.state.status import is_deliberate

    lines = [f"run {result.run_id}: {result.state}{' on purpose' if is_deliberate(result.error) else ''}"]
    if result.spending:
        lines.append(f"models: {models_text(result.spending)}")
    lines += [f"! {printable(message)}" for message in result.warnings]
    lines += notice_lines(result.notices)
    if result.outputs:
        lines += ["", "outputs"]
        for name, value in result.outputs.items():
            lines += _indented(name, value)
    if steps := outline_of(result.steps):
        rows = [_row(line, result, steps) for line in step_tree(steps)]
        headers = ("STEP", "STATE", "ATTEMPTS", "TOOK", *(("TOKENS", "COST") if result.spending else ()), "RESULT")
        lines += ["", table(headers, rows)]
    if result.error:
        where = f" in step `{result.error['step']}`" if result.error.get("step") else ""
        lines += [
            "",
            f"error[{result.error.get('code')}]{where}: {printable(str(result.error.get('message')), keep=LINES)}",
        ]
        if help := hints.advice_of(result.error):
            lines.append(f"  help: {printable(help)}")
    return "\n".join(lines)


def models_text(spending: "Spending") -> str:
    """Format the usage of model calls in full."""
    usage = spending.usage
    within = [
        f"{count:,} {name}" for name, count in (("cached", usage.cached), ("reasoning", usage.reasoning)) if count
    ]
    tokens = f"{usage.input:,} tokens in, {usage.output:,} out" + (f" ({', '.join(within)})" if within else "")
    return f"{plural(spending.calls, 'call')}, {tokens}, {spending.price}"


def _row(line: "TreeLine", result: "Result", steps: "StepResults") -> tuple[str, ...]:
    from orchestrator.cli.terminal.output import seconds
    from orchestrator.history.step_tree import spending_cells, step_summary

    label, step = "  " * line.depth + line.label, line.step
    if step is None:
        return (label, *[""] * (6 if result.spending else 4))
    about = "" if step.error else step_summary(step)
    if not about:
        about = brief(steps[line.path] if step.state == "succeeded" else step)
    return (
        label,
        step.state,
        str(step.attempts) if step.attempts and not step.kind else "",
        seconds(step.elapsed) if step.ended_at and step.state in ("succeeded", "failed") else "",
        *(spending_cells(step.spending) if result.spending else ()),
        about,
    )


def brief(step: "StepResult", width: int = 60) -> str:
    """Return the first words of what a step made of its work: its output, error or reason."""
    from json import dumps

    if step.error:
        text = str(step.error.get("message", ""))
    elif step.question is not None:
        text = question_in_words(step.question)
    elif step.state == "succeeded":
        text = step.output if isinstance(step.output, str) else dumps(step.output, ensure_ascii=False, default=str)
    else:
        text = step.reason
    return shorten(text, width)


def _indented(name: str, value: Any) -> list[str]:
    """Return the lines of one output: short ones next to the name, long texts below it."""
    from json import dumps

    from orchestrator.cli.terminal.output import printable

    text = value if isinstance(value, str) else dumps(value, ensure_ascii=False, default=str)
    if "\n" not in text.rstrip("\n"):
        return [f"  {name}: {printable(text.rstrip())}"]
    return [f"  {name}:", *(f"    {printable(line)}".rstrip() for line in text.rstrip("\n").split("\n"))]


def _show_step(result: "Result", path: str, hints: Hints, *, json: bool) -> None:
    from orchestrator.cli.terminal.output import emit, emit_json, moment, printable, seconds
    from orchestrator.cli.terminal.prompts import answer_command, content_lines, part_lines
    from orchestrator.diagnostics import suggest
    from orchestrator.errors import RunError
    from orchestrator.history.step_outline import outline_of
    from orchestrator.history.step_tree import step_summary

    steps = outline_of(result.steps, path)
    step = steps.get(path)
    if step is None:
        near = suggest(path, list(islice(steps, MOST_NAMES)))
        raise RunError(
            f"run {result.run_id} has no step `{path}`",
            run_id=result.run_id,
            code=codes.STEP_NOT_FOUND,
            help=f"did you mean `{near}`?" if near else f"list them with: orchestrator show {result.run_id}",
        )
    if json:
        emit_json(step.to_dict())
        return
    lines = [f"step {path}: {step.state}" + (f" in {seconds(step.elapsed)}" if step.ended_at else "")]
    if step_summary(step):
        lines.append(f"{step.kind}: {step_summary(step)}")
    if step.attempts > 1 and not step.kind:
        lines.append(f"attempts: {step.attempts}, the last in {seconds(step.duration)}")
    if step.spending:
        lines.append(f"models: {models_text(step.spending)}")
    if step.cached:
        lines.append(f"taken from run {step.cached.get('run_id')}, step {step.cached.get('path')}")
    lines += [f"! {printable(message)}" for message in step.warnings]
    if step.reason:
        lines.append(f"reason: {step.reason}")
    if step.question is not None:
        lines.append(printable(question_in_words(step.question)))
        lines += part_lines(step.question)
        lines += content_lines(step.question)
        lines.append(f"answer with: {answer_command(result.run_id, path, step.question, hints)}")
    elif step.until is not None:
        lines.append(f"until: {moment(step.until)}")
    if step.error:
        lines.append(f"error[{step.error.get('code')}]: {step.error.get('message')}")
    if step.output is not None:
        lines += _indented("output", step.output)
    emit("\n".join(lines))
