"""`show`: what a run achieved, step by step."""

import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from orchestrator import codes
from orchestrator.cli.options import common
from orchestrator.cli.terminal.hints import Hints
from orchestrator.text.words import plural, shorten

if TYPE_CHECKING:
    from orchestrator.api.orchestrator import Orchestrator
    from orchestrator.history.result import Result
    from orchestrator.history.step_results import StepResult, StepResults
    from orchestrator.history.step_tree import TreeLine
    from orchestrator.journal.state.usage import Spending

MOST_NAMES: Final = 2_000
"""How many steps' paths a misspelt one is compared with."""


def show(
    run: common.RunArgument,
    step: Annotated[str | None, typer.Option("--step", metavar="PATH", help="Only this step, with its output.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown report.")] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Print where tools failed: the tracebacks of all attempts.")
    ] = False,
    json: common.JsonOption = False,
    store: common.StoreOption = None,
) -> None:
    """Show a run's outputs, steps, timings and errors.

    A step's time is that of all its attempts, and of the waits between them. Of a loop the first items are shown and
    those that failed; --json has all.
    """
    from orchestrator.cli.terminal.output import emit, emit_json, printable
    from orchestrator.cli.terminal.prompts import open_questions, question_lines

    with common.open_orchestrator(store=store) as orchestrator:
        handle = orchestrator.get_run(run)
        hints = Hints(store).about(orchestrator, handle.id)
        if traceback:
            _show_tracebacks(orchestrator, handle.id, step, json=json)
            return
        result = handle.snapshot()
        if step is not None:
            _show_step(result, step, hints, json=json)
        elif json:
            emit_json(result.to_dict())
        elif markdown:
            page = result.to_markdown().rstrip("\n")
            emit(printable(page, keep="\n\t") if sys.stdout.isatty() else page)
        else:
            asked = [step for step in open_questions(handle.status()) if result.state in ("waiting", "running")]
            lines = [
                line for step in asked for line in question_lines(handle.id, step.path, step.question or {}, hints)
            ]
            emit("\n".join([result_text(result, hints), *([""] if lines else []), *lines]))


def _show_tracebacks(orchestrator: "Orchestrator", run_id: str, step: str | None, *, json: bool) -> None:
    """Print the tracebacks of what tools raised, of all attempts or those of one step."""
    from msgspec.structs import asdict

    from orchestrator.cli.terminal.output import LINES, emit, emit_json, moment, printable, say
    from orchestrator.runtime.run.failures import tracebacks

    found = tracebacks(orchestrator.backend.store, run_id, step)
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

    lines = [f"run {result.run_id}: {result.state}"]
    if result.spending:
        lines.append(f"models: {models_text(result.spending)}")
    lines += [f"! {printable(message)}" for message in result.warnings]
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
    from orchestrator.history.step_tree import step_summary

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
        *(_paid(step.spending) if result.spending else ()),
        about,
    )


def _paid(spending: "Spending") -> tuple[str, str]:
    """Return the cells of a step for tokens and cost."""
    if not spending:
        return "", ""
    return f"{spending.tokens:,}", "unknown" if spending.cost is None else spending.price


def brief(step: "StepResult", width: int = 60) -> str:
    """Return the first words of what a step made of its work: its output, error or reason."""
    from json import dumps

    if step.error:
        text = str(step.error.get("message", ""))
    elif step.question is not None:
        text = f"asks: {step.question.get('prompt', '')}"
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
    from orchestrator.cli.terminal.prompts import answer_command, content_lines
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
        lines.append(f"asks: {printable(str(step.question.get('prompt', '')))}")
        lines += content_lines(step.question)
        lines.append(f"answer with: {answer_command(result.run_id, path, step.question, hints)}")
    elif step.until is not None:
        lines.append(f"until: {moment(step.until)}")
    if step.error:
        lines.append(f"error[{step.error.get('code')}]: {step.error.get('message')}")
    if step.output is not None:
        lines += _indented("output", step.output)
    emit("\n".join(lines))
